"""one connection of the load client: sends a request, reads the answer, checks that it is whole"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias, cast

from typing_extensions import override

from benchmarks import wire

Request: TypeAlias = tuple[bytes, bytes]
"""A head and a body."""
_EVENT = b"data: {"
_DONE = b"data: [DONE]\n\n"
_OK = b"HTTP/1.1 200 "


@dataclass(slots=True)
class Tally:
    """What came back. Times are nanoseconds; `transits` run from the mock's write to our read."""

    answered: int = 0
    failed: int = 0
    chunks: int = 0
    latencies: list[int] = field(default_factory=list)
    transits: list[int] = field(default_factory=list)
    complaint: str = ""

    def fail(self, complaint: str) -> None:
        """Count an answer that was not as it had to be, and keep the first complaint."""
        self.failed += 1
        self.complaint = self.complaint or complaint


class Reading:
    """One answer as it comes in: head, then a body by length or by chunked framing.

    `refusal` holds the whole answer, head and body, when it is not 200.
    """

    __slots__ = ("events", "head", "missing", "ok", "refusal", "tail")

    def __init__(self) -> None:
        self.head: bytes | None = b""
        self.ok = False
        self.refusal = b""
        self.missing: int | None = None
        self.tail = b""
        self.events = 0

    def feed(self, data: bytes) -> bool:
        """Take bytes; True when the answer is whole."""
        if self.head is not None:
            self.head += data
            end = self.head.find(b"\r\n\r\n") + 4
            if end < 4:
                return False
            data = self._begin(self.head[:end], self.head[end:])
        if not self.ok:
            self.refusal += data
        if self.missing is not None:
            self.missing -= len(data)
            return self.missing <= 0
        # An event's beginning may be cut by the end of a read, so the last bytes are looked at again.
        seen = self.tail + data
        self.events += seen.count(_EVENT) - self.tail.count(_EVENT)
        self.tail = seen[-len(_DONE) - 16 :]
        return seen.endswith(wire.STREAM_END)

    def _begin(self, head: bytes, body: bytes) -> bytes:
        self.head = None
        self.ok = head.startswith(_OK)
        self.refusal = b"" if self.ok else head
        lower = head.lower()
        at = lower.find(b"\r\ncontent-length:")
        if at >= 0:
            self.missing = int(lower[at + 17 : lower.index(b"\r\n", at + 2)])
        return body

    @property
    def streamed_whole(self) -> bool:
        """Whether a stream came to its dialect's own end."""
        return self.missing is not None or _DONE in self.tail


class Client(asyncio.Protocol):
    """One connection that sends a request when told to and reports each whole answer."""

    def __init__(self, tally: Tally, request: Callable[[], Request], idle: Callable[[Client], None]) -> None:
        self._tally = tally
        self._request = request
        self._idle = idle
        self._reading: Reading | None = None
        self.since = 0
        self.first_event = asyncio.get_running_loop().create_future()

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast("asyncio.WriteTransport", transport)

    def send(self, due_ns: int = 0) -> None:
        """Send one request; latency counts from `due_ns`, or from now."""
        head, body = self._request()
        self._reading = Reading()
        self.since = due_ns or time.monotonic_ns()
        if len(body) > 65_536:
            self.transport.writelines((head, body))
        else:
            self.transport.write(head + body)

    @override
    def data_received(self, data: bytes) -> None:
        """Read on; at the end of an answer, check and count it."""
        reading = self._reading
        if reading is None:
            self._tally.fail("bytes came that nobody had asked for")
            return
        before = reading.events
        whole = reading.feed(data)
        if reading.events > before:
            self._count_events(reading.events - before, data)
        if whole:
            self._reading = None
            self.finish(reading)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        """An answer that was cut is a failure, and so is a connection that nobody gave up."""
        if self._reading is not None:
            self._reading = None
            self._tally.fail("a connection was cut before its answer was whole")
            self._idle(self)

    def _count_events(self, number: int, data: bytes) -> None:
        self._tally.chunks += number
        at = data.rfind(wire.CLOCK)
        stamp = data[at + len(wire.CLOCK) :][:19]
        if at >= 0 and len(stamp) == 19:
            self._tally.transits.append(time.monotonic_ns() - int(stamp))
        if not self.first_event.done():
            self.first_event.set_result(None)

    def finish(self, reading: Reading) -> None:
        """Count a whole answer, and be ready for another request."""
        if reading.ok and reading.streamed_whole:
            self._tally.answered += 1
            self._tally.latencies.append(time.monotonic_ns() - self.since)
        else:
            self._tally.fail("an answer was not 200, or its stream had no end")
        self._idle(self)
