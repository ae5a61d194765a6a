"""Files that are no log, or a part of one: said in the report, never a crash and never a false accusation."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from tests.cli.test_audit_verify import LOG, Verdict, folder, lines, path_of, written

__all__ = ["folder", "written"]
LOOSE = (
    "ALTER TABLE record RENAME TO strict_one",
    "CREATE TABLE record (seq, body)",
    "INSERT INTO record SELECT seq, body FROM strict_one",
)


def change(folder: Path, *statements: str) -> None:
    with sqlite3.connect(path_of(folder)) as db:
        for statement in statements:
            db.execute(statement)
    db.close()


@pytest.mark.parametrize(
    "statements",
    [
        ("DELETE FROM log",),
        ("INSERT INTO log VALUES ('ringfence/r0/w0/000009')",),
        (*LOOSE, "UPDATE record SET body = CAST(body AS TEXT)"),
        (*LOOSE, "UPDATE record SET body = NULL WHERE seq = 2"),
        (*LOOSE, "UPDATE record SET seq = 'two' WHERE seq = 2"),
        (*LOOSE[:1], "CREATE VIEW record AS SELECT seq, body FROM strict_one"),
        ("CREATE TRIGGER t AFTER INSERT ON record BEGIN DELETE FROM record; END",),
    ],
)
def test_a_file_that_is_laid_out_otherwise_is_a_violation_and_the_other_log_is_judged(
    folder: Path, capsys, statements: tuple[str, ...]
) -> None:
    change(folder, *statements)
    verdict = Verdict(capsys, folder)
    assert verdict.code == 1
    assert any("cannot be read as a log" in what for what in verdict.whats)
    assert verdict.report["logs"][-1]["covered"] == 5


def test_a_damaged_page_is_a_violation_and_the_other_log_is_judged(folder: Path, capsys) -> None:
    with path_of(folder).open("r+b") as file:
        file.seek(2 * 8192)
        file.write(b"\xff" * 8192)
    verdict = Verdict(capsys, folder)
    assert verdict.code == 1
    assert any("cannot be read as a log" in what for what in verdict.whats)
    assert verdict.report["logs"][-1]["covered"] == 5


def test_a_log_that_another_command_deletes_meanwhile_accuses_nobody(written: Path, tmp_path, capsys) -> None:
    verdict = Verdict(capsys, Path(), tmp_path / "gone.sqlite", path_of(written), key_file=_key(written))
    assert (verdict.code, verdict.whats) == (2, [])
    assert any("No such file" in sentence for sentence in verdict.report["unchecked"])


def _key(folder: Path) -> Path:
    return folder / "verifier.vkey"


@pytest.mark.parametrize("cut", [1, 3, 7])
def test_the_files_of_a_sink_that_was_renamed_on_the_way_are_one_log(
    written: Path, tmp_path: Path, capsys, cut: int
) -> None:
    rows = lines(written, 1, 2)
    older, newer = tmp_path / "audit.jsonl.1", tmp_path / "audit.jsonl"
    older.write_bytes(b"".join(rows[:cut]))
    newer.write_bytes(b"".join(rows[cut - 1 :]))
    verdict = Verdict(capsys, Path(), newer, older, key_file=_key(written))
    assert (verdict.code, verdict.whats) == (2, [])
    assert [log["size"] for log in verdict.report["logs"]] == [5, 5]


def test_a_log_and_its_export_together_are_one_log_under_its_heads(written: Path, tmp_path, capsys) -> None:
    export = tmp_path / "export.jsonl"
    export.write_bytes(b"".join(lines(written, 1)))
    verdict = Verdict(capsys, Path(), export, path_of(written), key_file=_key(written))
    assert verdict.code == 0
    assert [(log["log"], log["covered"]) for log in verdict.report["logs"]] == [(LOG, 5)]


def test_a_copy_that_says_otherwise_is_a_violation(written: Path, tmp_path: Path, capsys) -> None:
    export = tmp_path / "export.jsonl"
    export.write_bytes(b"".join(lines(written, 1)).replace(b'"deny"', b'"allow"', 1))
    assert Verdict(capsys, Path(), path_of(written), export, key_file=_key(written)).code == 1
    assert Verdict(capsys, Path(), export, path_of(written), key_file=_key(written)).code == 1


def test_an_export_may_end_its_lines_in_another_way(written: Path, tmp_path: Path, capsys) -> None:
    export = tmp_path / "export.jsonl"
    export.write_bytes(b"".join(row[:-1] + b"\r\n" for row in lines(written, 1)))
    verdict = Verdict(capsys, Path(), export)
    assert (verdict.code, verdict.whats) == (2, [])
    assert [log["size"] for log in verdict.report["logs"]] == [5]


def test_a_copy_of_a_file_that_was_growing_is_judged_up_to_where_it_breaks_off(
    written: Path, tmp_path: Path, capsys
) -> None:
    export = tmp_path / "export.jsonl"
    export.write_bytes(b"".join(lines(written, 1))[:-40])
    verdict = Verdict(capsys, Path(), export)
    assert (verdict.code, verdict.whats) == (2, [])
    assert [log["size"] for log in verdict.report["logs"]] == [4]
    assert any("breaks off within its last line" in sentence for sentence in verdict.report["unchecked"])


def test_it_is_said_that_the_newest_records_can_be_cut_without_any_key(written: Path, capsys) -> None:
    assert any("could have cut off the newest" in note for note in Verdict(capsys, written).report["notes"])


def test_a_copy_of_one_log_does_not_stand_for_another_that_is_gone(folder: Path, capsys) -> None:
    path_of(folder, 2, "checkpoint").unlink()
    path_of(folder, 2).write_bytes(path_of(folder, 1).read_bytes())
    verdict = Verdict(capsys, folder)
    assert (verdict.code, verdict.whats) == (1, [f"holds the log {LOG}, which does not belong there"])
