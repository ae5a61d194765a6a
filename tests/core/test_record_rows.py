"""A record tells a decision as it was made: what decided comes first, what is left out is counted."""

from __future__ import annotations

import itertools
from datetime import timedelta

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.record_form import CANONICAL, Draft
from proxy.core.record_rows import (
    CHANGES_MOST,
    FEATURES_BYTES,
    POLICIES_MOST,
    ROUTES_BYTES,
    RULES_BYTES,
    Names,
    caller_fields,
    decision_fields,
    feature_fields,
    policy_fields,
    route_fields,
)
from proxy.core.values import (
    Basis,
    Claim,
    Digest,
    Edit,
    Effect,
    Outcome,
    PolicyId,
    PolicyRef,
    RouteId,
    Signal,
)
from tests.core.test_record import AT, CALLER, SECRET, call, decision, finding, route

NAMES = Names(frozenset({"openai", "openai/gpt-image-1"}), SECRET)
_RANK = ["unmet", "unknown", "waived", "met"]


def plain(draft: Draft) -> dict:
    """The fields as a record holds them, the encoded ones decoded."""
    found: dict = orjson.loads(orjson.dumps(draft, option=CANONICAL))
    return found


def refs(count: int) -> list[PolicyRef]:
    return [PolicyRef(PolicyId(f"p{n}"), Digest("sha256:" + "d" * 64)) for n in range(count)]


# -- names -----------------------------------------------------------------------------------------


@given(st.text(max_size=30))
def test_a_string_is_written_in_words_only_when_it_is_ours(text: str) -> None:
    assert NAMES.chosen(text) == (text if text in NAMES.known else SECRET.sealed(text))


def test_a_caller_that_was_not_established_leaves_no_field() -> None:
    assert caller_fields(None) == {}
    assert caller_fields(CALLER) == {"tenant": "acme", "project": "design", "key_id": "k-7"}


# -- policies --------------------------------------------------------------------------------------


@given(st.integers(0, 3 * POLICIES_MOST))
def test_every_policy_is_named_or_counted(count: int) -> None:
    fields = policy_fields(refs(count))
    named = fields["policy"]
    assert isinstance(named, list)
    assert [row["id"] for row in named] == [f"p{n}" for n in range(min(count, POLICIES_MOST))]
    assert fields.get("policy_left", 0) == max(0, count - POLICIES_MOST)


# -- rules -----------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.sampled_from(Outcome), st.booleans()), max_size=12))
def test_rules_about_the_route_come_before_those_about_others_and_refusals_before_consent(kinds) -> None:
    findings = tuple(
        finding(outcome=outcome, route="openai/gpt-image-1" if chosen else "other/route", dimension=f"d{n}")
        for n, (outcome, chosen) in enumerate(kinds)
    )
    rules = plain(decision_fields(decision(findings=findings), call(), NAMES))["rules"]
    keys = [("route" in rule, _RANK.index(rule["outcome"])) for rule in rules]
    assert keys == sorted(keys)
    for _, group in itertools.groupby(zip(keys, rules, strict=True), key=lambda pair: pair[0]):
        order = [int(rule["about"][1:]) for _, rule in group]
        assert order == sorted(order)


def test_a_rule_repeats_neither_its_route_nor_what_is_not_there() -> None:
    (rule,) = plain(decision_fields(decision(findings=(finding(source=""),)), call(), NAMES))["rules"]
    assert rule.keys() == {"policy", "about", "outcome", "asked", "claimed", "basis"}


def test_a_contract_and_a_waiver_are_named_where_they_counted_and_for_the_whole() -> None:
    made = decision(
        findings=(finding(attestation="zdr-2026", waiver="w-1", basis=Basis.ATTESTATION),),
        attestations=("zdr-2026",),
        waivers=("w-1",),
    )
    held = plain(decision_fields(made, call(), NAMES))
    assert (held["rules"][0]["attestation"], held["rules"][0]["waiver"]) == ("zdr-2026", "w-1")
    assert (held["attestations"], held["waivers"]) == (["zdr-2026"], ["w-1"])


@pytest.mark.parametrize("count", [1, 40, 400])
def test_rules_stay_within_their_bytes_and_none_goes_uncounted(count: int) -> None:
    made = decision(False, findings=tuple(finding(asked="a" * 150) for _ in range(count)))
    held = plain(decision_fields(made, call(), NAMES))
    assert len(held["rules"]) + held.get("rules_left", 0) == count
    assert len(orjson.dumps(held["rules"])) <= RULES_BYTES + 1


def test_the_first_rule_that_does_not_fit_ends_the_list() -> None:
    """A shorter one further down does not slip in: what is shown is a beginning, without holes."""
    long = [finding(asked="a" * 150, claimed="b" * 150, dimension=f"d{n}") for n in range(30)]
    made = decision(False, findings=(*long, finding(asked="", claimed="", dimension="short")))
    rules = plain(decision_fields(made, call(), NAMES))["rules"]
    assert [rule["about"] for rule in rules] == [f"d{n}" for n in range(len(rules))]


# -- the route -------------------------------------------------------------------------------------


def test_a_refused_request_has_no_route_and_no_changes() -> None:
    held = plain(decision_fields(decision(False), call(), NAMES))
    assert not held.keys() & {"route_row", "changes"}


def test_the_route_stands_as_it_was_evaluated() -> None:
    chosen = route(dpa=Claim("signed", Basis.ATTESTATION, "signed", "x", valid_until=AT + timedelta(days=1)))
    row = plain(decision_fields(decision(route=chosen), call(), NAMES))["route_row"]
    assert (row["id"], row["provider"]) == (RouteId("openai/gpt-image-1"), "openai")
    assert row["verified"] == "2026-03-01T12:30:00.000042Z"
    assert row["posture"]["training"] == {"basis": "catalogue", "value": '"none"'}
    assert row["posture"]["dpa"]["until"] == "2026-03-02T12:30:00.000042Z"


@pytest.mark.parametrize(
    ("value", "written"),
    [(0.5, "0.5"), (None, "null"), ({"kept": "none"}, '{"kept":"none"}'), ([1, 2], "[1,2]")],
)
def test_a_claim_of_any_form_is_written_as_text(value, written: str) -> None:
    chosen = route(dpa=Claim(value, Basis.CATALOGUE, "x", "x"))
    row = plain(decision_fields(decision(route=chosen), call(), NAMES))["route_row"]
    assert row["posture"]["dpa"]["value"] == written


@pytest.mark.parametrize("count", [1, 30, 300])
def test_routes_that_may_serve_besides_stay_within_their_bytes_and_none_goes_uncounted(count: int) -> None:
    also = [RouteId(f"provider/model-of-some-length-{n}") for n in range(count)]
    held = plain(route_fields(also))
    assert held["routes_also"] == also[: len(held["routes_also"])]
    assert len(held["routes_also"]) + held.get("routes_left", 0) == count
    assert len(orjson.dumps(held["routes_also"])) <= ROUTES_BYTES + 1


def test_a_request_that_one_route_alone_may_serve_says_nothing_of_others() -> None:
    assert route_fields(()) == {}


# -- features and changes --------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, 20, 200])
def test_features_stay_within_their_bytes_and_none_goes_uncounted(count: int) -> None:
    effects = [Effect(f"row-{n}", (Signal.CACHE,), "p" * 100, "x") for n in range(count)]
    held = plain(feature_fields(effects))
    assert len(held["features"]) + held.get("features_left", 0) == count
    assert len(orjson.dumps(held["features"])) <= FEATURES_BYTES + 1


def test_more_changes_than_are_shown_are_counted() -> None:
    edits = tuple(Edit(("metadata", n), "remove") for n in range(CHANGES_MOST + 6))
    changes = plain(decision_fields(decision(edits=edits), call(), NAMES))["changes"]
    assert len(changes) == CHANGES_MOST + 1
    assert changes[-1] == "and 6 more"


def test_a_place_that_the_sender_named_shows_its_depth_and_not_its_names() -> None:
    edits = (Edit(("model",), "set", "x"), Edit(("secret-name", 3, "other"), "remove"))
    changes = plain(decision_fields(decision(edits=edits), call(), NAMES))["changes"]
    sealed = [SECRET.sealed(name)["mac"] for name in ("secret-name", "other")]
    assert changes == ["set /model", f"remove /{sealed[0]}/3/{sealed[1]}"]


def test_what_a_policy_says_of_an_unknown_member_is_sealed() -> None:
    said = finding(dimension="features.unknown_member", claimed="the member 'my-secret'")
    (rule,) = plain(decision_fields(decision(findings=(said,)), call(), NAMES))["rules"]
    assert rule["claimed"] == SECRET.sealed("the member 'my-secret'")
