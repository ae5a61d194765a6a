"""A suite file is read as strictly as a policy."""

from __future__ import annotations

import pytest

from proxy.core.errors import Mistakes
from proxy.core.strict_yaml import load
from proxy.core.suite_file import Suite, read_suite
from proxy.core.values import Caller, Edit, Signal
from tests.judging import COUNTRIES

FULL = """suite: s
policies: [p]
at: 2026-11-22T12:00:00Z
caller: {organisation: acme, project: studio}
gateway: {content_retention: {retention_days: 7}}
catalogue: [{id: example/a}]
attestations:
  - id: a1
    claims: [{claim: no_training, clause: x}]
    subject: {provider: example}
    evidence: {ref: r, sha256: "0000000000000000000000000000000000000000000000000000000000000000"}
    attested_by: x
    verified_at: 2026-11-01
    valid_until: 2026-12-01
cases:
  - name: everything said
    model: example/a
    fallbacks: [example/b]
    operation: responses
    stream: true
    at: 2027-01-01
    caller: {key_id: k2, policies: [p]}
    gateway: {location: US}
    attested: [a1]
    effects:
      - {row: r, signals: [app_state], path: store, feature: f, edits: [{pointer: [a, 0], value: false}]}
    expect: {effect: deny, failing: [dpa]}
  - name: nothing said
    model: ""
    attested: all
    expect: {effect: deny}
"""


def read(text: str = FULL) -> Suite:
    return read_suite(load(text, "s_test.yaml"), COUNTRIES, {"location": "SE", "content_retention": None})


def told(text: str) -> str:
    with pytest.raises(Mistakes) as caught:
        read(text)
    return str(caught.value)


def test_a_case_says_for_itself_what_the_suite_says_for_all() -> None:
    first, second = read().cases
    assert first.call.models == ("example/a", "example/b")
    assert first.call.stream
    assert first.call.effects[0].signals == (Signal.APP_STATE,)
    assert first.call.effects[0].edits == (Edit(("a", 0), "set", False),)
    assert first.caller == Caller("acme", "studio", "k2", ("p",))  # type: ignore[arg-type]  # PolicyId is a plain text here
    assert first.gateway == {"location": "US", "content_retention": {"retention_days": 7}}
    assert first.at.year == 2027
    assert second.caller == Caller("acme", "studio", "key-1")
    assert second.gateway == {"location": "SE", "content_retention": {"retention_days": 7}}
    assert second.attested == {"a1"}
    assert second.at.year == 2026


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("at: 2026-11-22T12:00:00Z\n", "", "never depends on today"),
        ("policies: [p]\n", "", "policies is missing"),
        ("catalogue: [{id: example/a}]", "catalogue: []", "list catalogue rows"),
        ("attested: [a1]", "attested: [a2]", "'a2' is not one of a1"),
        ("signals: [app_state]", "signals: [app_stat]", "did you mean 'app_state'?"),
        ("feature: f", "featur: f", "unknown field 'featur'"),
        ("pointer: [a, 0]", "pointer: a", "list member names"),
        ("{effect: deny}", "{}", "effect is missing"),
        ("{effect: deny}", "{effect: denied}", "did you mean 'deny'?"),
        ("{effect: deny}", "{effect: deny, reason: because}", "no reason code"),
        ("{effect: deny}", "{effect: deny, findings: {dpa: good}}", "write one of met"),
        ("{effect: deny}", "{effect: deny, findings: [dpa]}", "write a mapping"),
        ("{effect: deny}", "{effect: deny, findings: {dpaa: []}}", "write one of met"),
        ('    model: ""\n', "", "write the model"),
        ("    expect: {effect: deny}\n", "", "expect is missing"),
        ("claim: no_training", "claim: no_trainin", "did you mean 'no_training'?"),
    ],
)
def test_mistakes_are_told(old: str, new: str, words: str) -> None:
    assert old in FULL
    assert words in told(FULL.replace(old, new))


def test_a_suite_without_cases_tests_nothing() -> None:
    assert "cases is missing" in told(FULL[: FULL.index("cases:")])
