from typing import Any

import pytest

from proxy.simulator import Call, CreateFile, RunCommand, Say, Scenario, create_file, read_scenario
from proxy.simulator.turns import Ask, Offered


def function(name: Any, **properties: Any) -> Any:
    return Offered(name, {"properties": properties})


TEXT, LIST = {"type": "string"}, {"type": "array"}
WRITE = function("Write", file_path=TEXT, content=TEXT)
BASH = function("Bash", command=TEXT)
SHELL = function("shell", command=LIST)
EXEC = function("exec_command", cmd=TEXT)
READ = function("Read", file_path=TEXT)
PATCH = Offered("apply_patch", {}, "custom")
LOCAL = Offered("local_shell", {}, "local_shell")


def ask(*tools: Any, results: Any = 0, text: Any = "write it") -> Any:
    return Ask("m", text, False, {}, tools, results)


def call(step: Any, *tools: Any) -> Any:
    turn = Scenario((step,)).turn(ask(*tools))
    assert turn is not None
    return turn.calls[0] if turn.calls else None


@pytest.mark.parametrize(
    ("tools", "name", "arguments"),
    [
        ((READ, BASH, WRITE), "Write", {"file_path": "a", "content": "x"}),
        ((READ, BASH), "Bash", {"command": "printf %s x > a"}),
        ((SHELL,), "shell", {"command": ["bash", "-lc", "printf %s x > a"]}),
        ((EXEC, PATCH), "exec_command", {"cmd": "printf %s x > a"}),
        ((LOCAL,), "local_shell", {"command": ["bash", "-lc", "printf %s x > a"]}),
    ],
)
def test_a_file_is_created_with_whatever_tool_can(tools, name, arguments):
    found = call(CreateFile("a", "x"), *tools)
    assert (found.tool.name, found.arguments) == (name, arguments)


def test_with_nothing_but_a_patch_tool_a_patch_is_written():
    assert call(CreateFile("a", "x\ny\n"), PATCH).text == (
        "*** Begin Patch\n*** Add File: a\n+x\n+y\n*** End Patch\n"
    )


def test_names_and_content_cannot_escape_the_shell():
    assert call(CreateFile("a; b", "$(id) 'x'"), BASH).arguments["command"] == (
        "printf %s '$(id) '\"'\"'x'\"'\"'' > 'a; b'"
    )


def test_without_a_tool_that_can_it_says_so():
    assert call(RunCommand("ls"), READ) is None
    turn = Scenario((RunCommand("ls"),)).turn(ask(READ))
    assert turn is not None
    assert turn.text == "None of the offered tools can do that."


def test_a_tool_can_be_called_by_name():
    found = call(Call("Read", {"file_path": "a"}), BASH, READ)
    assert (found.tool.name, found.arguments) == ("Read", {"file_path": "a"})


def test_the_step_is_chosen_by_the_results_that_are_there():
    scenario = create_file("a", "x", say="finished")
    turns = [scenario.turn(ask(WRITE, results=n)) for n in range(3)]
    assert [(turn.text, len(turn.calls)) for turn in turns if turn] == [
        ("", 1),
        ("finished", 0),
        ("Done.", 0),
    ]


def test_a_scenario_is_only_for_its_conversations():
    scenario = Scenario((Say("x"),), when="write")
    assert scenario.turn(ask(WRITE, text="read it")) is None
    assert scenario.turn(ask(text="write it")) is None
    assert scenario.turn(ask(WRITE, text="write it")) is not None


def test_a_scenario_is_read_from_json():
    steps = [
        {"run": {"command": "ls"}},
        {"create_file": {"path": "a", "content": "b"}},
        {"say": {"text": "c"}},
    ]
    assert read_scenario({"when": "w", "steps": steps}) == Scenario(
        (RunCommand("ls"), CreateFile("a", "b"), Say("c")), "w"
    )


@pytest.mark.parametrize(
    "data", [None, {}, {"steps": [1]}, {"steps": [{"fly": {}}]}, {"steps": [{"say": {"txt": "x"}}]}]
)
def test_a_scenario_that_cannot_be_read_is_said(data):
    with pytest.raises(ValueError, match=r"step|scenario"):
        read_scenario(data)
