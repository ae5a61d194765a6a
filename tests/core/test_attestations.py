"""An attestation has an owner, evidence and an end; without them, or after it, it is no claim."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import yaml

from proxy.core.attestations import CLAIMS, Attestation, read_attestations
from proxy.core.errors import Mistakes
from proxy.core.strict_yaml import load
from tests.judging import COUNTRIES, ROOT, route

ENTRY: dict[str, Any] = {
    "id": "a1",
    "claims": [{"claim": "zero_data_retention", "clause": "Section 4"}],
    "subject": {"route": "openai/x"},
    "evidence": {"ref": "contracts/1.pdf", "sha256": "ab" * 32},
    "attested_by": "Procurement",
    "verified_at": "2026-11-01",
    "valid_until": "2026-12-31",
}


def read(*entries: dict[str, Any]) -> tuple[Attestation, ...]:
    # Each entry is copied, because the dumper writes an anchor where one object stands twice.
    text = yaml.safe_dump({"attestations": [copy.deepcopy(entry) for entry in entries]}, sort_keys=False)
    return read_attestations(load(text, "a.yaml"), COUNTRIES)


def told(**fields: Any) -> str:
    with pytest.raises(Mistakes) as caught:
        read({**ENTRY, **fields})
    return str(caught.value)


@pytest.mark.parametrize(
    ("subject", "covered"),
    [
        ({"route": "openai/x"}, {"openai/x"}),
        ({"route": "openai/X"}, set()),
        ({"provider": "openai"}, {"openai/x", "openai/y"}),
        ({"provider": "openai", "models": ["x*"]}, {"openai/x"}),
        ({"provider": "openai", "except_models": ["x"]}, {"openai/y"}),
        ({"provider": "openai", "except_models": ["X"]}, {"openai/y"}),
        ({"provider": "open"}, set()),
    ],
)
def test_a_subject_covers_exactly_what_it_names(subject: dict[str, Any], covered: set[str]) -> None:
    (one,) = read({**ENTRY, "subject": subject})
    assert {
        name for name in ("openai/x", "openai/y", "azure/x") if one.subject.covers(route(name))
    } == covered


@pytest.mark.parametrize(
    "field", ["id", "claims", "subject", "evidence", "attested_by", "verified_at", "valid_until"]
)
def test_every_field_is_mandatory(field: str) -> None:
    with pytest.raises(Mistakes) as caught:
        read({name: value for name, value in ENTRY.items() if name != field})
    assert field in str(caught.value)
    assert len(caught.value.found) == 1


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"claims": [{"claim": "zero_data_retenton", "clause": "x"}]}, "did you mean 'zero_data_retention'?"),
        ({"claims": [{"claim": "zero_data_retention"}]}, "clause is missing"),
        ({"claims": [{"claim": "no_training", "clause": "x", "places": ["SE"]}]}, "takes no places"),
        ({"claims": [{"claim": "inference_location", "clause": "x"}]}, "places is missing"),
        (
            {"claims": [{"claim": "inference_location", "clause": "x", "places": ["EUU"]}]},
            "did you mean 'EU'?",
        ),
        ({"claims": [{"claim": "gateway_zero_content_retention", "clause": "x"}]}, "claim about the gateway"),
        ({"subject": {"gateway": "opper"}}, "claim about a route"),
        ({"subject": {"gateway": "oper"}}, "did you mean 'opper'?"),
        ({"subject": {}}, "exactly one"),
        ({"subject": {"route": "openai/x", "provider": "openai"}}, "exactly one"),
        ({"subject": {"route": "openai/*"}}, "no route id"),
        ({"subject": {"route": "gpt"}}, "no route id"),
        ({"subject": {"route": "openai/x", "models": ["z*"]}}, "narrow a provider"),
        ({"subject": {"provider": "openai", "except_models": ["openai/x"]}}, "without its provider"),
        ({"subject": {"provider": "openai", "models": ["openai/x"]}}, "without its provider"),
        ({"subject": {"provider": "openai", "except_models": ["x "]}}, "fits no route"),
        ({"evidence": {"ref": "x", "sha256": "abc"}}, "64 lower-case hex digits"),
        ({"evidence": {"ref": "x"}}, "sha256 is missing"),
        ({"valid_until": "2026-01-01"}, "ends before it was verified"),
        ({"verified_at": "soon"}, "must be a date"),
        ({"on_expiry": "keep"}, "unknown field 'on_expiry'"),
    ],
)
def test_mistakes_are_told(fields: dict[str, Any], words: str) -> None:
    assert words in told(**fields)


def test_two_claims_may_not_speak_on_one_dimension() -> None:
    twice = [{"claim": word, "clause": "x"} for word in ("zero_data_retention", "modified_abuse_monitoring")]
    assert "says again what zero_data_retention says on retention.abuse_logs" in told(claims=twice)


def test_every_mistake_of_every_entry_is_told_at_once() -> None:
    with pytest.raises(Mistakes) as caught:
        read({**ENTRY, "verified_at": "soon"}, {**ENTRY, "id": "Not A Name"}, ENTRY, ENTRY)
    assert len(caught.value.found) == 3


def test_the_vocabulary_says_what_each_word_means() -> None:
    assert {name for name, _ in CLAIMS["zero_data_retention"]} == {
        "retention.application_state", "retention.abuse_logs",
    }  # fmt: skip
    assert all(assertable.meaning for pairs in CLAIMS.values() for _, assertable in pairs)


def test_the_example_file_is_sound() -> None:
    doc = load((ROOT / "policies/attestations.example.yaml").read_bytes(), "attestations.example.yaml")
    assert [one.id for one in read_attestations(doc, COUNTRIES)] == [
        "opper-enterprise-zdr-gpt-image-1", "opper-retention-zero",
    ]  # fmt: skip
