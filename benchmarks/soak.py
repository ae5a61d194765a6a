"""`python -m benchmarks.soak --minutes 120`: a proxy under mixed load, and whether it stays the same

The proxy is a process of its own, its gateway the simulator. After a warm-up, memory, descriptors and the
audit log's write-ahead file have to stay flat, every answer has to be one that its request may get, and at
the end the audit log has to hold. It stops by itself, after the given time and a minute or two.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvloop
from typing_extensions import override

from benchmarks.books import Books, Observer, balance, sightings
from benchmarks.drift import Series, drift
from benchmarks.measure import cpu_seconds, rss_kb
from benchmarks.operations import Operator
from benchmarks.traffic import Ledger, Traffic
from proxy.simulator import Seen, Witness
from tests.running import Stage, running

MOST_GROWTH_MB, MOST_GROWTH = 6.0, 0.06
"""Memory may drift by this much, or by this share of its level, whichever is more, over the whole time."""
MOST_DESCRIPTORS, MOST_DESCRIPTORS_BUSY = 4.0, 0.5
"""At rest as many as before, give or take a few; under load they follow the number of open requests."""
MOST_WAL_MB = 300.0
MOST_STRANGE = 0.01
_MB = 1024 * 1024
MOST_OPEN = 256
"""A host that is slow for a while is asked for less: overload has a benchmark of its own."""
_CAPACITY_CLIENTS = 64
_OPERATE_EVERY = 3.0
_SCRATCH = Path(__file__).resolve().parent.parent / "var"
_CONFIG: dict[str, Any] = {
    "gateway": {"first_byte_timeout": "5s", "between_events_timeout": "5s"},
    # A route whose answers came from elsewhere rests until the next fetch.
    "catalog": {"refresh_every": "20s"},
    "logs": {"level": "error"},
}


@dataclass(frozen=True, slots=True)
class Plan:
    """How long, and how hard: `share` of the capacity that is measured first. Times are seconds."""

    seconds: float
    share: float = 0.5
    sample_every: float = 1.0
    report_every: float = 30.0
    measure: float = 10.0
    rest: float = 25.0

    @property
    def warm_up(self) -> float:
        """The beginning that is not judged: caches fill, the allocator finds its size."""
        return min(600.0, self.seconds / 4)


@dataclass(slots=True)
class Watch:
    """What is sampled of the proxy."""

    memory: Series = field(default_factory=lambda: Series("memory", "MB"))
    descriptors: Series = field(default_factory=lambda: Series("descriptors", "open"))
    wal: Series = field(default_factory=lambda: Series("the log's write-ahead file", "MB"))
    resting: list[int] = field(default_factory=list)

    def sample(self, stage: Stage, at: float) -> None:
        """Take one sample of everything."""
        self.memory.add(at, rss_kb(_pid(stage)) / 1024)
        self.descriptors.add(at, descriptors(stage))
        self.wal.add(at, sum(file.stat().st_size for file in stage.folder.glob("data/**/*-wal")) / _MB)

    def complaints(self, since: float) -> list[str]:
        """Why the proxy did not stay the same from a moment on."""
        memory, open_ = drift(self.memory.since(since)), drift(self.descriptors.since(since))
        found = [
            memory.complaint(max(MOST_GROWTH_MB, MOST_GROWTH * memory.level)),
            open_.complaint(max(MOST_DESCRIPTORS, MOST_DESCRIPTORS_BUSY * open_.level)),
        ]
        if max(self.wal.values) > MOST_WAL_MB:
            found.append(f"the log's write-ahead file grew to {max(self.wal.values):.0f} MB")
        if self.resting and self.resting[-1] > self.resting[0] + MOST_DESCRIPTORS:
            before, after = self.resting[0], self.resting[-1]
            found.append(f"at rest {after} descriptors were open, {before} before the load")
        return [each for each in found if each]


class Noting(Witness):
    """The simulator's witness that notes every body, and keeps only the newest few."""

    def __init__(self, observer: Observer) -> None:
        super().__init__(limit=16)
        self._observer = observer

    @override
    async def whole(self, seen: Seen, body: bytes) -> None:
        if seen.method != "GET":
            self._observer.saw(body, seen.head_ns)
        await super().whole(seen, body)


def descriptors(stage: Stage) -> int:
    """How many descriptors the proxy has open."""
    return len(list(Path(f"/proc/{_pid(stage)}/fd").iterdir()))


def _pid(stage: Stage) -> int:
    assert stage.process is not None
    return stage.process.pid


@contextmanager
def staged() -> Iterator[tuple[Stage, Path]]:
    """A proxy and its gateway, and the file in which the gateway notes what it sees."""
    with _on_disk(), running(config=_CONFIG) as stage:
        noted = stage.folder / "sightings"
        with noted.open("ab", buffering=0) as file:
            stage.simulator.witness = Noting(Observer(stage.folder / "data" / "audit", file))
            yield stage, noted


@contextmanager
def _on_disk() -> Iterator[None]:
    """The audit log must lie on a real disk, and hours of it may not fit where temporary files are."""
    _SCRATCH.mkdir(exist_ok=True)
    before, tempfile.tempdir = tempfile.tempdir, str(_SCRATCH)
    try:
        yield
    finally:
        tempfile.tempdir = before


class Soak:
    """One soak of a stage."""

    def __init__(self, stage: Stage, plan: Plan) -> None:
        self.watch = Watch()
        self.traffic = Traffic(stage.url, dict(stage.keys))
        self._stage = stage
        self._plan = plan
        self.cpu = 0.0
        self.left_out = 0
        self._begin = 0.0
        self._tasks: set[asyncio.Task[int]] = set()

    async def run(self) -> None:
        """Measure, load, watch, and let everything come to rest; SIGTERM cancels that, and ends the proxy."""
        if threading.current_thread() is threading.main_thread() and (task := asyncio.current_task()):
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        async with self.traffic:
            rate = await self._capacity() * self._plan.share
            # At full speed clients and gateway share one core: what they see then says nothing.
            self.traffic.ledger = Ledger()
            await self._rest()
            say(f"{rate:.0f} requests a second, {self._plan.share:.0%} of what it can do")
            operator = Operator(self._stage.folder, _pid(self._stage), self.traffic.keys)
            self._begin = time.monotonic()
            async with asyncio.TaskGroup() as group:
                beside = [group.create_task(operator.work(_OPERATE_EVERY)), group.create_task(self._look())]
                used = cpu_seconds(_pid(self._stage))
                await self._load(rate)
                self.cpu = (cpu_seconds(_pid(self._stage)) - used) / self._plan.seconds
                for task in beside:
                    task.cancel()
            say(f"operated: {', '.join(f'{n} x {what}' for what, n in sorted(operator.done.items()))}")
        await self._rest()

    async def _capacity(self) -> float:
        """Answers per second that are as they may be, for the same mix from so many clients at once.

        A refusal for want of room costs next to nothing: counted, it would make a host that cannot keep up
        look like a fast one.
        """
        until, before = time.monotonic() + self._plan.measure, self.traffic.ledger.good

        async def client() -> None:
            while time.monotonic() < until:
                await self.traffic.one()

        await asyncio.gather(*(client() for _ in range(_CAPACITY_CLIENTS)))
        return (self.traffic.ledger.good - before) / self._plan.measure

    async def _load(self, rate: float) -> None:
        begin, due = time.monotonic(), 0
        while (elapsed := time.monotonic() - begin) < self._plan.seconds:
            for _ in range(due, int(elapsed * rate)):
                self._begin_one()
            due = int(elapsed * rate)
            await asyncio.sleep(0.005)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=60)

    def _begin_one(self) -> None:
        if len(self._tasks) >= MOST_OPEN:
            self.left_out += 1
            return
        task = asyncio.get_running_loop().create_task(self.traffic.one())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _look(self) -> None:
        reported = 0.0
        while True:
            await asyncio.sleep(self._plan.sample_every)
            at = time.monotonic() - self._begin
            self.watch.sample(self._stage, at)
            if at - reported >= self._plan.report_every:
                reported = at
                self._report(at)

    def _report(self, at: float) -> None:
        watch, ledger = self.watch, self.traffic.ledger
        say(
            f"{at / 60:6.1f} min  {ledger.count} requests, {ledger.strange.total()} strange,"
            f" {ledger.busy} open; {watch.memory.values[-1]:.1f} MB,"
            f" {watch.descriptors.values[-1]:.0f} descriptors, WAL {watch.wal.values[-1]:.1f} MB"
        )

    async def _rest(self) -> None:
        """Let idle connections time out, and keep how few descriptors are open then."""
        lowest, until = descriptors(self._stage), time.monotonic() + self._plan.rest
        while time.monotonic() < until:
            await asyncio.sleep(0.5)
            lowest = min(lowest, descriptors(self._stage))
        self.watch.resting.append(lowest)


def judge(soak: Soak, plan: Plan, books: Books) -> list[str]:
    """Every promise that was broken, in words."""
    found = [*soak.watch.complaints(plan.warm_up), *soak.traffic.ledger.complaints(MOST_STRANGE)]
    found += books.complaints
    if not books.seen:
        found.append("the gateway saw nothing")
    return found


def summary(soak: Soak, plan: Plan, books: Books) -> str:
    """The figures, for people."""
    memory = drift(soak.watch.memory.since(plan.warm_up))
    open_ = drift(soak.watch.descriptors.since(plan.warm_up))
    wal, ledger = soak.watch.wal.values, soak.traffic.ledger
    ends = ", ".join(f"{n} {end}" for end, n in books.ends.most_common())
    return "\n".join(
        (
            f"{ledger.count} requests of {len(ledger.by_sort)} sorts,"
            f" {ledger.strange.total()} ended strangely, {soak.left_out} left out for {MOST_OPEN} open ones;"
            f" the proxy used {soak.cpu:.0%} of a core",
            f"memory: {memory.level:.1f} MB, drift {memory.growth:+.1f} MB after the warm-up",
            f"descriptors: {open_.level:.0f} under load, drift {open_.growth:+.1f};"
            f" at rest {soak.watch.resting[0]} before and {soak.watch.resting[-1]} after",
            f"write-ahead file: at most {max(wal):.1f} MB",
            f"audit: {books.seen} requests at the gateway, {books.kinds['intent']} intents,"
            f" {books.kinds['refusal']} refusals; outcomes: {ends}",
        )
    )


def say(text: str) -> None:
    """A line for whoever waits."""
    print(text, flush=True)


def soaked(plan: Plan) -> tuple[Soak, Books]:
    """Carry out one soak from the start of the proxy to the closed books."""
    with staged() as (stage, noted):
        soak = Soak(stage, plan)
        uvloop.run(soak.run())
        stage.stop()
        books = balance(stage.folder / "config.yaml", stage.folder / "data", sightings(noted))
        for words, count in soak.traffic.ledger.strange.most_common(20):
            say(f"strange: {count} x {words}")
    return soak, books


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=120.0)
    parser.add_argument("--share", type=float, default=0.5, help="of the capacity that is measured first")
    given = parser.parse_args(arguments)
    # The simulator says so at length when a client of its has gone, which is what many here do.
    logging.getLogger("aiohttp").setLevel(logging.CRITICAL)
    plan = Plan(given.minutes * 60, share=given.share)
    soak, books = soaked(plan)
    say(summary(soak, plan, books))
    found = judge(soak, plan, books)
    for complaint in found:
        say(f"!! {complaint}")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    try:
        main()
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit("The soak was ended before its time; nothing was judged.")
