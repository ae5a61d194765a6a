"""ringfence doctor, as an operator uses it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from proxy.cli import main
from tests.doctor.setup import ENVIRON, sound
from tests.running import Stage


def doctor(*words: str) -> Result:
    return CliRunner().invoke(main, ["doctor", *words])


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPPER_API_KEY", ENVIRON["OPPER_API_KEY"])


def test_a_sound_set_up_ends_well_with_a_line_per_check(tmp_path: Path) -> None:
    sound(tmp_path)
    outcome = doctor("--offline", "--config", str(tmp_path / "config.yaml"))
    assert outcome.exit_code == 0, outcome.output
    lines = outcome.stdout.splitlines()
    assert len(lines) == 13
    assert {line.split()[0] for line in lines} <= {"ok", "warn"}


def test_a_failing_check_ends_with_1_and_says_what_to_do(tmp_path: Path) -> None:
    sound(tmp_path)
    (tmp_path / "data" / "pepper").chmod(0o644)
    outcome = doctor("--offline", "--config", str(tmp_path / "config.yaml"))
    assert outcome.exit_code == 1
    (failed,) = [line for line in outcome.stdout.splitlines() if line.startswith("FAIL  secrets")]
    assert "chmod 600" in failed


def test_a_variable_that_wins_over_the_file_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound(tmp_path)
    monkeypatch.setenv("RINGFENCE_POLICIES__PATHS", str(tmp_path / "policies" / "open.yaml"))
    monkeypatch.setenv("RINGFENCE_WORKERS", "2")
    outcome = doctor("--offline", "--config", str(tmp_path / "config.yaml"))
    assert outcome.exit_code == 0, outcome.output
    (warned,) = [line for line in outcome.stdout.splitlines() if line.startswith("warn  settings")]
    assert "RINGFENCE_POLICIES__PATHS overrides policies.paths" in warned


def test_programs_get_the_same_as_json(tmp_path: Path) -> None:
    sound(tmp_path)
    file = str(tmp_path / "config.yaml")
    report = json.loads(doctor("--offline", "--json", "--config", file).stdout)
    assert report["ok"] is True
    assert {each["state"] for each in report["checks"]} <= {"ok", "warn"}
    assert [each["check"] for each in report["checks"]] == [
        line[6:21].strip() for line in doctor("--offline", "--config", file).stdout.splitlines()
    ]


def test_settings_with_mistakes_are_the_one_finding(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("listen: {prot: 1}\nworkers: 0\n")
    outcome = doctor("--json", "--config", str(tmp_path / "config.yaml"))
    assert outcome.exit_code == 1
    report = json.loads(outcome.stdout)
    assert [each["says"].split(": ")[0].rpartition("/")[2] for each in report["checks"]] == [
        "config.yaml:1:10",
        "config.yaml:2:10",
    ]


def test_a_running_proxy_can_be_examined_without_disturbing_it(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.running import UPSTREAM_KEY

    monkeypatch.setenv("OPPER_API_KEY", UPSTREAM_KEY)
    monkeypatch.setenv("RINGFENCE_ADMIN__PORT", str(stage.admin_port))
    monkeypatch.setenv("RINGFENCE_LISTEN__PORT", str(stage.port))
    outcome = doctor("--json", "--config", str(stage.folder / "config.yaml"))
    report = json.loads(outcome.stdout)
    assert outcome.exit_code == 0, outcome.stdout
    says = {each["check"]: each["says"] for each in report["checks"]}
    assert "is running" in says["ports"]
    assert "gateway" in says
    assert stage.ready()["ready"]
