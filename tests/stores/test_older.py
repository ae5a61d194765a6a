"""Logs of layout 1 are read, searched, verified, recovered from and pruned like younger ones."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from proxy.core.errors import JournalUnavailable
from proxy.journal import Program, load_signer
from proxy.retention import delete, survey
from proxy.stores.base import LogId, logs_in
from proxy.stores.reader import Reader
from proxy.stores.sqlite import LAYOUT, LogFile
from proxy.stores.wanted import Wanted
from tests.journal import kit
from tests.stores.older import make_older

FIRST = LogId("ringfence/r0/w0", 1)


async def _written(folder, requests: int = 6) -> list[str]:
    """An epoch whose last request has no outcome; the ids of its requests."""
    journal = kit.opened(folder)
    rids = []
    for number in range(requests):
        draft = kit.intent()
        rids.append(str(draft["rid"]))
        await journal.append(draft)
        if number < requests - 1:
            await journal.append(kit.outcome(rids[-1], "complete" if number else "timeout"))
    await journal.append(kit.refusal())
    await journal.close()
    return rids


@pytest.fixture
def rids(tmp_path):
    """The requests of a log of layout 1."""
    found = asyncio.run(_written(tmp_path))
    make_older(FIRST.path(tmp_path / "audit"))
    return found


def test_an_older_log_is_searched_as_a_younger_one(tmp_path, rids):
    reader = Reader(tmp_path / "audit")
    everything = list(reader.select())
    for wanted in (
        Wanted(kinds=("intent",)),
        Wanted(kinds=("intent", "refusal"), effect="deny"),
        Wanted(end="timeout"),
        Wanted(rid=rids[2]),
        Wanted(model="openai/gpt-image-1", project="design"),
        Wanted(since=everything[3].t, until=everything[9].t),
    ):
        found = list(reader.select(wanted))
        assert found == [entry for entry in everything if wanted.fits(entry.record)]
        assert found
        assert list(reader.select(wanted, newest_first=True)) == found[::-1]
    assert [entry.record["kind"] for entry in reader.find(rids[0])] == ["intent", "outcome"]
    assert len(reader.notes(FIRST)) >= 2
    reader.close()


def test_a_start_recovers_from_an_older_log_and_goes_on_in_the_present_layout(tmp_path, rids):
    asyncio.run(kit.opened(tmp_path).close())
    (ended,) = [r for r in kit.records(tmp_path, "outcome") if r["end"] == "unknown_crash"]
    assert (ended["rid"], ended["intent_log"]) == (rids[-1], str(FIRST))
    second = LogFile(LogId(FIRST.writer, 2).path(tmp_path / "audit"), LogId(FIRST.writer, 2))
    assert second.layout == LAYOUT
    second.close()
    assert kit.verified(tmp_path) == 0


def test_an_older_log_that_never_got_a_record_is_used_in_the_present_layout(tmp_path, rids):
    asyncio.run(kit.opened(tmp_path).close())
    second = LogId(FIRST.writer, 2).path(tmp_path / "audit")
    make_older(second, keep=0)
    second.with_suffix(".checkpoint").unlink()
    asyncio.run(kit.opened(tmp_path).close())
    assert logs_in(tmp_path / "audit") == [FIRST, LogId(FIRST.writer, 2)]
    assert kit.verified(tmp_path) == 0


async def test_an_older_log_is_pruned_like_any_other(tmp_path):
    await _written(tmp_path)
    make_older(FIRST.path(tmp_path / "audit"))
    await kit.opened(tmp_path).close()
    settings = kit.settings()
    key = load_signer(tmp_path / "audit/signing.key", settings.deployment).verifier
    found = survey(tmp_path, key, before=datetime.now(UTC) + timedelta(days=1))
    assert [(each.log, each.stays) for each in found] == [(FIRST, "")]
    await delete(found, settings, tmp_path, keep=timedelta(days=400), program=Program("0.1.0"))
    assert FIRST not in logs_in(tmp_path / "audit")
    assert kit.verified(tmp_path) == 0


def test_a_log_of_a_layout_to_come_is_not_written_to(tmp_path, rids):
    asyncio.run(kit.opened(tmp_path).close())
    file = LogFile(LogId(FIRST.writer, 2).path(tmp_path / "audit"), LogId(FIRST.writer, 2))
    file._db.execute(f"PRAGMA user_version={LAYOUT + 1}")
    file.close()
    with pytest.raises(JournalUnavailable, match="newer release"):
        kit.opened(tmp_path)
