"""what the demo is played on: the simulator and the proxy as processes, and an application that asks them"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson

Say = Callable[[str], None]

_START_SECONDS = 60.0
_RELOAD_SECONDS = 15.0
_CONFIG = """\
data_dir: data
listen: {{port: {port}}}
admin: {{port: 0}}
gateway: {{base_url: "{gateway}"}}
policies: {{paths: [policies]}}
attestations: {{file: attestations.yaml}}
"""
_ATTESTATIONS = """\
attestations:
  - id: opper-enterprise-zdr-gpt-image-1
    claims: [{{claim: zero_data_retention, clause: "Enterprise order form, section 4"}}]
    subject: {{route: openai/gpt-image-1}}
    evidence: {{ref: contracts/order-form.pdf, sha256: "{digest}"}}
    attested_by: Head of Procurement
    verified_at: {verified}
    valid_until: {zdr_until}
  - id: opper-retention-zero
    claims: [{{claim: gateway_zero_content_retention, clause: "Our retention rule is 0 days"}}]
    subject: {{gateway: opper}}
    evidence: {{ref: records/retention-rule.json, sha256: "{digest}"}}
    attested_by: Platform team
    verified_at: {verified}
    valid_until: {rule_until}
"""


class Unexpected(Exception):
    """A verdict came out otherwise than the story tells."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: status, header fields by lower-case name, the body's bytes."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def error(self) -> dict[str, object]:
        """The error of an OpenAI-shaped refusal, or nothing."""
        try:
            found = orjson.loads(self.body).get("error")
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}


@dataclass
class Stage:
    """Two processes, the folder they run in, and the key of the application."""

    folder: Path
    gateway: str
    control: str
    base_url: str
    key: str
    say: Say
    problems: list[str] = field(default_factory=list)

    def ask(self, path: str, body: dict[str, object]) -> Answer:
        """Send one request as an application would."""
        return http(self.base_url + path, body, self.key)

    def expect(self, what: str, answer: Answer, status: int, code: str | None = None) -> None:
        """Say how a request came out, and note it when the story tells otherwise."""
        found = str(answer.error.get("code", "")) if answer.status >= 400 else None
        told = f"{answer.status} {found or 'served by ' + answer.headers.get('x-ringfence-route', '?')}"
        self.say(f"\n  {what}\n    -> {told}")
        if message := answer.error.get("message"):
            self.say(f"       {message}")
        if rewrites := answer.headers.get("x-ringfence-rewrites"):
            self.say(f"       changed on the way: {rewrites}")
        if answer.status != status or (code is not None and found != code):
            self.problems.append(f"{what}: expected {status} {code or ''}, came out {told}")

    def attest(self, *, zdr_days: int, rule_days: int) -> None:
        """Put both attestations on file, ending so many days from now."""
        today = datetime.now(UTC).date()
        text = _ATTESTATIONS.format(
            digest="5d" * 32,
            verified=today - timedelta(days=30),
            zdr_until=today + timedelta(days=zdr_days),
            rule_until=today + timedelta(days=rule_days),
        )
        self.change("attestations.yaml", text)

    def change(self, name: str, text: str | None) -> None:
        """Write or remove a file of the operator's, and wait until the proxy has taken it over."""
        before = self._revision()
        file = self.folder / name
        if text is None:
            file.unlink()
        else:
            file.write_text(text)
        deadline = time.monotonic() + _RELOAD_SECONDS
        while self._revision() == before:
            if time.monotonic() > deadline:
                raise Unexpected(f"the proxy did not take over {name}")
            time.sleep(0.1)

    def _revision(self) -> object:
        ports = orjson.loads((self.folder / "ports.json").read_text())
        return orjson.loads(http(f"http://127.0.0.1:{ports['admin_port']}/readyz").body)["revision"]


@contextmanager
def on_stage(folder: Path, policy: Path, say: Say, port: int) -> Iterator[Stage]:
    """Start the simulator and the proxy on the embedded defaults, and end both."""
    (folder / "policies").mkdir()
    (folder / "policies" / policy.name).write_text(policy.read_text())
    say("Starting the Opper simulator and the proxy ...")
    simulate = ("simulate", "--port", "0", "--control-port", "0", "--print-port")
    with _program(folder, *simulate, log="simulator.log", out=True) as simulator:
        assert simulator.stdout is not None
        line = orjson.loads(simulator.stdout.readline() or "{}")
        config = _CONFIG.format(port=port, gateway=line["base_url"])
        (folder / "config.yaml").write_text(config)
        key = ringfence(folder, "keys", "create", "--project", "demo").strip()
        with _program(folder, "serve", "--ports-file", "ports.json", log="proxy.log") as proxy:
            ports = _ports(folder, proxy)
            url = f"http://127.0.0.1:{ports['port']}"
            yield Stage(folder, line["base_url"], line["control_url"], url, key, say)


@contextmanager
def _program(folder: Path, *words: str, log: str, out: bool = False) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / log).open("wb") as err:
        running = subprocess.Popen(
            _command(*words),
            cwd=folder,
            env=_environment(),
            stdout=subprocess.PIPE if out else err,
            stderr=err,
        )
    try:
        yield running
    finally:
        running.terminate()
        running.wait()
        if running.stdout is not None:
            running.stdout.close()


def ringfence(folder: Path, *words: str) -> str:
    """What a command of ours prints, run in the folder of the stage."""
    done = subprocess.run(
        _command(*words), cwd=folder, env=_environment(), capture_output=True, text=True, check=True
    )
    return done.stdout


def _command(*words: str) -> list[str]:
    return [sys.executable, "-m", "proxy", *words]


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RINGFENCE_")}
    return {**kept, "OPPER_API_KEY": "op-demo-0123456789abcdef"}


def _ports(folder: Path, proxy: subprocess.Popen[bytes]) -> dict[str, int]:
    deadline = time.monotonic() + _START_SECONDS
    while not (folder / "ports.json").exists():
        if proxy.poll() is not None or time.monotonic() > deadline:
            raise Unexpected("the proxy did not start:\n" + (folder / "proxy.log").read_text())
        time.sleep(0.05)
    ports: dict[str, int] = orjson.loads((folder / "ports.json").read_text())
    return ports


def http(url: str, body: dict[str, object] | None = None, key: str = "") -> Answer:
    """One request; whatever status it comes to is an answer."""
    data = None if body is None else orjson.dumps(body)
    headers = {"Content-Type": "application/json"} if data else {}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    request = urllib.request.Request(url, data=data, headers=headers)  # noqa: S310 -- loopback, ours
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request) as reply:
            return Answer(reply.status, _lower(reply.headers.items()), reply.read())
    except urllib.error.HTTPError as refused:
        with refused:
            return Answer(refused.code, _lower(refused.headers.items()), refused.read())


def _lower(items: list[tuple[str, str]]) -> dict[str, str]:
    return {name.lower(): value for name, value in items}
