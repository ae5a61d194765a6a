"""lockstep: event n+1 of a stream is withheld until the client has confirmed event n

It proves that whatever stands between does not wait for more before it passes on what it has.
"""

from __future__ import annotations

import asyncio


class Lockstep:
    """One gate per stream. A stream is named by a `[[lockstep:NAME]]` marker, else by ""."""

    def __init__(self) -> None:
        self.on = False
        self._confirmed: dict[str, int] = {}
        self._sent: dict[str, int] = {}
        self._changed = asyncio.Condition()

    def open(self, stream: str) -> None:
        """Start a stream anew: nothing sent, nothing confirmed."""
        self._confirmed[stream] = 0
        self._sent[stream] = 0

    def sent(self, stream: str = "") -> int:
        """How many events of a stream have been written so far."""
        return self._sent.get(stream, 0)

    async def confirm(self, event: int, stream: str = "") -> None:
        """The client has event number `event`, counted from 1."""
        async with self._changed:
            self._confirmed[stream] = max(event, self._confirmed.get(stream, 0))
            self._changed.notify_all()

    async def wrote(self, event: int, stream: str) -> None:
        """Event number `event` has been written."""
        async with self._changed:
            self._sent[stream] = event
            self._changed.notify_all()

    async def wait(self, event: int, stream: str) -> None:
        """Wait until the client has confirmed that event."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._confirmed.get(stream, 0) >= event)
