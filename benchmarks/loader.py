"""the load client: closed-loop connections on raw protocols, bounded in number and time, loopback only

Every answer is checked for its status and its end; one that is not whole counts as failed and is
never averaged in. The result is one line of JSON on standard output.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import orjson
import uvloop

from benchmarks import wire
from benchmarks.client import Client, Request, Tally

MOST_CONNECTIONS = 5_000
LONGEST_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Load:
    """What to send: to which port, what kind of body, on how many connections, for how long."""

    port: int
    kind: str
    connections: int
    seconds: float
    fresh: bool = True
    rate: float = 0.0
    hold: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.connections <= MOST_CONNECTIONS or not 0 < self.seconds <= LONGEST_SECONDS:
            raise ValueError(f"at most {MOST_CONNECTIONS} connections and {LONGEST_SECONDS:.0f} seconds")

    def request(self) -> Callable[[], Request]:
        """A source of requests, each a head and a body."""
        body = wire.bodies()[self.kind]
        head = wire.heads(self.port, len(body), fresh=self.fresh)
        return lambda: (head(), body)


class Run:
    """A number of connections and what they brought back."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.tally = Tally()
        self._clients: list[Client] = []
        self._spare: deque[Client] = deque()
        self._due: deque[int] = deque()
        self._busy = 0
        self._ending = False

    async def go(self) -> Tally:
        """Connect, load until the time is over, wait for the last answers."""
        request = self.load.request()
        after = self._after_open if self.load.rate else self._after_closed
        for _ in range(self.load.connections):
            await self._connect(request, after)
        await (self._open_loop() if self.load.rate else self._closed_loop())
        self._ending = True
        await self._settle()
        for client in self._clients:
            client.transport.close()
        return self.tally

    async def hold(self) -> None:
        """Open the streams at 250 a second, say so, and keep them until standard input ends."""
        request = self.load.request()
        for _ in range(self.load.connections):
            client = await self._connect(request, lambda _: None)
            client.send()
            await asyncio.sleep(1 / 250)
        live = [client.first_event for client in self._clients]
        await asyncio.wait(live, timeout=self.load.seconds)
        _say(report(self.tally) | {"live": sum(event.done() for event in live)})
        await asyncio.to_thread(sys.stdin.read)
        for client in self._clients:
            client.transport.abort()

    async def _connect(self, request: Callable[[], Request], idle: Callable[[Client], None]) -> Client:
        loop = asyncio.get_running_loop()
        _, client = await loop.create_connection(
            lambda: Client(self.tally, request, idle), "127.0.0.1", self.load.port
        )
        self._clients.append(client)
        return client

    async def _closed_loop(self) -> None:
        # Streams begin spread over one pace, so that their chunks do not all come in one wake-up.
        apart = wire.STREAM_PACE_MS / 1000 / self.load.connections if self.load.kind == "stream" else 0
        until = time.monotonic() + self.load.seconds
        for client in self._clients:
            self._busy += 1
            client.send()
            if apart:
                await asyncio.sleep(apart)
        await asyncio.sleep(max(0.0, until - time.monotonic()))

    def _after_closed(self, client: Client) -> None:
        if self._ending or client.transport.is_closing():
            self._busy -= 1
        else:
            client.send()

    async def _open_loop(self) -> None:
        self._spare.extend(self._clients)
        begin = time.monotonic()
        for number in range(int(self.load.seconds * self.load.rate)):
            due = begin + number / self.load.rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            self._busy += 1
            self._due.append(int(due * 1e9))
            self._match()

    def _after_open(self, client: Client) -> None:
        self._busy -= 1
        if not client.transport.is_closing():
            self._spare.append(client)
        self._match()

    def _match(self) -> None:
        while self._due and self._spare:
            self._spare.popleft().send(self._due.popleft())

    async def _settle(self) -> None:
        for _ in range(1_000):
            if self._busy <= 0:
                return
            await asyncio.sleep(0.01)
        self.tally.fail("an answer was still missing ten seconds after the end")


def report(tally: Tally) -> dict[str, object]:
    """The tally in words and microseconds."""
    return {
        "answered": tally.answered,
        "failed": tally.failed,
        "complaint": tally.complaint,
        "chunks": tally.chunks,
        "latency_us": _quantiles(tally.latencies),
        "transit_us": _quantiles(tally.transits),
    }


def _quantiles(nanoseconds: list[int]) -> dict[str, float]:
    ordered = sorted(nanoseconds)
    if not ordered:
        return {}
    return {
        f"p{share}": round(ordered[min(len(ordered) - 1, len(ordered) * share // 100)] / 1000, 1)
        for share in (50, 90, 99, 100)
    }


def _say(result: dict[str, object]) -> None:
    sys.stdout.write(orjson.dumps(result).decode() + "\n")
    sys.stdout.flush()


async def carry_out(wanted: Load) -> None:
    """Carry out one load and print what came of it."""
    run = Run(wanted)
    if wanted.hold:
        await run.hold()
    else:
        _say(report(await run.go()))


def main() -> None:
    """`python -m benchmarks.loader --port 8080 --kind chat --connections 64 --seconds 3`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--kind", choices=sorted(("chat", "agent", "image", "stream")), default="chat")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--repeated", action="store_true", help="send the same head every time")
    parser.add_argument("--rate", type=float, default=0.0, help="open loop at so many requests per second")
    parser.add_argument("--hold", action="store_true", help="open streams and keep them until stdin ends")
    given = parser.parse_args()
    wanted = Load(
        given.port, given.kind, given.connections, given.seconds, not given.repeated, given.rate, given.hold
    )
    uvloop.run(carry_out(wanted))


if __name__ == "__main__":
    main()
