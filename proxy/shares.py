"""what every worker has used of the limits that they share, in one mapped file without locks

Each worker writes its own cells only and reads those of all. A cell is one aligned machine word, so a
reader sees the number before or after a change and nothing in between. The file lasts as long as the
parent of the workers: it is made anew at each start, and replaced, so that nobody's old map is changed.
"""

from __future__ import annotations

import fcntl
import mmap
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import mkstemp

from proxy.core.errors import Mistake

_WORD = 8
_CELLS = 8
"""Cells per scope and worker: one cache line, so that workers do not wait for each other's writes."""
REQUESTS, TOKENS, STREAMS = 0, 2, 4
_FULL_AT = 1


class Tally:
    """One number per worker: this one's own, which it adds to, and the sum of the others'."""

    __slots__ = ("_cells", "_others", "_own")

    def __init__(self, cells: memoryview, own: int, others: Sequence[int]) -> None:
        self._cells = cells
        self._own = own
        self._others = tuple(others)

    def add(self, amount: int) -> None:
        """Add to this worker's number."""
        self._cells[self._own] += amount

    def clear(self) -> None:
        """Set this worker's number to nothing."""
        self._cells[self._own] = 0

    def others(self) -> int:
        """The sum of the other workers' numbers."""
        cells = self._cells
        return sum([cells[place] for place in self._others])

    def said_full_at(self) -> int:
        """The latest time at which any worker, this one before a restart too, sees the allowance full."""
        cells = self._cells
        return max([cells[place + _FULL_AT] for place in (self._own, *self._others)])

    def say_full_at(self, when: int) -> None:
        """Tell the others when the allowance will be full, as this worker sees it (monotonic, in ns)."""
        self._cells[self._own + _FULL_AT] = when


class Shares:
    """The cells of one worker in the file that all workers map."""

    def __init__(self, path: Path, scopes: Iterable[str], *, workers: int, own: int) -> None:
        """Map the file that `lay_out` made for the same scopes and workers; `own` counts from 0."""
        self._rows = {scope: row for row, scope in enumerate(sorted(scopes))}
        self._workers = workers
        self._own = own
        size = _size(len(self._rows), workers)
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), size)
        self._cells = memoryview(self._map).cast("q")

    def tally(self, scope: str, kind: int) -> Tally:
        """The cells of one limit of one scope; `kind` is REQUESTS, TOKENS or STREAMS."""
        first = self._rows[scope] * self._workers
        places = [(first + worker) * _CELLS + kind for worker in range(self._workers)]
        own = places.pop(self._own)
        return Tally(self._cells, own, places)


def shares_file(data_dir: Path) -> Path:
    """Where the workers of a data folder share their counts."""
    return data_dir / "limits.cells"


def lay_out(path: Path, scopes: int, workers: int) -> None:
    """Make the file, all zero, in the place of any before it."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    made, beside = mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        os.ftruncate(made, _size(scopes, workers))
    finally:
        os.close(made)
    Path(beside).replace(path)


def claim(path: Path) -> int:
    """Keep other parents from laying out their file in the place of this one's, while the descriptor is open.

    Raises `Mistake` when another parent has done so: it would count in one file, and its workers in another.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise Mistake(
            f"another proxy counts its limits in {path.parent}."
            " Stop it, or give this one a data_dir of its own."
        ) from None
    return lock


def _size(scopes: int, workers: int) -> int:
    return max(1, scopes * workers) * _CELLS * _WORD
