"""Every record is stamped with a moment, an id of its own, and what its monotonic clock counts from."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from proxy.core.record_schema import COMMON, UUID
from proxy.journal import clock as module
from proxy.journal.clock import Clock, boot_id


def test_stamps_come_from_the_clocks_that_were_given_and_from_each_once() -> None:
    asked: list[str] = []

    def answer(name, value):
        def said():
            asked.append(name)
            return value

        return said

    at = datetime(2026, 3, 1, tzinfo=UTC)
    held = Clock(answer("wall", at), answer("mono", 7), answer("id", "an-id"), answer("boot", "b"))
    stamp = held.stamp()
    assert (stamp.eid, stamp.at, stamp.mono_ns, stamp.boot) == ("an-id", at, 7, "b")
    assert sorted(asked) == ["boot", "id", "mono", "wall"]


def test_the_machines_clocks_give_ids_that_differ_and_a_monotonic_time_that_does_not_go_back() -> None:
    stamps = [Clock().stamp() for _ in range(200)]
    assert len({stamp.eid for stamp in stamps}) == 200
    assert all(UUID(stamp.eid) for stamp in stamps)
    assert [stamp.mono_ns for stamp in stamps] == sorted(stamp.mono_ns for stamp in stamps)
    assert all(stamp.at.tzinfo is UTC for stamp in stamps)
    assert len({stamp.boot for stamp in stamps}) == 1


def test_the_boot_is_in_the_form_that_records_take() -> None:
    assert COMMON["boot"](boot_id())


@pytest.fixture
def fresh_boot():
    boot_id.cache_clear()
    yield boot_id
    boot_id.cache_clear()


def test_where_the_machine_does_not_tell_its_boot_this_start_stands_for_it(
    monkeypatch, fresh_boot, tmp_path: Path
) -> None:
    monkeypatch.setattr(module, "Path", lambda _: tmp_path / "not here")
    named = fresh_boot()
    assert COMMON["boot"](named)
    assert fresh_boot() == named
