"""the signals that end the proxy, heard from its first moment on

Process 1 of a container gets no signal that it does not handle (pid_namespaces(7)), so a stop that comes
before there is anybody to take it would be lost. For the same reason nothing is imported here that takes
time.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Collection, Coroutine
from contextlib import suppress

STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
_A_TURN = 0.001


def leave_when_told() -> None:
    """Have a stop end the process at once, with code 0, as long as nothing is open that has to be closed."""
    for number in STOPS:
        signal.signal(number, _leave)


def _leave(_number: int, _frame: object) -> None:
    # Not by an exception: while modules are imported, somebody else's `except` may stand around this.
    os._exit(0)


def keep_stops(numbers: Collection[signal.Signals] = STOPS) -> None:
    """Have stops wait for the running loop: it gives them to whoever handles them when it turns next."""
    from asyncio import get_running_loop

    loop = get_running_loop()
    for number in numbers:
        loop.add_signal_handler(number, _nobody_yet)


def _nobody_yet() -> None:
    """Replaced before the loop turns."""


async def let_stops_in() -> None:
    """Let the loop take in the stops that came while it was busy with other things."""
    from asyncio import sleep

    await sleep(_A_TURN)


async def to_the_end(work: Coroutine[object, object, None]) -> None:
    """Do the whole work of this process, and end it with code 0; what the work raises is raised."""
    await work
    for stream in (sys.stdout, sys.stderr):
        # A reader that is gone keeps nobody from ending.
        with suppress(OSError, ValueError):
            stream.flush()
    # Everything is closed. A loop and an interpreter that end would wait for a name server that is silent.
    os._exit(0)
