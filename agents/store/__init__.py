"""State in Redis: partitions with checkpoints, references, and a check that Redis is fit."""

from agents.store.answers import Claim, Damaged, Refused
from agents.store.changes import Changes, Limits, OutMessage, Prepared, TooLarge
from agents.store.claims import HEADER, History, Span, Stamp, stamp_of
from agents.store.partitions import Partition
from agents.store.scripts import OUTAGES, Hook, Scripts, Unavailable, nothing, sources
from agents.store.stores import Store, Unusable, connect

__all__ = [
    "HEADER",
    "OUTAGES",
    "Changes",
    "Claim",
    "Damaged",
    "History",
    "Hook",
    "Limits",
    "OutMessage",
    "Partition",
    "Prepared",
    "Refused",
    "Scripts",
    "Span",
    "Stamp",
    "Store",
    "TooLarge",
    "Unavailable",
    "Unusable",
    "connect",
    "nothing",
    "sources",
    "stamp_of",
]
