"""`ringfence audit prune`: shows first, deletes on a second word, and refuses a period that is too short."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from proxy.cli import main
from proxy.cli._audit_prune import Period
from tests.cli.test_audit_proof import checked, handed_over
from tests.journal import kit
from tests.test_retention import epoch, path_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    async def write() -> None:
        for age in (800, 500, 100, 0):
            await epoch(tmp_path, age_days=age)

    asyncio.run(write())
    return tmp_path


def audit(folder: Path, command: str, *args: str) -> Result:
    return CliRunner().invoke(main, ["audit", command, "--data-dir", str(folder), *args])


def test_without_a_second_word_it_only_shows(folder: Path) -> None:
    result = audit(folder, "prune", "--keep", "400d")
    assert result.exit_code == 0, result.output
    head, *rows, last = result.stdout.splitlines()
    assert head.split()[:2] == ["LOG", "RECORDS"]
    assert [(row.split()[0], row.split()[-1]) for row in rows] == [
        ("ringfence/r0/w0/000001", "goes"), ("ringfence/r0/w0/000002", "goes"),
    ]  # fmt: skip
    assert last == "Nothing was deleted. To delete these for good, add --yes."
    assert path_of(folder, 1).exists()
    assert kit.records(folder, "prune") == []


def test_what_was_deleted_is_said_recorded_and_told_by_the_verifier(folder: Path) -> None:
    result = audit(folder, "prune", "--keep", "400d", "--yes")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1] == "Deleted 2 logs; what they were is recorded."
    verdict = audit(folder, "verify")
    assert verdict.exit_code == 0, verdict.output
    assert "ringfence/r0/w0/000001: pruned as ringfence/r0/prune/000001#1 says" in verdict.stdout
    assert verdict.stdout.splitlines()[-1] == "proven"
    again = audit(folder, "prune", "--keep", "400d", "--yes")
    assert again.stdout == "Nothing to delete.\n"


def test_a_proof_of_a_record_outlives_its_log(folder: Path) -> None:
    files = handed_over(folder, "ringfence/r0/w0/000001#1")
    assert audit(folder, "prune", "--keep", "400d", "--yes").exit_code == 0
    result = checked(*files)
    assert result.exit_code == 0, result.output
    assert "the record stands in ringfence/r0/w0/000001" in result.stdout


@pytest.mark.parametrize("keep", ["189d", "1d", "500ms"])
def test_a_period_below_what_the_law_may_ask_is_refused(folder: Path, keep: str) -> None:
    result = audit(folder, "prune", "--keep", keep, "--yes")
    assert result.exit_code == 2
    assert "190 days" in result.stderr
    assert path_of(folder, 1).exists()


def test_whoever_insists_on_a_short_period_is_in_the_log_with_it(folder: Path) -> None:
    result = audit(folder, "prune", "--keep", "50d", "--yes", "--unsafe-short")
    assert result.exit_code == 0, result.output
    assert not path_of(folder, 3).exists()
    opening = [r for r in kit.records(folder, "open") if "/prune/" in str(r["log"])]
    assert [record["unsafe"] for record in opening] == [["prune.unsafe_short"]]
    assert {record["keep_s"] for record in kit.records(folder, "prune")} == {50 * 86_400}


def test_the_least_period_needs_no_insisting(folder: Path) -> None:
    assert audit(folder, "prune", "--keep", "190d", "--yes", "--unsafe-short").exit_code == 0
    opening = [r for r in kit.records(folder, "open") if "/prune/" in str(r["log"])]
    assert ["unsafe" in record for record in opening] == [False]


def test_a_log_that_stays_is_shown_with_the_reason(folder: Path) -> None:
    path_of(folder, 1).write_bytes(b"no database" * 100)
    result = audit(folder, "prune", "--keep", "400d", "--yes")
    assert result.exit_code == 0, result.output
    assert "stays: it cannot be read" in result.stdout
    assert "Nothing to delete." in result.stdout
    assert path_of(folder, 2).exists()


def test_nothing_is_made_where_there_is_no_log(tmp_path: Path) -> None:
    result = audit(tmp_path / "empty", "prune", "--keep", "400d", "--yes")
    assert result.exit_code == 1
    assert "There is no audit log in" in result.stderr
    assert not (tmp_path / "empty").exists()


@pytest.mark.parametrize("text", ["400", "1y", "", "-400d", "d"])
def test_a_period_without_a_known_unit_is_wrong_usage(folder: Path, text: str) -> None:
    result = audit(folder, "prune", f"--keep={text}")
    assert result.exit_code == 2
    assert "must be a duration" in result.stderr


def test_periods_read_as_they_are_written() -> None:
    assert Period().convert("400d", None, None).days == 400
    assert Period().convert("36h", None, None).total_seconds() == 129_600
