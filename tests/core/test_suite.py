"""A suite fails when a case comes out otherwise, and when a requirement was not seen both ways."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.core.strict_yaml import load
from proxy.core.suite import Report, run_suite, unnamed
from proxy.core.suite_file import read_suite
from tests.judging import COUNTRIES, policy

GATEWAY = {"location": "SE", "content_retention": None}
SUITE = """suite: s
policies: [p]
at: 2026-11-22T12:00:00Z
catalogue:
  - {id: example/good, type: llm, model: m, compliance: {training: No training on customer data.}}
  - {id: example/bad, type: llm, model: m, compliance: {training: "Yes"}}
cases:
  - name: one is allowed
    model: example/good
    expect: {effect: allow, route: example/good, findings: {training: met}, failing: [], edits: []}
  - name: the other is refused
    model: example/bad
    expect:
      {effect: deny, reason: requirement_unmet, findings: {training: unmet}, alternatives: [example/good]}
  - name: a bare name is pinned
    model: m
    expect: {effect: allow, edits: [set /model]}
"""


def run(text: str, *policies: Any) -> Report:
    suite = read_suite(load(text, "s_test.yaml"), COUNTRIES, GATEWAY)
    return run_suite(suite, policies or [policy()])


def problems(text: str) -> list[str]:
    return [problem for result in run(text).results for problem in result.problems]


def test_a_suite_in_which_everything_comes_out_as_expected_passes() -> None:
    report = run(SUITE)
    assert report.passed, report.lines()
    assert report.lines()[0] == "s: 3 cases, passed"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("effect: allow, route", "effect: deny, route", "expected deny, came out allow"),
        ("{effect: allow, edits", "{effect: deny, edits", "expected deny, came out allow"),
        (
            "effect: deny, reason",
            "effect: allow, reason",
            "expected allow, came out deny: training unmet (Yes)",
        ),
        (
            "requirement_unmet",
            "unknown_model",
            "expected the reason unknown_model, came out requirement_unmet",
        ),
        (
            "route: example/good",
            "route: example/bad",
            "expected the route example/bad, came out example/good",
        ),
        ("{training: met}", "{training: unmet}", "expected training to be unmet, came out met"),
        ("{training: met}", "{dpa: met}", "expected dpa to be met, came out none"),
        ("failing: []", "failing: [training]", "expected exactly training to fail, failed: none"),
        ("edits: [set /model]", "edits: []", "expected the edits none, came out set /model"),
        (
            "alternatives: [example/good]",
            "alternatives: []",
            "expected the alternatives none, came out example/good",
        ),
    ],
)
def test_every_expectation_can_fail(old: str, new: str, words: str) -> None:
    assert old in SUITE
    changed = SUITE.replace(old, new, 1)
    assert any(words in problem for problem in problems(changed)), problems(changed)
    report = run(changed)
    assert not report.passed
    assert any(line.startswith("  FAIL") for line in report.lines())


def test_a_requirement_that_was_never_seen_unmet_fails_the_suite() -> None:
    report = run(
        SUITE.replace('"Yes"', "Perhaps")
        .replace("requirement_unmet", "requirement_unknown")
        .replace("training: unmet", "training: unknown")
    )
    assert not problems_of(report)
    assert report.unseen == ("p: no case shows training unmet",)
    assert not report.passed


def test_a_requirement_that_was_never_seen_at_all_fails_the_suite() -> None:
    demanding = policy(require={"training": "forbidden", "dpa": "any"}, gateway={"content_retention": "none"})
    assert run(SUITE, demanding).unseen == ("p: no case shows gateway.content_retention met or unmet",)


def test_policies_that_a_suite_does_not_name_have_no_say_in_it() -> None:
    assert run(SUITE, policy(), policy(name="q", require={"dpa": "signed"})).passed


def test_a_suite_that_names_a_policy_which_is_not_there_does_not_pass() -> None:
    report = run(SUITE, policy(name="q"))
    assert report.unseen == ("p: no such policy was given",)


def test_policies_without_a_suite_are_listed() -> None:
    suite = read_suite(load(SUITE, "s_test.yaml"), COUNTRIES, GATEWAY)
    assert unnamed([suite], [policy(), policy(name="q")]) == ["q"]


def problems_of(report: Report) -> list[str]:
    return [problem for result in report.results for problem in result.problems]
