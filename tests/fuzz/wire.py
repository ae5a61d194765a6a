"""Mutated requests over sockets to the product in a process of its own: what arrives is held to account.

`python -m tests.fuzz.wire --seconds N` runs for as long as told; a test runs a bounded number.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.bypass.attempt import Answered, attempt
from tests.bypass.cases import Fixture, Step
from tests.bypass.http1 import Message
from tests.bypass.notes import NEVER_UPSTREAM
from tests.bypass.oracle import models
from tests.bypass.product import Ringfence
from tests.bypass.readers import SIX, Unread, folded
from tests.bypass.session import product
from tests.bypass.upstream import Upstream
from tests.fuzz import mutate
from tests.fuzz.seeds import SEEDS, Seed

_TARGETS = frozenset({
    "/v3/compat/chat/completions", "/v3/compat/responses", "/v3/compat/embeddings", "/v3/compat/v1/messages",
    "/v3/compat/v1beta/models/example-eu/gemini-eu-fixture:generateContent",
})  # fmt: skip
_AT_ONCE = 8


@dataclass(slots=True)
class Tally:
    """What a run came to."""

    sent: int = 0
    forwarded: int = 0
    statuses: Counter[int] | None = None


def request(random: Random) -> bytes:
    """One mutated request: its body, its head, its target, or two of them."""
    seed = random.choice(SEEDS)
    body, target = random.choice(mutate.HARMLESS)(random, seed.body), seed.target
    where = random.choice(("nothing", "body", "body", "head", "head", "target", "both"))
    if where in ("body", "both"):
        body = mutate.body(random, body)[:65_536]
    if where == "target":
        target = mutate.path(random, target)
    head = Seed(seed.table, target, body, seed.fields).head(len(body))
    if where in ("head", "both"):
        head = mutate.head(random, head)
    return head + b"\r\nConnection: close\r\n\r\n" + body


async def fuzz(
    folder: Path, *, seed: int, count: int | None = None, seconds: float | None = None
) -> tuple[Tally, list[str]]:
    """Send until the count or the time is reached; every finding in words."""
    random, tally, found = Random(seed), Tally(statuses=Counter()), list[str]()
    end = time.monotonic() + seconds if seconds is not None else None
    async with product(folder) as (subject, upstream, fixture):
        while not found and (count is None or tally.sent < count) and (end is None or time.monotonic() < end):
            upstream.wires = []
            batch = [request(random) for _ in range(_AT_ONCE)]
            answers = await asyncio.gather(*(_send(subject, data) for data in batch))
            found += _held(batch, answers, upstream, fixture, tally)
        found += await _accounted(subject, tally)
    return tally, found


async def _send(subject: Ringfence, data: bytes) -> Answered:
    return await attempt(subject.port, (Step(data=data),), patience=6.0, quiet=0.1)


def _held(
    batch: list[bytes], answers: list[Answered], upstream: Upstream, fixture: Fixture, tally: Tally
) -> Iterator[str]:
    assert tally.statuses is not None
    for data, answered in zip(batch, answers, strict=True):
        tally.sent += 1
        tally.statuses.update(answer.status for answer in answered.answers)
        for answer in answered.answers:
            if answer.status == 500 or b"proxy_fault" in answer.all(b"x-ringfence-refusal"):
                yield f"answered {answer.status} {answer.body[:200]!r} to {data!r}"
        if answered.ended == "open" and not answered.answers:
            yield f"neither answered nor closed: {data!r}"
    for wire in upstream.wires:
        if wire.unframed or any(received.message is None for received in wire.requests):
            yield f"not one request after the other: {bytes(wire.raw)!r}"
        for received in wire.requests:
            tally.forwarded += 1
            if received.message is not None:
                yield from _strange(received.message, fixture)


def _strange(message: Message, fixture: Fixture) -> Iterator[str]:
    """What must not be in a forwarded request, in words."""
    allowed = {folded(name) for name in fixture.allowed}
    named = models(Message(message.first, (), b"", whole=True, size=0))
    for reader in SIX:
        try:
            body = reader(message.body)
        except Unread:
            yield f"{reader.__name__} cannot read what was forwarded: {message.body!r}"
            continue
        if "model" in body:
            named.add(folded(str(body["model"])))
    if not named or named - allowed:
        yield f"the models {sorted(named)} in {message.first!r} {message.body!r}"
    if message.target.partition("?")[0] not in _TARGETS:
        yield f"the target {message.target}"
    yield from (f"the header {name!r}" for name in NEVER_UPSTREAM if message.all(name))
    if message.all(b"content-encoding") or len(message.all(b"authorization")) != 1:
        yield f"strange headers {message.headers!r}"


async def _accounted(subject: Ringfence, tally: Tally) -> list[str]:
    """Every forwarded request has one intent and one outcome."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        kinds = Counter(record["kind"] for record in subject.records())
        if kinds["intent"] == kinds["outcome"] == tally.forwarded:
            return []
        await asyncio.sleep(0.1)
    return [f"{tally.forwarded} forwarded, {kinds['intent']} intents, {kinds['outcome']} outcomes"]


def main() -> int:
    """Fuzz for a while and say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tally, found = asyncio.run(fuzz(Path(folder), seed=arguments.seed, seconds=arguments.seconds))
    sys.stdout.write(f"seed {arguments.seed}: {tally}\n" + "".join(f"{words}\n" for words in found))
    return int(bool(found))


if __name__ == "__main__":
    raise SystemExit(main())
