"""Repair: what has happened to Kafka's topics or to Redis behind the workers' back, and the way on.

Looking changes nothing. Acting goes through the partitions' own claims and checkpoints, while no
worker of the group runs, and says what is lost where something is.
"""
