"""lengths of time as policies and catalogue rows write them"""

from __future__ import annotations

import re
from datetime import timedelta

SPAN_PATTERN = "^[1-9][0-9]{0,5}(s|m|h|d|w)$"
"""The one spelling of a duration in files that people write: `24h`, `90d`."""

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_STRICT = re.compile(r"([1-9][0-9]{0,5})([smhdw])")
_LOOSE = re.compile(r"(\d{1,5})[\s-]*(second|sec|minute|min|hour|hr|h|day|d|week|month|year)s?\b")
_LOOSE_UNITS = {
    "second": 1, "sec": 1, "minute": 60, "min": 60, "hour": 3600, "hr": 3600, "h": 3600,
    "day": 86_400, "d": 86_400, "week": 604_800, "month": 31 * 86_400, "year": 366 * 86_400,
}  # fmt: skip


def parse_span(text: str) -> timedelta | None:
    """Read a duration in its strict spelling; None when it is anything else."""
    found = _STRICT.fullmatch(text)
    return timedelta(seconds=int(found[1]) * _UNITS[found[2]]) if found else None


def find_seconds(text: str) -> int | None:
    """Find the longest duration that a sentence names, in seconds; None when it names none.

    Months and years count at their longest, because the result is read as an upper bound.
    """
    lengths = [int(n) * _LOOSE_UNITS[unit] for n, unit in _LOOSE.findall(text.casefold())]
    return max(lengths, default=None)


def span_words(seconds: int) -> str:
    """Write a number of seconds in the largest unit that divides it: `30 days`, `24 hours`."""
    for size, word in ((86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second")):
        if seconds % size == 0:
            count = seconds // size
            return f"{count} {word}{'' if count == 1 else 's'}"
    raise AssertionError(seconds)
