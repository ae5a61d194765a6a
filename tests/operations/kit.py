"""A client that does one thing at a time, and a look at the processes behind the port."""

from __future__ import annotations

import http.client
import json
import os
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.running import PATIENCE, Stage

MODEL = "example-us/atlas-1"


@dataclass
class Client:
    """One connection with one key."""

    stage: Stage
    project: str = "open"

    def __post_init__(self) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", self.stage.port, timeout=PATIENCE)

    def ask(self, text: str = "hello", *, stream: bool = False, **headers: str) -> http.client.HTTPResponse:
        """Send one chat request; what comes back has its head, and its body is still to be read."""
        body = {"model": MODEL, "messages": [{"role": "user", "content": text}], "stream": stream}
        sent = {
            "Authorization": f"Bearer {self.stage.keys[self.project]}",
            "Content-Type": "application/json",
        }
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.connection.request("POST", "/v1/chat/completions", json.dumps(body), {**sent, **named})
        return self.connection.getresponse()

    def status(self, text: str = "hello", **headers: str) -> int:
        """The status of one answer that was read to its end."""
        answer = self.ask(text, stream=False, **headers)
        answer.read()
        return answer.status

    def stream(self, name: str) -> http.client.HTTPResponse:
        """An answer that is under way: its first event has come, the second waits for `confirm`."""
        answer = self.ask(f"[[lockstep:{name}]][[words:3]]", stream=True)
        assert answer.status == 200, answer.read()
        event(answer)
        return answer

    def close(self) -> None:
        self.connection.close()


def event(answer: http.client.HTTPResponse) -> bytes:
    """The next server-sent event; b"" at the end."""
    text = b""
    while not text.endswith(b"\n\n"):
        line = answer.readline()
        if not line:
            break
        text += line
    return text


def finish(stage: Stage, answer: http.client.HTTPResponse, name: str) -> bytes:
    """Let a stream in lockstep run to its end, event by event."""
    text, number = b"", 1
    while True:
        stage.confirm(number, name)
        if not (found := event(answer)):
            return text
        text, number = text + found, number + 1


def refused(port: int) -> bool:
    """Whether nobody takes a new connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.connect()
    except ConnectionRefusedError:
        return True
    finally:
        connection.close()
    return False


def readiness(stage: Stage) -> tuple[int, dict[str, Any]]:
    """Status and report of `/readyz`, be it ready or not."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{stage.admin_port}/readyz") as reply:
            return reply.status, json.load(reply)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def workers(stage: Stage) -> dict[str, int]:
    """The process of each worker, by its name: who holds the lock of which log."""
    assert stage.process is not None
    found = {}
    for home in sorted((stage.folder / "data" / "audit").rglob("writer.lock")):
        for pid in children(stage.process.pid):
            if str(home) in opened(pid):
                found[home.parent.name] = pid
    return found


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    text = "".join(path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children") if path.exists())
    return [int(each) for each in text.split()]


def opened(pid: int) -> set[str]:
    """The files that a process has open."""
    found = set()
    try:
        for path in Path(f"/proc/{pid}/fd").iterdir():
            found.add(os.readlink(path))
    except FileNotFoundError:
        # The process, or a file of it, is gone since: whoever waits looks again.
        return set()
    return found
