"""A bounded number of mutated requests over sockets; `python -m tests.fuzz.wire` sends more."""

from __future__ import annotations

from pathlib import Path

from tests.fuzz.wire import fuzz

SEED, COUNT = 20261122, 400


async def test_whatever_is_sent_only_approved_models_arrive_and_every_request_is_accounted_for(
    tmp_path: Path,
) -> None:
    tally, found = await fuzz(tmp_path, seed=SEED, count=COUNT)
    assert not found
    assert tally.statuses is not None
    assert tally.forwarded >= COUNT // 10
    assert sum(number for status, number in tally.statuses.items() if status >= 400) >= COUNT // 4
