"""Arrow: many predictions or truths in one message, as columns from the wire to the internal log.

The value is an Arrow IPC stream; `schemas/arrow.md` says which columns it has and what is refused.
One row that cannot be used refuses its message, and the reason names the row: a message is one
record, with one offset, and half of it cannot become a dead letter.
"""

from agents.arrows.messages import MEDIA_TYPE, batch_of, written
from agents.arrows.runs import tables_in
from agents.arrows.tables import Place, rows_in

__all__ = ["MEDIA_TYPE", "Place", "batch_of", "rows_in", "tables_in", "written"]
