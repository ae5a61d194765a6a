"""Counts that several processes share without locks."""

from __future__ import annotations

import multiprocessing
import stat
from pathlib import Path

import pytest

from proxy.shares import REQUESTS, STREAMS, TOKENS, Shares, lay_out, shares_file

SCOPES = ("project:web", "key:k1")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = shares_file(tmp_path)
    lay_out(path, len(SCOPES), 3)
    return path


def share(file: Path, own: int) -> Shares:
    return Shares(file, SCOPES, workers=3, own=own)


def test_what_one_worker_adds_the_others_see_and_it_itself_does_not(file: Path) -> None:
    one, two, three = (share(file, own).tally("key:k1", REQUESTS) for own in range(3))
    one.add(5)
    two.add(2)
    assert (one.others(), two.others(), three.others()) == (2, 5, 7)


def test_scopes_and_kinds_keep_apart(file: Path) -> None:
    one, other = share(file, 0), share(file, 1)
    one.tally("key:k1", REQUESTS).add(1)
    one.tally("key:k1", REQUESTS).say_full_at(99)
    for scope, kind in (("key:k1", TOKENS), ("key:k1", STREAMS), ("project:web", REQUESTS)):
        assert other.tally(scope, kind).others() == 0
        assert other.tally(scope, kind).said_full_at() == 0
    assert other.tally("key:k1", REQUESTS).said_full_at() == 99


def test_every_worker_places_a_scope_alike_whatever_the_order_of_the_settings(file: Path) -> None:
    Shares(file, SCOPES[::-1], workers=3, own=0).tally("key:k1", TOKENS).add(4)
    assert share(file, 1).tally("key:k1", TOKENS).others() == 4


def test_the_file_is_made_anew_and_an_old_map_is_left_alone(file: Path) -> None:
    old = share(file, 0).tally("key:k1", REQUESTS)
    old.add(7)
    lay_out(file, len(SCOPES), 3)
    assert share(file, 1).tally("key:k1", REQUESTS).others() == 0
    assert list(file.parent.iterdir()) == [file]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def _add(file: Path, own: int, times: int) -> None:
    tally = share(file, own).tally("key:k1", REQUESTS)
    for _ in range(times):
        tally.add(1)


def test_nothing_is_lost_when_processes_count_at_the_same_time(file: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    workers = [spawn.Process(target=_add, args=(file, own, 20_000)) for own in (0, 1)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert share(file, 2).tally("key:k1", REQUESTS).others() == 40_000
