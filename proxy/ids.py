"""identifiers and clocks: the only place that draws on time and randomness for records"""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime

_DRAWN = 400
_LENGTH = 10
# The variant of RFC 9562 stands in the two highest bits of the byte that is looked up here.
_VARIANT = bytes(0x80 | byte & 0x3F for byte in range(256))
_drawn: list[str] = []
# The last millisecond and how it begins an identifier: one item, so that no thread sees half of it.
_begun: list[tuple[int, str]] = [(0, "")]
# A copy of the store in a forked child would hand out the parent's identifiers once more.
os.register_at_fork(after_in_child=_drawn.clear)


def uuid7() -> str:
    """A time-ordered identifier (RFC 9562, version 7) in its text form."""
    moment = time.time_ns() // 1_000_000
    begun, head = _begun[0]
    if begun != moment:
        text = f"{moment:012x}"
        head = f"{text[:8]}-{text[8:]}"
        _begun[0] = (moment, head)
    try:
        return head + _drawn.pop()
    except IndexError:
        return head + _draw()


def _draw() -> str:
    """What follows the time: random, drawn from the operating system for many identifiers at once.

    Each call to the system lets go of the interpreter lock, which another thread then takes. Taking
    the last item of a list is one step, so threads cannot be given the same one.
    """
    fresh = bytearray(os.urandom(_DRAWN * _LENGTH))
    fresh[2::_LENGTH] = fresh[2::_LENGTH].translate(_VARIANT)
    digits, each = fresh.hex(), 2 * _LENGTH
    first, *others = (
        f"-7{digits[at : at + 3]}-{digits[at + 4 : at + 8]}-{digits[at + 8 : at + each]}"
        for at in range(0, len(digits), each)
    )
    _drawn.extend(others)
    return first


def now() -> datetime:
    """The wall clock, in UTC."""
    return datetime.now(UTC)
