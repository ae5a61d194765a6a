"""One worker: what it calls trouble, and that nothing that fails beside requests takes the log along."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from proxy import ids, months
from proxy.handover import MOST_BYTES
from proxy.simulator import Options, Simulator
from proxy.wiring import Assembly, assemble
from proxy.worker import Worker
from tests.doctor.setup import ENVIRON, POLICY, sound


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPPER_API_KEY", ENVIRON["OPPER_API_KEY"])


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(Options(keys=frozenset({ENVIRON["OPPER_API_KEY"]}))) as running:
        yield running


def assembled(folder: Path, base_url: str, **config: Any) -> Assembly:
    return assemble(sound(folder, gateway={"base_url": base_url}, **config))


def kinds(folder: Path) -> list[str]:
    (file,) = (folder / "data" / "audit").rglob("*.sqlite")
    with sqlite3.connect(file) as db:
        return [orjson.loads(body)["kind"] for (body,) in db.execute("SELECT body FROM record ORDER BY seq")]


async def ended(worker: Worker) -> None:
    worker.stop()
    await worker.run()


async def _held(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    """Keep silent for as long as the other side stays."""
    while await reader.read(65_536):
        pass


async def test_a_worker_with_a_fresh_catalogue_is_ready_and_its_log_is_closed(
    tmp_path: Path, simulator: Simulator
) -> None:
    parts = assembled(tmp_path, simulator.base_url)
    worker = Worker(parts, refreshes=True, stops=())
    await worker.start()
    report = worker.report()
    assert (report["ready"], report["troubles"], report["warnings"]) == (True, [], [])
    assert report["log"] == "ringfence/r0/w0/000001"
    await ended(worker)
    assert worker.report()["troubles"][0] == "draining"
    assert kinds(tmp_path)[0] == "open"
    assert kinds(tmp_path)[-1] == "close"


async def test_spend_that_cannot_be_written_down_does_not_keep_the_log_from_its_end(
    tmp_path: Path, simulator: Simulator
) -> None:
    limits = {"project:web": {"monthly_spend_usd": 5}}
    parts = assembled(tmp_path, simulator.base_url, limits=limits)
    worker = Worker(parts, refreshes=True, stops=())
    await worker.start()
    shutil.rmtree(tmp_path / "data" / "spend", ignore_errors=True)
    (tmp_path / "data" / "spend").write_text("no folder any more")
    parts.limits.restore("project:web", months.month_of(ids.now()), 1)
    await ended(worker)
    assert kinds(tmp_path)[-1] == "close"


async def test_a_sink_that_hangs_holds_up_the_end_for_a_while_only(
    tmp_path: Path, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.worker._SINKS_SECONDS", 0.2)
    pipe = tmp_path / "nobody reads"
    os.mkfifo(pipe)
    parts = assembled(tmp_path, simulator.base_url, sinks={"file": {"path": str(pipe)}})
    worker = Worker(parts, refreshes=True, stops=())
    await worker.start()
    async with asyncio.timeout(10):
        await ended(worker)
    assert kinds(tmp_path)[-1] == "close"
    # Its thread may go on now, and end.
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    assert parts.feeds[0].stop(10)
    os.close(reader)


async def test_memory_is_settled_once_the_catalogue_is_there(
    tmp_path: Path, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts, ages = assembled(tmp_path, simulator.base_url), list[float]()
    worker = Worker(parts, refreshes=True, stops=())
    monkeypatch.setattr("proxy.worker.settle", lambda: ages.append(worker.catalogue_age()))
    await worker.start()
    (age,) = ages
    assert age < parts.settings.catalog.max_age
    await ended(worker)


async def test_a_gateway_that_keeps_silent_holds_up_no_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.worker._FIRST_FETCH", 0.05)
    silent = await asyncio.start_server(_held, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    worker = Worker(assembled(tmp_path, f"http://127.0.0.1:{port}"), refreshes=True, stops=())
    async with asyncio.timeout(10):
        await worker.start()
    await ended(worker)
    silent.close()


async def test_a_stop_is_not_held_up_by_a_gateway_that_keeps_silent(tmp_path: Path) -> None:
    silent = await asyncio.start_server(_held, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    worker = Worker(assembled(tmp_path, f"http://127.0.0.1:{port}"), refreshes=True, stops=())
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        starting = group.create_task(worker.start())
        await asyncio.sleep(0.1)
        assert not starting.done()
        for _ in range(3):
            worker.stop()
    assert worker.stopping
    await worker.run()
    assert kinds(tmp_path)[-1] == "close"
    silent.close()


async def test_a_catalogue_that_is_too_old_is_a_trouble_that_says_what_to_do(tmp_path: Path) -> None:
    parts = assembled(tmp_path, "http://127.0.0.1:9", catalog={"refresh_every": "1s", "max_age": "1s"})
    worker = Worker(parts, refreshes=False, stops=())
    assert any("ringfence catalog sync" in words for words in worker.troubles())
    await ended(worker)


async def test_a_catalogue_from_the_future_is_a_trouble_that_says_what_to_do(
    tmp_path: Path, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock that was set back leaves nothing of it to be believed, and every request refused."""
    worker = Worker(assembled(tmp_path, simulator.base_url), refreshes=True, stops=())
    await worker.start()
    real = ids.now
    monkeypatch.setattr("proxy.ids.now", lambda: real() - timedelta(days=30))
    (trouble,) = worker.troubles()
    assert "correct the clock" in trouble
    monkeypatch.undo()
    await ended(worker)


async def test_an_open_breaker_is_a_trouble(tmp_path: Path, simulator: Simulator) -> None:
    from time import monotonic

    parts = assembled(tmp_path, simulator.base_url)
    worker = Worker(parts, refreshes=True, stops=())
    await worker.start()
    while not parts.breaker.is_open:
        assert parts.breaker.admits(monotonic())
        parts.breaker.failed(monotonic())
    assert worker.troubles() == ["the gateway does not answer"]
    await ended(worker)


async def test_of_many_mistakes_the_first_are_told_and_the_others_counted(
    tmp_path: Path, simulator: Simulator
) -> None:
    """Workers tell their parent in one message, and one that is too long would not arrive."""
    worker = Worker(assembled(tmp_path, simulator.base_url), refreshes=True, stops=())
    await worker.start()
    wrong = "".join(f"wrong_{number}_{'x' * 600}: 1\n" for number in range(1000))
    (tmp_path / "policies" / "open.yaml").write_text(POLICY + wrong)
    worker.look()
    first, *others, last = worker.warnings()
    assert "wrong_0_x" in first
    assert last == f"and {1000 - 1 - len(others)} more mistakes: correct these first"
    assert len(orjson.dumps(worker.report())) < MOST_BYTES / 4
    await ended(worker)


async def test_a_file_that_cannot_be_taken_is_a_warning_and_no_trouble(
    tmp_path: Path, simulator: Simulator
) -> None:
    worker = Worker(assembled(tmp_path, simulator.base_url), refreshes=True, stops=())
    await worker.start()
    (tmp_path / "policies" / "open.yaml").write_text(POLICY + "x: {\n")
    worker.look()
    assert any("open.yaml" in words for words in worker.warnings())
    assert worker.troubles() == []
    await ended(worker)


async def test_a_connection_that_comes_when_the_end_has_begun_is_given_back(
    tmp_path: Path, simulator: Simulator
) -> None:
    import socket

    worker = Worker(assembled(tmp_path, simulator.base_url), refreshes=False, stops=())
    client, server = socket.socketpair()
    closed = []
    worker.stop()
    worker.take(server, None, lambda: closed.append(True))
    assert closed == [True]
    assert client.recv(1) == b""
    client.close()
    await worker.run()


async def test_a_watch_that_fails_ends_the_worker_and_closes_its_log(
    tmp_path: Path, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = assembled(tmp_path, simulator.base_url)

    async def fails(_every: float) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(parts.revisions, "watch", fails)
    worker = Worker(parts, refreshes=False, stops=())
    await worker.start()
    async with asyncio.timeout(30):
        with pytest.raises(ExceptionGroup):
            await worker.run()
    assert kinds(tmp_path)[-1] == "close"


async def test_a_watch_goes_on_after_what_passes(
    tmp_path: Path, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.worker._AFTER_FAILURE", 0.0)
    parts = assembled(tmp_path, simulator.base_url)
    worker = Worker(parts, refreshes=False, stops=())
    times: list[float] = []

    async def fails_twice(every: float) -> None:
        times.append(every)
        if len(times) < 3:
            raise OSError(24, "Too many open files")
        worker.stop()
        await asyncio.Event().wait()

    monkeypatch.setattr(parts.revisions, "watch", fails_twice)
    await worker.start()
    async with asyncio.timeout(30):
        await worker.run()
    assert len(times) == 3
