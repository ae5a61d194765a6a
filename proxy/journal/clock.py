"""the journal's clocks and identifiers, together so that a test can hold them"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path

from proxy.core.record import Stamp
from proxy.ids import now, uuid7


@cache
def boot_id() -> str:
    """What the monotonic clock counts from: the machine's boot, or this start where that is not told."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return uuid7()


@dataclass(frozen=True, slots=True)
class Clock:
    """Where stamps come from."""

    wall: Callable[[], datetime] = now
    mono_ns: Callable[[], int] = time.monotonic_ns
    fresh_id: Callable[[], str] = uuid7
    boot: Callable[[], str] = boot_id

    def stamp(self) -> Stamp:
        """The present moment under a fresh id."""
        return Stamp(self.fresh_id(), self.wall(), self.mono_ns(), self.boot())
