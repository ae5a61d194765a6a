"""Ringfence as it runs: a process of its own before a simulator in a thread of this one.

`with running() as stage:` starts both in a folder of their own and ends both. The simulator is real
too: what it received, byte for byte, is `stage.seen`; what the proxy wrote, `stage.records`, `said`.
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import yaml

from proxy.keys import Scope, open_keys
from proxy.simulator import Fault, Options, Seen, Simulator

Value = TypeVar("Value")
UPSTREAM_KEY = "op-upstream-0123456789abcdef0123456789abcdef"
PATIENCE = 30.0
"""Seconds after which something that must happen counts as not happening."""

POLICIES: Mapping[str, str] = {
    "open": """\
policy: open
because: Nothing that is written here may train a model.
applies_to: {projects: [open, limited]}
require: {training: forbidden}
features: {app_state: allow, stateful_reference: allow}
""",
    "mission": """\
policy: us-zdr-no-training
because: Content may be processed in the US, is kept by nobody, and is never trained on.
applies_to: {projects: [mission]}
require:
  inference_location: {within: [US]}
  training: forbidden
  retention: {application_state: none, abuse_logs: none}
gateway: {location: {within: [SE]}, content_retention: none}
features: {app_state: rewrite, stateful_reference: refuse, third_party_egress: refuse, hosted_tool: refuse}
""",
    "confirmed": """\
policy: confirmed
because: Whoever answered has to be who was asked.
applies_to: {projects: [confirmed]}
require: {training: forbidden}
require_confirmation: true
""",
}
"""Projects: `open` lets every compliant pin pass as it is; `mission` is the example policy; `limited` may
ask once a minute; `confirmed` wants to be told who served; `alone` has no policy at all."""
PROJECTS = ("open", "mission", "limited", "confirmed", "alone")


@dataclass
class Stage:
    """A proxy and its gateway, and what both have witnessed."""

    folder: Path
    simulator: Simulator
    loop: asyncio.AbstractEventLoop
    keys: Mapping[str, str]
    port: int = 0
    admin_port: int = 0
    process: subprocess.Popen[bytes] | None = None
    _answers: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Scheme, host and port of the proxy."""
        return f"http://127.0.0.1:{self.port}"

    # -- the gateway -----------------------------------------------------------------------------

    @property
    def seen(self) -> tuple[Seen, ...]:
        """What the gateway has received so far, the catalogue's own fetches left out."""
        return tuple(each for each in self.simulator.witness.seen if each.path != "/v3/models")

    def on_loop(self, work: Coroutine[Any, Any, Value]) -> Value:
        """Run something on the simulator's loop and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(PATIENCE)

    def confirm(self, event: int, stream: str = "") -> None:
        """Tell the gateway that the client has an event of a lockstep stream."""
        self.on_loop(self.simulator.lockstep.confirm(event, stream))

    def sent(self, stream: str = "") -> int:
        """How many events of a lockstep stream the gateway has written."""
        return self.simulator.lockstep.sent(stream)

    @contextmanager
    def lockstep(self) -> Iterator[None]:
        """Have the gateway withhold every event until the one before is confirmed."""
        self.simulator.lockstep.on = True
        try:
            yield
        finally:
            self.simulator.lockstep.on = False

    def fault(self, kind: str, **fields: Any) -> None:
        """Have the gateway's next answer go wrong."""
        self._call(self.simulator.faults.add, Fault(kind, **fields))

    def forget(self) -> None:
        """Have everything go right again, and nothing seen so far."""
        self._call(self.simulator.faults.clear)
        self._call(self.simulator.witness.clear)

    def _call(self, function: Callable[..., None], *arguments: Any) -> None:
        async def called() -> None:
            function(*arguments)

        self.on_loop(called())

    # -- the proxy -------------------------------------------------------------------------------

    def records(self) -> list[dict[str, Any]]:
        """Every durable record, in the order of its log."""
        found: list[dict[str, Any]] = []
        for path in sorted(self.folder.glob("data/**/*.sqlite")):
            db = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
            try:
                found += [json.loads(row[0]) for row in db.execute("SELECT body FROM record ORDER BY seq")]
            finally:
                db.close()
        return found

    def record(self, rid: str, kind: str) -> dict[str, Any]:
        """The record of a kind about one decision, as soon as it is durable."""
        return eventually(
            lambda: next((r for r in self.records() if (r.get("rid"), r["kind"]) == (rid, kind)), None)
        )

    def said(self) -> str:
        """Every log line so far."""
        return (self.folder / "proxy.log").read_text(encoding="utf-8")

    def written(self) -> bytes:
        """Every byte of log lines and of the audit store."""
        files = [self.folder / "proxy.log", *sorted((self.folder / "data").rglob("*.sqlite*"))]
        return b"".join(path.read_bytes() for path in files)

    def metrics(self) -> str:
        """What the admin port counts."""
        return self._admin("/metrics")

    def ready(self) -> dict[str, Any]:
        """What the admin port says of its readiness."""
        found: dict[str, Any] = json.loads(self._admin("/readyz"))
        return found

    def _admin(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin_port}{path}") as reply:
            return str(reply.read().decode())

    def start(self) -> None:
        """Start the proxy and wait until it listens; a process that ends instead shows its log."""
        ports = self.folder / "ports.json"
        with (self.folder / "proxy.log").open("ab") as log:
            serve = [sys.executable, "-m", "proxy", "serve", "--config", "config.yaml"]
            self.process = subprocess.Popen(
                [*serve, "--ports-file", str(ports)],
                cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=_environment(),
            )  # fmt: skip
        eventually(lambda: ports.exists() or self.process is None or self.process.poll() is not None)
        if not ports.exists():
            raise RuntimeError(f"the proxy did not start:\n{self.said()}")
        found = json.loads(ports.read_text())
        self.port, self.admin_port = found["port"], found["admin_port"]

    def stop(self) -> None:
        """End the proxy; one that does not go is killed, and that is an error."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise


def eventually(look: Callable[[], Value | None], seconds: float = PATIENCE) -> Value:
    """What `look` finds, as soon as it finds something true."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > deadline:
            raise AssertionError("it did not happen in time")
        time.sleep(0.01)
    return found


@contextmanager
def running(
    *, policies: Mapping[str, str] = POLICIES, config: Mapping[str, Any] | None = None
) -> Iterator[Stage]:
    """A proxy that listens, with one adopted key per project. `config` is laid over its settings."""
    with (
        TemporaryDirectory(prefix="ringfence-test-") as name,
        _loop() as loop,
        _simulator(loop) as simulator,
    ):
        folder = Path(name)
        _write(folder, simulator.base_url, policies, config or {})
        stage = Stage(folder, simulator, loop, _adopt(folder))
        try:
            stage.start()
            yield stage
        finally:
            stage.stop()


@contextmanager
def _loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="simulator", daemon=True)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(PATIENCE)
        loop.close()


@contextmanager
def _simulator(loop: asyncio.AbstractEventLoop) -> Iterator[Simulator]:
    async def begin() -> Simulator:
        simulator = Simulator(Options(keys=frozenset({UPSTREAM_KEY}), only_these_keys=True, control_port=0))
        await simulator.start()
        return simulator

    simulator = asyncio.run_coroutine_threadsafe(begin(), loop).result(PATIENCE)
    try:
        yield simulator
    finally:
        asyncio.run_coroutine_threadsafe(simulator.stop(), loop).result(PATIENCE)


def _adopt(folder: Path) -> dict[str, str]:
    """A key per project, in the form of keys that clients had before."""
    keys, now = open_keys(folder / "data" / "keys.json", folder / "data" / "pepper"), datetime.now(UTC)
    found = {name: f"sk-{name}-Zq3vT8wKx5nR2mB7cL9dF4hJ6" for name in PROJECTS}
    for name, key in found.items():
        keys.adopt(key.encode(), Scope(name), at=now)
    return found


def _write(folder: Path, gateway: str, policies: Mapping[str, str], config: Mapping[str, Any]) -> None:
    (folder / "policies").mkdir()
    (folder / "data").mkdir(mode=0o700)
    for name, text in policies.items():
        (folder / "policies" / f"{name}.yaml").write_text(text, encoding="utf-8")
    settings: dict[str, Any] = {
        "data_dir": "data",
        "listen": {"port": 0},
        "admin": {"port": 0},
        "gateway": {"base_url": gateway},
        "policies": {"paths": ["policies"]},
        "attestations": {"file": "attestations.yaml"},
        "limits": {"project:limited": {"requests_per_minute": 1}},
        "logs": {"level": "debug"},
    }
    for group, values in config.items():
        settings[group] = {**settings.get(group, {}), **values} if isinstance(values, dict) else values
    (folder / "config.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    (folder / "attestations.yaml").write_text(_attestations(), encoding="utf-8")


def _attestations() -> str:
    """Contracts in force from yesterday on, so that no test depends on the day."""
    zdr, rule = "zero_data_retention", "gateway_zero_content_retention"
    contracts = [contract(zdr, route="openai/gpt-image-1"), contract(rule, gateway="opper")]
    return yaml.safe_dump({"attestations": contracts})


def contract(claim: str, **subject: str) -> dict[str, Any]:
    """An attestation in force; `subject` is a `route` or the `gateway`."""
    today = datetime.now(UTC).date()
    return {
        "id": claim.replace("_", "-"),
        "claims": [{"claim": claim, "clause": "section 4"}],
        "subject": subject,
        "evidence": {"ref": "contracts/test.pdf", "sha256": "5d" * 32},
        "attested_by": "The tests",
        "verified_at": str(today - timedelta(days=1)),
        "valid_until": str(today + timedelta(days=30)),
    }


def _environment() -> dict[str, str]:
    ours = ("RINGFENCE_", "OPPER_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**kept, "OPPER_API_KEY": UPSTREAM_KEY}
