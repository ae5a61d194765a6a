"""Old logs go whole, with a signed record of it, and nothing goes that is evidence or still awaited."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest

from proxy.core.checkpoint import VerifierKey
from proxy.core.errors import JournalUnavailable
from proxy.core.verify_report import Report
from proxy.journal import Program
from proxy.journal.fanout import feed
from proxy.retention import WRITER, Found, delete, survey
from proxy.sinks.file import FileSettings, FileSink
from proxy.stores.base import StoreFault
from proxy.stores.reader import Reader
from tests.journal import kit
from tests.tampering.test_tampering import report_on

KEEP = timedelta(days=400)
PROGRAM = Program("0.1.0")


async def epoch(folder: Path, *, age_days: float, worker: str = "w0", requests: int = 2) -> None:
    """One run of a writer that ended so many days ago."""
    held = kit.HeldClock()
    held.shift = timedelta(days=-age_days)
    journal = kit.opened(folder, clock=held.clock(), worker=worker)
    for _ in range(requests):
        await journal.append(
            {**kit.refusal(), "t": f"{datetime.now(UTC) + held.shift:%Y-%m-%dT%H:%M:%S.%fZ}"}
        )
    await journal.close()


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    """Two logs beyond the period, one just within it, and the present one."""
    for age in (800, 500, 399, 0):
        await epoch(tmp_path, age_days=age)
    return tmp_path


def surveyed(folder: Path, *, keep: timedelta = KEEP) -> list[Found]:
    key = VerifierKey.parse((folder / "audit/verifier.vkey").read_text())
    return survey(folder, key, before=datetime.now(UTC) - keep)


def names(found: list[Found]) -> list[str]:
    return [str(each.log) for each in found if not each.stays]


def path_of(folder: Path, epoch: int) -> Path:
    return folder / f"audit/ringfence/r0/w0/{epoch:06d}.sqlite"


async def pruned(folder: Path, *, keep: timedelta = KEEP) -> list[Found]:
    going = [each for each in surveyed(folder, keep=keep) if not each.stays]
    await delete(going, kit.settings(), folder, keep=keep, program=PROGRAM)
    return going


def verified(folder: Path) -> Report:
    from proxy.cli._audit_verify import _left_behind, _verified

    key = VerifierKey.parse((folder / "audit/verifier.vkey").read_text())
    return _verified(
        sorted((folder / "audit").glob("*/*/*/*.sqlite")), key, (), _left_behind(folder / "audit")
    )


# -- what may go -----------------------------------------------------------------------------------


async def test_ended_logs_beyond_the_period_may_go_and_no_others(folder: Path) -> None:
    assert names(surveyed(folder)) == ["ringfence/r0/w0/000001", "ringfence/r0/w0/000002"]
    assert names(surveyed(folder, keep=timedelta(days=600))) == ["ringfence/r0/w0/000001"]
    assert names(surveyed(folder, keep=timedelta(days=1000))) == []


async def test_the_log_that_is_being_written_never_goes(tmp_path: Path) -> None:
    await epoch(tmp_path, age_days=900)
    assert surveyed(tmp_path, keep=timedelta()) == []


async def test_each_writer_is_judged_by_its_own_logs(folder: Path) -> None:
    for age in (700, 10):
        await epoch(folder, age_days=age, worker="w1")
    assert names(surveyed(folder)) == [
        "ringfence/r0/w0/000001", "ringfence/r0/w0/000002", "ringfence/r0/w1/000001",
    ]  # fmt: skip


async def test_a_log_that_was_changed_stays_with_all_that_follow(folder: Path) -> None:
    with sqlite3.connect(path_of(folder, 1)) as db:
        (body,) = db.execute("SELECT body FROM record WHERE seq = 1").fetchone()
        db.execute("UPDATE record SET body = ? WHERE seq = 1", (body.replace(b'"deny"', b'"allow"'),))
    db.close()
    (found,) = surveyed(folder)
    assert "it was changed" in found.stays


async def test_a_log_whose_end_was_cut_stays(folder: Path) -> None:
    with sqlite3.connect(path_of(folder, 1)) as db:
        db.execute("DELETE FROM record WHERE seq >= 2")
        db.execute("DELETE FROM checkpoint WHERE size > 2")
    db.close()
    path_of(folder, 1).with_suffix(".checkpoint").unlink()
    (found,) = surveyed(folder)
    assert "000002 does not say that this log ended so" in found.stays


async def test_a_log_that_cannot_be_read_stays(tmp_path: Path) -> None:
    await epoch(tmp_path, age_days=800)
    path_of(tmp_path, 1).write_bytes(b"no database" * 100)
    await epoch(tmp_path, age_days=700)
    await epoch(tmp_path, age_days=600)
    with pytest.raises(StoreFault):
        Reader(tmp_path / "audit").sizes()
    (found,) = surveyed(tmp_path)
    assert "cannot be read" in found.stays


async def test_a_log_that_its_writer_found_damaged_stays_though_it_was_mended_since(tmp_path: Path) -> None:
    await epoch(tmp_path, age_days=800)
    whole = path_of(tmp_path, 1).read_bytes()
    with sqlite3.connect(path_of(tmp_path, 1)) as db:
        db.execute("DELETE FROM record WHERE seq = 1")
    db.close()
    await epoch(tmp_path, age_days=700)
    path_of(tmp_path, 1).write_bytes(whole)
    (found,) = surveyed(tmp_path)
    assert "its writer found it damaged, as ringfence/r0/w0/000002 says" in found.stays


async def test_a_log_that_a_sink_has_not_got_stays_until_it_has(folder: Path) -> None:
    sink = feed(folder / "audit", FileSink(FileSettings(path=folder / "mirror.jsonl")))
    cursor = folder / "audit/cursors/file.json"
    cursor.parent.mkdir()
    cursor.write_bytes(orjson.dumps({"ringfence/r0/w0/000001": 1}))
    (found,) = surveyed(folder)
    assert "the sink file has 1 of its 4 records" in found.stays
    while sink.pump():
        pass
    assert names(surveyed(folder)) == ["ringfence/r0/w0/000001", "ringfence/r0/w0/000002"]


# -- what goes -------------------------------------------------------------------------------------


async def test_what_went_is_recorded_and_the_rest_is_proven(folder: Path) -> None:
    before = verified(folder)
    await pruned(folder)
    assert not path_of(folder, 1).exists()
    assert not path_of(folder, 2).exists()
    assert path_of(folder, 3).exists()
    assert path_of(folder, 1).with_suffix(".checkpoint").exists()
    report = verified(folder)
    assert (report.exit_code, report.violations, report.unchecked) == (0, [], [])
    told = [note for note in report.notes if "pruned" in note]
    assert [note.partition(":")[0] for note in told] == ["ringfence/r0/w0/000001", "ringfence/r0/w0/000002"]
    records = kit.records(folder, "prune")
    assert [(r["size"], r["root"], r["covered"]) for r in records] == [
        (log.size, log.root.hex(), log.covered) for log in before.logs[:2]
    ]
    assert {(r["log"], r["keep_s"]) for r in records} == {(f"ringfence/r0/{WRITER}/000001", 400 * 86_400)}


async def test_without_the_record_the_same_files_gone_are_a_violation(folder: Path) -> None:
    await pruned(folder)
    for file in (folder / f"audit/ringfence/r0/{WRITER}").glob("000001.*"):
        file.unlink()
    assert verified(folder).exit_code == 1
    for head in (folder / "audit/ringfence/r0/w0").glob("00000[12].checkpoint"):
        head.unlink()
    assert verified(folder).exit_code == 2


async def test_writers_go_on_and_a_second_pruning_does_too(folder: Path) -> None:
    await pruned(folder)
    await epoch(folder, age_days=0)
    await pruned(folder, keep=timedelta(days=1))
    assert [str(log) for log in Reader(folder / "audit").logs()] == [
        "ringfence/r0/prune/000001", "ringfence/r0/prune/000002",
        "ringfence/r0/w0/000004", "ringfence/r0/w0/000005",
    ]  # fmt: skip
    assert verified(folder).exit_code == 0


async def test_a_running_writer_need_not_stop(folder: Path) -> None:
    journal = kit.opened(folder)
    reader = Reader(folder / "audit")
    assert len(reader.after({}, 1000)) > 10
    await pruned(folder)
    await journal.append(kit.refusal())
    assert "ringfence/r0/w0/000001" not in {str(entry.log) for entry in reader.after({}, 1000)}
    reader.close()
    await journal.close()
    assert verified(folder).exit_code == 0


async def test_a_crash_between_the_record_and_the_deletion_is_mended_by_the_next_call(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("proxy.retention._delete", crash)
        with pytest.raises(KeyboardInterrupt):
            await pruned(folder)
    assert path_of(folder, 1).exists()
    report = verified(folder)
    assert report.exit_code == 0
    assert any("but it is here" in note for note in report.notes)
    await pruned(folder)
    assert not path_of(folder, 1).exists()
    assert verified(folder).exit_code == 0


async def test_what_cannot_be_recorded_is_not_deleted(folder: Path) -> None:
    with kit.faulty_disk() as disk:
        going = surveyed(folder)
        disk.before += [StoreFault("no")] * 50
        with pytest.raises(JournalUnavailable):
            await delete(going, kit.settings(), folder, keep=KEEP, program=PROGRAM)
    assert path_of(folder, 1).exists()


async def test_two_at_once_do_not_get_into_each_others_way(folder: Path) -> None:
    going = surveyed(folder)
    other = kit.opened(folder, worker=WRITER)
    with pytest.raises(JournalUnavailable, match="another process"):
        await delete(going, kit.settings(), folder, keep=KEEP, program=PROGRAM)
    assert path_of(folder, 1).exists()
    await other.close()


async def test_a_head_that_is_missing_beside_its_log_is_put_there_before_the_log_goes(folder: Path) -> None:
    head = path_of(folder, 1).with_suffix(".checkpoint")
    content = head.read_bytes()
    head.unlink()
    await pruned(folder)
    assert head.read_bytes() == content
    assert not list(head.parent.glob("000001.sqlite*"))


async def test_the_records_of_what_was_deleted_are_never_deleted(folder: Path) -> None:
    await pruned(folder)
    await pruned(folder, keep=timedelta(days=1))
    assert surveyed(folder, keep=timedelta(days=-1)) == []
    assert len(kit.records(folder, "prune")) == 3
    assert report_on(folder).exit_code == 0
