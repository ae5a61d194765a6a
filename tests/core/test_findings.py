"""One policy held against one route, the gateway, or a feature: a finding for each demand."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from proxy.core.features import Treatment
from proxy.core.findings import complies, on_feature, on_gateway, on_route, plausible
from proxy.core.values import Edit, Effect, Outcome, Signal
from tests.judging import AT, STRICT, UNMET, claim, policy, route

EDIT = Edit(("store",), "set", False)
WAIVER = {
    "id": "w1", "dimension": "retention.cache", "routes": ["example/*"], "because": "Migration.",
    "approved_by": "Legal", "approved_at": "2026-11-01", "valid_until": "2026-12-01",
}  # fmt: skip


def outcomes(one: Any, a_route: Any) -> dict[str, Outcome]:
    return {held.finding.dimension: held.finding.outcome for held in on_route(one, a_route, AT)}


def effect(*signals: Signal, edits: tuple[Edit, ...] = (), path: str = "store") -> Effect:
    return Effect("row.x", signals, path, "a feature", edits)


@pytest.mark.parametrize("dimension", UNMET)
def test_every_requirement_has_its_own_finding(dimension: str) -> None:
    one = policy(require=STRICT)
    name = dimension.replace(".", "__")
    assert set(outcomes(one, route()).values()) == {Outcome.MET}
    for value, expected in ((UNMET[dimension], Outcome.UNMET), (None, Outcome.UNKNOWN)):
        changed: dict[str, Any] = {name: value}
        found = outcomes(one, route(**changed))
        assert found.pop(dimension) is expected
        assert set(found.values()) == {Outcome.MET}


def test_a_posture_that_lacks_a_dimension_is_unknown_on_it() -> None:
    assert set(outcomes(policy(require=STRICT), replace(route(), posture={})).values()) == {Outcome.UNKNOWN}


def test_a_waiver_excuses_its_requirement_and_is_named() -> None:
    one = policy(require=STRICT, waivers=[WAIVER])
    held = {h.finding.dimension: h for h in on_route(one, route(retention__cache=None), AT)}
    assert held["retention.cache"].finding.outcome is Outcome.WAIVED
    assert held["retention.cache"].finding.waiver == "w1"
    assert held["retention.cache"].finding.remedy == ""
    assert held["retention.cache"].until == one.waivers[0].valid_until


def test_a_waiver_is_not_named_where_it_is_not_needed() -> None:
    held = on_route(policy(require=STRICT, waivers=[WAIVER]), route(), AT)
    assert all(h.finding.waiver == "" for h in held)


def test_a_finding_holds_until_its_claim_lapses() -> None:
    end = AT + timedelta(days=3)
    one = route()
    one = replace(
        one, posture={**one.posture, "training": claim("never", until=end, source="attestation:a1")}
    )
    (held,) = on_route(policy(), one, AT)
    assert held.until == end
    assert held.finding.attestation == "a1"


def test_retention_promises_are_unknown_where_carve_outs_are_not_accepted() -> None:
    one = policy(require={"retention": {"abuse_logs": "none"}}, carve_outs_accepted=["system_data"])
    (held,) = on_route(one, route(), AT)
    assert held.finding.outcome is Outcome.UNKNOWN
    assert "csam_scan, legal_hold, classifier_results" in held.finding.remedy
    accepted = policy(
        require={"retention": {"abuse_logs": "none"}},
        carve_outs_accepted=["csam_scan", "legal_hold", "classifier_results"],
    )
    assert all(h.passes for h in on_route(accepted, route(), AT))


def test_model_lists_are_findings_too() -> None:
    one = policy(models={"allow": ["example/*"]})
    assert outcomes(one, route("example/a"))["models"] is Outcome.MET
    assert outcomes(one, route("other/a"))["models"] is Outcome.UNMET


def test_a_retired_route_is_out_from_its_day_on() -> None:
    gone = replace(route(), retired_at=AT, successor="b")
    (finding,) = [h.finding for h in on_route(policy(), gone, AT) if h.finding.dimension == "models"]
    assert finding.outcome is Outcome.UNMET
    assert "successor b" in finding.remedy
    assert on_route(policy(), replace(route(), retired_at=AT + timedelta(seconds=1)), AT)[0].passes


def test_the_gateway_is_held_against_the_gateway_block() -> None:
    one = policy(gateway={"location": {"within": ["SE"]}, "content_retention": "none"})
    good = {"location": claim({"places": ["SE"], "beside": []}), "content_retention": claim({"kept": "none"})}
    assert [h.finding.dimension for h in on_gateway(one, good, "example/a", AT)] == [
        "gateway.location", "gateway.content_retention",
    ]  # fmt: skip
    assert all(h.passes for h in on_gateway(one, good, "example/a", AT))
    assert not any(h.passes for h in on_gateway(one, {}, "example/a", AT))


@pytest.mark.parametrize(
    "changed", [{}, *({name: None} for name in UNMET), *({name: v} for name, v in UNMET.items())]
)
@pytest.mark.parametrize("waived", [False, True])
def test_the_short_way_and_the_long_way_agree(changed: dict[str, Any], waived: bool) -> None:
    one = policy(require=STRICT, waivers=[WAIVER] if waived else [])
    a_route = route(**{name.replace(".", "__"): value for name, value in changed.items()})
    passes = all(h.passes for h in on_route(one, a_route, AT))
    assert complies([one], a_route, AT) is passes
    assert plausible([one], a_route) or not passes


@pytest.mark.parametrize(
    ("treatment", "edits", "passes"),
    [("allow", (), True), ("rewrite", (EDIT,), True), ("rewrite", (), False), ("refuse", (EDIT,), False)],
)
def test_a_feature_passes_when_it_is_allowed_or_can_be_undone(
    treatment: str, edits: tuple[Edit, ...], passes: bool
) -> None:
    one = policy(features={"app_state": treatment})
    found = on_feature([one], effect(Signal.APP_STATE, edits=edits))
    assert found.refused is not passes
    assert found.findings[0].source == "row.x"
    assert bool(found.findings[0].remedy) is not passes


def test_the_strictest_of_several_policies_counts() -> None:
    policies = [policy(name=t, features={"app_state": t}) for t in ("allow", "rewrite")]
    found = on_feature(policies, effect(Signal.APP_STATE, edits=(EDIT,)))
    assert found.treatment is Treatment.REWRITE
    assert not found.refused
    refusing = policy(name="z", features={"app_state": "refuse"})
    assert on_feature([*policies, refusing], effect(Signal.APP_STATE, edits=(EDIT,))).refused


def test_every_signal_of_a_feature_is_judged() -> None:
    one = policy(features={"app_state": "allow", "hosted_tool": "refuse"})
    found = on_feature([one], effect(Signal.APP_STATE, Signal.HOSTED_TOOL))
    assert [f.outcome for f in found.findings] == [Outcome.MET, Outcome.UNMET]


def test_a_model_that_always_caches_is_judged_as_a_cache() -> None:
    always = effect(Signal.CACHE, Signal.MODEL_OVERRIDE, path="model")
    assert not on_feature([policy()], always).refused
    assert on_feature([policy(require={"retention": {"cache": "none"}})], always).refused
    assert on_feature([policy()], effect(Signal.MODEL_OVERRIDE)).refused


@pytest.mark.parametrize(
    ("area", "value", "refused"), [("US", "us", False), ("EU", "us", True), ("EU", "default", False)]
)
def test_a_rewrite_that_names_a_place_outside_is_no_rewrite(area: str, value: str, refused: bool) -> None:
    one = policy(require={"inference_location": {"within": [area]}})
    found = on_feature([one], effect(Signal.RESIDENCY, edits=(Edit(("inference_geo",), "set", value),)))
    assert found.refused is refused


@pytest.mark.parametrize("treatment", ["rewrite", "refuse"])
@pytest.mark.parametrize(("area", "refused"), [("US", False), ("EU", True)])
def test_a_place_that_the_request_itself_names_is_held_against_the_policy(
    treatment: str, area: str, refused: bool
) -> None:
    one = policy(require={"inference_location": {"within": [area]}}, features={"residency": treatment})
    found = on_feature([one], effect(Signal.RESIDENCY, edits=(Edit(("inference_geo",), "keep", "us"),)))
    assert found.refused is refused
    assert "rewritten" not in found.findings[0].claimed


@pytest.mark.parametrize("op", ["set", "keep"])
def test_no_remedy_names_a_value_that_would_lead_out_of_what_the_policy_permits(op: str) -> None:
    one = policy(require={"inference_location": {"within": ["EU"]}})
    found = on_feature([one], effect(Signal.RESIDENCY, edits=(Edit(("inference_geo",), op, "us"),)))
    remedy = found.findings[0].remedy
    assert "inference_geo" not in remedy
    assert "use a route whose place no request chooses" in remedy


def test_an_unknown_member_is_dropped_where_the_policy_says_so() -> None:
    unknown = effect(Signal.UNKNOWN_MEMBER, edits=(Edit(("x",), "remove"),), path="x")
    assert on_feature([policy()], unknown).refused
    assert "unknown_members" in on_feature([policy()], unknown).findings[0].remedy
    assert not on_feature([policy(unknown_members="drop")], unknown).refused
    assert on_feature([policy(unknown_members="drop"), policy(name="q")], unknown).refused
