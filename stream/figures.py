"""Numbers as people write them: three figures where that is enough, never 1e+01."""

import math
from collections.abc import Sequence

FIGURES = 3


def number(x: float) -> str:
    """One number, to three figures; digits before the point are never rounded away.

    >>> number(33.0), number(0.01234), number(12345.6), number(-0.5)
    ('33', '0.0123', '12,346', '-0.5')
    """
    text = _fixed(x, _decimals(x))
    return text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text


def pair(a: float, b: float) -> tuple[str, str]:
    """Two numbers to compare, with as many decimals each, enough to show that they differ.

    >>> pair(31.4, 35), pair(2019.25, 2019.5), pair(1, 1)
    (('31.4', '35.0'), ('2,019.2', '2,019.5'), ('1', '1'))
    """
    if a == b:
        return number(a), number(b)
    apart = _decimals(a - b) - FIGURES + 1  # one figure of the difference
    places = max(min(_decimals(x) for x in (a, b) if x), min(apart, 9))
    return _fixed(a, places), _fixed(b, places)


def share(x: float) -> str:
    """A share as a percentage.

    >>> share(0.398), share(0.5), share(0.00034), share(0.0), share(1.0)
    ('39.8%', '50.0%', '0.034%', '0%', '100%')
    """
    if x in (0.0, 1.0):
        return f"{100 * x:.0f}%"
    return f"{100 * x:.1f}%" if abs(x) >= 0.001 else f"{number(float(f'{100 * x:.2g}'))}%"


def shares(a: float, b: float) -> str:
    """A change of a share: rose, fell or stayed.

    >>> shares(0.398, 0.508)
    'rose 39.8% -> 50.8%'
    """
    way = "rose" if b > a else "fell" if b < a else "stayed at"
    return f"{way} {share(a)}" + ("" if a == b else f" -> {share(b)}")


def count(n: int) -> str:
    """A count, with its thousands apart."""
    return f"{n:,}"


def listed(names: Sequence[str], most: int) -> str:
    """The first names, and how many more there are.

    >>> listed(["a", "b", "c"], 2), listed(["a"], 2)
    ('a, b and 1 more', 'a')
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"


def chance(p: float) -> str:
    """How rare something is, to one figure and never overstated.

    >>> chance(0.0023), chance(1e-40), chance(0.7)
    ('fewer than 1 in 400', 'fewer than 1 in a million', 'more than 1 in 2')
    """
    if p >= 0.5:
        return "more than 1 in 2"
    if p < 1e-6:
        return "fewer than 1 in a million"
    times = math.floor(1 / p)
    scale = 10 ** (len(str(times)) - 1)
    return f"fewer than 1 in {times // scale * scale:,}"


def months(rate: float) -> str:
    """How often something happens that happens so many times a month, never understated.

    >>> months(0.0023), months(2.1), months(0.6), months(1e-40)
    ('in fewer than one month in 400', '3 times a month', 'once a month', 'in fewer than one month \
in a million')
    """
    if rate >= 0.5:
        times = math.ceil(rate - 1e-9)
        return f"{times:,} times a month" if times > 1 else "once a month"
    return f"in fewer than one month in {chance(rate).removeprefix('fewer than 1 in ')}"


def _decimals(x: float) -> int:
    """Places after the point that show three figures of x."""
    if x == 0 or not math.isfinite(x):
        return 0
    return max(0, FIGURES - 1 - math.floor(math.log10(abs(x))))


def _fixed(x: float, places: int) -> str:
    if x != 0 and not 1e-6 <= abs(x) < 1e15:
        return f"{x:.2e}"
    return f"{x:,.{places}f}"
