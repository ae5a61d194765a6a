"""ringfence policy: exit codes tell apart what is wrong, and every mistake is on the terminal."""

from __future__ import annotations

import shutil
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner, Result

from proxy.cli import main
from tests.judging import ROOT

POLICIES = ROOT / "policies"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the shipped policies."""
    copied = tmp_path / "policies"
    shutil.copytree(POLICIES, copied)
    return copied


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["policy", *map(str, arguments)])


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_the_shipped_folder_is_sound_and_passes(folder: Path) -> None:
    checked, tested = run("check", folder), run("test", folder)
    assert checked.exit_code == 0, checked.output
    assert "4 policies, 2 attestations, 4 suites" in checked.output
    assert tested.exit_code == 0, tested.output


def test_check_tells_every_mistake_of_every_file_and_exits_with_3(folder: Path) -> None:
    edit(folder / "strict.yaml", "dpa: signed", "dpa: signd")
    edit(folder / "strict.yaml", "because:", "becuase:")
    edit(folder / "eu-only.yaml", "[EU]", "[EUU]")
    edit(folder / "attestations.example.yaml", "claim: zero_data_retention", "claim: zero_retention")
    edit(folder / "no-training_test.yaml", "effect: allow", "effect: alow")
    for command in ("check", "test"):
        found = run(command, folder)
        assert found.exit_code == 3
        lines = found.output.splitlines()
        for name, words in (
            ("strict.yaml:12:8", "did you mean 'signed'?"),
            ("strict.yaml:3:1", "did you mean 'because'?"),
            ("eu-only.yaml:6:33", "did you mean 'EU'?"),
            ("attestations.example.yaml:8:16", "zero_data_retention"),
            ("no-training_test.yaml", "did you mean 'allow'?"),
        ):
            assert any(name in line and words in line for line in lines), (name, found.output)


@pytest.mark.parametrize("name", ["attestations-required.yaml", "attestations_and_more.yml"])
def test_a_policy_in_a_folder_that_the_proxy_would_pass_over_is_a_mistake(folder: Path, name: str) -> None:
    (folder / "strict.yaml").rename(folder / name)
    found = run("check", folder)
    assert found.exit_code == 3
    assert f"{name}:2:1" in found.output
    assert "rename the file" in found.output


def test_a_policy_is_checked_under_any_name_when_it_is_named_itself(folder: Path) -> None:
    file = (folder / "strict.yaml").rename(folder / "attestations-required.yaml")
    assert run("check", file).exit_code == 0


def test_a_test_that_fails_exits_with_4_and_says_which(folder: Path) -> None:
    edit(folder / "us-zdr-no-training.yaml", "within: [US]", "within: [SE]")
    found = run("test", folder)
    assert found.exit_code == 4
    assert "FAIL GPT Image 1 is allowed once both are on file" in found.output


def test_a_policy_without_a_suite_fails(folder: Path) -> None:
    (folder / "no-training_test.yaml").unlink()
    found = run("test", folder)
    assert found.exit_code == 4
    assert "FAIL no-training: no suite tests this policy" in found.output


def test_nothing_to_test_is_a_failure(tmp_path: Path) -> None:
    found = run("test", tmp_path)
    assert found.exit_code == 4
    assert "nothing was tested" in found.output


def test_what_is_not_yaml_is_a_mistake_with_a_place(folder: Path) -> None:
    (folder / "broken.yaml").write_text("policy: [", encoding="utf-8")
    found = run("check", folder)
    assert found.exit_code == 3
    assert "broken.yaml:1:" in found.output


def test_waivers_of_a_file_reach_their_policy_or_are_a_mistake(folder: Path) -> None:
    waiver = """waivers:
  - id: w1
    policy: strict
    dimension: dpa
    routes: ["*"]
    because: The agreement is being signed.
    approved_by: Legal
    approved_at: 2026-11-01
    valid_until: 2026-12-01
"""
    (folder / "waivers.yaml").write_text(waiver, encoding="utf-8")
    # The strict suite says that an unsigned agreement is refused; with the waiver it is not.
    assert run("test", folder).exit_code == 4
    (folder / "waivers.yaml").write_text(waiver.replace("strict", "strikt"), encoding="utf-8")
    found = run("check", folder)
    assert found.exit_code == 3
    assert "did you mean 'strict'?" in found.output


def test_a_path_that_does_not_exist_is_wrong_usage() -> None:
    assert run("check", "/nowhere/at/all").exit_code == 2
    assert run("check").exit_code == 2


def test_the_schema_is_printed_or_written(tmp_path: Path) -> None:
    printed = run("schema")
    assert printed.exit_code == 0
    out = tmp_path / "schema.json"
    assert run("schema", "--out", out).exit_code == 0
    assert out.read_text(encoding="utf-8") == printed.output
    assert orjson.loads(printed.output)["title"] == "Ringfence policy"
