"""A crowd of clients that a proxy is killed under, and what must be true of its log afterwards.

`victim()` starts a proxy that can be killed and started again on the same files. The gateway lives in the
test's own process, survives every kill, and has noted on the machine's one monotonic clock when it received
what. `broken_promises` holds that against the log.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from proxy.journal import load_pseudonyms
from proxy.journal.clock import boot_id
from proxy.simulator import Seen
from tests import running
from tests.running import PATIENCE, POLICIES, Stage, eventually

HELD, BUSY = 104, 20
"""Streams that the gateway holds after their first bytes, and clients that ask one thing after another."""
ATLAS = "example-us/atlas-1"
QUICK = {"audit": {"reserve_bytes": "1MB"}, "logs": {"level": "error"}}


# -- the proxy -------------------------------------------------------------------------------------


@dataclass
class Victim(Stage):
    """A stage whose proxy is killed again and again. `program` stands in its place where given."""

    program: Sequence[str] = ("-m", "proxy")
    received: list[Seen] = field(default_factory=list)

    def start(self) -> None:
        """Start the proxy and wait until it listens."""
        ports = self.folder / "ports.json"
        ports.unlink(missing_ok=True)
        words = ("serve", "--config", "config.yaml", "--ports-file", str(ports))
        with (self.folder / "proxy.log").open("ab") as log:
            process = self.process = subprocess.Popen(
                [sys.executable, *self.program, *words],
                cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=running._environment(),
            )  # fmt: skip
        eventually(lambda: ports.exists() or process.poll() is not None)
        if not ports.exists():
            raise RuntimeError(f"the proxy did not start:\n{self.said()}")
        found = json.loads(ports.read_text())
        self.port, self.admin_port = found["port"], found["admin_port"]

    def kill(self) -> None:
        """End the proxy as a crash would: it gets no chance to do anything more."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(PATIENCE)

    def collect(self) -> None:
        """Take over what the gateway has received since the last time; it keeps only so many."""
        last = self.received[-1].seq if self.received else 0
        self.received += [seen for seen in self.simulator.witness.since(last) if seen.path != "/v3/models"]

    def promises(self) -> list[str]:
        """What the log fails to keep, over the whole life of this stage."""
        self.collect()
        pseudonyms = load_pseudonyms(self.folder / "data" / "audit" / "pseudonym.key")
        return broken_promises(self.received, self.records(), pseudonyms.body)


@contextmanager
def victim(folder: Path, *, program: Sequence[str] = ("-m", "proxy")) -> Iterator[Victim]:
    """A proxy that listens, in a folder that outlives it."""
    with running._loop() as loop, running._simulator(loop) as simulator:
        running._write(folder, simulator.base_url, POLICIES, QUICK)
        stage = Victim(folder, simulator, loop, running._adopt(folder), program=program)
        try:
            stage.start()
            yield stage
        finally:
            if stage.process is not None and stage.process.poll() is None:
                stage.stop()


# -- the crowd -------------------------------------------------------------------------------------


@dataclass
class Crowd:
    """Clients that each have one request in flight at any time, every one of them with words of its own."""

    stage: Victim
    name: str
    written: int = 0
    begun: int = 0
    finished: int = 0
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def in_flight(self) -> int:
        """Requests that were sent and whose answers have not ended."""
        return self.written - self.finished

    async def until(self, reached: Callable[[], bool]) -> None:
        """Wait until something is true of the crowd."""
        async with asyncio.timeout(PATIENCE):
            while not reached():
                self._changed.clear()
                await self._changed.wait()

    async def hold(self, number: int) -> None:
        """Ask for a stream that begins and does not go on."""
        await self._ask(f"held {number} [[fault:stall after=200]]", more=False, stream=True)

    async def keep_asking(self, number: int) -> None:
        """Ask for one short answer after another."""
        await self._ask(f"busy {number}", more=True, stream=bool(number % 2))

    async def _ask(self, text: str, *, more: bool, stream: bool) -> None:
        turn = 0
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.stage.port)
            while more or not turn:
                turn += 1
                writer.write(self._request(f"{self.name} {text} {turn}", stream))
                self._count("written")
                head = await reader.readuntil(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 200"), head
                self._count("begun")
                await _body(reader, head)
                self._count("finished")
        except (OSError, asyncio.IncompleteReadError):
            return

    def _count(self, what: str) -> None:
        setattr(self, what, getattr(self, what) + 1)
        self._changed.set()

    def _request(self, text: str, stream: bool) -> bytes:
        message = {"role": "user", "content": text}
        body = json.dumps({"model": ATLAS, "messages": [message], "stream": stream}).encode()
        head = (
            "POST /v1/chat/completions HTTP/1.1\r\nHost: proxy\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {self.stage.keys['open']}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


async def _body(reader: asyncio.StreamReader, head: bytes) -> None:
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n") if b": " in line)
    if b"content-length" in fields:
        await reader.readexactly(int(fields[b"content-length"]))
        return
    while size := int(await reader.readuntil(b"\r\n"), 16):
        await reader.readexactly(size + 2)
    await reader.readexactly(2)


@asynccontextmanager
async def crowd(stage: Victim, name: str) -> AsyncIterator[Crowd]:
    """The whole crowd at work; it goes when its proxy does."""
    found = Crowd(stage, name)
    async with asyncio.TaskGroup() as group:
        for number in range(HELD):
            group.create_task(found.hold(number))
        for number in range(BUSY):
            group.create_task(found.keep_asking(number))
        yield found


# -- the promise -----------------------------------------------------------------------------------

Record = dict[str, Any]


def broken_promises(
    received: Iterable[Seen], records: Iterable[Record], commit: Callable[[bytes], str]
) -> list[str]:
    """Each request without an earlier intent of its own, and each intent without exactly one outcome."""
    kept = list(records)
    intents = [record for record in kept if record["kind"] == "intent"]
    return [*_without_intent(list(received), intents, commit), *_without_one_outcome(kept)]


def _without_intent(
    received: Sequence[Seen], intents: Sequence[Record], commit: Callable[[bytes], str]
) -> Iterator[str]:
    of_body: dict[str, list[Record]] = defaultdict(list)
    for intent in intents:
        of_body[intent["out_mac"]].append(intent)
    whole = [seen for seen in received if seen.whole_ns is not None]
    for seen in whole:
        found = of_body[commit(seen.body)]
        if not found:
            yield f"request {seen.seq} has no intent"
            continue
        intent = found.pop()
        if intent["boot"] != boot_id() or intent["mono"] >= seen.head_ns:
            yield f"request {seen.seq} was received before its intent {intent['rid']} was written"
    # A head whose body was cut off cannot be told from another one; but each needs an intent as well.
    left = sorted(intent["mono"] for intents_left in of_body.values() for intent in intents_left)
    for n, head_ns in enumerate(sorted(seen.head_ns for seen in received if seen.whole_ns is None)):
        if n >= len(left) or left[n] >= head_ns:
            yield "a request that was cut off has no intent"


def _without_one_outcome(records: Sequence[Record]) -> Iterator[str]:
    counted = {
        kind: Counter((r["rid"], r["attempt"]) for r in records if r["kind"] == kind)
        for kind in ("intent", "outcome")
    }
    for key in counted["intent"] | counted["outcome"]:
        intents, outcomes = (counted[kind][key] for kind in ("intent", "outcome"))
        if (intents, outcomes) != (1, 1):
            yield f"{key[0]} has {intents} intents and {outcomes} outcomes"
