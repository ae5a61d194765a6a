"""What the fault tests share: a proxy whose surroundings can be broken, requests, and the audit's promise.

`broken()` starts the product as a process of its own before a real simulator; what goes wrong is up to
the test. `holds()` is the promise that no fault may break.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests import running
from tests.bypass.attempt import Answered, attempt
from tests.bypass.cases import Step
from tests.running import PATIENCE, POLICIES, Stage, eventually

MODEL = "example-us/atlas-1"


@dataclass
class Broken(Stage):
    """A stage whose proxy can be killed, started again, and started in a cage. `prefix` is that cage."""

    prefix: Sequence[str] = ()

    def start(self) -> None:
        """Start the proxy, under its prefix, and wait until it listens."""
        ports = self.folder / "ports.json"
        ports.unlink(missing_ok=True)
        self.process = self.spawn("--ports-file", str(ports))
        process = self.process
        eventually(lambda: ports.exists() or process.poll() is not None)
        if not ports.exists():
            raise RuntimeError(f"the proxy did not start:\n{self.said()}")
        found = json.loads(ports.read_text())
        self.port, self.admin_port = found["port"], found["admin_port"]

    def spawn(self, *words: str) -> subprocess.Popen[bytes]:
        """A proxy process on this stage's files, not waited for."""
        with (self.folder / "proxy.log").open("ab") as log:
            return subprocess.Popen(
                [*self.prefix, sys.executable, "-m", "proxy", "serve", "--config", "config.yaml", *words],
                cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=running._environment(),
            )  # fmt: skip

    def kill(self) -> None:
        """End the proxy as a crash would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(PATIENCE)

    def signal(self, number: signal.Signals) -> None:
        """Send the proxy a signal."""
        assert self.process is not None
        os.kill(self.process.pid, number)

    def kinds(self) -> Counter[str]:
        """How many records there are of each kind."""
        return Counter(record["kind"] for record in self.records())


@contextmanager
def broken(
    folder: Path,
    *,
    config: Mapping[str, Any] | None = None,
    prefix: Sequence[str] = (),
    policies: Mapping[str, str] = POLICIES,
    gateway: str = "",
    starts: bool = True,
) -> Iterator[Broken]:
    """A proxy in `folder`; `gateway` stands in the simulator's place where given."""
    with running._loop() as loop, running._simulator(loop) as simulator:
        folder.mkdir(exist_ok=True)
        running._write(folder, gateway or simulator.base_url, policies, config or {})
        stage = Broken(folder, simulator, loop, running._adopt(folder), prefix=prefix)
        try:
            if starts:
                stage.start()
            yield stage
        finally:
            if stage.process is not None and stage.process.poll() is None:
                stage.stop()


def request(
    stage: Stage, *, project: str = "open", text: str = "hi", key: str = "", close: bool = True, **more: Any
) -> bytes:
    """A chat request as raw bytes."""
    body = json.dumps({"model": MODEL, "messages": [{"role": "user", "content": text}], **more}).encode()
    ending = "Connection: close\r\n" if close else ""
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: proxy\r\nContent-Type: application/json\r\n{ending}"
        f"Authorization: Bearer {key or stage.keys[project]}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def ask(stage: Stage, *, patience: float = PATIENCE, **about: Any) -> Answered:
    """Send one chat request and read its answer to the end."""
    return await attempt(stage.port, (Step(data=request(stage, **about)),), patience=patience, quiet=1.0)


def status(answered: Answered) -> int:
    """The status of the only answer; 0 when there was none."""
    return answered.answers[0].status if answered.answers else 0


def code(answered: Answered) -> str:
    """The reason code of a refusal of ours, "" for anything else."""
    found = answered.answers[0].all(b"x-ringfence-refusal") if answered.answers else []
    return found[0].decode() if found else ""


def outcomes(stage: Stage) -> list[dict[str, Any]]:
    """Every outcome, once each intent has one."""
    eventually(lambda: stage_settled(stage))
    return [record for record in stage.records() if record["kind"] == "outcome"]


def stage_settled(stage: Stage) -> bool:
    """Whether every intent has an outcome."""
    kinds = Counter(record["kind"] for record in stage.records())
    return kinds["intent"] == kinds["outcome"]


def holds(stage: Stage, *, verify: bool = True) -> None:
    """The promise: an earlier durable intent for all that the gateway saw, one outcome each, a whole log.

    To be verified to its last record the log has to be closed, so `verify` ends the proxy.
    """
    eventually(lambda: stage_settled(stage))
    records = stage.records()
    intents = [record for record in records if record["kind"] == "intent"]
    ended = Counter((r["rid"], r["attempt"]) for r in records if r["kind"] == "outcome")
    assert ended == Counter((r["rid"], r["attempt"]) for r in intents), "not one outcome for each intent"
    seen = sorted(each.head_ns for each in stage.seen)
    made = sorted(record["mono"] for record in intents)
    assert len(seen) <= len(made), "the gateway saw a request without an intent"
    # With more intents than requests, the latest possible matching still has to be earlier.
    assert all(before < after for before, after in zip(made, seen[-len(made) :], strict=False))
    if verify:
        stage.stop()
        assert verified(stage.folder) == 0


def verified(folder: Path) -> int:
    """The exit code of the independent check of the log; what it says goes to the test's output."""
    words = [sys.executable, "-m", "proxy", "audit", "verify", "--config", "config.yaml"]
    checked = subprocess.run(words, cwd=folder, capture_output=True, env=running._environment())
    sys.stdout.write(checked.stdout.decode() + checked.stderr.decode())
    return checked.returncode


def needs(program: str) -> str:
    """The path of a program, or a loud skip."""
    from shutil import which

    found = which(program)
    if found is None:
        pytest.skip(f"needs {program}, which is not installed here")
    return found


@contextmanager
def small_disk(place: Path, size: str) -> Iterator[None]:
    """A file system of that size mounted at a place; skips loudly where mounting is not allowed."""
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(place)]
    mounted = subprocess.run(words, capture_output=True)
    if mounted.returncode:
        pytest.skip(f"needs root to mount a small file system: {mounted.stderr.decode().strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def fill(place: Path) -> None:
    """Use up a disk."""
    try:
        with (place / "filler").open("ab", buffering=0) as file:
            while True:
                file.write(b"x" * 4096)
    except OSError:
        return


async def until(look: Any, seconds: float = PATIENCE) -> Any:
    """What an async `look` finds, as soon as it finds something true."""
    import asyncio

    deadline = time.monotonic() + seconds
    while not (found := await look()):
        if time.monotonic() > deadline:
            raise AssertionError("it did not happen in time")
        await asyncio.sleep(0.05)
    return found
