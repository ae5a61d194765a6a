"""Claude Code, as npm ships it, does its work through the proxy, and says why when it may not."""

from __future__ import annotations

import os
import pty
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import orjson
import pytest

from proxy.simulator import Call, CreateFile, Say, Scenario, create_file
from scripts.coding_agents import Place, claude_code, claude_command, claude_settings, environment
from tests.running import Stage, eventually

MakePlace = Callable[..., Place]
PIN = "example-us/claude-opus-4-8"


def blocks(body: Any, kind: str) -> list[Any]:
    """The content blocks of a kind in a messages body."""
    found = [each["content"] for each in body["messages"] if isinstance(each["content"], list)]
    return [block for content in found for block in content if block["type"] == kind]


def intents(stage: Stage, since: int) -> list[Any]:
    return [each for each in stage.records()[since:] if each["kind"] == "intent"]


def test_it_completes_a_task_with_its_own_default_model(stage: Stage, place: MakePlace) -> None:
    here, since = place(), len(stage.records())
    stage.simulator.scenarios.append(create_file(str(here.work / "hello.txt"), "made by the agent\n"))
    ran = claude_code(here, "-p", "write hello.txt", "--allowedTools", "Write")
    assert (ran.code, ran.said.strip()) == (0, "The file is written.")
    assert (here.work / "hello.txt").read_text() == "made by the agent\n"

    first, second = [each.json() for each in stage.seen]
    assert {first["model"], second["model"]} == {PIN}
    (called,), (result,) = blocks(second, "tool_use"), blocks(second, "tool_result")
    assert (called["name"], result["tool_use_id"]) == ("Write", called["id"])
    assert not result.get("is_error")
    for each in intents(stage, since):
        assert (each["agent"], each["model_req"], each["changes"]) == (
            "claude-code", "claude-opus-4-8", ["set /model"],
        )  # fmt: skip
        # Nothing but the name of the model is other than it was sent.
        assert each["out_len"] - each["in_len"] == len(PIN) - len("claude-opus-4-8")


def test_what_it_needs_reaches_the_gateway_and_what_tells_on_its_user_does_not(
    stage: Stage, place: MakePlace
) -> None:
    claude_code(place(), "-p", "do nothing")
    (seen,) = stage.seen
    body = seen.json()
    assert {"thinking", "context_management", "output_config", "metadata"} <= body.keys()
    assert any("cache_control" in block for block in body["system"])
    betas = (seen.header("anthropic-beta") or "").split(",")
    assert {"claude-code-20250219", "context-management-2025-06-27", "effort-2025-11-24"} <= set(betas)
    names = {name.decode().lower() for name, _ in seen.headers}
    assert not names & {"x-claude-code-session-id", "x-app", "x-api-key", "cookie"}
    assert seen.header("user-agent") == "ringfence"
    assert not [value for _, value in seen.headers if stage.keys["open"].encode() in value]


def test_the_probe_of_the_base_url_is_answered_here_and_without_a_key(stage: Stage, place: MakePlace) -> None:
    before = probes(stage)
    # It opens its connection with the probe, but not where it would have to open it through an HTTP proxy.
    claude_code(place(), "-p", "do nothing", settings={"HTTP_PROXY": "", "HTTPS_PROXY": ""})
    assert probes(stage) == before + 1
    assert {each.method for each in stage.seen} == {"POST"}


def probes(stage: Stage) -> int:
    lines = [each for each in stage.metrics().splitlines() if 'operation="probe"' in each]
    return sum(int(float(each.rpartition(" ")[2])) for each in lines)


def test_the_small_model_of_a_sub_agent_is_pinned_too(stage: Stage, place: MakePlace) -> None:
    here, since = place(), len(stage.records())
    task = {"description": "d", "prompt": "SUBTASK", "subagent_type": "general-purpose", "model": "haiku"}
    write = CreateFile(str(here.work / "sub.txt"), "by haiku\n")
    stage.simulator.scenarios.append(Scenario((write, Say("ready")), when="SUBTASK"))
    stage.simulator.scenarios.append(Scenario((Call("Agent", task), Say("It is delegated."))))
    ran = claude_code(here, "-p", "delegate it", "--allowedTools", "Agent", "Write")
    assert (ran.code, (here.work / "sub.txt").read_text()) == (0, "by haiku\n"), ran.said
    small = [each for each in intents(stage, since) if "haiku" in each["model_fwd"]]
    assert small
    assert {each["model_fwd"] for each in small} == {"example-us/claude-haiku-4-5"}
    assert all("temperature" in each.json() for each in stage.seen if "haiku" in each.json()["model"])


def test_the_title_of_a_session_is_asked_for_in_the_background(stage: Stage, place: MakePlace) -> None:
    here = place()
    stage.simulator.scenarios.append(create_file(str(here.work / "hello.txt"), "x\n"))
    ran = claude_code(here, "-p", "write hello.txt", "--allowedTools", "Write", settings=CHATTY)
    assert ran.code == 0, ran.said
    schemas = [each for each in stage.seen if "format" in each.json().get("output_config", {})]
    assert schemas
    assert "structured-outputs-2025-12-15" in (schemas[0].header("anthropic-beta") or "")
    assert {each.json()["model"] for each in stage.seen} == {PIN}


CHATTY = {
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "",
    "DISABLE_TELEMETRY": "1",
    "DISABLE_ERROR_REPORTING": "1",
}
"""Calls in the background are made, reports to its maker are not."""


def test_in_a_terminal_it_works_as_well(stage: Stage, place: MakePlace) -> None:
    here, since = place(), len(stage.records())
    stage.simulator.scenarios.append(create_file(str(here.work / "hello.txt"), "from a terminal\n"))
    known = {"hasTrustDialogAccepted": True, "hasCompletedProjectOnboarding": True}
    settled = {"hasCompletedOnboarding": True, "theme": "dark", "projects": {str(here.work): known}}
    (here.home / ".claude.json").write_bytes(orjson.dumps(settled))
    with terminal(here, "--allowedTools", "Write", "--", "write hello.txt"):
        eventually((here.work / "hello.txt").exists, 60)
        eventually(lambda: any(blocks(each.json(), "tool_result") for each in stage.seen), 60)
    sent = {value for each in stage.seen for value in (each.header("anthropic-beta") or "").split(",")}
    assert "redact-thinking-2026-02-12" in sent
    assert not [each for each in stage.records()[since:] if each["kind"] == "refusal"]


@contextmanager
def terminal(here: Place, *words: str) -> Iterator[None]:
    """Claude Code on a terminal of its own, whose screen nobody reads."""
    ours, theirs = pty.openpty()
    settings = {**claude_settings(here), "TERM": "xterm-256color"}
    agent = subprocess.Popen(
        claude_command(*words), cwd=here.work, env=environment(here, settings),
        stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    reading = threading.Thread(target=_drain, args=(ours,), daemon=True)
    reading.start()
    try:
        yield
    finally:
        # The launcher's child is the program itself: both go.
        with suppress(ProcessLookupError):
            os.killpg(agent.pid, 9)
        agent.wait()
        reading.join(10)
        os.close(ours)


def _drain(screen: int) -> None:
    with suppress(OSError):
        while os.read(screen, 65_536):
            pass


def test_under_a_refusing_policy_the_terminal_shows_the_reason(stage: Stage, place: MakePlace) -> None:
    since = len(stage.records())
    ran = claude_code(place("alone"), "-p", "write hello.txt")
    assert ran.code != 0
    assert "Ringfence refused the model 'claude-opus-4-8' (messages) before it left" in ran.said
    assert "eu-only" in ran.said
    assert "storage_location" in ran.said
    assert stage.seen == ()
    (refused,) = [each for each in stage.records()[since:] if each["kind"] == "refusal"]
    assert (refused["reason"], refused["agent"]) == ("no_compliant_route", "claude-code")


def test_a_web_search_is_refused_and_the_agent_carries_on(stage: Stage, place: MakePlace) -> None:
    search = Call("WebSearch", {"query": "fences"})
    stage.simulator.scenarios.append(Scenario((search, Say("Then without.")), when="look it up"))
    ran = claude_code(place(), "-p", "look it up", "--allowedTools", "WebSearch")
    assert (ran.code, ran.said.strip()) == (0, "Then without.")
    assert not [each for each in stage.seen if any("type" in tool for tool in each.json()["tools"])]
    (result,) = blocks(stage.seen[-1].json(), "tool_result")
    assert "features.third_party_egress: refuse" in result["content"]


@pytest.mark.parametrize(("project", "ids"), [("open", True), ("confirmed", False)])
def test_the_ids_in_its_metadata_go_by_policy(
    stage: Stage, place: MakePlace, project: str, ids: bool
) -> None:
    here, since = place(project), len(stage.records())
    ran = claude_code(here, "-p", "do nothing")
    assert ran.code == 0, ran.said
    (seen,) = stage.seen
    assert ("metadata" in seen.json()) is ids
    (intent,) = intents(stage, since)
    assert ("remove /metadata" in intent["changes"]) is not ids


def test_nothing_of_its_workplace_is_written_down(stage: Stage, place: MakePlace) -> None:
    here = place()
    claude_code(here, "-p", "canary-prompt")
    assert b"canary-prompt" in stage.seen[-1].body
    written = stage.written()
    assert b"canary-" not in written
    assert str(here.home).encode() not in written
