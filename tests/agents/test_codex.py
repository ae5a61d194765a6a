"""Codex, as npm ships it, does its work through the proxy, and says why when it may not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from proxy.simulator import RunCommand, Say, Scenario, create_file
from scripts.coding_agents import Place, codex, codex_config
from tests.running import Stage

MakePlace = Callable[..., Place]
PIN = "example-us/gpt-6.1-sol"


def items(body: Any, kind: str) -> list[Any]:
    return [each for each in body["input"] if each["type"] == kind]


def records(stage: Stage, since: int, kind: str) -> list[Any]:
    return [each for each in stage.records()[since:] if each["kind"] == kind]


def test_it_completes_a_task_with_its_own_default_model(stage: Stage, place: MakePlace) -> None:
    here, since = place(), len(stage.records())
    stage.simulator.scenarios.append(create_file("hello.txt", "made by the agent\n"))
    ran = codex(here, "write hello.txt")
    assert ran.code == 0, ran.said
    assert "The file is written." in ran.said
    assert (here.work / "hello.txt").read_text() == "made by the agent\n"

    first, second = [each.json() for each in stage.seen]
    assert {first["model"], second["model"]} == {PIN}
    assert items(first, "additional_tools")
    (called,), (result,) = items(second, "custom_tool_call"), items(second, "custom_tool_call_output")
    assert called["call_id"] == result["call_id"]
    for each in records(stage, since, "intent"):
        assert (each["agent"], each["model_req"]) == ("codex", "gpt-6.1-sol")
        assert set(each["changes"]) == {"remove /client_metadata", "set /model"}


def test_a_command_that_it_runs_answers_to_the_model(stage: Stage, place: MakePlace) -> None:
    here = place()
    command = RunCommand("echo counted > count.txt; echo told-to-the-model")
    stage.simulator.scenarios.append(Scenario((command, Say("Counted."))))
    ran = codex(here, "count")
    assert (ran.code, (here.work / "count.txt").read_text()) == (0, "counted\n"), ran.said
    (result,) = items(stage.seen[-1].json(), "custom_tool_call_output")
    assert "told-to-the-model" in str(result["output"])


def test_its_report_on_the_workspace_goes_nowhere(stage: Stage, place: MakePlace) -> None:
    here = place()
    ran = codex(here, "do nothing")
    assert ran.code == 0, ran.said
    (seen,) = stage.seen
    body = seen.json()
    assert "client_metadata" not in body
    # The folder itself stands in the prompt, because the model needs it; the remote stands nowhere else.
    assert str(here.work) in str(items(body, "message"))
    heads = b"".join(name + value for name, value in seen.headers).lower()
    for told in (b"canary-remote", b"turn-metadata", b"installation"):
        assert told not in seen.body
        assert told not in heads
    assert str(here.work).encode() not in heads
    names = {name.decode().lower() for name, _ in seen.headers}
    assert not names & {"session-id", "thread-id", "originator", "x-codex-window-id", "x-client-request-id"}
    written = stage.written()
    assert b"canary-" not in written
    assert str(here.home).encode() not in written


@pytest.mark.parametrize(("project", "ids"), [("open", True), ("confirmed", False)])
def test_its_cache_key_goes_by_policy(stage: Stage, place: MakePlace, project: str, ids: bool) -> None:
    ran = codex(place(project), "do nothing")
    assert ran.code == 0, ran.said
    assert [("prompt_cache_key" in each.json()) for each in stage.seen] == [ids]


def test_under_a_refusing_policy_the_terminal_shows_the_reason_once(stage: Stage, place: MakePlace) -> None:
    since = len(stage.records())
    ran = codex(place("alone"), "write hello.txt")
    assert ran.code != 0
    assert "Ringfence refused the model 'gpt-6.1-sol' (responses) before it left" in ran.said
    assert "eu-only" in ran.said
    assert "storage_location" in ran.said
    assert stage.seen == ()
    (refused,) = records(stage, since, "refusal")
    assert (refused["reason"], refused["agent"]) == ("no_compliant_route", "codex")


def test_the_web_search_of_some_models_is_refused_by_name_unless_it_is_switched_off(
    stage: Stage, place: MakePlace
) -> None:
    here = place()
    searching = codex_config(here).replace('web_search = "disabled"\n', "")
    ran = codex(here, "--model", "gpt-5.5", "do nothing", config=searching)
    assert ran.code != 0
    assert "features.third_party_egress: refuse" in ran.said
    assert not list(stage.seen)
    ran = codex(here, "--model", "gpt-5.5", "do nothing")
    assert ran.code == 0, ran.said
    assert [each.json()["model"] for each in stage.seen] == ["example-us/gpt-5.5"]
