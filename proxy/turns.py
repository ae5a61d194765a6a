"""how many requests begin or go on in one turn of the event loop: a crowd is let in bit by bit"""

from __future__ import annotations

import asyncio
from collections import deque

MOST = 6
"""A request's first step takes about a tenth of a millisecond: streams wait for this many of them."""


class Turns:
    """Lets at most `most` begin or go on per turn of the loop; the others wait, first come, first served."""

    def __init__(self, loop: asyncio.AbstractEventLoop, most: int = MOST) -> None:
        self._loop = loop
        self._most = most
        self._begun = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def waiting(self) -> int:
        """How many wait for their turn."""
        return len(self._waiting)

    def take(self) -> bool:
        """Begin in this turn, if it has room; when False, `wait`."""
        if self._begun >= self._most:
            return False
        if not self._begun:
            self._loop.call_soon(self._next)
        self._begun += 1
        return True

    async def wait(self) -> None:
        """Return in the first turn that has room."""
        turn = self._loop.create_future()
        self._waiting.append(turn)
        await turn

    def wake(self, waiter: asyncio.Future[None]) -> None:
        """Let whoever awaits `waiter` go on, in the first turn that has room."""
        if self.take():
            waiter.set_result(None)
        else:
            self._waiting.append(waiter)

    def _next(self) -> None:
        self._begun = 0
        while self._waiting and self._begun < self._most:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                self._begun += 1
        if self._begun:
            self._loop.call_soon(self._next)
