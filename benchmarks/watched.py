"""run a Python program with its event loop watched: how late a timer of one millisecond fires

`python -m benchmarks.watched REPORT MODULE ARGUMENTS...` runs the module as `python -m` would. A tick that
fires late is kept with two numbers: by how much, and how much CPU time the program itself used since
the tick before. A machine shared with others takes the core away for milliseconds at a time; the
smaller of the two numbers is what the program has to answer for.
"""

from __future__ import annotations

import asyncio
import atexit
import runpy
import sys
import time
from pathlib import Path
from typing import Any

import orjson
import uvloop

TICK_NS = 1_000_000
_WORTH_KEEPING_NS = 300_000

_late: list[tuple[int, int, int]] = []


class Ticker:
    """A timer that starts itself again, on one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._last = time.monotonic_ns()
        self._cpu = time.process_time_ns()
        loop.call_later(TICK_NS / 1e9, self._tick)

    def _tick(self) -> None:
        now, cpu = time.monotonic_ns(), time.process_time_ns()
        late = now - self._last - TICK_NS
        if late > _WORTH_KEEPING_NS:
            _late.append((now, late, cpu - self._cpu))
        self._last, self._cpu = now, cpu
        self._loop.call_later(TICK_NS / 1e9, self._tick)


def _watch(kind: Any) -> None:
    """Let every loop of a kind start a ticker when it begins to run."""
    run_forever = kind.run_forever

    def watched_run(loop: asyncio.AbstractEventLoop) -> None:
        if not hasattr(loop, "ticker_of_the_benchmark"):
            vars(loop)["ticker_of_the_benchmark"] = Ticker(loop)
        run_forever(loop)

    kind.run_forever = watched_run


def stalls_ms(report: Path, since_ns: int, until_ns: int) -> tuple[float, float]:
    """The longest stall within a span of the monotonic clock: by the wall, and of its own making."""
    rows = [row for row in orjson.loads(report.read_bytes()) if since_ns <= row[0] <= until_ns]
    wall = max((late for _, late, _ in rows), default=0)
    own = max((min(late, cpu) for _, late, cpu in rows), default=0)
    return wall / 1e6, own / 1e6


def main() -> None:
    """Watch every loop, run the module, write the report at the end."""
    report, module, *arguments = sys.argv[1:]
    _watch(asyncio.BaseEventLoop)
    _watch(uvloop.Loop)
    atexit.register(lambda: Path(report).write_bytes(orjson.dumps(_late)))
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
