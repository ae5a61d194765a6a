"""A disk that fills up is told before it refuses requests, once, and again when it is over."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from io import StringIO
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy import logs
from proxy.disk import Disk, Room, room_on
from tests.assembled import assembled
from tests.running import Stage, eventually, running

MB = 1_000_000
GB = 1000 * MB


def events(out: StringIO) -> list[str]:
    return [json.loads(line)["event"] for line in out.getvalue().splitlines()]


@pytest.fixture
def said() -> Iterator[StringIO]:
    out = StringIO()
    logs.set_up(stream=out)
    yield out
    logs.set_up()


def disk(*rooms: Room, low: int = 2 * GB) -> Disk:
    """A disk that is found to have this much room at one look after the other."""
    found = iter(rooms)
    return Disk(Path("anywhere"), low, measure=lambda _folder: next(found))


@pytest.mark.parametrize(
    ("size", "mark"),
    [(10 * GB, 2 * GB), (40 * GB, 2 * GB), (100 * GB, 5 * GB), (10_000 * GB, 10 * GB)],
    ids=["small", "usual", "5 % of it", "no more than five times"],
)
@pytest.mark.parametrize(("over", "low"), [(-1, True), (0, False)])
def test_a_disk_is_low_below_a_size_or_a_share_of_it(size: int, mark: int, over: int, low: bool) -> None:
    made = disk(Room(mark + over, size))
    made.look()
    assert (made.is_low, made.mark, made.free) == (low, mark, mark + over)
    assert bool(made.warnings()) is low


def test_the_alarm_says_how_much_is_left_and_what_to_do() -> None:
    made = disk(Room(1234 * MB, 100 * GB))
    made.look()
    (words,) = made.warnings()
    assert "1234 MB left" in words
    assert "ringfence audit prune" in words


def test_each_crossing_is_one_line(said: StringIO) -> None:
    made = disk(*[Room(free * MB, 10 * GB) for free in (5000, 1900, 1800, 1700, 2100, 1900, 2300, 5000, 100)])
    for _ in range(9):
        made.look()
    assert events(said) == ["disk_low", "disk_has_room_again", "disk_low"]
    assert json.loads(said.getvalue().splitlines()[0])["bytes"] == 1900 * MB


@given(st.lists(st.integers(0, 5000), min_size=1, max_size=40))
def test_lines_and_alarm_never_disagree(frees: list[int]) -> None:
    out = StringIO()
    logs.set_up(stream=out)
    try:
        made = disk(*[Room(free * MB, 10 * GB) for free in frees])
        states = [False]
        for free in frees:
            made.look()
            states.append(made.is_low)
            assert made.is_low or free >= 2000, "a low disk is never passed over"
            assert not made.is_low or free < 2200, "an alarm ends when there is room"
    finally:
        logs.set_up()
    crossings = [
        "disk_low" if after else "disk_has_room_again" for was, after in pairwise(states) if was != after
    ]
    assert events(out) == crossings


def test_a_disk_that_cannot_be_asked_keeps_what_was_known(tmp_path: Path, said: StringIO) -> None:
    made = Disk(tmp_path / "gone", 2 * GB, free=7, is_low=True)
    made.look()
    assert (made.free, made.is_low) == (7, True)
    assert events(said) == ["disk_not_measured"]


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MB."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", place], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"needs root to mount a small file system: {mounted.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def test_a_real_disk_that_fills_up_raises_the_alarm_and_lets_it_go(small: Path, said: StringIO) -> None:
    made = Disk(small, 2 * MB)
    filler = small / "filler"
    states = []
    for size in (0, 7 << 20, 0):
        filler.write_bytes(b"x" * size)
        made.look()
        states.append((made.is_low, made.free == room_on(small).free))
    assert states == [(False, True), (True, True), (False, True)]
    assert events(said) == ["disk_low", "disk_has_room_again"]


async def test_the_disk_that_is_watched_is_that_of_the_audit_log(tmp_path: Path) -> None:
    async with assembled(tmp_path, config={"audit": {"low_disk": "3GB"}}) as stand:
        assert stand.assembly.disk.folder == tmp_path / "data" / "audit"
        assert stand.assembly.disk.low == 3 * GB


def test_while_the_disk_is_low_requests_are_served_and_the_operator_is_told() -> None:
    with running(config={"audit": {"low_disk": "1000000GB"}}) as stage:
        report = eventually(lambda: found if (found := stage.ready())["warnings"] else None)
        assert report["ready"] is True
        assert "the disk of the audit log has" in report["warnings"][0]
        free = eventually(lambda: gauge(stage, "ringfence_audit_disk_free_bytes"))
        assert 0.5 < free / room_on(stage.folder).free < 2
        assert stage.said().count('"disk_low"') == 1


def gauge(stage: Stage, name: str) -> float:
    rows = (line.split() for line in stage.metrics().splitlines())
    return next(float(row[1]) for row in rows if row[0] == name)
