"""A disk that is full, fails or lies; a store that was damaged; a second writer."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.faults.kit import (
    Broken,
    ask,
    broken,
    code,
    fill,
    holds,
    needs,
    outcomes,
    small_disk,
    status,
    until,
    verified,
)
from tests.running import eventually

SMALL: dict[str, Any] = {"audit": {"reserve_bytes": "1MB", "retry_interval": "200ms"}}


async def _refuses(stage: Broken) -> bool:
    return code(await ask(stage)) == "audit_unavailable"


async def _serves(stage: Broken) -> bool:
    return status(await ask(stage)) == 200


# -- full ------------------------------------------------------------------------------------------


@pytest.mark.fault("F04", "F06")
async def test_on_a_full_disk_nothing_leaves_and_service_returns_when_it_is_freed(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "12m"), broken(tmp_path / "disk" / "proxy", config=SMALL) as stage:
        assert await _serves(stage)
        fill(tmp_path / "disk")
        await until(lambda: _refuses(stage))
        seen = len(stage.seen)
        fill(tmp_path / "disk")
        for _ in range(5):
            answered = await ask(stage)
            assert (status(answered), code(answered)) == (503, "audit_unavailable")
        assert len(stage.seen) == seen
        assert "audit log cannot be written" in str(_readiness(stage))
        (tmp_path / "disk" / "filler").unlink()
        await until(lambda: _serves(stage), seconds=5)
        holds(stage)
        assert "gap" in stage.kinds()


def _readiness(stage: Broken) -> dict[str, Any]:
    import json
    import urllib.error
    import urllib.request

    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{stage.admin_port}/readyz") as reply:
            found: dict[str, Any] = json.load(reply)
    except urllib.error.HTTPError as error:
        found = json.load(error)
    return found


@pytest.mark.fault("F05")
async def test_answers_under_way_end_well_on_a_full_disk_and_their_outcomes_are_kept(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "12m"), broken(tmp_path / "disk" / "proxy", config=SMALL) as stage:
        stage.fault("stall", after=0, times=10)
        under_way = [asyncio.ensure_future(ask(stage)) for _ in range(10)]
        await until(lambda: _sees(stage, 10))
        stage.simulator.faults._plan.clear()
        fill(tmp_path / "disk")
        await until(lambda: _refuses(stage))
        stage.on_loop(_release(stage))
        assert [status(await each) for each in under_way] == [200] * 10
        (tmp_path / "disk" / "filler").unlink()
        await until(lambda: _serves(stage))
        ends = [record["end"] for record in outcomes(stage)]
        assert ends.count("complete") >= 10
        holds(stage)


async def _sees(stage: Broken, number: int) -> bool:
    return len(stage.seen) >= number


async def _release(stage: Broken) -> None:
    stage.simulator.faults.release()


# -- failing ---------------------------------------------------------------------------------------


@contextmanager
def injected(stage: Broken, *inject: str) -> Iterator[None]:
    """System calls of the running proxy fail as told for as long as the block lasts."""
    strace = needs("strace")
    assert stage.process is not None
    words = [strace, "-f", "-qq", "-o", os.devnull, "-p", str(stage.process.pid)]
    for each in inject:
        words += ["-e", f"inject={each}"]
    calls = ",".join(each.partition(":")[0] for each in inject)
    tracer = subprocess.Popen([*words, "-e", f"trace={calls}"], stderr=subprocess.PIPE)
    try:
        eventually(lambda: _traced(stage) or tracer.poll() is not None)
        if tracer.poll() is not None:
            assert tracer.stderr is not None
            pytest.skip(f"needs the right to trace: {tracer.stderr.read().decode().strip()}")
        yield
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.wait(30)
        assert tracer.stderr is not None
        tracer.stderr.close()


def _traced(stage: Broken) -> bool:
    assert stage.process is not None
    threads = Path(f"/proc/{stage.process.pid}/task").iterdir()
    return all("TracerPid:\t0\n" not in (thread / "status").read_text() for thread in threads)


SYNCS = "fdatasync,fsync"


@pytest.mark.fault("F07")
@pytest.mark.parametrize("number", [1, 2, 3, 5, 8])
async def test_a_sync_that_fails_costs_its_own_requests_and_nothing_more(tmp_path: Path, number: int) -> None:
    with broken(tmp_path / "proxy", config=SMALL) as stage:
        assert await _serves(stage)
        with injected(stage, f"{SYNCS}:error=EIO:when={number}"):
            for _ in range(10):
                assert status(await ask(stage)) in (200, 503)
        await until(lambda: _serves(stage))
        holds(stage)


@pytest.mark.fault("F08")
async def test_syncs_that_always_fail_refuse_everything_and_the_proxy_lives_and_says_so(
    tmp_path: Path,
) -> None:
    with broken(tmp_path / "proxy", config=SMALL) as stage:
        with injected(stage, f"{SYNCS}:error=EIO"):
            await until(lambda: _refuses(stage))
            seen = len(stage.seen)
            for _ in range(3):
                assert status(await ask(stage)) == 503
            assert len(stage.seen) == seen
            assert _readiness(stage)["ready"] is False
            assert stage.process is not None
            assert stage.process.poll() is None
        await until(lambda: _serves(stage))
        holds(stage)


@pytest.mark.fault("F09")
@pytest.mark.parametrize(
    ("delay", "expected"), [("50000", {200}), ("3000000", {200, 503})], ids=["50 ms", "3 s"]
)
async def test_a_slow_sync_makes_requests_slow_and_then_sheds_them(
    tmp_path: Path, delay: str, expected: set[int]
) -> None:
    config = {"audit": {**SMALL["audit"], "max_wait": "1s"}}
    with broken(tmp_path / "proxy", config=config) as stage:
        with injected(stage, f"{SYNCS}:delay_enter={delay}"):
            answers = await asyncio.gather(*(_late(stage, number) for number in range(12)))
        found = {status(answered) for answered in answers}
        assert found <= expected
        if 503 in expected:
            assert 503 in found
        await until(lambda: _serves(stage))
        holds(stage)


async def _late(stage: Broken, number: int) -> Any:
    await asyncio.sleep(number * 0.2)
    return await ask(stage)


@pytest.mark.fault("F10")
@pytest.mark.parametrize("error", ["ENOSPC", "EIO"])
async def test_a_write_that_fails_leaves_no_torn_record(tmp_path: Path, error: str) -> None:
    with broken(tmp_path / "proxy", config=SMALL) as stage:
        with injected(stage, f"pwrite64:error={error}:when=3+4"):
            for _ in range(12):
                assert status(await ask(stage)) in (200, 503)
        await until(lambda: _serves(stage))
        holds(stage)


@pytest.mark.fault("F10")
async def test_a_write_that_takes_a_part_only_is_gone_on_with(tmp_path: Path) -> None:
    with broken(tmp_path / "proxy", config=SMALL) as stage:
        # The call is not made and says that it wrote 100 bytes: the rest has to follow.
        with injected(stage, "pwrite64:retval=100:when=5+50"):
            for _ in range(8):
                assert status(await ask(stage)) in (200, 503)
        await until(lambda: _serves(stage))
        assert stage.process is not None
        assert stage.process.poll() is None


# -- damaged, or held by another -------------------------------------------------------------------


@pytest.mark.fault("F11")
@pytest.mark.parametrize("damage", ["flipped bit", "truncated", "emptied"])
async def test_a_damaged_log_is_kept_and_the_next_epoch_says_why(tmp_path: Path, damage: str) -> None:
    with broken(tmp_path / "proxy") as stage:
        for _ in range(20):
            assert await _serves(stage)
        stage.stop()
        log = next((stage.folder / "data").rglob("*/000001.sqlite"))
        _damage(log, damage)
        before = log.read_bytes()
        stage.start()
        assert await _serves(stage)
        stage.stop()
        assert log.read_bytes() == before, "the damaged file was written to"
        opened = [record for record in _epoch(stage, 2) if record["kind"] == "open"]
        assert opened[0]["reason"] not in ("first", "clean")
        assert verified(stage.folder) != 0


def _damage(log: Path, how: str) -> None:
    data = bytearray(log.read_bytes())
    if how == "flipped bit":
        at = data.rfind(b'"kind":"outcome"')
        data[at + 10] ^= 1
    elif how == "truncated":
        del data[len(data) * 2 // 3 :]
    else:
        data.clear()
    log.write_bytes(bytes(data))


def _epoch(stage: Broken, number: int) -> list[dict[str, Any]]:
    import json

    log = next((stage.folder / "data").rglob(f"*/{number:06d}.sqlite"))
    db = sqlite3.connect(f"{log.as_uri()}?mode=ro", uri=True)
    try:
        return [json.loads(row[0]) for row in db.execute("SELECT body FROM record ORDER BY seq")]
    finally:
        db.close()


@pytest.mark.fault("F14")
async def test_a_second_proxy_on_the_same_log_does_not_start(tmp_path: Path) -> None:
    with broken(tmp_path / "proxy") as stage:
        second = stage.spawn()
        assert await asyncio.to_thread(second.wait, 30) != 0
        assert "another" in stage.said() or "held" in stage.said() or "in use" in stage.said()
        assert await _serves(stage)
        holds(stage)


@pytest.mark.fault("F11")
async def test_a_log_that_vanishes_while_it_is_written_stops_forwarding(tmp_path: Path) -> None:
    with broken(tmp_path / "proxy", config=SMALL) as stage:
        assert await _serves(stage)
        shutil.rmtree(stage.folder / "data" / "audit")
        with injected(stage, f"{SYNCS}:error=EIO:when=1"):
            await ask(stage)
        await until(lambda: _refuses(stage))
        seen = len(stage.seen)
        assert status(await ask(stage)) == 503
        assert len(stage.seen) == seen
