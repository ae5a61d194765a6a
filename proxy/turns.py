"""how many requests begin or go on in one turn of the event loop: a crowd is let in bit by bit"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial

MOST = 6
"""A request's first step takes about a tenth of a millisecond: streams wait for this many of them."""
MOST_CHUNKS = 16
"""A chunk takes about a fiftieth of a millisecond from socket to socket."""


class Turns:
    """Lets at most `most` begin or go on per turn of the loop; the others wait, first come, first served."""

    def __init__(self, loop: asyncio.AbstractEventLoop, most: int = MOST) -> None:
        self._loop = loop
        self._most = most
        self._begun = 0
        self._waiting: deque[Callable[[], bool]] = deque()

    @property
    def waiting(self) -> int:
        """How many wait for their turn."""
        return len(self._waiting)

    def take(self) -> bool:
        """Begin in this turn, if it has room; when False, `wait` or ask for `later`."""
        if self._begun >= self._most:
            return False
        if not self._begun:
            self._loop.call_soon(self._next)
        self._begun += 1
        return True

    def later(self, go: Callable[[], bool]) -> None:
        """Call `go` in the first turn that has room; it says whether it had something to do."""
        self._waiting.append(go)

    async def wait(self) -> None:
        """Return in the first turn that has room."""
        turn = self._loop.create_future()
        self.later(partial(_let_go, turn))
        await turn

    def wake(self, waiter: asyncio.Future[None]) -> None:
        """Let whoever awaits `waiter` go on, in the first turn that has room."""
        if self.take():
            waiter.set_result(None)
        else:
            self.later(partial(_let_go, waiter))

    def _next(self) -> None:
        self._begun = 0
        try:
            while self._waiting and self._begun < self._most:
                self._begun += 1
                if not self._waiting.popleft()():
                    self._begun -= 1
        finally:
            # Whoever waits behind one that failed still gets a turn.
            if self._begun:
                self._loop.call_soon(self._next)


def _let_go(waiter: asyncio.Future[None]) -> bool:
    """Let it go on, unless it has left."""
    if waiter.done():
        return False
    waiter.set_result(None)
    return True
