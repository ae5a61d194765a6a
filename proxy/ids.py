"""identifiers and clocks: the only place that draws on time and randomness for records"""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime

_DRAWN = 4_000
_LENGTH = 10
_drawn: list[bytes] = []
# A copy of the store in a forked child would hand out the parent's identifiers once more.
os.register_at_fork(after_in_child=_drawn.clear)


def uuid7() -> str:
    """A time-ordered identifier (RFC 9562, version 7) in its text form."""
    value = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(_random(), "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _random() -> bytes:
    """Random bytes of the operating system, drawn for many identifiers at once.

    Each call to the system lets go of the interpreter lock, which another thread then takes. Taking
    the last item of a list is one step, so threads cannot be given the same one.
    """
    try:
        return _drawn.pop()
    except IndexError:
        fresh = os.urandom(_DRAWN)
        _drawn.extend(fresh[at : at + _LENGTH] for at in range(_LENGTH, _DRAWN, _LENGTH))
        return fresh[:_LENGTH]


def now() -> datetime:
    """The wall clock, in UTC."""
    return datetime.now(UTC)
