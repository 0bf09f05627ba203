"""Under fire: a load, a fleet of workers that come and go, and an oracle of what must come out."""
