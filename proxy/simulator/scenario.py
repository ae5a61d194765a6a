"""a scripted answer to an agent: tool calls that change a file, then a last word

A step names an intent; which tool call it becomes depends on the tools that the client offers. The
step is chosen by how many tool results the request carries, so a scenario needs no memory.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import orjson

from proxy.simulator.turns import Ask, Body, Offered, ToolCall, Turn

_PATH_NAMES = ("file_path", "filePath", "path", "filename", "target_file")
_CONTENT_NAMES = ("content", "contents", "file_text", "text")
_COMMAND_NAMES = ("command", "cmd", "script")


@dataclass(frozen=True, slots=True)
class Say:
    """Answer with words; as a last step it ends the agent's turn."""

    text: str


@dataclass(frozen=True, slots=True)
class Call:
    """Call a tool by name with these arguments."""

    name: str
    arguments: Body = field(default_factory=dict)
    text: str = ""


@dataclass(frozen=True, slots=True)
class CreateFile:
    """Have the agent write a file, with whichever of its tools can."""

    path: str
    content: str


@dataclass(frozen=True, slots=True)
class RunCommand:
    """Have the agent run a shell command."""

    command: str


Step: TypeAlias = Say | Call | CreateFile | RunCommand
_STEPS: dict[str, type[Step]] = {"say": Say, "call": Call, "create_file": CreateFile, "run": RunCommand}


@dataclass(frozen=True, slots=True)
class Scenario:
    """Steps for every conversation whose last user text contains `when` ("" for all) and offers tools."""

    steps: tuple[Step, ...]
    when: str = ""

    def turn(self, ask: Ask) -> Turn | None:
        """The answer to this request, or None when the scenario is not about it."""
        if not ask.tools or self.when not in ask.text or not self.steps:
            return None
        if ask.results >= len(self.steps):
            return Turn("Done.")
        return _turn(self.steps[ask.results], ask.tools)


def create_file(path: str, content: str, *, say: str = "The file is written.") -> Scenario:
    """The usual small task: one file, then a closing sentence."""
    return Scenario((CreateFile(path, content), Say(say)))


def read_scenario(data: Any) -> Scenario:
    """Read `{"when": "", "steps": [{"create_file": {"path": ..., "content": ...}}, {"say": {"text": ...}}]}`.

    Raises ValueError that names the step which cannot be read.
    """
    steps = data.get("steps") if isinstance(data, dict) else None
    if not isinstance(steps, list):
        raise ValueError("a scenario needs a list `steps`")
    return Scenario(tuple(_step(n, each) for n, each in enumerate(steps, 1)), str(data.get("when", "")))


def _step(number: int, data: Any) -> Step:
    if not isinstance(data, dict) or len(data) != 1 or (name := next(iter(data))) not in _STEPS:
        raise ValueError(f"step {number} must have one member out of {', '.join(_STEPS)}")
    try:
        return _STEPS[name](**data[name])
    except TypeError as error:
        raise ValueError(f"step {number} ({name}): {error}") from None


def _turn(step: Step, tools: tuple[Offered, ...]) -> Turn:
    if isinstance(step, Say):
        return Turn(step.text)
    if isinstance(step, Call):
        tool = next((each for each in tools if each.name == step.name), None)
        call = ToolCall(tool, step.arguments, step.text) if tool is not None else None
    elif isinstance(step, CreateFile):
        call = _create(step, tools)
    else:
        call = _run(step.command, tools)
    return Turn("", (call,)) if call is not None else Turn("None of the offered tools can do that.")


def _create(step: CreateFile, tools: tuple[Offered, ...]) -> ToolCall | None:
    for tool in tools:
        path = next((name for name in _PATH_NAMES if name in tool.properties), None)
        content = next((name for name in _CONTENT_NAMES if name in tool.properties), None)
        if path and content and tool.form == "function":
            return ToolCall(tool, {path: step.path, content: step.content})
    code = next((tool for tool in tools if _runs_code(tool, "apply_patch")), None)
    if code is not None:
        return _code(code, "apply_patch", orjson.dumps(_patch_text(step)).decode())
    shell = _run(f"printf %s {shlex.quote(step.content)} > {shlex.quote(step.path)}", tools)
    return shell or _patch(step, tools)


def _run(command: str, tools: tuple[Offered, ...]) -> ToolCall | None:
    for tool in tools:
        if _runs_code(tool, "exec_command"):
            return _code(tool, "exec_command", orjson.dumps({"cmd": command}).decode())
        if tool.form == "local_shell":
            return ToolCall(tool, {"command": ["bash", "-lc", command]})
        name = next((each for each in _COMMAND_NAMES if each in tool.properties), None)
        if name is not None and tool.form == "function":
            as_list = tool.properties[name].get("type") == "array"
            return ToolCall(tool, {name: ["bash", "-lc", command] if as_list else command})
    return None


def _patch(step: CreateFile, tools: tuple[Offered, ...]) -> ToolCall | None:
    """Codex's own patch language, for clients that offer nothing but `apply_patch`."""
    tool = next((each for each in tools if each.name == "apply_patch"), None)
    if tool is None:
        return None
    text = _patch_text(step)
    return ToolCall(tool, {"input": text}, text)


def _patch_text(step: CreateFile) -> str:
    lines = "".join(f"+{line}\n" for line in step.content.splitlines())
    return f"*** Begin Patch\n*** Add File: {step.path}\n{lines}*** End Patch\n"


def _runs_code(tool: Offered, nested: str) -> bool:
    """Whether it is a tool like Codex's `exec`, which takes JavaScript that calls other tools."""
    return tool.form == "custom" and f"tools: {{ {nested}(" in tool.description


def _code(tool: Offered, nested: str, argument: str) -> ToolCall:
    return ToolCall(tool, {}, f"text(await tools.{nested}({argument}));\n")
