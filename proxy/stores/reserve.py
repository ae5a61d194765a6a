"""disk space held back for the records of requests that are under way when the disk fills up"""

from __future__ import annotations

import os
import shutil
from pathlib import Path


class Reserve:
    """A file of `size` bytes that is really allocated; 0 keeps none."""

    def __init__(self, path: Path, size: int) -> None:
        self.path = path
        self.size = size

    def allocate(self) -> bool:
        """Takes the space, unless it is held already; False when the disk has not that and some more."""
        if self.size == 0 or self._is_held():
            return True
        try:
            # Without the margin, giving the reserve up and taking it back would go on in turns.
            if shutil.disk_usage(self.path.parent).free < self.size + self.size // 4:
                return False
            with self.path.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, self.size)
        except OSError:
            self.free()
            return False
        return True

    def _is_held(self) -> bool:
        try:
            return self.path.stat().st_size == self.size
        except OSError:
            return False

    def free(self) -> None:
        """Gives the space back to the log; never raises."""
        try:
            self.path.unlink(missing_ok=True)
        except OSError:
            return
