"""The proxy dies in the middle of everything; the machine loses power under it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest

from tests.faults.kit import Broken, ask, broken, needs, stage_settled, status, verified
from tests.running import eventually

KILLS = int(os.environ.get("RINGFENCE_KILLS", "40"))
IN_FLIGHT = 110
CUTS = int(os.environ.get("RINGFENCE_CUTS", "3"))


async def _client(stage: Broken) -> None:
    """Ask again and again until the proxy is gone."""
    with contextlib.suppress(OSError):
        while True:
            await ask(stage, text="[[fault:delay delay_ms=60]]", patience=5)


async def _loaded(stage: Broken, seconds: float) -> int:
    """Put the proxy under load for a while; how many requests are under way at the gateway then."""
    clients = [asyncio.ensure_future(_client(stage)) for _ in range(IN_FLIGHT)]
    await asyncio.sleep(seconds)
    under_way = sum(seen.done_ns is None for seen in stage.seen)
    stage.kill()
    await asyncio.gather(*clients)
    return under_way


@pytest.mark.fault("F01")
async def test_over_many_kills_no_request_is_without_an_earlier_intent_and_no_intent_without_an_outcome(
    tmp_path: Path,
) -> None:
    random, seen, busiest = Random(1), list[int](), 0
    with broken(tmp_path / "proxy") as stage:
        for _ in range(KILLS):
            under_way = await _loaded(stage, 0.25 + random.random() * 0.25)
            busiest = max(busiest, under_way)
            seen += [each.head_ns for each in stage.seen]
            stage.forget()
            stage.start()
        assert status(await ask(stage)) == 200
        seen += [each.head_ns for each in stage.seen]
        eventually(lambda: stage_settled(stage))
        _promised(stage, seen)
        ends = [record["end"] for record in stage.records() if record["kind"] == "outcome"]
        assert ends.count("unknown_crash") >= KILLS
        stage.stop()
        assert verified(stage.folder) == 0
    assert busiest >= 100


def _promised(stage: Broken, seen: Sequence[int]) -> None:
    """Every request at the gateway has an earlier intent, every intent exactly one outcome."""
    records = stage.records()
    intents = sorted(record["mono"] for record in records if record["kind"] == "intent")
    rids = [record["rid"] for record in records if record["kind"] == "intent"]
    assert sorted(rids) == sorted(record["rid"] for record in records if record["kind"] == "outcome")
    assert len(set(rids)) == len(rids)
    assert len(intents) >= len(seen)
    for number, head in enumerate(sorted(seen), start=1):
        # At least as many intents were made before this request came as requests have come.
        assert intents[number - 1] < head


# -- power -----------------------------------------------------------------------------------------


@contextmanager
def disk(image: Path, place: Path) -> Iterator[None]:
    """An ext4 file system in a file, mounted; skips loudly where that is not allowed."""
    place.mkdir(exist_ok=True)
    mounted = subprocess.run(["mount", "-o", "loop", str(image), str(place)], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"needs root and a loop device: {mounted.stderr.decode().strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def _formatted(image: Path) -> None:
    with image.open("wb") as file:
        file.truncate(96 << 20)
    subprocess.run([needs("mkfs.ext4"), "-q", "-F", str(image)], check=True)


async def _cut(tmp_path: Path, number: int, seconds: float, prefix: Sequence[str]) -> tuple[int, int]:
    """Run under load on a disk of its own and cut the power: requests at the gateway, intents on the disk.

    Only what reached the block layer is in the copy that is taken while the proxy stands still.
    """
    image, copy = tmp_path / f"disk{number}", tmp_path / f"copy{number}"
    _formatted(image)
    config = {"audit": {"reserve_bytes": "1MB"}}
    with (
        disk(image, tmp_path / "live"),
        broken(tmp_path / "live" / "proxy", config=config, prefix=prefix, starts=False) as stage,
    ):
        os.sync()  # what the operator wrote was written long ago
        stage.start()
        clients = [asyncio.ensure_future(_client(stage)) for _ in range(20)]
        await asyncio.sleep(seconds)
        stage.signal(signal.SIGSTOP)
        seen = len(stage.seen)
        shutil.copy(image, copy)
        stage.signal(signal.SIGCONT)
        stage.kill()
        await asyncio.gather(*clients)
    with disk(copy, tmp_path / "recovered"):
        return seen, _recovered(stage, tmp_path / "recovered" / "proxy")


def _recovered(stage: Broken, folder: Path) -> int:
    """How many intents are there after the next start, each with its outcome, in a log that verifies."""
    again = Broken(folder, stage.simulator, stage.loop, stage.keys)
    again.start()
    again.stop()
    records = again.records()
    intents = [record["rid"] for record in records if record["kind"] == "intent"]
    assert sorted(intents) == sorted(record["rid"] for record in records if record["kind"] == "outcome")
    assert verified(folder) == 0
    return len(intents)


@pytest.mark.fault("F02")
async def test_a_power_cut_loses_no_intent_of_a_request_that_has_left(tmp_path: Path) -> None:
    random, total = Random(2), 0
    for number in range(CUTS):
        seen, intents = await _cut(tmp_path, number, 0.4 + random.random() * 0.6, ())
        assert intents >= seen
        total += seen
    assert total > 20 * CUTS


@pytest.mark.fault("F03")
async def test_the_power_cut_test_can_see_a_disk_that_only_says_it_has_written(tmp_path: Path) -> None:
    strace = needs("strace")
    lie = [strace, "-D", "-f", "-qq", "-o", os.devnull, "-e", "trace=fdatasync,fsync", "-e"]
    for number in range(4):
        try:
            seen, intents = await _cut(tmp_path, number, 0.7, [*lie, "inject=fdatasync,fsync:retval=0"])
        except (AssertionError, RuntimeError):
            return  # the log that came back does not even verify
        if intents < seen:
            return
    pytest.fail("no request was lost although nothing was ever written")
