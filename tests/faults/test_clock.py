"""A wall clock that jumps: order and time-outs are the monotonic clock's business."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.faults.kit import ask, broken, holds, needs, outcomes, status, until
from tests.running import eventually


def _library() -> Path:
    """The library that fakes wall time for programs with threads."""
    needs("faketime")
    found = next(Path("/usr/lib").rglob("libfaketimeMT.so.1"), None)
    if found is None:
        pytest.skip("needs libfaketimeMT.so.1, which was not found below /usr/lib")
    return found


@pytest.mark.fault("F15")
@pytest.mark.parametrize("jump", ["-2h", "+2h"])
async def test_a_clock_that_jumps_is_recorded_and_changes_no_order(tmp_path: Path, jump: str) -> None:
    offset = tmp_path / "offset"
    offset.write_text("+0s")
    cage = [
        "env", f"LD_PRELOAD={_library()}", f"FAKETIME_TIMESTAMP_FILE={offset}", "FAKETIME_NO_CACHE=1",
        "FAKETIME_DONT_FAKE_MONOTONIC=1",
    ]  # fmt: skip
    with broken(tmp_path / "proxy", prefix=cage) as stage:
        assert status(await ask(stage)) == 200
        offset.write_text(jump)
        eventually(lambda: stage.kinds()["clock_step"])
        await until(lambda: _serves(stage))
        assert all(outcome["dur_us"] < 60_000_000 for outcome in outcomes(stage))
        numbers = [record["seq"] for record in stage.records()]
        assert numbers == sorted(numbers)
        await asyncio.to_thread(holds, stage)


async def _serves(stage: object) -> bool:
    return status(await ask(stage)) == 200  # type: ignore[arg-type]
