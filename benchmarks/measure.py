"""what /proc says of a tree of programs, and ratios that survive a noisy machine"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE_KB = os.sysconf("SC_PAGE_SIZE") / 1024
# Fields of /proc/<pid>/stat counted from the one after the program's name, which may hold spaces.
_PARENT, _UTIME, _CSTIME, _RSS = 1, 11, 14, 21


def _fields(pid: int) -> list[str] | None:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def tree(root: int) -> list[int]:
    """The ids of a program and everything that it started, directly or not."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _fields(int(entry.name))) is not None:
            children.setdefault(int(fields[_PARENT]), []).append(int(entry.name))
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found


def cpu_seconds(root: int) -> float:
    """User and system time of a tree, all threads, ended children included. Resolution: one clock tick."""
    # Children that ended are kept by whoever waited for them, so each is counted once.
    ticks = sum(int(ticks) for fields in _each(root) for ticks in fields[_UTIME : _CSTIME + 1])
    return ticks / _TICKS


def rss_kb(root: int) -> float:
    """Resident memory of a tree; pages that its programs share count once for each."""
    return sum(int(fields[_RSS]) * _PAGE_KB for fields in _each(root))


def threads(root: int) -> int:
    """How many threads a tree has."""
    return sum(len(os.listdir(f"/proc/{pid}/task")) for pid in tree(root))


def _each(root: int) -> Iterator[list[str]]:
    for pid in tree(root):
        if (fields := _fields(pid)) is not None:
            yield fields


def calibration_ms() -> float:
    """CPU milliseconds of a fixed pure-Python loop: how fast the core is just now."""
    begin = time.thread_time()
    total = 0
    for number in range(2_000_000):
        total += number
    return (time.thread_time() - begin) * 1000


@dataclass(frozen=True, slots=True)
class Spread:
    """A median with the lowest and highest of what it was taken over."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The spread of one value per round; at least one."""
        return cls(statistics.median(values), min(values), max(values))

    def times(self, factor: float) -> Spread:
        """The same in another unit."""
        return Spread(self.median * factor, self.low * factor, self.high * factor)


def ratios(rounds: Sequence[Mapping[str, float]], base: str) -> dict[str, Spread]:
    """Each contestant over `base`, divided inside each round, then spread over the rounds."""
    names = [name for name in rounds[0] if name != base]
    return {name: Spread.of([each[name] / each[base] for each in rounds]) for name in names}


def spreads(rounds: Sequence[Mapping[str, float]]) -> dict[str, Spread]:
    """Each contestant's own figure, spread over the rounds."""
    return {name: Spread.of([each[name] for each in rounds]) for name in rounds[0]}
