"""how much room the disk of the audit log has, and an alarm while that is little"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from proxy.logs import logger

PERCENT = 5
CAP = 5
"""A share of the disk counts up to this many times the size that the operator named."""
_CALM = 1.1


@dataclass(frozen=True, slots=True)
class Room:
    """Bytes of a disk: those that this user may still write, and all of them."""

    free: int
    size: int


def room_on(folder: Path) -> Room:
    """The room on the disk that holds a folder."""
    found = os.statvfs(folder)
    return Room(found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize)


@dataclass(slots=True)
class Disk:
    """The disk of a folder. `low` bytes, or PERCENT of a larger disk, is where it counts as low.

    Requests are served all the same: only a full disk refuses them, and that is the journal's business.
    """

    folder: Path
    low: int
    measure: Callable[[Path], Room] = room_on
    free: int = 0
    is_low: bool = False
    mark: int = field(default=0, init=False)

    def look(self) -> None:
        """Measure, and say in the log when the room has become little or is enough again.

        May wait for the disk: not for the event loop's thread.
        """
        try:
            room = self.measure(self.folder)
        except OSError as error:
            logger().warning("disk_not_measured", errno=error.errno or 0)
            return
        self.free = room.free
        self.mark = max(self.low, min(room.size * PERCENT // 100, CAP * self.low))
        # A little more than the mark to leave the alarm, or one file that comes and goes fills the log.
        low = room.free < (self.mark * _CALM if self.is_low else self.mark)
        if low and not self.is_low:
            logger().warning("disk_low", bytes=room.free)
        elif self.is_low and not low:
            logger().info("disk_has_room_again", bytes=room.free)
        self.is_low = low

    def warnings(self) -> list[str]:
        """The alarm in words for the operator, when there is one."""
        if not self.is_low:
            return []
        return [
            f"the disk of the audit log has {self.free // 1_000_000} MB left; free some, or prune with"
            " `ringfence audit prune`: when it is full, requests are refused"
        ]
