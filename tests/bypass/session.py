"""Every case against the product: one process, one recording upstream, one list of results."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bypass.cases import Fixture, load
from tests.bypass.fixture import catalogue, with_pins
from tests.bypass.ours import everything
from tests.bypass.product import Ringfence
from tests.bypass.runner import Result, run_all
from tests.bypass.upstream import Upstream, whole_answer


@dataclass(frozen=True, slots=True)
class Session:
    """What all cases came to, and what was left behind when the product had ended."""

    results: tuple[Result, ...]
    records: tuple[dict[str, Any], ...]
    rejects: int
    exit_code: int
    written: bytes


@asynccontextmanager
async def product(folder: Path) -> AsyncIterator[tuple[Ringfence, Upstream, Fixture]]:
    """The product, started and ready, with its upstream and the fixture it satisfies."""
    fixture = with_pins(load()[0])
    upstream = Upstream({"GET /v3/models": whole_answer(catalogue())})
    await upstream.start()
    subject = Ringfence(folder, fixture, upstream)
    upstream.witness = lambda: subject.intents
    try:
        await subject.start()
        yield subject, upstream, fixture
    finally:
        await subject.stop()
        await upstream.stop()


async def play(folder: Path) -> Session:
    """Run every case, end the product, and read what it left."""
    async with product(folder) as (subject, upstream, fixture):
        results = await run_all(everything(), subject, upstream, fixture=fixture)
        rejects = await subject.rejects()
        exit_code = await subject.stop()
    return Session(
        results=tuple(results),
        records=tuple(subject.records()),
        rejects=int(rejects),
        exit_code=exit_code,
        written=subject.written(),
    )


def play_now(folder: Path) -> Session:
    """The same for callers without an event loop."""
    return asyncio.run(play(folder))
