"""identifiers and clocks: the only place that draws on time and randomness for records"""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime


def uuid7() -> str:
    """A time-ordered identifier (RFC 9562, version 7) in its text form."""
    value = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def now() -> datetime:
    """The wall clock, in UTC."""
    return datetime.now(UTC)
