"""ringfence demo: what its options do, and how it ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from proxy import demo
from proxy.cli import main
from proxy.demo_stage import Unexpected


def run(*words: str) -> Any:
    return CliRunner().invoke(main, ["demo", *words])


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[dict[str, Any]]:
    """Each call of the story, which is played for real in tests/test_demo.py."""
    found: list[dict[str, Any]] = []

    def play(policies: Path, say: Any, **options: Any) -> int:
        found.append({"policies": policies, **options})
        say("played")
        return len(found) - 1

    monkeypatch.setattr(demo, "play", play)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "policies").mkdir()
    return found


def test_without_a_folder_of_policies_here_the_installed_examples_are_played(
    asked: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "policies").rmdir()
    monkeypatch.setattr("sys.prefix", str(tmp_path / "app"))
    lost = run("--once")
    assert (lost.exit_code, asked) == (2, [])
    assert "--policies" in lost.output
    examples = tmp_path / "app/share/ringfence/policies"
    examples.mkdir(parents=True)
    assert run("--once").exit_code == 0
    assert asked[0]["policies"] == examples


def test_played_once_it_takes_any_free_port_and_serves_on_at_the_documented_one(
    asked: list[dict[str, Any]],
) -> None:
    assert run("--once").exit_code == 0
    assert run().exit_code == 1
    assert run("--port", "0").exit_code == 2
    assert [(each["once"], each["port"]) for each in asked] == [(True, 0), (False, 8080), (False, 0)]
    assert {str(each["policies"]) for each in asked} == {"policies"}


def test_a_story_that_cannot_be_played_is_told_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def play(*_: Any, **__: Any) -> int:
        raise Unexpected("the proxy did not start")

    monkeypatch.setattr(demo, "play", play)
    found = run("--once", "--policies", str(tmp_path))
    assert (found.exit_code, found.output) == (1, "Error: the proxy did not start\n")


def test_a_folder_that_is_not_there_is_a_mistake(tmp_path: Path) -> None:
    assert run("--policies", str(tmp_path / "gone")).exit_code == 2
