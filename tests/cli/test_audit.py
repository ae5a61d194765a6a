"""`ringfence audit` on a real log: what an auditor types, and what he reads."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner, Result

from proxy.cli import main
from proxy.core import record
from proxy.journal import Clock
from tests.journal import kit

RIDS = [f"01890000-0000-7000-8000-00000000000{n}" for n in range(5)]


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    """Three requests that ended differently, one refused, one that a crash cut off, and a reject."""
    folder: Path = tmp_path_factory.mktemp("audit")

    async def write() -> None:
        journal = kit.opened(folder)
        for rid, end in zip(RIDS, ("complete", "client_gone", "timeout"), strict=False):
            await journal.append(kit.intent(rid))
            await journal.append(kit.outcome(rid, end))
        await journal.append(kit.refusal(RIDS[3]))
        journal.note(kit.reject())
        await journal.append(kit.intent(RIDS[4]))
        await journal.append(record.policy_load(Clock().stamp(), (), reason="unreadable", mistakes=2))
        await journal.close()
        await kit.opened(folder).close()

    asyncio.run(write())
    return folder


@pytest.fixture
def folder(written, tmp_path) -> Path:
    copy: Path = shutil.copytree(written, tmp_path / "copy")
    return copy


def audit(folder: Path, *args: str) -> Result:
    command, *rest = args
    return CliRunner().invoke(main, ["audit", command, "--data-dir", str(folder), *rest])


def shown(folder: Path, *args: str) -> list[dict]:
    result = audit(folder, *args, "--json")
    assert result.exit_code == 0, result.output
    return [orjson.loads(line) for line in result.stdout.splitlines()]


def rids(result: Result) -> list[str]:
    assert result.exit_code == 0, result.output
    return [line.split()[-1] for line in result.stdout.splitlines()[1:]]


def test_list_shows_one_line_per_request_newest_first_with_how_it_ended(written):
    result = audit(written, "list")
    assert rids(result) == RIDS[::-1]
    head, crashed, refused, timed_out, *_ = result.stdout.splitlines()
    assert head.split()[:3] == ["TIME", "(UTC)", "VERDICT"]
    assert "unknown_crash" in crashed
    assert "deny" in refused
    assert "unknown_model" in refused
    assert "timeout 200" in timed_out
    assert "design" in timed_out
    assert "openai/gpt-image-1" in timed_out


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        (["--effect", "deny"], [3]),
        (["--effect", "allow"], [4, 2, 1, 0]),
        (["--reason", "unknown_model"], [3]),
        (["--model", "openai/gpt-image-1"], [4, 2, 1, 0]),
        (["--project", "design", "-n", "2"], [4, 3]),
        (["--end", "timeout"], [2]),
        (["--end", "unknown_crash"], [4]),
        (["--end", "timeout", "--project", "design"], [2]),
        (["--since", "1h"], [4, 3, 2, 1, 0]),
    ],
)
def test_filters_narrow_the_list(written, filters, wanted):
    assert rids(audit(written, "list", *filters)) == [RIDS[n] for n in wanted]


@pytest.mark.parametrize(
    "filters",
    [
        ["--project", "other"],
        ["--until", "2020-01-01"],
        ["--since", "2999-01-01"],
        ["--end", "timeout", "--project", "other"],
    ],
)
def test_a_list_of_nothing_says_so(written, filters):
    result = audit(written, "list", *filters)
    assert result.exit_code == 0
    assert (result.stdout, result.stderr) == ("", "No request fits.\n")
    assert shown(written, "list", *filters) == []


def test_a_list_by_kind_shows_those_records(written):
    assert [r["kind"] for r in shown(written, "list", "--kind", "open", "--kind", "close")] == [
        "close", "open", "close", "open",
    ]  # fmt: skip


def test_json_is_the_very_record_that_was_hashed(written):
    result = audit(written, "show", RIDS[0], "--json")
    held = [e.body for e in kit.entries(written, rid=RIDS[0])]
    assert result.stdout.encode().splitlines() == held


def test_tail_shows_the_last_records_in_their_order(written):
    assert [r["kind"] for r in shown(written, "tail", "-n", "3")] == ["open", "outcome", "close"]
    lines = audit(written, "tail", "-n", "100").stdout.splitlines()
    assert len(lines) == len(kit.entries(written))
    assert any("unknown_key x1" in line for line in lines)
    assert any("not taken (unreadable)" in line for line in lines)
    assert [r["kind"] for r in shown(written, "tail", "--kind", "refusal")] == ["refusal"]


def test_show_explains_a_request_with_every_rule_and_its_end(written):
    page = audit(written, "show", RIDS[2]).stdout
    assert "training: asked forbidden; no training on customer data (catalogue)" in page
    assert "openai/gpt-image-1 (provider openai), as it was evaluated" in page
    assert "timeout" in page
    assert page.count("#") == 2


def test_show_finds_a_record_by_its_place_and_says_when_there_is_none(written):
    assert "(first)" not in audit(written, "show", "ringfence/r0/w0/000001#0").stdout
    result = audit(written, "show", "nobody")
    assert result.exit_code == 1
    assert "Nothing is recorded under nobody" in result.output


def test_what_a_terminal_would_obey_is_not_printed(folder):
    with sqlite3.connect(folder / "audit/ringfence/r0/w0/000001.sqlite") as db:
        body = orjson.dumps({**kit.refusal(RIDS[3]), "project": "\x1b[2Jdesign\u202e", "seq": 7, "log": "x"})
        db.execute("UPDATE record SET body = ? WHERE instr(body, CAST('\"refusal\"' AS BLOB))", (body,))
    db.close()
    for command in (["list"], ["tail", "-n", "99"], ["show", RIDS[3]]):
        out = audit(folder, *command).stdout
        assert "design" in out
        assert "\x1b" not in out
        assert "\u202e" not in out


def test_verify_proves_an_honest_log_and_says_what_it_does_not_prove(written):
    result = audit(written, "verify")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1] == "proven"
    assert "no checkpoint from elsewhere was given" in result.stdout
    assert "give --key with a copy that you got elsewhere" in result.stdout
    report = orjson.loads(audit(written, "verify", "--json").stdout)
    assert report["verdict"] == "proven"
    assert [log["covered"] == log["size"] for log in report["logs"]] == [True, True]


def test_verify_names_the_record_that_was_changed_and_exits_1(folder):
    path = folder / "audit/ringfence/r0/w0/000001.sqlite"
    with sqlite3.connect(path) as db:
        (body,) = db.execute("SELECT body FROM record WHERE seq = 5").fetchone()
        db.execute("UPDATE record SET body = ? WHERE seq = 5", (body.replace(b'"allow"', b'"deny"'),))
    db.close()
    result = audit(folder, "verify")
    assert result.exit_code == 1
    assert "VIOLATION  ringfence/r0/w0/000001#5: " in result.stdout
    assert result.stdout.splitlines()[-1] == "violated"


def test_an_export_verifies_with_the_key_and_the_heads_alone(written, tmp_path):
    exported = audit(written, "export", "--log", "ringfence/r0/w0/000001")
    file = tmp_path / "export.jsonl"
    file.write_bytes(exported.stdout_bytes)
    head = written / "audit/ringfence/r0/w0/000001.checkpoint"
    key = written / "audit/verifier.vkey"

    def verified(*more: str) -> Result:
        return CliRunner().invoke(main, ["audit", "verify", str(file), *more])

    # The crashed request ended in the second log, which this export does not hold.
    result = verified("--key", str(key), "--checkpoint", str(head))
    assert result.exit_code == 2
    (unchecked,) = [line for line in result.stdout.splitlines() if line.startswith("UNCHECKED")]
    assert f"request {RIDS[4]} has no outcome yet" in unchecked
    assert "signatures: no verifier key was given" in verified().stdout
    file.write_bytes(audit(written, "export").stdout_bytes)
    both = [
        "--checkpoint",
        str(head),
        "--checkpoint",
        str(written / "audit/ringfence/r0/w0/000002.checkpoint"),
    ]
    assert verified("--key", str(key), *both).exit_code == 0


def test_an_export_of_a_log_that_is_not_there_names_those_that_are(written):
    result = audit(written, "export", "--log", "x")
    assert result.exit_code == 1
    assert "ringfence/r0/w0/000001" in result.output


@pytest.mark.parametrize("content", [b"", b"no log\n", b"{}\n", b"SQLite format 3\x00 and no more"])
def test_verify_takes_no_foreign_file_for_proven(tmp_path, content):
    file = tmp_path / "file"
    file.write_bytes(content)
    assert CliRunner().invoke(main, ["audit", "verify", str(file)]).exit_code in (1, 2)


def test_a_wrong_key_file_is_an_error_in_words(written, tmp_path):
    result = audit(written, "verify", "--key", str(written / "audit/ringfence/r0/w0/000001.checkpoint"))
    assert result.exit_code == 1
    assert "is not a verifier key" in result.output


@pytest.mark.parametrize("command", [["list"], ["tail"], ["show", "x"], ["export"]])
def test_a_folder_without_a_log_is_an_error_that_says_what_to_do(tmp_path, command):
    result = audit(tmp_path, *command)
    assert result.exit_code == 1
    assert "Is --data-dir right?" in result.output


def test_verifying_nothing_proves_nothing(tmp_path):
    assert audit(tmp_path, "verify").exit_code == 2


def test_a_time_that_is_none_is_wrong_usage(written):
    result = audit(written, "list", "--since", "yesterday")
    assert result.exit_code == 2
    assert "15m, 2h, 7d" in result.output


def test_follow_shows_records_as_they_come(folder):
    code = "from proxy.cli import main; main()"
    env = {**os.environ, "PYTHONPATH": os.getcwd(), "PYTHONUNBUFFERED": "1"}
    arguments = [
        sys.executable,
        "-c",
        code,
        "audit",
        "tail",
        "-f",
        "-n",
        "1",
        "--json",
        "--data-dir",
        str(folder),
    ]
    child = subprocess.Popen(arguments, stdout=subprocess.PIPE, env=env)
    assert child.stdout is not None
    assert orjson.loads(child.stdout.readline())["kind"] == "close"

    async def write() -> None:
        journal = kit.opened(folder)
        await journal.append(kit.refusal(RIDS[0][:-1] + "f"))
        await journal.close()

    asyncio.run(write())
    kinds = [orjson.loads(child.stdout.readline())["kind"] for _ in range(3)]
    child.send_signal(signal.SIGTERM)
    child.wait()
    child.stdout.close()
    assert kinds == ["open", "refusal", "close"]


def test_the_verifier_loads_nothing_of_the_writer_or_its_stores():
    code = "import sys, proxy.cli._audit_verify; print(*sys.modules, sep='\\n')"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name for name in ran.stdout.split() if name.startswith("proxy.")}
    assert "proxy.core.verify" in loaded
    writers = ("proxy.journal", "proxy.stores", "proxy.core.record_form", "proxy.core.record_rows")
    assert not [name for name in loaded if name.startswith(writers) or name == "proxy.core.record"]
