"""What a log keeps for searches and restarts is no secret place to hide a record in."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from pathlib import Path

import orjson
import pytest

from tests.cli.test_audit_verify import Verdict, path_of
from tests.journal import kit


@pytest.fixture(scope="module")
def asked(tmp_path_factory) -> Path:
    """A log with requests of which one has no outcome under the first head that covers it."""
    folder: Path = tmp_path_factory.mktemp("asked")

    async def write() -> None:
        journal = kit.opened(folder)
        rids = []
        for _ in range(3):
            draft = kit.intent()
            rids.append(str(draft["rid"]))
            await journal.append(draft)
        await journal.append(kit.refusal())
        await asyncio.sleep(0.3)
        for rid in rids:
            journal.submit(kit.outcome(rid))
        await journal.close()

    asyncio.run(write())
    return folder / "audit"


@pytest.fixture
def folder(asked: Path, tmp_path: Path) -> Path:
    copy: Path = shutil.copytree(asked, tmp_path / "audit")
    return copy


def edit(folder: Path, name: str, value: object) -> None:
    """Writes another value into every summary that is not of nothing."""
    with sqlite3.connect(path_of(folder)) as db:
        for size, text in db.execute("SELECT size, holds FROM checkpoint").fetchall():
            changed = orjson.dumps({**orjson.loads(text), name: value})
            db.execute("UPDATE checkpoint SET holds = ? WHERE size = ?", (changed, size))
    db.close()


def test_what_an_honest_writer_keeps_leaves_nothing_out(folder: Path, capsys) -> None:
    assert Verdict(capsys, folder).code == 0


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("words", [], "for searches leaves record 0 out"),
        ("t", ["2031", "2032"], "for searches leaves record 0 out"),
        ("rid", ["~", ""], "for searches leaves record"),
        ("open", [], "for a restart leaves the request of record"),
    ],
)
def test_a_summary_that_leaves_a_record_out_is_a_violation(
    folder: Path, capsys, name: str, value: object, words: str
) -> None:
    edit(folder, name, value)
    verdict = Verdict(capsys, folder)
    assert verdict.code == 1
    assert len(verdict.whats) == 1
    assert words in verdict.whats[0]


@pytest.mark.parametrize(
    ("name", "value"), [("words", None), ("t", ["", "~"]), ("rid", ["", "~"]), ("words", 7), ("first", "x")]
)
def test_a_summary_that_hides_nothing_accuses_nobody(folder: Path, capsys, name: str, value: object) -> None:
    edit(folder, name, value)
    assert Verdict(capsys, folder).code == 0
