"""Policies, attestations and catalogues that are broken, vanish, or change under load; signals under load."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.faults.kit import MODEL, Broken, ask, broken, code, holds, stage_settled, status, until
from tests.running import POLICIES, eventually

LAX = POLICIES["open"]
STRICT = LAX.replace(
    "require: {training: forbidden}", "require: {training: forbidden, inference_location: {within: [EU]}}"
)


async def _load(stage: Broken, answers: list[Any], stop: asyncio.Event) -> None:
    while not stop.is_set():
        answers.append(await ask(stage))


@pytest.mark.fault("F40")
async def test_a_policy_swapped_under_load_fails_no_request_and_each_names_one_revision(
    tmp_path: Path,
) -> None:
    with broken(tmp_path / "proxy") as stage:
        answers, stop = list[Any](), asyncio.Event()
        clients = [asyncio.ensure_future(_load(stage, answers, stop)) for _ in range(8)]
        file = stage.folder / "policies" / "open.yaml"
        for number in range(12):
            beside = file.with_suffix(".new")
            beside.write_text(STRICT if number % 2 == 0 else LAX, encoding="utf-8")
            beside.replace(file)
            stage.signal(signal.SIGHUP)
            await asyncio.sleep(0.25)
        stop.set()
        await asyncio.gather(*clients)
        found = Counter((status(answer), code(answer)) for answer in answers)
        assert set(found) == {(200, ""), (403, "requirement_unmet")}
        eventually(lambda: stage_settled(stage))
        judged = [record for record in stage.records() if record["kind"] in ("intent", "refusal")]
        revisions = {record["revision"] for record in judged}
        assert len(revisions) >= 2
        # A revision judges alike, whoever asks: one digest per verdict, never both.
        by_policy = {(record["policy"][0]["digest"], record["effect"]) for record in judged}
        assert len(by_policy) == len({digest for digest, _ in by_policy}) == 2
        holds(stage)


BROKEN_FILES = {
    "broken": "policy: open\nrequire: [\n",
    "empty": "",
    "half written": LAX[: len(LAX) // 2],
    "wider": LAX.replace("training: forbidden", "trainnig: forbidden"),
}


@pytest.mark.fault("F41")
@pytest.mark.parametrize("text", BROKEN_FILES.values(), ids=BROKEN_FILES.keys())
async def test_a_file_that_cannot_be_taken_leaves_the_old_revision_and_is_recorded(
    tmp_path: Path, text: str
) -> None:
    with broken(tmp_path / "proxy") as stage:
        assert status(await ask(stage)) == 200
        (stage.folder / "policies" / "open.yaml").write_text(text, encoding="utf-8")
        stage.signal(signal.SIGHUP)
        eventually(lambda: [r for r in stage.records() if r["kind"] == "policy_load" and not r["ok"]])
        answered = await ask(stage)
        assert status(answered) == 200, "the old revision is no longer in force"
        assert stage.ready()["warnings"]
        (stage.folder / "policies" / "open.yaml").write_text(LAX, encoding="utf-8")
        eventually(lambda: not stage.ready()["warnings"])
        holds(stage)


@pytest.mark.fault("F42")
@pytest.mark.parametrize("what", ["vanished", "a loop of links", "a folder", "not text"])
async def test_a_proxy_without_a_policy_that_can_be_read_does_not_start(tmp_path: Path, what: str) -> None:
    with broken(tmp_path / "proxy", starts=False) as stage:
        folder = stage.folder / "policies"
        for file in folder.iterdir():
            file.unlink()
        file = folder / "open.yaml"
        if what == "a loop of links":
            file.symlink_to(file)
        elif what == "a folder":
            file.mkdir()
        elif what == "not text":
            file.write_bytes(b"\xff\xfe\x00policy")
        process = stage.spawn()
        assert await asyncio.to_thread(process.wait, 30) == 3
        assert "policies" in stage.said() or "open.yaml" in stage.said()


@pytest.mark.fault("F42")
async def test_a_policy_file_that_may_not_be_read_does_not_start_the_proxy(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        cage = ["setpriv", "--reuid=65534", "--clear-groups"]
    else:
        cage = []
    with broken(tmp_path / "proxy", prefix=cage, starts=False) as stage:
        (stage.folder / "policies" / "open.yaml").chmod(0)
        process = stage.spawn()
        assert await asyncio.to_thread(process.wait, 30) != 0
        assert not stage.seen


# -- the catalogue ---------------------------------------------------------------------------------


@pytest.mark.fault("F43")
async def test_a_catalogue_that_has_grown_old_denies_everything(tmp_path: Path) -> None:
    old = {"catalog": {"max_age": "3s", "refresh_every": "3s"}}
    with broken(tmp_path / "proxy", config=old) as stage:
        assert status(await ask(stage)) == 200
        stage.fault("status", path="/v3/models", status=500, times=-1)
        await until(lambda: _is(stage, (403, "catalogue_stale")), seconds=15)
        seen = len(stage.seen)
        assert status(await ask(stage)) == 403
        assert len(stage.seen) == seen
        assert "too old" in str(_ready(stage))
        stage.forget()
        await until(lambda: _is(stage, (200, "")), seconds=15)


@pytest.mark.fault("F43")
@pytest.mark.parametrize(
    "body",
    [b'{"models":[],"total":0}', b'{"models":', b"[]", b'{"models":[{"id":"x/y"}],"total":500}'],
    ids=["empty", "half", "another shape", "incomplete"],
)
async def test_an_answer_that_is_no_whole_catalogue_leaves_the_last_good_one(
    tmp_path: Path, body: bytes
) -> None:
    often = {"catalog": {"refresh_every": "1s"}}
    with broken(tmp_path / "proxy", config=often) as stage:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
        stage.fault("raw", path="/v3/models", data=(head + body).decode("latin-1"), times=-1)
        eventually(lambda: "catalogue_kept" in stage.said())
        assert status(await ask(stage)) == 200
        holds(stage)


@pytest.mark.fault("F43")
async def test_rows_that_contradict_each_other_claim_nothing(tmp_path: Path) -> None:
    often = {"catalog": {"refresh_every": "1s"}}
    with broken(tmp_path / "proxy", config=often) as stage:
        assert status(await ask(stage)) == 200
        stage._call(_contradict, stage)
        await until(lambda: _is(stage, (403, "requirement_unknown")), seconds=15)


def _contradict(stage: Broken) -> None:
    """Say of the route once more that it trains."""
    rows = stage.simulator.rows.rows
    row = next(row for row in rows if row["id"] == MODEL)
    rows.append({**row, "compliance": {**row["compliance"], "training": True}})


async def _is(stage: Broken, wanted: tuple[int, str]) -> bool:
    answered = await ask(stage)
    return (status(answered), code(answered)) == wanted


def _ready(stage: Broken) -> Any:
    from tests.faults.test_disk import _readiness

    return _readiness(stage)


# -- signals ---------------------------------------------------------------------------------------


@pytest.mark.fault("F38")
async def test_an_orderly_end_under_load_lets_open_answers_end_and_loses_no_record(tmp_path: Path) -> None:
    with broken(tmp_path / "proxy", config={"drain_deadline": "10s"}) as stage:
        stage.fault("delay", delay_ms=600, times=-1)
        asked = [asyncio.ensure_future(ask(stage)) for _ in range(30)]
        await until(lambda: _sees(stage, 30))
        stage.signal(signal.SIGTERM)
        assert [status(await each) for each in asked] == [200] * 30
        assert stage.process is not None
        assert await asyncio.to_thread(stage.process.wait, 30) == 0
        assert stage.records()[-1]["kind"] == "close"
        holds(stage)


@pytest.mark.fault("F39")
@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
async def test_a_second_signal_is_faster_and_still_writes_every_outcome(
    tmp_path: Path, second: signal.Signals
) -> None:
    with broken(tmp_path / "proxy", config={"drain_deadline": "60s"}) as stage:
        stage.fault("stall", after=0, times=-1)
        asked = [asyncio.ensure_future(ask(stage)) for _ in range(10)]
        await until(lambda: _sees(stage, 10))
        stage.signal(signal.SIGTERM)
        await asyncio.sleep(0.3)
        stage.signal(second)
        assert stage.process is not None
        assert await asyncio.to_thread(stage.process.wait, 20) == 0
        await asyncio.gather(*asked)
        ends = Counter(record["end"] for record in stage.records() if record["kind"] == "outcome")
        assert sum(ends.values()) == 10
        assert set(ends) <= {"shutdown", "client_gone"}
        holds(stage)


async def _sees(stage: Broken, number: int) -> bool:
    return len(stage.seen) >= number
