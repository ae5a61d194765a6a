"""Disks that fail: nothing acknowledged is lost, nothing refused counts as sent, service comes back."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys

import pytest

from proxy.core.errors import JournalUnavailable
from proxy.journal.writer import State
from proxy.stores.base import StoreFault
from tests.journal import kit

EIO = StoreFault("cannot write the audit log: SQLITE_IOERR_FSYNC")
FULL = StoreFault("cannot write the audit log: SQLITE_FULL", full=True)


async def test_a_failed_write_refuses_its_requests_and_the_next_one_is_served(tmp_path):
    with kit.faulty_disk() as disk:
        journal = kit.opened(tmp_path)
        before = await journal.append(kit.refusal())
        disk.before.append(EIO)
        with pytest.raises(JournalUnavailable, match="IOERR"):
            await journal.append(kit.intent())
        after = await _served(journal)
        await journal.close()
    assert kit.stands(tmp_path, before)
    assert kit.stands(tmp_path, after)
    assert kit.records(tmp_path, "intent") == []
    assert sum(gap["counts"].get("intent", 0) for gap in kit.records(tmp_path, "gap")) == 1
    assert kit.verified(tmp_path) == 0


async def test_a_commit_whose_answer_was_lost_is_adopted_and_closed_as_not_sent(tmp_path):
    with kit.faulty_disk() as disk:
        journal = kit.opened(tmp_path)
        disk.after.append(EIO)
        with pytest.raises(JournalUnavailable):
            await journal.append(kit.intent())
        await _served(journal)
        await journal.close()
    ((sent,), (ended,)) = kit.records(tmp_path, "intent"), kit.records(tmp_path, "outcome")
    assert (ended["rid"], ended["end"]) == (sent["rid"], "not_sent")
    assert kit.verified(tmp_path) == 0


@pytest.mark.parametrize("when", ["before", "after"])
async def test_an_outcome_is_never_lost_and_never_doubled(tmp_path, when):
    with kit.faulty_disk() as disk:
        journal = kit.opened(tmp_path)
        intent = kit.intent()
        await journal.append(intent)
        getattr(disk, when).append(EIO)
        journal.submit(kit.outcome(str(intent["rid"])))
        await kit.until(lambda: kit.records(tmp_path, "outcome") and journal.healthy)
        await journal.close()
    assert [r["end"] for r in kit.records(tmp_path, "outcome")] == ["complete"]
    assert kit.verified(tmp_path) == 0


async def test_while_the_disk_does_not_answer_everything_is_refused_and_outcomes_are_kept(tmp_path):
    with kit.faulty_disk() as disk:
        journal = kit.opened(tmp_path)
        intent = kit.intent()
        await journal.append(intent)
        disk.before.append(EIO)
        disk.reopen.extend([EIO] * 8)
        with pytest.raises(JournalUnavailable):
            await journal.append(kit.refusal())
        assert not journal.healthy
        assert "IOERR" in journal.fault
        journal.submit(kit.outcome(str(intent["rid"])))
        with pytest.raises(JournalUnavailable):
            await journal.append(kit.intent())
        await _served(journal)
        await journal.close()
    assert [r["end"] for r in kit.records(tmp_path, "outcome")] == ["complete"]
    assert sum(sum(gap["counts"].values()) for gap in kit.records(tmp_path, "gap")) >= 2
    assert kit.verified(tmp_path) == 0


async def test_a_fault_of_our_own_in_the_writer_refuses_and_does_not_hang(tmp_path, monkeypatch):
    journal = kit.opened(tmp_path)
    broken = [RuntimeError("a bug")]
    real = journal._writer.chain.append

    def append(drafts):
        if broken:
            raise broken.pop()
        return real(drafts)

    monkeypatch.setattr(journal._writer.chain, "append", append)
    with pytest.raises(JournalUnavailable, match="RuntimeError"):
        await journal.append(kit.intent())
    await _served(journal)
    await journal.close()
    assert kit.verified(tmp_path) == 0


async def test_an_acknowledged_record_that_was_changed_stops_the_writer_and_the_next_epoch_says_so(tmp_path):
    import sqlite3

    with kit.faulty_disk() as disk:
        journal = kit.opened(tmp_path, checkpoint_interval="1h")
        receipts = [await journal.append(kit.refusal()) for _ in range(5)]
        db = sqlite3.connect(tmp_path / f"audit/{journal.log}.sqlite")
        with db:
            db.execute(
                "UPDATE record SET body = CAST(replace(CAST(body AS TEXT), 'unknown_model', 'unknown_mod3l')"
                " AS BLOB) WHERE seq = 3"
            )
        db.close()
        disk.before.append(EIO)
        with pytest.raises(JournalUnavailable):
            await journal.append(kit.intent())
        assert "does not follow" in await _stopped(journal)
        with pytest.raises(JournalUnavailable, match="not closed cleanly"):
            await journal.close()
    again = kit.opened(tmp_path)
    (_, opened) = kit.records(tmp_path, "open")
    assert opened["reason"] == "damaged"
    assert (opened["prev_log"], opened["damaged_at"]) == (journal.log, 4)
    assert await again.append(kit.intent())
    await again.close()
    assert kit.stands(tmp_path, receipts[0])
    assert kit.verified(tmp_path) == 1


async def test_a_log_that_vanished_while_it_was_written_is_noticed_at_the_next_fault(tmp_path):
    with kit.faulty_disk() as disk:
        journal = kit.opened(tmp_path)
        (tmp_path / f"audit/{journal.log}.sqlite").unlink()
        disk.before.append(EIO)
        with pytest.raises(JournalUnavailable):
            await journal.append(kit.intent())
        assert "is gone" in await _stopped(journal)
        with pytest.raises(JournalUnavailable):
            await journal.close()


async def _stopped(journal) -> str:
    """Why the writer stopped for good."""
    await kit.until(lambda: journal._writer.state is State.DAMAGED)
    with pytest.raises(JournalUnavailable) as refused:
        await journal.append(kit.intent())
    return str(refused.value)


async def _served(journal):
    """The receipt of the first refusal that is taken again."""
    while True:
        try:
            return await journal.append(kit.refusal())
        except JournalUnavailable:
            await asyncio.sleep(0.02)


# -- a disk that is really full --------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 6 MB."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "none", place], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"needs root to mount a small file system: {mounted.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def _fill(place) -> None:
    try:
        with (place / "filler").open("ab", buffering=0) as file:
            while True:
                file.write(b"x" * 4096)
    except OSError:
        return


async def test_outcomes_of_requests_under_way_find_room_on_a_full_disk(small_disk):
    journal = kit.opened(small_disk)
    under_way = [kit.intent() for _ in range(20)]
    for intent in under_way:
        await journal.append(intent)
    _fill(small_disk)
    with pytest.raises(JournalUnavailable, match=r"FULL|full"):
        for _ in range(2000):
            await journal.append(kit.refusal())
    for intent in under_way:
        journal.submit(kit.outcome(str(intent["rid"])))
    await kit.until(lambda: len(kit.records(small_disk, "outcome")) == 20)
    (small_disk / "filler").unlink()
    await _served(journal)
    await journal.close()
    assert {r["end"] for r in kit.records(small_disk, "outcome")} == {"complete"}
    assert kit.verified(small_disk) == 0


async def test_a_disk_that_stays_full_refuses_everything_and_heals_by_itself_when_it_is_freed(small_disk):
    journal = kit.opened(small_disk)
    intent = kit.intent()
    await journal.append(intent)
    while journal.healthy:
        _fill(small_disk)
        await asyncio.gather(*(journal.append(kit.refusal()) for _ in range(5)), return_exceptions=True)
    for _ in range(20):
        # Whatever is given back is taken at once by somebody else.
        _fill(small_disk)
        await asyncio.sleep(0.02)
    with pytest.raises(JournalUnavailable):
        await journal.append(kit.intent())
    journal.submit(kit.outcome(str(intent["rid"])))

    (small_disk / "filler").unlink()
    receipt = await _served(journal)
    assert journal.fault == ""
    assert (small_disk / "audit/ringfence/r0/w0/reserve").stat().st_size == 1_000_000
    await journal.close()
    assert kit.stands(small_disk, receipt)
    assert "full" in {r["reason"] for r in kit.records(small_disk, "gap")}
    assert [r["rid"] for r in kit.records(small_disk, "outcome")] == [intent["rid"]]
    assert kit.verified(small_disk) == 0


async def test_a_start_on_a_full_disk_is_refused_in_words(small_disk):
    _fill(small_disk)
    with pytest.raises((JournalUnavailable, OSError), match=r"FULL|full|space"):
        kit.opened(small_disk)


# -- syncs that really fail ------------------------------------------------------------------------

CHILD = """
import asyncio, sys
from pathlib import Path
from proxy.core.errors import JournalUnavailable
from tests.journal import kit

async def main():
    journal = kit.opened(Path(sys.argv[1]), checkpoint_interval="1h")
    print("ready", flush=True)
    for number in range(int(sys.argv[2])):
        draft = kit.intent()
        try:
            receipt = await journal.append(draft)
            print("ok", receipt.seq, receipt.leaf, draft["rid"], flush=True)
        except JournalUnavailable as error:
            print("no", draft["rid"], flush=True)
            await asyncio.sleep(0.06)
    print("healthy" if journal.healthy else "unhealthy", flush=True)
    try:
        await journal.close()
    except JournalUnavailable:
        print("unclean", flush=True)

asyncio.run(main())
"""


def _traced(folder, inject: str, count: int) -> list[list[str]]:
    probe = ["strace", "-e", "inject=fdatasync:error=EIO:when=99", "true"]
    if shutil.which("strace") is None or subprocess.run(probe, capture_output=True).returncode:
        pytest.skip("needs strace with fault injection and the right to trace")
    strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync,fsync"]
    ran = subprocess.run(
        [
            *strace,
            "-e",
            f"inject=fdatasync,fsync:{inject}",
            sys.executable,
            "-c",
            CHILD,
            str(folder),
            str(count),
        ],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )
    return [line.split() for line in ran.stdout.splitlines()]


@pytest.mark.parametrize("nth", [22, 25, 30])
def test_a_sync_that_fails_once_costs_at_most_its_own_requests(tmp_path, nth):
    lines = _traced(tmp_path, f"error=EIO:when={nth}", 25)
    acknowledged = [line for line in lines if line[0] == "ok"]
    assert len(acknowledged) + sum(line[0] == "no" for line in lines) == 25
    assert len(acknowledged) >= 20
    assert ["healthy"] in lines
    _holds(tmp_path, acknowledged)


def test_syncs_that_fail_from_some_moment_on_refuse_everything_and_leave_the_rest_provable(tmp_path):
    lines = _traced(tmp_path, "error=EIO:when=20+", 20)
    acknowledged = [line for line in lines if line[0] == "ok"]
    assert lines[-2:] == [["unhealthy"], ["unclean"]]
    assert lines[-3][0] == "no"
    _holds(tmp_path, acknowledged)


def _holds(folder, acknowledged: list[list[str]]) -> None:
    """Every acknowledged record stands where it was said to, and after recovery the audit is whole."""
    from proxy.core.tree import leaf_hash

    journal = kit.opened(folder)
    asyncio.run(journal.close())
    held = {(e.log.epoch, e.seq): leaf_hash(e.body).hex() for e in kit.entries(folder)}
    assert all(held[1, int(seq)] == leaf for _, seq, leaf, _ in acknowledged)
    intents = {r["rid"] for r in kit.records(folder, "intent")}
    assert intents >= {line[3] for line in acknowledged}
    assert sorted(intents) == sorted(r["rid"] for r in kit.records(folder, "outcome"))
    assert kit.verified(folder) == 0
