"""What `opper launch` starts finds the proxy under the path of its session."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest

from proxy.simulator import create_file
from scripts.coding_agents import Place, claude_code, codex, codex_config
from tests.running import Stage

MakePlace = Callable[..., Place]
SESSION = "/v3/session/sess_0197f3c0-6f1a-7c3e-9a51-000000000001"
TAGGED = f"{SESSION}/team:canary-blue"
MESSAGES = {"messages": [{"role": "user", "content": "hello"}]}


def ask(stage: Stage, path: str, body: Any = None, method: str | None = None) -> tuple[int, Any]:
    """A plain client: urllib and JSON."""
    headers = {"Authorization": f"Bearer {stage.keys['open']}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(stage.url + path, data=data, headers=headers, method=method)
    with urllib.request.urlopen(request) as reply:
        return reply.status, json.loads(reply.read() or b"null")


@pytest.mark.parametrize("base", [SESSION, TAGGED])
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("chat/completions", {"model": "atlas-1", **MESSAGES}),
        ("responses", {"model": "atlas-1", "input": "hello"}),
        ("v1/messages", {"model": "atlas-1", "max_tokens": 9, **MESSAGES}),
    ],
)
def test_a_session_path_is_judged_like_its_compat_twin_and_ends_here(
    stage: Stage, base: str, path: str, body: Any
) -> None:
    since = len(stage.records())
    status, _ = ask(stage, f"{base}/{path}", body)
    (seen,) = stage.seen
    assert (status, seen.target) == (200, f"/v3/compat/{path}")
    assert seen.json()["model"] == "example-us/atlas-1"
    (intent,) = [each for each in stage.records()[since:] if each["kind"] == "intent"]
    assert "set /model" in intent["changes"]
    assert b"canary-blue" not in stage.written()


@pytest.mark.parametrize("base", [SESSION, TAGGED])
def test_the_models_of_a_session_are_those_that_the_policies_allow(stage: Stage, base: str) -> None:
    status, page = ask(stage, f"{base}/v1/models")
    ids = {each["id"] for each in page["data"]}
    assert status == 200
    assert "example-us/atlas-1" in ids
    assert not [each for each in ids if each.startswith("example-open/")]
    assert stage.seen == ()


@pytest.mark.parametrize("base", ["/", "/v3/compat", SESSION, TAGGED])
def test_the_base_itself_answers_a_probe_without_a_key(stage: Stage, base: str) -> None:
    request = urllib.request.Request(stage.url + base, method="HEAD")
    with urllib.request.urlopen(request) as reply:
        assert reply.status == 200
    assert stage.seen == ()


def test_claude_code_works_under_a_session(stage: Stage, place: MakePlace) -> None:
    here = place(path=TAGGED)
    stage.simulator.scenarios.append(create_file(str(here.work / "hello.txt"), "in a session\n"))
    ran = claude_code(here, "-p", "write hello.txt", "--allowedTools", "Write")
    assert (ran.code, (here.work / "hello.txt").read_text()) == (0, "in a session\n"), ran.said
    assert {each.target for each in stage.seen} == {"/v3/compat/v1/messages?beta=true"}


def test_codex_works_under_a_session(stage: Stage, place: MakePlace) -> None:
    here = place(path=TAGGED)
    stage.simulator.scenarios.append(create_file("hello.txt", "in a session\n"))
    config = codex_config(here).replace(f"{here.url}/v1", here.url)
    ran = codex(here, "write hello.txt", config=config)
    assert (ran.code, (here.work / "hello.txt").read_text()) == (0, "in a session\n"), ran.said
    assert {each.target for each in stage.seen} == {"/v3/compat/responses"}
