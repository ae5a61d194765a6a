"""A policy means what it says, or says everything that is wrong with it."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.core.dimensions import NoDemand
from proxy.core.errors import Mistakes
from proxy.core.features import Treatment
from proxy.core.policy import CARVE_OUTS, applicable, read_policies, read_policy, with_waivers
from proxy.core.strict_yaml import load
from proxy.core.values import Caller, PolicyId, Signal
from proxy.core.waivers import read_waivers
from tests.judging import CALLER, COUNTRIES, STRICT, policy

MINIMAL = """policy: p
because: Because.
applies_to: {projects: ["*"]}
require: {training: forbidden}
"""


def told(text: str) -> list[str]:
    with pytest.raises(Mistakes) as caught:
        read_policy(load(text, "p.yaml"), COUNTRIES)
    return [str(mistake) for mistake in caught.value.found]


def test_a_minimal_policy_has_a_treatment_for_every_signal_and_safe_defaults() -> None:
    one = policy(MINIMAL)
    assert set(one.features) == set(Signal)
    assert one.pin_when_some_comply
    assert not one.unsafe_forward_pools
    assert not one.require_confirmation
    assert one.carve_outs_accepted == CARVE_OUTS
    assert one.features[Signal.UNKNOWN_MEMBER] is Treatment.REFUSE


def test_every_dimension_can_be_required() -> None:
    one = policy(require=STRICT)
    assert [d.name for d, _ in one.requirements] == [
        "inference_location", "storage_location", "training", "retention.application_state",
        "retention.abuse_logs", "retention.cache", "human_review", "third_parties", "dpa",
        "transfer_basis", "evidence",
    ]  # fmt: skip


def test_any_is_written_down_as_no_demand() -> None:
    one = policy(require={"training": "forbidden", "dpa": "any"})
    assert [isinstance(requirement, NoDemand) for _, requirement in one.requirements] == [False, True]


def test_every_mistake_is_reported_at_once_with_its_place_and_the_nearest_name() -> None:
    text = """polcy: p
because: ""
applies_to: {project: ["*"], keys: []}
require:
  trainin: forbidden
  inference_location: {within: [USS, no, EU]}
  retention: {abuse_log: none, cache: {at_most: 24 hours}}
  dpa: signd
gateway: {content_retention: nothing, storage: none}
features: {app_state: rewrit, hosted_tools: refuse}
unknown_members: ignore
when_some_routes_comply: pinn
models: {allow: []}
carve_outs_accepted: [csam]
require_confirmation: perhaps
"""
    with pytest.raises(Mistakes) as caught:
        read_policy(load(text.replace(" no,", ' "no",'), "p.yaml"), COUNTRIES)
    lines = [str(mistake) for mistake in caught.value.found]
    expected = {
        "p.yaml:1:1: unknown field 'polcy'; did you mean 'policy'?",
        "p.yaml:1:1: policy is missing: name the policy; records and refusals use the name",
        "p.yaml:2:10: because must be text, not empty",
        "p.yaml:3:14: unknown field 'project'; did you mean 'projects'?",
        "p.yaml:5:3: unknown field 'trainin'; did you mean 'training'?",
        "p.yaml:6:33: inference_location: 'USS' is no country code or set; did you mean 'US'?",
        "p.yaml:6:38: inference_location: 'no' is no country code or set; did you mean 'NO'?",
        "p.yaml:7:15: unknown field 'abuse_log'; did you mean 'abuse_logs'?",
        "p.yaml:8:8: dpa: 'signd' is not one of signed, available, any; did you mean 'signed'?",
        "p.yaml:9:30: content_retention: 'nothing' is not one of none, any",
        "p.yaml:10:23: 'rewrit' is not one of allow, rewrite, refuse; did you mean 'rewrite'?",
        "p.yaml:10:31: unknown field 'hosted_tools'; did you mean 'hosted_tool'?",
        "p.yaml:11:18: 'ignore' is not one of refuse, drop",
        "p.yaml:12:26: 'pinn' is not one of pin, refuse; did you mean 'pin'?",
        "p.yaml:15:23: require_confirmation must be true or false, not text",
    }
    assert expected <= set(lines), expected - set(lines)
    assert any(line.startswith("p.yaml:7:49: retention.cache: '24 hours' is no duration") for line in lines)
    assert any(line.startswith("p.yaml:3:36: an empty list covers nobody") for line in lines)
    assert any(line.startswith("p.yaml:13:17: an empty list would allow nothing") for line in lines)
    assert any(line.startswith("p.yaml:14:23: 'csam' is not one of csam_scan") for line in lines)
    assert lines == sorted(lines, key=lambda line: [int(part) for part in line.split(":")[1:3]])


@pytest.mark.parametrize("field", ["policy", "because", "applies_to"])
def test_who_why_and_for_whom_are_mandatory(field: str) -> None:
    text = "\n".join(line for line in MINIMAL.splitlines() if not line.startswith(field))
    assert len(told(text)) == 1
    assert field in told(text)[0]


@pytest.mark.parametrize("require", ["", "require: {}\n", "require: {retention: {}}\n"])
def test_a_policy_that_asks_nothing_is_a_mistake(require: str) -> None:
    assert "require" in told(MINIMAL.replace("require: {training: forbidden}\n", require))[0]


@pytest.mark.parametrize(
    ("fields", "place"),
    [({"gateway": {}}, "gateway"), ({"require": {"training": "forbidden", "retention": {}}}, "retention")],
)
def test_a_block_that_asks_for_nothing_is_a_mistake(fields: dict[str, Any], place: str) -> None:
    with pytest.raises(Mistakes) as raised:
        policy(**fields)
    (told,) = raised.value.found
    assert f"leave out {place}" in str(told)


def test_an_allow_list_alone_is_something_to_ask() -> None:
    text = MINIMAL.replace("require: {training: forbidden}", "models: {allow: [openai/*]}")
    assert policy(text).models.allow == ("openai/*",)


@pytest.mark.parametrize("text", ["", "[]", "policy", "3"])
def test_a_file_that_is_no_mapping_is_a_mistake(text: str) -> None:
    assert told(text)


def test_unknown_members_are_said_once_and_in_their_own_field() -> None:
    assert policy(MINIMAL + "unknown_members: drop\n").features[Signal.UNKNOWN_MEMBER] is Treatment.REWRITE
    assert "unknown field 'unknown_member'" in told(MINIMAL + "features: {unknown_member: allow}\n")[0]


def test_no_word_makes_unknown_pass() -> None:
    assert "unknown field 'on_unknown'" in told(MINIMAL + "on_unknown: allow_with_flag\n")[0]


def test_the_digest_follows_the_meaning_and_not_the_comments() -> None:
    same = policy("# a comment\n" + MINIMAL.replace("Because.", "'Because.'"))
    other = policy(MINIMAL.replace("forbidden", "opt_in_only"))
    assert policy(MINIMAL).digest == same.digest != other.digest
    assert policy(MINIMAL).digest.startswith("sha256:")


@pytest.mark.parametrize(
    ("scope", "covered"),
    [
        ({"projects": ["*"]}, True),
        ({"projects": ["studio"]}, True),
        ({"projects": ["stu*"]}, True),
        ({"projects": ["other"]}, False),
        ({"organisations": ["acme"], "projects": ["studio"]}, True),
        ({"organisations": ["other"], "projects": ["studio"]}, False),
        ({"keys": ["key-1"]}, True),
        ({"keys": ["KEY-1"]}, False),
    ],
)
def test_all_fields_of_a_scope_must_match(scope: dict[str, Any], covered: bool) -> None:
    assert bool(applicable([policy(applies_to=scope)], CALLER)) is covered


def test_a_policy_bound_to_the_key_applies_whatever_its_scope() -> None:
    one = policy(name="bound", applies_to={"projects": ["elsewhere"]})
    assert applicable([one], Caller("acme", "studio", "k", (PolicyId("bound"),))) == (one,)


def test_policies_apply_in_the_order_of_their_ids_whatever_order_they_came_in() -> None:
    a, b = policy(name="a"), policy(name="b")
    assert applicable([b, a], CALLER) == applicable([a, b], CALLER) == (a, b)


def test_a_set_of_policies_reports_the_mistakes_of_all_and_ids_that_clash() -> None:
    bad = load(MINIMAL.replace("forbidden", "forbiden"), "b.yaml")
    with pytest.raises(Mistakes) as caught:
        read_policies([bad, load(MINIMAL, "a.yaml"), load(MINIMAL, "c.yaml")], COUNTRIES)
    assert [mistake.file for mistake in caught.value.found] == ["b.yaml", "c.yaml"]
    assert "also in a.yaml" in caught.value.found[1].message


def test_preference_is_the_place_in_the_list() -> None:
    one = policy(prefer=["azure/*", "openai/x"])
    assert [one.preference(name) for name in ("azure/y", "openai/x", "other/z")] == [0, 1, 2]


@pytest.mark.parametrize(
    ("models", "refused"),
    [
        ({"allow": ["openai/*"]}, {"azure/a"}),
        ({"deny": ["*/a"]}, {"openai/a", "azure/a"}),
        ({"deny": ["OpenAI/*", "Azure/A"]}, {"openai/a", "openai/b", "azure/a"}),
        ({"allow": ["openai/*"], "deny": ["openai/a"]}, {"openai/a", "azure/a"}),
    ],
)
def test_a_deny_list_outweighs_an_allow_list(models: dict[str, Any], refused: set[str]) -> None:
    one = policy(models=models)
    assert {name for name in ("openai/a", "openai/b", "azure/a") if one.models.refuses(name)} == refused


@pytest.mark.parametrize("field", ["allow", "deny"])
@pytest.mark.parametrize("pattern", ["gpt-5.5", "openai", " openai/x", "\u043epenai/*", "openai\\x*"])
def test_a_model_that_no_route_can_be_called_is_a_mistake(field: str, pattern: str) -> None:
    with pytest.raises(Mistakes) as raised:
        policy(models={field: ["openai/*", pattern]})
    (told,) = raised.value.found
    assert "fits no route" in str(told)
    assert told.line == 11


@pytest.mark.parametrize("pattern", ["*", "*gpt*", "a/b/c:d@e+f~g", "openai/*", "gpt*"])
def test_every_pattern_that_may_fit_a_route_is_taken(pattern: str) -> None:
    assert policy(models={"deny": [pattern]}).models.deny == (pattern,)


@pytest.mark.parametrize("field", ["organisations", "projects", "keys"])
@pytest.mark.parametrize("pattern", ["web ", "acme/web", "w\u0435b", "w?b", "", "web,app"])
def test_a_scope_that_no_caller_can_be_in_is_a_mistake(field: str, pattern: str) -> None:
    with pytest.raises(Mistakes) as raised:
        policy(applies_to={field: ["studio", pattern]})
    (told,) = raised.value.found
    assert told.line


WAIVER = """waivers:
  - id: w1
    policy: %s
    dimension: dpa
    routes: ["*"]
    because: The agreement is being signed.
    approved_by: Legal
    approved_at: 2026-11-01
    valid_until: 2026-12-01
"""


def test_a_waiver_of_a_file_attaches_to_the_policy_that_it_names_only() -> None:
    a, b = with_waivers(
        [policy(name="a"), policy(name="b")], read_waivers(load(WAIVER % "b", "w.yaml")), "w.yaml"
    )
    assert a.waivers == ()
    assert [waiver.id for waiver in b.waivers] == ["w1"]


def test_a_waiver_that_names_no_loaded_policy_is_a_mistake() -> None:
    with pytest.raises(Mistakes, match="taken") as caught:
        with_waivers([policy(name="strict")], read_waivers(load(WAIVER % "strikt", "w.yaml")), "w.yaml")
    assert "did you mean 'strict'?" in str(caught.value)
