"""the story, played with real HTTP against real processes, each verdict asserted

An organisation allows US residency, requires zero data retention and forbids training. GPT Image 1 is
refused until two contracts are attested, then passes, and is refused again when one lapses.
"""

from __future__ import annotations

import base64
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import orjson

from proxy.demo_stage import Say, Stage, http, on_stage, ringfence

MISSION, STRICT = "us-zdr-no-training", "strict"
_CHAT = {"messages": [{"role": "user", "content": "Draw a lighthouse at dusk."}]}
_IMAGE = {"model": "openai/gpt-image-1", "prompt": "A lighthouse at dusk."}


def play(policies: Path, say: Say, *, port: int, once: bool) -> int:
    """Play the story with the policies of a folder; 0 when every verdict came out as told.

    Unless `once`, the proxy serves on until the program is interrupted.
    """
    with (
        TemporaryDirectory(prefix="ringfence-demo-") as folder,
        on_stage(Path(folder), policies / f"{MISSION}.yaml", say, port) as stage,
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
    seen = orjson.loads(http(f"{stage.control}/requests").body)["requests"]
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
    stage.say(ringfence(stage.folder, "audit", "list", "--data-dir", "data"))


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
