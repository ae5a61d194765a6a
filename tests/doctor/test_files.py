"""What the doctor says of files: sound ones pass, and each thing that can be spoilt is found by its name."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml

from proxy.config import Settings
from proxy.doctor.files import file_checks
from proxy.doctor.finding import Finding, State, examined
from tests.doctor.setup import AT, ENVIRON, sound


def found(settings: Settings, check: str, **environ: str) -> list[Finding]:
    given = {**ENVIRON, **environ}
    every = [each for one in file_checks(settings, given, AT) for each in examined(one)]
    return [each for each in every if each.check == check]


def only(settings: Settings, check: str) -> Finding:
    (one,) = found(settings, check)
    return one


def contracts(folder: Path, *, begins: int = -100, ends: int = 100, waivers: Any = ()) -> None:
    attestation = {
        "id": "zdr",
        "claims": [{"claim": "zero_data_retention", "clause": "section 4"}],
        "subject": {"route": "openai/gpt-image-1"},
        "evidence": {"ref": "a.pdf", "sha256": "5d" * 32},
        "attested_by": "Somebody",
        "verified_at": str((AT + timedelta(days=begins)).date()),
        "valid_until": str((AT + timedelta(days=ends)).date()),
    }
    text = yaml.safe_dump({"attestations": [attestation], "waivers": list(waivers)})
    (folder / "attestations.yaml").write_text(text)


def test_a_sound_set_up_passes_all_but_the_catalogue_that_was_never_fetched(tmp_path: Path) -> None:
    settings = sound(tmp_path)
    every = [each for one in file_checks(settings, ENVIRON, AT) for each in examined(one)]
    assert {each.check for each in every if each.state is not State.OK} <= {"catalogue"}
    assert len(every) == 7


def test_a_first_set_up_is_not_blamed_for_what_the_first_start_makes(tmp_path: Path) -> None:
    settings = sound(tmp_path)
    for file in ("keys.json", "pepper", "keys.json.lock"):
        (tmp_path / "data" / file).unlink()
    assert only(settings, "secrets").state is State.OK
    keys = only(settings, "caller keys")
    assert keys.state is State.WARN
    assert "ringfence keys create" in keys.do
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == []


@pytest.mark.parametrize(
    "file", ["data/pepper", "data/keys.json", "data/audit/signing.key", "data/audit/pseudonym.key"]
)
def test_a_secret_that_others_may_read_fails(tmp_path: Path, file: str) -> None:
    settings = sound(tmp_path)
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).touch()
    (tmp_path / file).chmod(0o644)
    secrets = only(settings, "secrets")
    assert secrets.state is State.FAIL
    assert f"chmod 600 {tmp_path / file}" in secrets.says


def test_a_lost_pepper_fails_because_no_key_is_recognised(tmp_path: Path) -> None:
    settings = sound(tmp_path)
    (tmp_path / "data" / "pepper").unlink()
    assert only(settings, "caller keys").state is State.FAIL
    assert not (tmp_path / "data" / "pepper").exists()


def test_a_gateway_key_that_is_not_there_fails_and_is_named(tmp_path: Path) -> None:
    key = found(sound(tmp_path), "gateway key", OPPER_API_KEY="")[0]
    assert key.state is State.FAIL
    assert "OPPER_API_KEY" in key.says


def test_no_secret_stands_in_a_finding(tmp_path: Path) -> None:
    settings = sound(tmp_path)
    every = [each for one in file_checks(settings, ENVIRON, AT) for each in examined(one)]
    assert ENVIRON["OPPER_API_KEY"] not in str(every)
    assert (tmp_path / "data" / "pepper").read_text().strip() not in str(every)


def test_a_policy_with_a_mistake_fails_at_its_place(tmp_path: Path) -> None:
    settings = sound(tmp_path)
    (tmp_path / "policies" / "bad.yaml").write_text(
        "policy: bad\nbecause: x\nrequire: {trainin: forbidden}\n"
    )
    says = [each.says for each in found(settings, "policies")]
    assert any("bad.yaml:3:" in words for words in says)


def test_a_project_that_no_policy_covers_is_named(tmp_path: Path) -> None:
    settings = sound(tmp_path)
    (tmp_path / "policies" / "open.yaml").write_text(
        (tmp_path / "policies" / "open.yaml").read_text().replace("[web]", "[other]")
    )
    bare = found(settings, "policies")[-1]
    assert bare.state is State.WARN
    assert "keys of web" in bare.says


@pytest.mark.parametrize(
    ("begins", "ends", "state", "words"),
    [
        (-100, 31, State.OK, "1 in"),
        (-100, 29, State.WARN, "ends in 29 days"),
        (-100, -1, State.WARN, "ended on 2026-02-28"),
        (5, 100, State.WARN, "does not hold before 2026-03-06"),
    ],
)
def test_a_contract_that_lapses_is_told_a_month_ahead(
    tmp_path: Path, begins: int, ends: int, state: State, words: str
) -> None:
    settings = sound(tmp_path)
    contracts(tmp_path, begins=begins, ends=ends)
    lapse = only(settings, "attestations")
    assert lapse.state is state
    assert words in lapse.says


def test_an_attestation_file_that_cannot_be_read_fails(tmp_path: Path) -> None:
    settings = sound(tmp_path)
    (tmp_path / "attestations.yaml").write_text("attestations: {")
    assert found(settings, "attestations")[0].state is State.FAIL


@pytest.mark.parametrize(
    ("age", "state"), [(1, State.OK), (23, State.OK), (25, State.WARN), (-1, State.FAIL)]
)
def test_the_catalogues_age_is_held_against_the_setting(tmp_path: Path, age: int, state: State) -> None:
    settings = sound(tmp_path)
    folder = tmp_path / "data" / "catalogue"
    folder.mkdir()
    kept = {
        "source": f"{settings.gateway.base_url}/v3/models",
        "fetched_at": (AT - timedelta(hours=age)).isoformat(),
        "payload": {"models": [{"id": "a/b", "model": "b"}]},
    }
    (folder / "current.json").write_bytes(orjson.dumps(kept))
    assert only(settings, "catalogue").state is state


def test_settings_that_weaken_the_promise_are_named(tmp_path: Path) -> None:
    settings = sound(tmp_path, gateway={"base_url": "http://gateway.example", "unsafe_plain_http": True})
    unsafe = only(settings, "settings")
    assert unsafe.state is State.WARN
    assert "gateway.unsafe_plain_http" in unsafe.says
