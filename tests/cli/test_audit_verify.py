"""What is handed to the verifier, whatever form the logs are in, and how its report reads."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from pathlib import Path

import click
import orjson
import pytest

from proxy.cli._audit_verify import run_verify
from tests.journal import kit
from tests.test_access import ringfence, unless_permitted

LOG = "ringfence/r0/w0/000001"


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    """Two logs of one writer."""
    folder: Path = tmp_path_factory.mktemp("logs")

    async def write() -> None:
        for _ in range(2):
            journal = kit.opened(folder)
            for _ in range(3):
                await journal.append(kit.refusal())
            await journal.close()

    asyncio.run(write())
    return folder / "audit"


@pytest.fixture
def folder(written: Path, tmp_path: Path) -> Path:
    copy: Path = shutil.copytree(written, tmp_path / "audit")
    return copy


def path_of(folder: Path, epoch: int = 1, suffix: str = "sqlite") -> Path:
    return folder / f"ringfence/r0/w0/{epoch:06d}.{suffix}"


def lines(folder: Path, *epochs: int) -> list[bytes]:
    """The records as a JSON Lines export holds them."""
    found: list[bytes] = []
    for epoch in epochs:
        db = sqlite3.connect(path_of(folder, epoch))
        found += [body + b"\n" for (body,) in db.execute("SELECT body FROM record ORDER BY seq")]
        db.close()
    return found


class Verdict:
    """An exit code and a report, as a program reads it."""

    def __init__(self, capsys: pytest.CaptureFixture[str], folder: Path, *files: Path, **given) -> None:
        key_file, anchors = given.get("key_file"), given.get("anchors", ())
        self.code = run_verify(folder, files, key_file=key_file, anchors=anchors, as_json=True)
        self.report = orjson.loads(capsys.readouterr().out)
        self.whats = [violation["what"] for violation in self.report["violations"]]


def test_a_folder_is_verified_with_the_key_beside_its_logs_and_that_is_said(written: Path, capsys) -> None:
    verdict = Verdict(capsys, written)
    assert (verdict.code, verdict.report["verdict"]) == (0, "proven")
    assert any("give --key with a copy that you got elsewhere" in note for note in verdict.report["notes"])
    elsewhere = Verdict(capsys, written, key_file=written / "verifier.vkey")
    assert not any("give --key" in note for note in elsewhere.report["notes"])


def test_files_are_verified_without_any_key_unless_one_is_given(written: Path, capsys) -> None:
    files = path_of(written, 1), path_of(written, 2)
    without = Verdict(capsys, Path(), *files)
    assert (without.code, without.report["unchecked"][-1]) == (2, "signatures: no verifier key was given")
    assert Verdict(capsys, Path(), *files, key_file=written / "verifier.vkey").code == 0


def test_logs_are_put_in_their_order_whatever_order_they_come_in(written: Path, capsys) -> None:
    files = path_of(written, 2), path_of(written, 1)
    verdict = Verdict(capsys, Path(), *files, key_file=written / "verifier.vkey")
    assert verdict.code == 0
    assert [log["log"][-1] for log in verdict.report["logs"]] == ["1", "2"]


def test_an_export_with_the_logs_mixed_and_records_repeated_is_one_of_the_same(
    written: Path, tmp_path: Path, capsys
) -> None:
    """A sink delivers at least once: the very same bytes at the same number count once."""
    first, second = lines(written, 1), lines(written, 2)
    mixed = [line for pair in zip(first, second, strict=True) for line in pair]
    export = tmp_path / "export.jsonl"
    export.write_bytes(b"".join([*mixed[:4], *mixed]))
    heads = [path_of(written, epoch, "checkpoint") for epoch in (1, 2)]
    verdict = Verdict(capsys, Path(), export, key_file=written / "verifier.vkey", anchors=heads)
    assert (verdict.code, verdict.whats) == (0, [])


def test_two_records_under_one_number_are_a_violation(written: Path, tmp_path: Path, capsys) -> None:
    export = tmp_path / "export.jsonl"
    rows = lines(written, 1)
    export.write_bytes(b"".join([*rows[:2], rows[1].replace(b'"deny"', b'"allow"'), *rows[2:]]))
    assert Verdict(capsys, Path(), export).code == 1


@pytest.mark.parametrize("content", [b"words\n", b"SQLite format 3\x00 and no more", b"{}\n", b"\xff\n"])
def test_a_file_that_is_no_log_is_named_and_does_not_hide_the_others(
    written: Path, tmp_path: Path, content: bytes, capsys
) -> None:
    other = tmp_path / "other"
    other.write_bytes(content)
    verdict = Verdict(capsys, Path(), path_of(written, 1), other, key_file=written / "verifier.vkey")
    assert verdict.code == 1
    (violation,) = verdict.report["violations"]
    assert violation["log"] == str(other)
    assert "cannot be read as a log" in violation["what"]
    assert [log["size"] for log in verdict.report["logs"]] == [5]


def test_a_log_that_was_emptied_is_missed(folder: Path, capsys) -> None:
    path_of(folder, 1).write_bytes(b"")
    verdict = Verdict(capsys, folder)
    assert verdict.code == 1
    assert any("is empty, although a signed head of it lies beside it" in what for what in verdict.whats)


def test_the_head_beside_a_log_counts_though_those_in_it_were_cut(folder: Path, capsys) -> None:
    with sqlite3.connect(path_of(folder, 2)) as db:
        db.execute("DELETE FROM record WHERE seq >= 3")
        db.execute("DELETE FROM checkpoint WHERE size > 3")
    db.close()
    verdict = Verdict(capsys, folder)
    assert verdict.code == 1
    assert "missing: a signed head covers 5 records, only 3 are here" in verdict.whats


def test_the_newest_log_cannot_be_deleted_while_its_head_lies_there(folder: Path, capsys) -> None:
    path_of(folder, 2).unlink()
    verdict = Verdict(capsys, folder)
    assert verdict.code == 1
    assert any("the log is missing" in what for what in verdict.whats)


@pytest.mark.parametrize("content", [b"", b"hello", b"\xff\xfe", b"name+00000000+AAAA"])
def test_a_key_that_is_none_is_an_error_that_names_its_file(
    written: Path, tmp_path: Path, content: bytes
) -> None:
    key = tmp_path / "some.vkey"
    key.write_bytes(content)
    with pytest.raises(click.ClickException, match=r"some\.vkey is not a verifier key"):
        run_verify(written, (), key_file=key, anchors=(), as_json=False)


def test_people_read_the_logs_first_and_the_verdict_last(folder: Path, capsys) -> None:
    with sqlite3.connect(path_of(folder, 1)) as db:
        db.execute("DELETE FROM record WHERE seq = 2")
    db.close()
    assert run_verify(folder, (), key_file=None, anchors=(), as_json=False) == 1
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith(f"{LOG}: 4 records, ")
    assert f"VIOLATION  {LOG}#2: missing: record 3 stands in its place" in said
    assert said[-1] == "violated"
    kinds = [line.split()[0] for line in said[2:-1]]
    assert kinds == sorted(kinds, key=["VIOLATION", "UNCHECKED", "note"].index)


# -- where nothing can be written -------------------------------------------------------------------


def _verified_read_only(folder: Path) -> tuple[int, str]:
    """What the command says of a data folder on a disk that cannot be written: a kept copy, say."""
    unless_permitted("unshare", "--mount", "mount", "--bind", "/tmp", "/tmp")
    locked = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" "$0" && exec "$@"'
    before = ("unshare", "--mount", "sh", "-c", locked, str(folder))
    return ringfence(folder, "audit", "verify", "--data-dir", str(folder), before=before)


def test_a_copy_on_a_disk_that_cannot_be_written_is_proven_all_the_same(folder: Path) -> None:
    code, said = _verified_read_only(folder.parent)
    assert code == 0, said
    assert said.splitlines()[-1] == "proven"
    assert "ringfence/r0/w0/000002: 5 records" in said


async def test_a_log_that_cannot_be_opened_there_is_unchecked_and_accuses_nobody(tmp_path: Path) -> None:
    journal = kit.opened(tmp_path)
    await journal.append(kit.refusal())
    copy = Path(shutil.copytree(tmp_path / "audit", tmp_path / "kept" / "audit")).parent
    await journal.close()
    for index in copy.rglob("*-shm"):
        index.unlink()
    code, said = await asyncio.to_thread(_verified_read_only, copy)
    assert code == 2, said
    assert "VIOLATION" not in said
    assert "cannot be opened where nothing can be written. Verify a copy of the folder elsewhere." in said
