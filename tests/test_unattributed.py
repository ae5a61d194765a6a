"""What is nobody's is answered without quoting anything, and counted, not recorded one by one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.assembled import Stand, assembled
from tests.journal import kit


@pytest.fixture
async def stand(tmp_path: Path) -> AsyncIterator[Stand]:
    async with assembled(tmp_path) as stand:
        yield stand


async def test_bytes_that_are_no_request_are_answered_without_quoting_them(stand: Stand) -> None:
    reply = stand.pipeline.unattributed.unparsable()
    stand.pipeline.unattributed.unfinished("bad_request_body", peer="127.0.0.1")
    assert reply.status == 400
    assert [r["reason"] for r in await stand.records("reject")] == ["bad_request", "bad_request_body"]


async def test_a_fault_outside_of_a_request_is_answered_too(stand: Stand) -> None:
    assert stand.pipeline.unattributed.fault(RuntimeError("kanarie")).status == 503
    assert stand.pipeline.unattributed.fault(None).status == 503


async def test_those_that_are_shed_in_one_turn_are_counted_one_by_one(stand: Stand) -> None:
    for _ in range(2):
        for _ in range(3):
            stand.pipeline.unattributed.shed()
        await asyncio.sleep(0)

    def counted() -> int:
        rejects = kit.records(stand.folder / "data", "reject")
        return sum(record["count"] for record in rejects if record["reason"] == "overloaded")

    # What is counted is written with the next batch, and waits for nobody until then.
    await kit.until(lambda: counted() >= 6)
    assert counted() == 6
