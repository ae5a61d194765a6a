"""ringfence config, as an operator uses it."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from proxy.cli import main
from proxy.config import read_settings

SECRET = "op-live-4f1c9"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPPER_API_KEY", raising=False)
    return tmp_path


def ringfence(*words: str) -> Result:
    return CliRunner().invoke(main, words)


def test_the_example_can_be_written_and_checked_as_it_is() -> None:
    example = ringfence("config", "example")
    Path("config.yaml").write_text(example.stdout)
    outcome = ringfence("config", "check")
    assert (outcome.exit_code, outcome.output) == (0, "config.yaml: no mistakes.\n")


def test_without_a_file_the_defaults_are_checked() -> None:
    assert ringfence("config", "check").output == "The defaults: no mistakes.\n"


def test_mistakes_come_out_one_per_line_with_exit_code_3() -> None:
    Path("config.yaml").write_text("listen: {prot: 1}\nworkers: 0\n")
    outcome = ringfence("config", "check")
    assert outcome.exit_code == 3
    assert [line.split(": ")[0] for line in outcome.stderr.splitlines()] == [
        "config.yaml:1:10",
        "config.yaml:2:10",
    ]


def test_a_variable_that_wins_over_the_file_is_named_and_values_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path("config.yaml").write_text("listen: {port: 1}\nworkers: 3\n")
    monkeypatch.setenv("RINGFENCE_LISTEN__PORT", "9")
    monkeypatch.setenv("RINGFENCE_WORKERS", "3")
    outcome = ringfence("config", "check")
    assert (outcome.exit_code, outcome.output) == (
        0,
        "config.yaml: no mistakes.\n"
        "The environment variable RINGFENCE_LISTEN__PORT overrides listen.port, which the file sets"
        " otherwise.\n",
    )


def test_what_is_shown_is_what_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("config.yaml").write_text("listen: {port: 1}\nworkers: 3\n")
    monkeypatch.setenv("RINGFENCE_LISTEN__PORT", "9")
    Path("shown.yaml").write_text(ringfence("config", "show").stdout)
    shown = read_settings(Path("shown.yaml"), {})
    assert (shown.listen.port, shown.workers) == (9, 3)


def test_secrets_are_looked_for_only_when_asked_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ringfence("config", "check").exit_code == 0
    outcome = ringfence("config", "check", "--secrets")
    assert outcome.exit_code == 3
    assert "OPPER_API_KEY" in outcome.stderr
    monkeypatch.setenv("OPPER_API_KEY", SECRET)
    outcome = ringfence("config", "check", "--secrets")
    assert outcome.exit_code == 0
    assert SECRET not in outcome.output + ringfence("config", "show").output


def test_settings_that_weaken_the_promise_are_named() -> None:
    Path("config.yaml").write_text("gateway: {unsafe_plain_http: true}\n")
    assert "gateway.unsafe_plain_http is on" in ringfence("config", "check").output
