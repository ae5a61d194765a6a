"""A parent and its workers: real processes that do as little as a test needs."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pytest

from proxy.config import Settings
from proxy.core.errors import Mistake
from proxy.handover import Channel, Letter
from proxy.metrics import Metrics
from proxy.shares import shares_file
from proxy.supervisor import FIRST, Run, Supervisor, WorkerFailed

# -- what the workers of these tests run; each in a process of its own -----------------------------


def _serves(settings: Settings, name: str, end: socket.socket) -> None:
    """Answers each connection with its name, and keeps it until the client goes."""
    asyncio.run(_serving(settings, name, end))


async def _serving(settings: Settings, name: str, end: socket.socket, troubles: tuple[str, ...] = ()) -> None:
    stop, metrics = asyncio.Event(), Metrics()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    heard: list[socket.socket] = []

    def hear(letter: Letter, _body: bytes, connection: socket.socket | None) -> None:
        if letter is Letter.CONNECTION and connection is not None:
            heard.append(connection)
            metrics.rejects.add("bad_request")
            connection.setblocking(False)
            connection.send(name.encode())
            loop.add_reader(connection.fileno(), ended, connection)
        elif letter is Letter.LOOK:
            (settings.data_dir / f"{name}.looked").touch()
            channel.say(Letter.UP)
        elif letter is Letter.TELL:
            report = {"ready": not troubles, "troubles": troubles, "warnings": ["old file"], "revision": "r1"}
            channel.say(Letter.TOLD, orjson.dumps({**report, "log": name, "metrics": metrics.snapshot()}))

    def ended(connection: socket.socket) -> None:
        loop.remove_reader(connection.fileno())
        connection.close()
        channel.say(Letter.CLOSED)

    channel = Channel(end, hear, stop.set)
    if name == FIRST:
        channel.say(Letter.UP)
    await stop.wait()


def _in_trouble(settings: Settings, name: str, end: socket.socket) -> None:
    asyncio.run(_serving(settings, name, end, troubles=("no disk",) if name == "w1" else ()))


def _fails(_settings: Settings, _name: str, _end: socket.socket) -> None:
    raise SystemExit(3)


def _fails_the_second_time(settings: Settings, name: str, end: socket.socket) -> None:
    """Comes up, and once killed, fails once before it comes up again."""
    mark = settings.data_dir / f"{name}.starts"
    starts = int(mark.read_text()) + 1 if mark.exists() else 1
    mark.write_text(str(starts))
    if starts == 2:
        raise SystemExit(3)
    asyncio.run(_serving(settings, name, end))


def _never_comes_up(settings: Settings, name: str, end: socket.socket) -> None:
    (settings.data_dir / f"{name}.pid").write_text(str(os.getpid()))
    signal.pause()


def _ignores_its_end(settings: Settings, name: str, end: socket.socket) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    channel = end.dup()
    channel.send(Letter.UP.value)
    (settings.data_dir / f"{name}.pid").write_text(str(os.getpid()))
    while True:
        signal.pause()


# -- the parent, in this process -------------------------------------------------------------------


@asynccontextmanager
async def running(folder: Path, run: Run, **fields: object) -> AsyncIterator[tuple[Supervisor, int]]:
    """A supervisor that accepts; gives it and its port."""
    settings = Settings.model_validate({"data_dir": str(folder), "workers": 2, **fields})
    supervisor = Supervisor(settings, run)
    await supervisor.start()
    sock = socket.create_server(("127.0.0.1", 0))
    port = sock.getsockname()[1]
    async with asyncio.TaskGroup() as group:
        group.create_task(supervisor.run(sock))
        try:
            yield supervisor, port
        finally:
            supervisor.stop()


async def connect(port: int) -> tuple[str, asyncio.StreamWriter]:
    """A connection that stays open, and the name of the worker that has it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    return (await reader.readexactly(2)).decode(), writer


async def until(look: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while True:
            if look():
                return
            await asyncio.sleep(0.01)


async def warned(supervisor: Supervisor, *warnings: str) -> dict[str, object]:
    """The report, as soon as it warns of just this."""
    async with asyncio.timeout(30):
        while True:
            report = await supervisor.readiness()
            if report["warnings"] == list(warnings):
                return report
            await asyncio.sleep(0.01)


def pid_of(name: str) -> int:
    import multiprocessing

    (found,) = [each for each in multiprocessing.active_children() if each.name == name]
    assert found.pid is not None
    return found.pid


async def test_connections_go_to_the_least_busy(tmp_path: Path) -> None:
    async with running(tmp_path, _serves, workers=3) as (_, port):
        kept = [await connect(port) for _ in range(6)]
        assert sorted(name for name, _ in kept) == ["w0", "w0", "w1", "w1", "w2", "w2"]
        leaving = [writer for name, writer in kept if name == "w1"]
        for writer in leaving:
            writer.close()
            await writer.wait_closed()
        again: list[tuple[str, asyncio.StreamWriter]] = []
        async with asyncio.timeout(30):
            while [name for name, _ in again].count("w1") < 2:
                name, writer = await connect(port)
                if name == "w1":
                    again.append((name, writer))
                else:
                    writer.close()
                    await writer.wait_closed()
        for _, writer in [*kept, *again]:
            writer.close()


async def test_the_others_begin_only_when_the_first_is_up(tmp_path: Path) -> None:
    async with running(tmp_path, _serves, workers=3):
        assert sorted(path.name for path in tmp_path.glob("*.looked")) == ["w1.looked", "w2.looked"]


async def test_a_worker_that_cannot_start_fails_the_whole(tmp_path: Path) -> None:
    with pytest.raises(WorkerFailed, match="log lines above"):
        async with running(tmp_path, _fails):
            pass


async def test_a_killed_worker_is_replaced_and_another_serves_meanwhile(tmp_path: Path) -> None:
    async with running(tmp_path, _serves) as (supervisor, port):
        before = pid_of("w1")
        os.kill(before, signal.SIGKILL)
        report = await warned(supervisor, "old file", "w1: does not answer")
        assert report["ready"] is True
        assert (await connect(port))[0] == "w0"
        await warned(supervisor, "old file")
        assert pid_of("w1") != before


async def test_one_whose_replacement_fails_too_is_tried_again(tmp_path: Path) -> None:
    async with running(tmp_path, _fails_the_second_time) as (supervisor, _):
        os.kill(pid_of("w1"), signal.SIGKILL)
        await until(lambda: (tmp_path / "w1.starts").read_text() == "3")
        await warned(supervisor, "old file")


async def test_readiness_is_that_of_the_weakest_and_numbers_add_up(tmp_path: Path) -> None:
    async with running(tmp_path, _in_trouble) as (supervisor, port):
        report = await supervisor.readiness()
        assert report == {
            "ready": False, "troubles": ["w1: no disk"], "warnings": ["old file"], "revision": "r1",
        }  # fmt: skip
        kept = [await connect(port) for _ in range(4)]
        text = (await supervisor.metrics()).decode()
        assert 'ringfence_rejects_total{reason="bad_request"} 4.0' in text
        for _, writer in kept:
            writer.close()


async def test_many_may_ask_at_once(tmp_path: Path) -> None:
    async with running(tmp_path, _serves) as (supervisor, _):
        async with asyncio.timeout(1.5):
            reports = await asyncio.gather(*(supervisor.readiness() for _ in range(20)))
        assert all(report["ready"] for report in reports)


async def test_signals_are_heard_before_anybody_is_told_that_it_listens(tmp_path: Path) -> None:
    settings = Settings.model_validate({"data_dir": str(tmp_path), "workers": 2})
    supervisor = Supervisor(settings, _serves)
    await supervisor.start()
    heard = {signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT)}
    assert not heard & {signal.SIG_DFL, signal.default_int_handler}
    os.kill(os.getpid(), signal.SIGTERM)
    async with asyncio.timeout(30):
        await supervisor.run(socket.create_server(("127.0.0.1", 0)))


async def test_a_stop_while_workers_start_ends_all_of_them_and_is_no_failure(tmp_path: Path) -> None:
    settings = Settings.model_validate({"data_dir": str(tmp_path), "workers": 2})
    supervisor = Supervisor(settings, _never_comes_up)
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        starting = group.create_task(supervisor.start())
        await until(lambda: len(list(tmp_path.glob("*.pid"))) == 2)
        assert not starting.done()
        os.kill(os.getpid(), signal.SIGTERM)
    assert supervisor.stopping
    sock = socket.create_server(("127.0.0.1", 0))
    await supervisor.run(sock)
    assert sock.fileno() == -1
    for path in tmp_path.glob("*.pid"):
        with pytest.raises(ProcessLookupError):
            os.kill(int(path.read_text()), 0)


async def test_workers_end_when_their_parent_is_told_to(tmp_path: Path) -> None:
    async with running(tmp_path, _serves):
        pids = [pid_of("w0"), pid_of("w1")]
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


async def test_what_limits_are_counted_in_is_there_only_when_there_are_some(tmp_path: Path) -> None:
    async with running(tmp_path, _serves):
        assert not shares_file(tmp_path).exists()
    async with running(tmp_path, _serves, limits={"project:web": {"requests_per_minute": 1}}):
        assert shares_file(tmp_path).exists()


async def test_a_second_parent_on_the_same_folder_leaves_the_counts_of_the_first_in_their_place(
    tmp_path: Path,
) -> None:
    """A worker that is started anew would count in another file than its fellows."""
    limits = {"project:web": {"requests_per_minute": 1}}
    async with running(tmp_path, _serves, limits=limits):
        before = shares_file(tmp_path).stat().st_ino
        with pytest.raises(Mistake, match="data_dir of its own"):
            async with running(tmp_path, _serves, limits=limits):
                pass
        assert shares_file(tmp_path).stat().st_ino == before
    async with running(tmp_path, _serves, limits=limits):
        assert shares_file(tmp_path).stat().st_ino != before


async def test_a_worker_that_does_not_end_is_killed_at_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.supervisor._END_SECONDS", 0.3)
    monkeypatch.setattr("proxy.supervisor._LOOK_SECONDS", 0.05)
    async with running(tmp_path, _ignores_its_end, drain_deadline="100ms"):
        await until(lambda: len(list(tmp_path.glob("*.pid"))) == 2)
        pids = [int(path.read_text()) for path in tmp_path.glob("*.pid")]
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
