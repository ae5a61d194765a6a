"""ringfence keys, as an operator uses it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from proxy.cli import main
from proxy.core.callers import fingerprint
from proxy.keys import open_keys

HELD = "op-live-0123456789abcdefghij"


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RINGFENCE_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data"


def ringfence(*words: str, given: str | None = None) -> Result:
    return CliRunner().invoke(main, words, input=given)


def known(data: Path, secret: str) -> str | None:
    keys = open_keys(data / "keys.json", data / "pepper")
    caller = keys.load().find(fingerprint(secret.encode(), keys.pepper))
    return None if caller is None else caller.project


def test_a_created_key_is_alone_on_standard_output_so_that_it_can_be_piped(data: Path) -> None:
    outcome = ringfence("keys", "create", "--project", "web", "--policy", "eu-only", "--policy", "strict")
    assert outcome.exit_code == 0
    secret = outcome.stdout.strip()
    assert known(data, secret) == "web"
    assert secret not in outcome.stderr
    assert "policies: eu-only,strict" in ringfence("keys", "list").output


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_an_adopted_key_is_read_from_standard_input_without_its_line_end(data: Path, ending: str) -> None:
    outcome = ringfence("keys", "adopt", "--project", "web", given=HELD + ending)
    assert outcome.exit_code == 0
    assert HELD not in outcome.output
    assert known(data, HELD) == "web"


def test_a_key_that_is_too_short_is_refused_with_advice_and_not_quoted() -> None:
    outcome = ringfence("keys", "adopt", "--project", "web", given="hunter2")
    assert outcome.exit_code == 3
    assert "too easy to guess" in outcome.stderr
    assert "hunter2" not in outcome.output


def test_a_revoked_key_leaves_the_list_unless_all_are_asked_for(data: Path) -> None:
    secret = ringfence("keys", "create", "--project", "web").stdout.strip()
    key_id = secret.split("-")[1]
    assert key_id in ringfence("keys", "list").output
    assert ringfence("keys", "revoke", key_id).exit_code == 0
    assert known(data, secret) is None
    assert key_id not in ringfence("keys", "list").output
    assert "revoked" in ringfence("keys", "list", "--all").output
    assert ringfence("keys", "revoke", key_id).exit_code == 3


def test_the_list_as_json_has_no_fingerprints() -> None:
    ringfence("keys", "create", "--project", "web", "--organisation", "acme")
    (line,) = ringfence("keys", "list", "--json").stdout.splitlines()
    shown = json.loads(line)
    assert (shown["project"], shown["organisation"], shown["adopted"]) == ("web", "acme", False)
    assert "fingerprint" not in shown


def test_a_configuration_file_says_where_keys_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RINGFENCE_DATA_DIR")
    (tmp_path / "elsewhere.yaml").write_text("keys: {file: mine/keys.json, pepper_file: mine/pepper}\n")
    assert ringfence("keys", "create", "--project", "web", "--config", "elsewhere.yaml").exit_code == 0
    assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == [
        "keys.json",
        "keys.json.lock",
        "pepper",
    ]


def test_a_project_has_to_be_named_and_well() -> None:
    assert ringfence("keys", "create").exit_code == 2
    assert ringfence("keys", "create", "--project", "a b").exit_code == 3
