"""the programs that are compared, and how each is started, pinned to its core and ended"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks import wire

BARE, BARE_UVLOOP, NGINX, RINGFENCE = "bare aiohttp", "bare aiohttp on uvloop", "nginx", "ringfence"
_REPOSITORY = Path(__file__).resolve().parent.parent
_LONGEST_START = 30.0
_LONGEST_STOP = 20.0


class NotStarted(Exception):
    """A program did not answer in time; its log says why."""


@dataclass(frozen=True, slots=True)
class Cores:
    """Which core carries the program under test, and which the load client and the mock."""

    proxy: int
    load: int

    @classmethod
    def choose(cls) -> Cores:
        """The first two cores that this program may use; the same one twice when there is only one."""
        usable = sorted(os.sched_getaffinity(0))
        return cls(usable[0], usable[min(1, len(usable) - 1)])


@dataclass(frozen=True, slots=True)
class Contestant:
    """A program to start: its name in the tables, its command, and the port on which it takes requests."""

    name: str
    argv: Sequence[str]
    port: int
    environment: dict[str, str] = field(default_factory=dict)


class Running:
    """A started program; leave the `with` block to end it and everything that it started."""

    def __init__(self, contestant: Contestant, core: int, log: Path) -> None:
        self.contestant = contestant
        self._log = log
        self._begin = time.monotonic()
        with log.open("ab") as sink:
            self._popen = subprocess.Popen(
                contestant.argv,
                cwd=_REPOSITORY,
                env=os.environ | contestant.environment,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                start_new_session=True,
                preexec_fn=lambda: os.sched_setaffinity(0, {core}),
            )

    @property
    def pid(self) -> int:
        """The first program of the tree."""
        return self._popen.pid

    def wait_until_it_answers(self) -> float:
        """Try a chat request every few milliseconds; the seconds from the start to the first 200."""
        while time.monotonic() - self._begin < _LONGEST_START:
            if self._popen.poll() is not None:
                break
            if _answers(self.contestant.port):
                return time.monotonic() - self._begin
            time.sleep(0.005)
        last = self._log.read_text(errors="replace")[-2000:]
        raise NotStarted(f"{self.contestant.name} did not answer a chat request. The end of its log:\n{last}")

    def end(self) -> None:
        """Ask it to end; after a while, insist."""
        if self._popen.poll() is None:
            self._popen.send_signal(signal.SIGTERM)
        try:
            self._popen.wait(_LONGEST_STOP)
        except subprocess.TimeoutExpired:
            os.killpg(self._popen.pid, signal.SIGKILL)
            self._popen.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()


def _answers(port: int) -> bool:
    body = wire.chat()
    request = wire.heads(port, len(body), fresh=False)() + body
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            connection.sendall(request)
            return connection.recv(16).startswith(b"HTTP/1.1 200 ")
    except OSError:
        return False


def free_port() -> int:
    """A port on loopback that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def upstream(models: Path) -> Contestant:
    """The mock gateway."""
    port = free_port()
    return Contestant("mock", _python("benchmarks.upstream", "--port", port, "--models", models), port)


def bare(upstream_port: int, *, on_uvloop: bool = False) -> Contestant:
    """The yardstick, or the same on uvloop."""
    port = free_port()
    more = ["--uvloop"] if on_uvloop else []
    argv = _python("benchmarks.passthrough", "--port", port, "--upstream", upstream_port, *more)
    return Contestant(BARE_UVLOOP if on_uvloop else BARE, argv, port)


def nginx(upstream_port: int, work: Path, program: str | None) -> Contestant | None:
    """nginx as a plain reverse proxy with kept-alive upstream connections, or None when there is none."""
    found = shutil.which(program or "nginx")
    if found is None:
        return None
    port = free_port()
    folder = work / "nginx"
    folder.mkdir(exist_ok=True)
    configuration = folder / "nginx.conf"
    configuration.write_text(_NGINX.format(folder=folder, port=port, upstream=upstream_port))
    argv = [found, "-e", f"{folder}/error.log", "-p", str(folder), "-c", str(configuration)]
    return Contestant(NGINX, argv, port)


def ringfence(config: Path, port: int, environment: dict[str, str]) -> Contestant:
    """The proxy under test, as an operator starts it."""
    return Contestant(RINGFENCE, _python("proxy", "serve", "--config", config), port, environment)


def watched(contestant: Contestant, report: Path) -> Contestant:
    """The same Python program with its event loop watched; the report is written when it ends."""
    python, dash_m, *rest = contestant.argv
    argv = [python, dash_m, "benchmarks.watched", str(report), *rest]
    return Contestant(contestant.name, argv, contestant.port, contestant.environment)


def _python(module: str, *arguments: object) -> list[str]:
    return [sys.executable, "-m", module, *map(str, arguments)]


_NGINX = """\
worker_processes 1;
daemon off;
pid {folder}/pid;
error_log {folder}/error.log warn;
events {{ worker_connections 16384; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  client_max_body_size 0;
  keepalive_requests 100000000;
  upstream mock {{ server 127.0.0.1:{upstream}; keepalive 512; keepalive_requests 100000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      proxy_pass http://mock;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
      proxy_request_buffering off;
      proxy_read_timeout 600s;
    }}
  }}
}}
"""
