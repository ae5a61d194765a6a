"""the story, played with real HTTP against real processes, each verdict asserted

An organisation allows US residency, requires zero data retention and forbids training. GPT Image 1 is
refused until two contracts are attested, then passes, and is refused again when one lapses.
"""

from __future__ import annotations

import base64
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
from tempfile import TemporaryDirectory

import orjson

Say = Callable[[str], None]

MISSION, STRICT = "us-zdr-no-training", "strict"
_START_SECONDS = 60.0
_RELOAD_SECONDS = 15.0
_CHAT = {"messages": [{"role": "user", "content": "Draw a lighthouse at dusk."}]}
_IMAGE = {"model": "openai/gpt-image-1", "prompt": "A lighthouse at dusk."}
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
        return _http(self.base_url + path, body, self.key)

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
        return orjson.loads(_http(f"http://127.0.0.1:{ports['admin_port']}/readyz").body)["revision"]


def play(policies: Path, say: Say, *, port: int, once: bool) -> int:
    """Play the story with the policies of a folder; 0 when every verdict came out as told.

    Unless `once`, the proxy serves on until the program is interrupted.
    """
    with (
        TemporaryDirectory(prefix="ringfence-demo-") as folder,
        _stage(Path(folder), policies, say, port) as stage,
    ):
        _story(stage, policies)
        _audit(stage)
        if stage.problems:
            say("\nNOT AS TOLD:")
            for problem in stage.problems:
                say(f"  {problem}")
            return 1
        say("\nEvery verdict came out as told.")
        if not once:
            try:
                _serve_on(stage)
            except KeyboardInterrupt:
                say("\nStopping.")
    return 0


def _story(stage: Stage, policies: Path) -> None:
    say = stage.say
    say(f"\n1. Policy {MISSION}: US residency allowed, zero data retention required, no training.")
    say("   GPT Image 1 runs in the US, but keeps abuse logs unless an Enterprise contract says otherwise.")
    stage.expect(
        "chat.completions, model openai/gpt-image-1",
        stage.ask("/v1/chat/completions", {"model": "openai/gpt-image-1", **_CHAT}),
        403,
        "requirement_unmet",
    )
    stage.expect(
        "images.generate, model openai/gpt-image-1",
        stage.ask("/v1/images/generations", dict(_IMAGE)),
        403,
        "requirement_unmet",
    )
    say(
        "\n2. Two attestations go on file: Enterprise ZDR for that route; our Opper retention rule is 0 days."
    )
    stage.attest(zdr_days=90, rule_days=90)
    stage.expect(
        "images.generate, model openai/gpt-image-1", stage.ask("/v1/images/generations", dict(_IMAGE)), 200
    )
    _stream(stage)
    say("\n3. The Enterprise contract lapses.")
    stage.attest(zdr_days=-1, rule_days=90)
    stage.expect(
        "images.generate, model openai/gpt-image-1",
        stage.ask("/v1/images/generations", dict(_IMAGE)),
        403,
        "requirement_unmet",
    )
    say(f"\n4. Renewed, but policy {STRICT} applies as well; policies can only narrow.")
    stage.attest(zdr_days=90, rule_days=90)
    stage.change(f"policies/{STRICT}.yaml", (policies / f"{STRICT}.yaml").read_text())
    stage.expect(
        "images.generate, model openai/gpt-image-1",
        stage.ask("/v1/images/generations", dict(_IMAGE)),
        403,
        "requirement_unmet",
    )
    stage.change(f"policies/{STRICT}.yaml", None)


def _stream(stage: Stage) -> None:
    """A pinned model passes untouched; a pool is pinned to a member that complies."""
    body: dict[str, object] = {"model": "openai/gpt-image-1", "stream": True, **_CHAT}
    answer = stage.ask("/v1/chat/completions", body)
    stage.expect("chat.completions, stream, model openai/gpt-image-1", answer, 200)
    if not answer.body.rstrip().endswith(b"data: [DONE]"):
        stage.problems.append("the stream did not end as the gateway ended it")
    seen = orjson.loads(_http(f"{stage.control}/requests").body)["requests"]
    received = [base64.b64decode(each["body_b64"]) for each in seen if "chat/completions" in each["target"]]
    same = received == [orjson.dumps(body)]
    stage.say(f"       the gateway received {'exactly the bytes' if same else 'OTHER BYTES than those'} sent")
    images = [each for each in seen if each["target"].startswith("/v3/images")]
    stage.say(f"       of four requests for this model it has seen {len(images) + len(received)}")
    if not same or len(images) != 1:
        stage.problems.append("the gateway has not seen exactly the two requests that were allowed")
    pool = stage.ask("/v1/chat/completions", {"model": "atlas-1", **_CHAT})
    stage.expect("chat.completions, model atlas-1 (a pool: any provider of it)", pool, 200)


def _audit(stage: Stage) -> None:
    stage.say("\nThe audit log, newest first (`ringfence audit list`):\n")
    stage.say(_ringfence(stage.folder, "audit", "list", "--data-dir", "data"))


def _serve_on(stage: Stage) -> None:
    say, url, key = stage.say, stage.base_url, stage.key
    say(f"\nThe proxy goes on serving at {url} until you press Ctrl-C. Try:\n")
    say(f"  curl {url}/v1/chat/completions -H 'Authorization: Bearer {key}' \\")
    say("""    -H 'Content-Type: application/json' \\
    -d '{"model": "openai/gpt-image-1", "messages": [{"role": "user", "content": "hello"}]}'""")
    say(f"\n  OPENAI_BASE_URL={url}/v1 OPENAI_API_KEY={key} python")
    say("    >>> from openai import OpenAI")
    say('    >>> OpenAI().responses.create(model="atlas-1", input="hello")')
    say(f"\n  ANTHROPIC_BASE_URL={url} ANTHROPIC_AUTH_TOKEN={key} claude")
    say(f"\n  ringfence audit tail -f --data-dir {stage.folder / 'data'}")
    while True:
        time.sleep(3600)


# -- the two processes -----------------------------------------------------------------------------


@contextmanager
def _stage(folder: Path, policies: Path, say: Say, port: int) -> Iterator[Stage]:
    """Start the simulator and the proxy on the embedded defaults, and end both."""
    (folder / "policies").mkdir()
    (folder / "policies" / f"{MISSION}.yaml").write_text((policies / f"{MISSION}.yaml").read_text())
    say("Starting the Opper simulator and the proxy ...")
    simulate = ("simulate", "--port", "0", "--control-port", "0", "--print-port")
    with _program(folder, *simulate, log="simulator.log", out=True) as simulator:
        assert simulator.stdout is not None
        line = orjson.loads(simulator.stdout.readline() or "{}")
        config = _CONFIG.format(port=port, gateway=line["base_url"])
        (folder / "config.yaml").write_text(config)
        key = _ringfence(folder, "keys", "create", "--project", "demo").strip()
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


def _ringfence(folder: Path, *words: str) -> str:
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


def _http(url: str, body: dict[str, object] | None = None, key: str = "") -> Answer:
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
