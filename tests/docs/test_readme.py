"""The README and the pages tell the truth: commands exist, links lead somewhere, what can be run runs."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from proxy.cli import main

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])


def shell_lines() -> Iterator[str]:
    for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL):
        yield from (line for line in block.replace("\\\n", " ").splitlines() if line.strip())


COMMANDS = [line for line in shell_lines() if line.startswith("ringfence ")]


def words(line: str) -> list[str]:
    return shlex.split(line, comments=True)


def found(path: list[str]) -> tuple[click.Command, list[str]]:
    """The command that the words lead to, and the words that are left."""
    command: click.Command = main
    while isinstance(command, click.Group) and path:
        inner = command.get_command(click.Context(command), path[0])
        assert inner is not None, f"there is no command {path[0]}"
        command, path = inner, path[1:]
    return command, path


def test_the_readme_shows_commands_of_every_kind() -> None:
    assert {words(line)[1] for line in COMMANDS} >= {
        "config",
        "policy",
        "keys",
        "catalog",
        "serve",
        "explain",
        "audit",
    }


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_in_the_readme_exists_and_takes_what_is_shown(
    line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = words(line)[1:]
    if ">" in given:
        given = given[: given.index(">")]
    command, rest = found(given)
    assert not isinstance(command, click.Group), "the README must name a command, not a group"
    # Parsing fails on an unknown option, a missing required one, and arguments too many or too few.
    paths = [parameter for parameter in command.params if isinstance(parameter.type, click.Path)]
    for parameter in paths:
        assert isinstance(parameter.type, click.Path)
        monkeypatch.setattr(parameter.type, "exists", False)
    # click keeps the help option that it makes first, and this context lacks the program's own -h.
    monkeypatch.setattr(command, "_help_option", None)
    command.make_context(command.name, rest)


@pytest.mark.parametrize(
    "line", ["config example", "config check", "policy check policies", "policy test policies"]
)
def test_what_needs_no_key_and_no_network_runs_as_shown(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert any(words(shown)[1:3] == line.split()[:2] for shown in COMMANDS)
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv("RINGFENCE_CONFIG", raising=False)
    outcome = CliRunner().invoke(main, line.split())
    assert outcome.exit_code == 0, outcome.output


def test_the_two_commands_are_make_targets() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for line in shell_lines():
        if line.startswith("make "):
            assert re.search(rf"^{words(line)[1]}:", makefile, re.MULTILINE), line


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_link_to_a_file_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_what_and_for_whom_is_said_in_ten_lines() -> None:
    opening = README.split("## ")[0].strip().splitlines()
    assert len([line for line in opening[1:] if line.strip()]) <= 10


def test_every_kind_of_client_has_its_line() -> None:
    for client in (
        "OpenAI SDK",
        "Anthropic SDK",
        "Google Gen AI SDK",
        "Claude Code",
        "Codex",
        "Cursor",
        "opper launch",
        "curl",
    ):
        assert client in README
