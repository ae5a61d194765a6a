"""identifiers and clocks: the only place that draws on time and randomness for records"""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from functools import lru_cache

_DRAWN = 4_000
_DIGITS = 20
_VARIANT = "89ab" * 4
_drawn: list[str] = []
# A copy of the store in a forked child would hand out the parent's identifiers once more.
os.register_at_fork(after_in_child=_drawn.clear)


def uuid7() -> str:
    """A time-ordered identifier (RFC 9562, version 7) in its text form."""
    return _moment(time.time_ns() // 1_000_000) + _random()


@lru_cache(maxsize=2)
def _moment(milliseconds: int) -> str:
    text = f"{milliseconds:012x}"
    return f"{text[:8]}-{text[8:]}-"


def _random() -> str:
    """The rest of an identifier, of random digits that were drawn for many at once.

    Each call to the system lets go of the interpreter lock, which another thread then takes. Taking
    the last item of a list is one step, so threads cannot be given the same one.
    """
    try:
        return _drawn.pop()
    except IndexError:
        digits = os.urandom(_DRAWN).hex()
        fresh = [_rest(digits[at : at + _DIGITS]) for at in range(0, len(digits), _DIGITS)]
        last = fresh.pop()
        _drawn.extend(fresh)
        return last


def _rest(digits: str) -> str:
    """Version and variant among random digits (RFC 9562, section 5.7)."""
    variant = _VARIANT[int(digits[3], 16)]
    return f"7{digits[:3]}-{variant}{digits[4:7]}-{digits[7:19]}"


def now() -> datetime:
    """The wall clock, in UTC."""
    return datetime.now(UTC)
