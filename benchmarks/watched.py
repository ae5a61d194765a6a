"""run a Python program with its event loop watched: how late a timer of one millisecond fires

`python -m benchmarks.watched REPORT MODULE ARGUMENTS...` runs the module as `python -m` would. A tick that
fires late is kept with three numbers: by how much, and how much CPU time the loop's thread and the whole
program used since the tick before. A machine shared with others takes the core away for milliseconds at
a time; what the loop's own thread used is what it has to answer for wherever it runs, and what the whole
program used is what its threads take from each other when they share one core, as they do here.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import runpy
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import orjson
import uvloop

TICK_NS = 1_000_000
_WORTH_KEEPING_NS = 300_000
_ROBBED_NS = 1_000_000
_CATCHING_UP_NS = 20_000_000

_late: list[tuple[int, int, int, int]] = []


class Ticker:
    """A timer that starts itself again, on one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._last = time.monotonic_ns()
        self._thread, self._program = time.thread_time_ns(), time.process_time_ns()
        loop.call_later(TICK_NS / 1e9, self._tick)

    def _tick(self) -> None:
        now, thread, program = time.monotonic_ns(), time.thread_time_ns(), time.process_time_ns()
        late = now - self._last - TICK_NS
        if late > _WORTH_KEEPING_NS:
            _late.append((now, late, thread - self._thread, program - self._program))
        self._last, self._thread, self._program = now, thread, program
        self._loop.call_later(TICK_NS / 1e9, self._tick)


def _watch(kind: Any) -> None:
    """Let every loop of a kind start a ticker when it begins to run."""
    run_forever = kind.run_forever

    def watched_run(loop: asyncio.AbstractEventLoop) -> None:
        if not hasattr(loop, "ticker_of_the_benchmark"):
            vars(loop)["ticker_of_the_benchmark"] = Ticker(loop)
        run_forever(loop)

    kind.run_forever = watched_run


@dataclass(frozen=True, slots=True)
class Stalls:
    """The longest stalls in milliseconds: of the loop's own thread, of the program, and by the wall.

    The first two leave out the ticks in which the machine had the core for longer than the program, and those
    just after, when everything that has piled up is done at once; `left_out` counts them, of `late` ones.
    """

    thread: float
    program: float
    wall: float
    late: int
    left_out: int


def stalls(report: Path, since_ns: int, until_ns: int) -> Stalls:
    """The longest stalls between two instants of the monotonic clock."""
    rows = [row for row in orjson.loads(report.read_bytes()) if since_ns <= row[0] <= until_ns]
    kept = []
    robbed_until = 0
    for now, late, thread, program in rows:
        if late - program > max(_ROBBED_NS, program):
            robbed_until = now + _CATCHING_UP_NS
        elif now - late >= robbed_until:
            kept.append((min(late, thread), min(late, program)))
    return Stalls(
        thread=max((thread for thread, _ in kept), default=0) / 1e6,
        program=max((program for _, program in kept), default=0) / 1e6,
        wall=max((late for _, late, _, _ in rows), default=0) / 1e6,
        late=len(rows),
        left_out=len(rows) - len(kept),
    )


def _report_at_the_end(report: Path) -> None:
    """Write the report however the program ends: by itself, or at once."""
    leave = os._exit

    def write() -> None:
        report.write_bytes(orjson.dumps(_late))

    def leave_behind(code: int) -> NoReturn:
        write()
        leave(code)

    atexit.register(write)
    vars(os)["_exit"] = leave_behind


def main() -> None:
    """Watch every loop, run the module, write the report at the end."""
    report, module, *arguments = sys.argv[1:]
    _watch(asyncio.BaseEventLoop)
    _watch(uvloop.Loop)
    _report_at_the_end(Path(report))
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
