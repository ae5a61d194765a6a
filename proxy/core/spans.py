"""lengths of time as policies and catalogue rows write them"""

from __future__ import annotations

import re
from datetime import timedelta

SPAN_PATTERN = "^[1-9][0-9]{0,5}(s|m|h|d|w)$"
"""The one spelling of a duration in files that people write: `24h`, `90d`."""

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_STRICT = re.compile(r"([1-9][0-9]{0,5})([smhdw])")
# A number is taken whole, from its first digit on: the end of `1,000 days` would be no days. Its length has a
# bound, so that the time that a long text takes grows with it only.
_LOOSE = re.compile(
    r"(?<!\d)(?<!\d[.,])(\d{1,9}(?:[ \u00a0\u202f'\u2019]\d{3}){1,4}|\d[\d.,]{0,30})"
    r"[\s-]*(second|sec|minute|min|hour|hr|h|day|d|week|month|year)s?\b"
)
_LOOSE_UNITS = {
    "second": 1, "sec": 1, "minute": 60, "min": 60, "hour": 3600, "hr": 3600, "h": 3600,
    "day": 86_400, "d": 86_400, "week": 604_800, "month": 31 * 86_400, "year": 366 * 86_400,
}  # fmt: skip
_LIMITS = re.compile(
    r"\b(up to|at most|not? (longer|more) than"
    r"|(deleted|removed|purged|erased|expires?) (automatically )?after)\b"
)
_SIGNS = re.compile(r"[^\w\s()\[\],;:.'/-]")
_WORDS = re.compile(r"\w+")
_PERIOD_WORDS = """
a abuse and api automatically cache cached caching content data debug disk flagged for in input
inputs is kept limited log logged logging logs max maximum memory misuse moderation monitoring of on
only or output outputs period prompt prompts ram request requests response responses retained
retention rolling safety security storage stored the to trust volatile window with
"""
_AROUND_PERIODS = frozenset(_PERIOD_WORDS.split())


def parse_span(text: str) -> timedelta | None:
    """Read a duration in its strict spelling; None when it is anything else."""
    found = _STRICT.fullmatch(text)
    return timedelta(seconds=int(found[1]) * _UNITS[found[2]]) if found else None


def find_seconds(text: str) -> int | None:
    """Find the longest duration that a sentence names, in seconds; None when it names none.

    Months and years count at their longest, because the result is read as an upper bound. So a sentence
    that says anything else than how long what is kept (`at least`, `or more`, `one year`) names none.
    """
    lengths = [_at_most(n) * _LOOSE_UNITS[unit] for n, unit in _LOOSE.findall(text.casefold())]
    return max(lengths, default=None) if says_only(text, _AROUND_PERIODS) else None


def says_only(text: str, words: frozenset[str]) -> bool:
    """Tell whether a sentence has no words but the given ones, durations and phrases that limit them."""
    left = _LIMITS.sub(" ", _LOOSE.sub(" ", text.casefold()))
    return not _SIGNS.search(left) and words.issuperset(_WORDS.findall(left))


def _at_most(written: str) -> int:
    """The largest whole number that digits with points, commas or spaces between them can mean."""
    parts = [part for part in re.split(r"\D+", written) if part]
    if len(parts) == 1 or len(parts[-1]) == 3:
        return int("".join(parts))
    fraction = int(parts.pop())
    return max(int("".join(parts)) + bool(fraction), fraction)


def span_words(seconds: int) -> str:
    """Write a number of seconds in the largest unit that divides it: `30 days`, `24 hours`."""
    for size, word in ((86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second")):
        if seconds % size == 0:
            count = seconds // size
            return f"{count} {word}{'' if count == 1 else 's'}"
    raise AssertionError(seconds)
