"""A stop that comes while the proxy starts: as process 1 of a container, and as any other process."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import orjson
import pytest

from tests.doctor.setup import ENVIRON, sound
from tests.operations.kit import children
from tests.running import PATIENCE, eventually

PROMPT = 6.0
"""Seconds in which it must have ended; far below the ten that the first fetch may take."""
NAMESPACE = ("unshare", "--pid", "--fork", "--mount-proc")


@cache
def permitted(*words: str) -> bool:
    """Whether this machine lets us do that: to start something in namespaces of its own, mostly."""
    if shutil.which(words[0]) is None:
        return False
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


@dataclass
class Start:
    """A proxy that is starting before a gateway that takes connections and says nothing."""

    folder: Path
    process: subprocess.Popen[str]
    pid: int
    asked: Callable[[], bool]

    def hears(self, number: int) -> bool:
        """Whether the process has a handler for a signal; without one, process 1 never gets it."""
        return bool(self._mask("SigCgt") >> (number - 1) & 1)

    def _mask(self, name: str) -> int:
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1], 16)
        return 0

    def writes(self) -> bool:
        """Whether a log has been opened."""
        return bool(list((self.folder / "data").rglob("writer.lock")))

    def stop(self, number: int) -> None:
        os.kill(self.pid, number)

    def ended(self) -> tuple[int, str, float]:
        """Its code, what it said, and the seconds that it took."""
        since = time.monotonic()
        _, said = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, said, time.monotonic() - since


def unless_permitted(what: str, *words: str) -> None:
    """Skip, and say so."""
    if not permitted(*words):
        warnings.warn(f"NOT TESTED: {what}; unshare is not permitted here", stacklevel=2)
        pytest.skip(f"{' '.join(words)} is not permitted here")


@contextmanager
def starting(folder: Path, *, workers: int, first: bool) -> Iterator[Start]:
    """`first`: as process 1."""
    if first:
        unless_permitted("the proxy as process 1", *NAMESPACE, "true")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.setblocking(False)
        kept: list[socket.socket] = []

        def asked() -> bool:
            try:
                kept.append(silent.accept()[0])
            except BlockingIOError:
                return bool(kept)
            return True

        gateway = {"base_url": f"http://127.0.0.1:{silent.getsockname()[1]}"}
        sound(folder, gateway=gateway, workers=workers)
        words = [sys.executable, "-m", "proxy", "serve", "--config", str(folder / "config.yaml")]
        process = subprocess.Popen(
            [*(NAMESPACE if first else ()), *words, "--ports-file", str(folder / "ports.json")],
            env=environment(), stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            pid = eventually(lambda: children(process.pid))[0] if first else process.pid
            yield Start(folder, process, pid, asked)
        finally:
            if process.poll() is None and first:
                for child in children(process.pid):
                    os.kill(child, signal.SIGKILL)
            process.kill()
            process.communicate()
            for connection in kept:
                connection.close()


def environment() -> dict[str, str]:
    ours = ("RINGFENCE_", "OPPER_")
    return {**{name: value for name, value in os.environ.items() if not name.startswith(ours)}, **ENVIRON}


def kinds(folder: Path) -> list[list[str]]:
    """The kinds of the records of each log."""
    found = []
    for file in sorted((folder / "data").rglob("*.sqlite")):
        with sqlite3.connect(file) as db:
            rows = db.execute("SELECT body FROM record ORDER BY seq")
            found.append([orjson.loads(body)["kind"] for (body,) in rows])
    return found


def as_soon_as_it_hears(start: Start) -> None:
    assert eventually(lambda: start.hears(signal.SIGTERM) and start.hears(signal.SIGQUIT))


def while_it_loads(start: Start) -> None:
    as_soon_as_it_hears(start)
    time.sleep(0.15)


def when_its_log_is_opened(start: Start) -> None:
    assert eventually(start.writes)


def while_the_gateway_is_silent(start: Start) -> None:
    assert eventually(start.asked)


def a_second_into_the_silence(start: Start) -> None:
    assert eventually(start.asked)
    time.sleep(1.0)


MOMENTS = (
    as_soon_as_it_hears,
    while_it_loads,
    when_its_log_is_opened,
    while_the_gateway_is_silent,
    a_second_into_the_silence,
)


@pytest.mark.parametrize("moment", MOMENTS, ids=lambda each: each.__name__)
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("first", [True, False], ids=["as_process_1", "as_any_process"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_while_it_starts_ends_it_soon_with_0_and_it_never_listens(
    tmp_path: Path, number: int, first: bool, workers: int, moment: Callable[[Start], None]
) -> None:
    with starting(tmp_path, workers=workers, first=first) as start:
        moment(start)
        start.stop(number)
        code, said, seconds = start.ended()
    assert code == 0, said
    assert seconds < PROMPT
    assert '"listening"' not in said
    assert not (tmp_path / "ports.json").exists()
    assert all(log[-1] == "close" for log in kinds(tmp_path) if log), kinds(tmp_path)


def test_a_stop_is_heard_before_anything_that_takes_time_is_loaded() -> None:
    look = "import sys, proxy.cli.serve; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert not {"pydantic", "aiohttp", "asyncio", "tempfile"} & set(done.stdout.split())


@pytest.mark.parametrize("workers", [1, 2])
def test_a_look_at_the_files_that_is_asked_for_meanwhile_ends_nothing(tmp_path: Path, workers: int) -> None:
    with starting(tmp_path, workers=workers, first=False) as start:
        while_the_gateway_is_silent(start)
        start.stop(signal.SIGHUP)
        time.sleep(0.3)
        assert start.process.poll() is None
        start.stop(signal.SIGTERM)
        assert start.ended()[0] == 0


SILENT_NAMES = """
set -e
echo nameserver 127.0.0.1 > "$1/resolv.conf"
mount --bind "$1/resolv.conf" /etc/resolv.conf
ip link set lo up
"$2" -c 'import socket, time; s = socket.socket(2, 2); s.bind(("127.0.0.1", 53)); time.sleep(60)' &
exec "$2" -m proxy serve --config "$1/config.yaml"
"""


@pytest.mark.parametrize("workers", [1, 2])
def test_a_name_server_that_is_silent_holds_up_no_stop(tmp_path: Path, workers: int) -> None:
    apart = (*NAMESPACE, "--net")
    unless_permitted(
        "a silent name server", *apart, "sh", "-c", "mount --bind /tmp /tmp && ip link set lo up"
    )
    sound(tmp_path, gateway={"base_url": "https://gateway.example.org"}, workers=workers)
    process = subprocess.Popen(
        [*apart, "sh", "-c", SILENT_NAMES, "sh", str(tmp_path), sys.executable],
        env=environment(), stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    start = Start(tmp_path, process, eventually(lambda: children(process.pid))[0], lambda: False)
    try:
        assert eventually(start.writes)
        time.sleep(1.5)
        start.stop(signal.SIGTERM)
        code, said, seconds = start.ended()
    finally:
        if process.poll() is None:
            start.stop(signal.SIGKILL)
            process.communicate()
    assert code == 0, said
    assert seconds < PROMPT
    assert all(log[-1] == "close" for log in kinds(tmp_path))
