"""Times: RFC 3339 text outside, epoch milliseconds UTC inside."""

import datetime

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
MILLISECOND = datetime.timedelta(milliseconds=1)
FIRST_MS = 0
LAST_MS = 253_402_300_799_999  # 9999-12-31T23:59:59.999Z, the last time that RFC 3339 can write


def rfc3339(ms: int) -> str:
    """Epoch milliseconds as text; ValueError outside the years 1970 to 9999.

    >>> rfc3339(1_700_000_000_123)
    '2023-11-14T22:13:20.123Z'
    """
    if not FIRST_MS <= ms <= LAST_MS:
        raise ValueError(f"{ms} ms is not a time of the years 1970 to 9999")
    moment = EPOCH + ms * MILLISECOND
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def milliseconds(moment: datetime.datetime) -> int:
    """A moment with a zone as epoch milliseconds; what is finer is cut off."""
    return (moment - EPOCH) // MILLISECOND
