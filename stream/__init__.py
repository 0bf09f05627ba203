"""The pure core: events in, events out. No clock, no environment, no I/O, no Faust, no Redis."""
