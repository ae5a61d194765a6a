"""the open-loop load client: requests come when they are due, whatever became of those before

Every request has a number of its own in its body. What comes back is sorted: whole in time (good), whole
but late, shed in the form that the proxy promises, or anything else, which is a failure. Without a rate
it runs closed-loop, to learn the capacity. The result is one line of JSON on standard output.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import orjson
import uvloop
from typing_extensions import override

from benchmarks import wire
from benchmarks.client import Client, Reading, Request, Tally
from benchmarks.loader import LONGEST_SECONDS, MOST_CONNECTIONS, Load, Run

PROMPT = 1.0
"""Seconds from the moment at which a request was due until its answer is of no use any more."""
_PATIENCE = 5.0
_MARK = b'"}]}'
_NUMBER = 12


def numbered(port: int, first: int) -> Callable[[], Request]:
    """Chat requests that differ in their heads and in a number at the end of the last turn."""
    body = wire.chat()
    before = body[: body.rindex(_MARK) - _NUMBER]
    head = wire.heads(port, len(body), fresh=True)
    counter = itertools.count(first)
    return lambda: (head(), b"%s%0*d%s" % (before, _NUMBER, next(counter), _MARK))


@dataclass(frozen=True, slots=True)
class Numbered(Load):
    """A load whose requests are numbered from `first` on; the closed loop of `Run` sends it."""

    first: int = 0

    @override
    def request(self) -> Callable[[], Request]:
        """A source of requests, each a head and a body."""
        return numbered(self.port, self.first)


def complaint_about(refusal: bytes) -> str:
    """Why an answer is not a proper shedding in the shape of OpenAI's errors, or ""."""
    head, _, body = refusal.partition(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    if not lines[0].startswith(b"http/1.1 503 "):
        return f"a request was answered {lines[0][9:12].decode(errors='replace')}"
    waits = [line.partition(b":")[2].strip() for line in lines if line.startswith(b"retry-after:")]
    if len(waits) != 1 or not waits[0].isdigit():
        return "a 503 did not say when to come back"
    if b"\nx-ringfence-refusal: overloaded" not in head.lower():
        return "a 503 was not marked as shed"
    try:
        error = orjson.loads(body)["error"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return "a 503 had no error in JSON"
    return "" if error.get("code") == "overloaded" else "a 503 had another shape"


@dataclass(slots=True)
class Sorted(Tally):
    """What became of the requests that were due. `steady` are the good ones due after the ramp."""

    offered: int = 0
    steady: int = 0
    late: int = 0
    shed: int = 0
    unsent: int = 0
    opened: int = 0
    shed_latencies: list[int] = field(default_factory=list)


class Caller(Client):
    """A connection whose answers are sorted; it is not used again once the proxy said it will close."""

    def __init__(self, tally: Sorted, request: Callable[[], Request], idle: Callable[[Client], None]) -> None:
        super().__init__(tally, request, idle)
        self._sorted = tally
        self._spare = idle
        self.closing = False
        self.steady_ns = 0

    @override
    def finish(self, reading: Reading) -> None:
        took = time.monotonic_ns() - self.since
        if reading.ok:
            good = took <= PROMPT * 1e9
            self._sorted.answered += good
            self._sorted.late += not good
            self._sorted.steady += good and self.since >= self.steady_ns
            self._sorted.latencies.append(took)
        elif wrong := complaint_about(reading.refusal):
            self._sorted.fail(wrong)
        else:
            self._sorted.shed += 1
            self._sorted.shed_latencies.append(took)
        self.closing = b"\r\nconnection: close" in reading.refusal.lower()
        self._spare(self)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to send: so many requests a second, numbered from `first`, for so long after a ramp.

    In the ramp the connections are opened; what is due then does not count as steady.
    """

    port: int
    rate: float
    seconds: float
    ramp: float = 0.0
    connections: int = 2000
    first: int = 0

    def __post_init__(self) -> None:
        seconds = self.seconds + self.ramp
        if not 0 < self.connections <= MOST_CONNECTIONS or not 0 < seconds <= LONGEST_SECONDS:
            raise ValueError(f"at most {MOST_CONNECTIONS} connections and {LONGEST_SECONDS:.0f} seconds")


class Surge:
    """The requests of a plan, each when it is due, on connections that are opened when none is free."""

    def __init__(self, plan: Plan) -> None:
        self.tally = Sorted()
        self._plan = plan
        self._request = numbered(plan.port, plan.first)
        self._steady_ns = 0
        self._spare: list[Caller] = []
        self._due: deque[int] = deque()
        self._open: set[Caller] = set()
        self._busy = 0
        self._opening: set[asyncio.Task[None]] = set()

    async def go(self) -> Sorted:
        """Send everything when it is due, wait for the last answers, close."""
        plan, begin = self._plan, time.monotonic()
        self._steady_ns = int((begin + plan.ramp) * 1e9)
        total = int((plan.ramp + plan.seconds) * plan.rate)
        while self.tally.offered < total:
            await asyncio.sleep(0.001)
            due = min(total, int((time.monotonic() - begin) * plan.rate))
            for number in range(self.tally.offered, due):
                self._due.append(int((begin + number / plan.rate) * 1e9))
            self.tally.offered = due
            self._serve()
        await self._settle()
        for caller in tuple(self._open):
            caller.transport.abort()
        return self.tally

    def _serve(self) -> None:
        longest = time.monotonic_ns() - _PATIENCE * 1e9
        while self._due and self._due[0] < longest:
            self._due.popleft()
            self.tally.unsent += 1
        while self._due and self._spare:
            caller = self._spare.pop()
            if not caller.transport.is_closing():
                self._busy += 1
                caller.send(self._due.popleft())
        missing = min(len(self._due), self._plan.connections - len(self._open)) - len(self._opening)
        for _ in range(missing):
            task = asyncio.get_running_loop().create_task(self._connect())
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            _, made = await loop.create_connection(
                lambda: Caller(self.tally, self._request, self._idle), "127.0.0.1", self._plan.port
            )
        except OSError as error:
            self.tally.fail(f"a connection was refused: {type(error).__name__}")
            return
        made.steady_ns = self._steady_ns
        self.tally.opened += 1
        self._open.add(made)
        self._spare.append(made)

    def _idle(self, client: Client) -> None:
        caller = cast("Caller", client)
        self._busy -= 1
        if caller.closing or caller.transport.is_closing():
            caller.transport.close()
            self._open.discard(caller)
        else:
            self._spare.append(caller)

    async def _settle(self) -> None:
        until = time.monotonic() + 2 * _PATIENCE
        while (self._busy or self._due) and time.monotonic() < until:
            await asyncio.sleep(0.01)
            self._serve()
        for _ in range(self._busy):
            self.tally.fail("an answer never came")


def report(tally: Sorted) -> dict[str, object]:
    """The tally in words and milliseconds."""
    return {
        "offered": tally.offered,
        "good": tally.answered,
        "steady": tally.steady,
        "late": tally.late,
        "shed": tally.shed,
        "unsent": tally.unsent,
        "failed": tally.failed,
        "opened": tally.opened,
        "complaint": tally.complaint,
        "answer_ms": _quantiles(tally.latencies),
        "shed_ms": _quantiles(tally.shed_latencies),
    }


def _quantiles(nanoseconds: list[int]) -> dict[str, float]:
    ordered = sorted(nanoseconds)
    return {f"p{n}": round(ordered[len(ordered) * n // 101] / 1e6, 1) for n in (50, 99, 100) if ordered}


async def carry_out(plan: Plan) -> Sorted:
    """An open loop at the plan's rate; a closed loop when it has none."""
    if plan.rate:
        return await Surge(plan).go()
    load = Numbered(plan.port, "chat", plan.connections, plan.seconds, first=plan.first)
    got = await Run(load).go()
    return Sorted(got.answered, got.failed, latencies=got.latencies, complaint=got.complaint)


def main() -> None:
    """`python -m benchmarks.surge --port 8080 --rate 4000 --seconds 5`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--rate", type=float, default=0.0, help="requests per second; closed loop without")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--ramp", type=float, default=0.0, help="seconds before those that count")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--first", type=int, default=0, help="the number of the first request")
    tally = uvloop.run(carry_out(Plan(**vars(parser.parse_args()))))
    sys.stdout.write(orjson.dumps(report(tally)).decode() + "\n")


if __name__ == "__main__":
    main()
