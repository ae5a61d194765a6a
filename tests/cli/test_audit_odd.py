"""What nobody would type on purpose is answered in words, and so is what no honest writer has written."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from proxy.cli import main
from tests.journal import kit

LOG = "ringfence/r0/w0/000001"


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    folder: Path = tmp_path_factory.mktemp("odd")

    async def write() -> None:
        for _ in range(2):
            journal = kit.opened(folder)
            await journal.append(kit.refusal())
            await journal.close()

    asyncio.run(write())
    return folder


def audit(folder: Path, command: str, *args: str) -> Result:
    return CliRunner().invoke(main, ["audit", command, "--data-dir", str(folder), *args])


@pytest.mark.parametrize(
    "identifier",
    [f"{LOG}#99999999999999999999", f"{LOG}#{'1' * 5000}", f"ringfence/r0/w0/{'1' * 5000}#0", f"{LOG}#-1"],
)
def test_a_number_that_no_record_can_have_names_nothing(written: Path, identifier: str) -> None:
    result = audit(written, "show", identifier)
    assert result.exit_code == 1
    assert "Nothing is recorded under" in result.output


@pytest.mark.parametrize(
    "moment", ["99999999999d", "999999d", "0001-01-01T00:00+01:00", "9999-12-31T23:59:59-05:00"]
)
def test_a_time_before_or_after_all_times_is_wrong_usage(written: Path, moment: str) -> None:
    result = audit(written, "list", "--since", moment)
    assert result.exit_code == 2
    assert "is neither 2026-03-01T12:30:00 (UTC) nor an age" in result.output


@pytest.mark.parametrize("command", ["list", "tail"])
def test_fewer_than_none_is_wrong_usage(written: Path, command: str) -> None:
    assert audit(written, command, "-n", "-1").exit_code == 2
    assert audit(written, command, "-n", "0").exit_code in (0, 1)


def test_a_period_longer_than_any_log_is_wrong_usage(written: Path) -> None:
    result = audit(written, "prune", "--keep", "3000000d")
    assert result.exit_code == 2
    assert "is longer than a hundred years" in result.output


@pytest.mark.parametrize("content", [b"", b"{torn", b"[]", b'{"ringfence/r0/w0/000001": null}'])
def test_a_log_stays_while_nobody_can_tell_what_a_sink_has(written: Path, content: bytes) -> None:
    cursor = written / "audit/cursors/file.json"
    cursor.parent.mkdir(exist_ok=True)
    cursor.write_bytes(content)
    result = audit(written, "prune", "--keep", "0s", "--unsafe-short")
    assert result.exit_code == 0, result.output
    assert "the sink file has 0 of its 3 records" in result.output


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"kind":"refusal"}', b"\xff"])
def test_a_record_that_was_damaged_is_named_and_hides_no_other(written: Path, tmp_path: Path, body) -> None:
    folder = shutil.copytree(written, tmp_path / "copy")
    with sqlite3.connect(folder / f"audit/{LOG}.sqlite") as db:
        db.execute("UPDATE record SET body = ? WHERE seq = 1", (body,))
    db.close()
    words = f"{LOG}#1: not a record that can be read"
    assert f"{LOG}#1" in audit(folder, "show", f"{LOG}#1").output
    told = audit(folder, "tail")
    assert (told.exit_code, len(told.output.splitlines())) == (0, 6)
    assert words in told.output
    listed = audit(folder, "list")
    assert listed.exit_code == 0, listed.output
    assert len(listed.output.splitlines()) == (3 if b"refusal" in body else 2)
    assert "Nothing is recorded under" in audit(folder, "show", "nobody").output
