"""`audit proof` and `audit check-proof`: one record, handed over and believed without the log."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from proxy.cli import main
from proxy.cli._audit_proof import check_proof
from proxy.core.checkpoint import parse_proof
from tests.journal import kit

RIDS = [f"01890000-0000-7000-8000-00000000000{n}" for n in range(4)]
LOG = "ringfence/r0/w0/000001"


async def write(folder: Path) -> None:
    journal = kit.opened(folder, checkpoint_every=1000, checkpoint_interval="1h")
    for rid in RIDS[:3]:
        await journal.append(kit.refusal(rid))
    await journal.append(kit.intent(RIDS[3]))
    await journal.append(kit.outcome(RIDS[3]))
    await journal.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    asyncio.run(write(tmp_path))
    return tmp_path


def audit(folder: Path, *args: str) -> Result:
    command, *rest = args
    return CliRunner().invoke(main, ["audit", command, "--data-dir", str(folder), *rest])


def handed_over(folder: Path, identifier: str) -> tuple[Path, Path, Path]:
    """The proof, the record and the key as files, and nothing else of the folder."""
    away = folder / "away"
    away.mkdir(exist_ok=True)
    files = away / "record.proof", away / "record.json", away / "example.vkey"
    files[0].write_bytes(audit(folder, "proof", identifier).stdout_bytes)
    files[1].write_bytes(audit(folder, "show", identifier, "--json").stdout_bytes)
    files[2].write_bytes((folder / "audit/verifier.vkey").read_bytes())
    return files


def checked(proof: Path, record: Path, key: Path) -> Result:
    return CliRunner().invoke(check_proof, [str(proof), "--record", str(record), "--vkey", str(key)])


@pytest.mark.parametrize("identifier", [RIDS[0], f"{LOG}#0", f"{LOG}#4", f"{LOG}#6"])
def test_a_record_is_proven_to_whoever_has_nothing_of_the_log(folder: Path, identifier: str) -> None:
    result = checked(*handed_over(folder, identifier))
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"proven: the record stands in {LOG} under a head over 7 records")
    assert "signed by ringfence+" in result.stdout


def test_the_proof_is_text_of_the_public_form(folder: Path) -> None:
    text = audit(folder, "proof", RIDS[1]).stdout
    assert text.splitlines()[:2] == ["c2sp.org/tlog-proof@v1", "index 2"]
    assert parse_proof(text.encode()).index == 2


def test_a_record_is_proven_after_a_trip_through_an_editor_that_ends_lines(folder: Path) -> None:
    proof, record, key = handed_over(folder, RIDS[0])
    record.write_bytes(record.read_bytes().rstrip(b"\n"))
    assert checked(proof, record, key).exit_code == 0
    record.write_bytes(record.read_bytes() + b"\r\n")
    assert checked(proof, record, key).exit_code == 0


def changed(path: Path, old: bytes, new: bytes) -> None:
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new, 1))


def test_a_record_with_another_word_is_not_proven(folder: Path) -> None:
    proof, record, key = handed_over(folder, RIDS[0])
    changed(record, b'"effect":"deny"', b'"effect":"allow"')
    result = checked(proof, record, key)
    assert result.exit_code == 1
    assert "NOT PROVEN: the signed log holds another record in that place" in result.stderr


def test_the_proof_of_another_record_is_not_taken(folder: Path) -> None:
    _, record, key = handed_over(folder, RIDS[0])
    held = record.read_bytes()
    other, _, _ = handed_over(folder, RIDS[1])
    record.write_bytes(held)
    result = checked(other, record, key)
    assert result.exit_code == 1
    assert f"the record is {LOG}#1, but the proof is of {LOG}#2" in result.stderr


def test_a_head_that_claims_more_records_is_not_taken(folder: Path) -> None:
    proof, record, key = handed_over(folder, RIDS[0])
    changed(proof, f"{LOG}\n7\n".encode(), f"{LOG}\n8\n".encode())
    assert "signature by ringfence is not valid" in checked(proof, record, key).stderr


def test_another_deployments_key_proves_nothing(folder: Path, tmp_path: Path) -> None:
    proof, record, key = handed_over(folder, RIDS[0])
    asyncio.run(write(tmp_path / "other"))
    key.write_bytes((tmp_path / "other/audit/verifier.vkey").read_bytes())
    result = checked(proof, record, key)
    assert (result.exit_code, "NOT PROVEN: the note has no signature by" in result.stderr) == (1, True)


@pytest.mark.parametrize("content", [b"", b"hello", b"\xff\xfe", b"name+id+key"])
@pytest.mark.parametrize("place", [0, 1, 2], ids=["proof", "record", "key"])
def test_a_file_that_is_something_else_is_an_error_in_words(folder: Path, place: int, content: bytes) -> None:
    files = handed_over(folder, RIDS[0])
    files[place].write_bytes(content)
    result = checked(*files)
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: NOT PROVEN: ")
    assert result.exception is None or isinstance(result.exception, SystemExit)


def test_an_id_of_several_records_asks_which(folder: Path) -> None:
    result = audit(folder, "proof", RIDS[3])
    assert result.exit_code == 1
    assert f"names 2 records; name one of them:\n  {LOG}#4  intent\n  {LOG}#5  outcome" in result.stderr


def test_an_id_of_nothing_says_so(folder: Path) -> None:
    result = audit(folder, "proof", "01890000-0000-7000-8000-0000000000ff")
    assert result.exit_code == 1
    assert "Nothing is recorded under" in result.stderr


async def test_a_record_that_no_head_covers_yet_has_no_proof_yet(tmp_path: Path) -> None:
    journal = kit.opened(tmp_path, checkpoint_every=1000, checkpoint_interval="1h")
    await journal.append(kit.refusal(RIDS[0]))
    result = await asyncio.to_thread(audit, tmp_path, "proof", RIDS[0])
    await journal.close()
    assert result.exit_code == 1
    assert "does not cover number 1 of 2" in result.stderr
    assert "audit.checkpoint_interval" in result.stderr
    assert audit(tmp_path, "proof", RIDS[0]).exit_code == 0


def test_no_proof_is_made_of_a_log_that_was_changed(folder: Path) -> None:
    with sqlite3.connect(folder / f"audit/{LOG}.sqlite") as db:
        (body,) = db.execute("SELECT body FROM record WHERE seq = 1").fetchone()
        db.execute("UPDATE record SET body = ? WHERE seq = 1", (body.replace(b'"deny"', b'"allow"'),))
    db.close()
    result = audit(folder, "proof", RIDS[1])
    assert result.exit_code == 1
    assert "does not fit its signed head" in result.stderr
    assert "ringfence audit verify" in result.stderr
