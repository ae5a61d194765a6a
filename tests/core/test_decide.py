"""Every matching policy, every requirement, every feature; anything else is a denial."""

from __future__ import annotations

import copy
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from proxy.core.decide import MOST_ALTERNATIVES, decide
from proxy.core.reasons import REASONS
from proxy.core.values import (
    Call,
    Caller,
    Candidates,
    Decision,
    Edit,
    Effect,
    Outcome,
    PolicyId,
    Reference,
    Signal,
)
from tests.judging import AT, CALLER, Shelf, call, claim, pin, policy, pool, route

GOOD, BAD, DARK = route("example/a"), route("worse/a", training="allowed"), route("dark/a", training=None)
UNDO = Edit(("store",), "set", False)
STORED = Effect("row.store", (Signal.APP_STATE,), "store", "stored", (UNDO,))


def judge(candidates: Candidates, *policies: Any, of: Call | None = None, **more: Any) -> Decision:
    return decide(
        of or call(),
        more.pop("caller", CALLER),
        candidates,
        policies or (policy(),),
        more.pop("gateway", {}),
        at=AT,
        **more,
    )


# -- who is covered --------------------------------------------------------------------------------


def test_a_route_that_meets_everything_is_allowed_and_every_finding_is_kept() -> None:
    found = judge(pin(GOOD), policy(require={"training": "forbidden", "dpa": "signed"}))
    assert found.allowed
    assert found.reason == "allowed"
    assert found.route == GOOD
    assert [(f.dimension, f.outcome) for f in found.findings] == [
        ("training", Outcome.MET),
        ("dpa", Outcome.MET),
    ]
    assert found.edits == ()


def test_without_a_matching_policy_nothing_is_allowed() -> None:
    found = judge(pin(GOOD), policy(applies_to={"projects": ["elsewhere"]}))
    assert (found.allowed, found.reason) == (False, "no_matching_policy")
    assert decide(call(), CALLER, pin(GOOD), [], {}, at=AT).reason == "no_matching_policy"


def test_a_key_bound_to_a_policy_that_is_not_loaded_is_refused() -> None:
    bound = Caller("acme", "studio", "key-1", (PolicyId("gone"),))
    assert judge(pin(GOOD), policy(), caller=bound).reason == "no_matching_policy"


def test_policies_that_do_not_cover_the_caller_have_no_say() -> None:
    other = policy(name="q", applies_to={"projects": ["elsewhere"]}, require={"dpa": "signed"})
    found = judge(pin(route(dpa="none")), policy(), other)
    assert found.allowed
    assert [ref.id for ref in found.policies] == ["p"]


# -- pins ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("one", "reason"), [(BAD, "requirement_unmet"), (DARK, "requirement_unknown")])
def test_a_pin_that_fails_is_refused_with_the_reason(one: Any, reason: str) -> None:
    found = judge(pin(one))
    assert (found.allowed, found.route, found.reason) == (False, None, reason)
    assert found.because == ("The reason of p.",)


def test_unmet_tells_more_than_unknown() -> None:
    both = policy(require={"training": "forbidden", "dpa": "signed"})
    assert judge(pin(route(training=None, dpa="none")), both).reason == "requirement_unmet"


def test_only_the_policies_that_failed_say_why() -> None:
    found = judge(pin(route(dpa="none")), policy(name="a"), policy(name="b", require={"dpa": "signed"}))
    assert found.because == ("The reason of b.",)
    assert [ref.id for ref in found.policies] == ["a", "b"]


def test_the_gateway_is_judged_whatever_the_route() -> None:
    asks = policy(gateway={"content_retention": "none"})
    assert judge(pin(GOOD), asks).reason == "requirement_unknown"
    kept = {"content_retention": claim({"kept": "content", "seconds": 604_800})}
    assert judge(pin(GOOD), asks, gateway=kept).reason == "requirement_unmet"
    assert judge(pin(GOOD), asks, gateway={"content_retention": claim({"kept": "none"})}).allowed
    assert judge(pin(DARK), asks, gateway=kept).reason == "requirement_unmet"


def test_a_route_in_quarantine_is_refused_and_named_as_such() -> None:
    assert judge(pin(GOOD), quarantined={"example/a"}).reason == "route_quarantined"
    found = judge(pool(GOOD, route("other/a")), quarantined={"example/a"}, of=call("a"))
    assert found.route is not None
    assert found.route.id == "other/a"


def test_a_stale_catalogue_is_the_reason_where_claims_are_unknown() -> None:
    assert judge(pin(DARK), stale=True).reason == "catalogue_stale"
    assert judge(pin(BAD), stale=True).reason == "requirement_unmet"
    assert judge(pin(GOOD), stale=True).allowed


# -- pools, aliases and what cannot be known -------------------------------------------------------


@pytest.mark.parametrize("reference", [Reference.POOL, Reference.ALIAS])
def test_a_bare_name_is_pinned_to_a_member_that_complies(reference: Reference) -> None:
    found = judge(Candidates(reference, (BAD, GOOD, DARK)), of=call("a"))
    assert found.route == GOOD
    assert found.edits == (Edit(("model",), "set", "example/a"),)
    assert found.rewrites == ("pin=example/a",)
    assert {f.route for f in found.findings} == {"example/a"}


def test_a_pool_of_which_no_member_complies_is_refused_with_all_findings() -> None:
    found = judge(pool(BAD, DARK), of=call("a"))
    assert found.reason == "no_compliant_route"
    assert {f.route for f in found.findings} == {"worse/a", "dark/a"}


def test_preference_comes_before_price_and_price_before_the_id() -> None:
    a, b, c = route("a/m", price=3.0), route("b/m", price=1.0), route("c/m", price=1.0)
    free = route("0/m", price=None)

    def chosen(*policies: Any) -> str:
        found = judge(pool(c, a, free, b), *policies, of=call("m")).route
        return found.id if found else ""

    assert chosen(policy()) == "b/m"
    assert chosen(policy(prefer=["c/*"])) == "c/m"
    assert chosen(policy(prefer=["a/m", "c/m"])) == "a/m"
    assert chosen(policy(name="p1", prefer=["c/m"]), policy(name="p2", prefer=["a/m"])) == "c/m"


def test_a_policy_may_refuse_a_pool_of_which_only_some_comply() -> None:
    strict = policy(when_some_routes_comply="refuse")
    assert judge(pool(GOOD, BAD), strict, of=call("a")).reason == "model_not_pinned"
    assert judge(pool(GOOD, route("other/a")), strict, of=call("a")).allowed


def test_a_pool_travels_unpinned_only_when_every_policy_says_so_and_every_member_complies() -> None:
    unsafe, safe = policy(name="u", unsafe_forward_pools=True), policy(name="s")
    every, some = pool(GOOD, route("other/a")), pool(GOOD, BAD)
    assert judge(every, unsafe, of=call("a")).edits == ()
    assert judge(every, unsafe, safe, of=call("a")).edits
    assert judge(some, unsafe, of=call("a")).edits
    assert len({f.route for f in judge(every, unsafe, of=call("a")).findings}) == 2


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        (Reference.EMPTY, "model_not_pinned"),
        (Reference.DYNAMIC, "model_not_pinned"),
        (Reference.ALIAS, "model_not_pinned"),
        (Reference.POOL, "model_not_pinned"),
        (Reference.UNKNOWN, "unknown_model"),
    ],
)
def test_what_has_no_routes_is_refused(reference: Reference, reason: str) -> None:
    assert judge(Candidates(reference, ())).reason == reason


@pytest.mark.parametrize("reference", [Reference.EMPTY, Reference.DYNAMIC, Reference.UNKNOWN])
def test_what_cannot_be_known_is_refused_even_with_routes_that_comply(reference: Reference) -> None:
    assert not judge(Candidates(reference, (GOOD,))).allowed


def test_a_pin_is_not_edited_and_a_model_in_the_path_is_not_written_into_the_body() -> None:
    assert judge(pin(GOOD)).edits == ()
    found = judge(pool(GOOD), of=call("a", model_at=()))
    assert found.edits == ()
    assert found.rewrites == ("pin=example/a",)


def test_places_that_repeat_the_model_follow_the_pin() -> None:
    found = judge(pool(GOOD), of=call("a", repeats=(("again", 0),)))
    assert [edit.pointer for edit in found.edits] == [("model",), ("again", 0)]


# -- fallbacks -------------------------------------------------------------------------------------


def test_a_fallback_is_judged_like_the_main_model() -> None:
    shelf = Shelf(GOOD, BAD, route("example/b"))
    assert judge(pin(GOOD), of=call(fallbacks=("example/b",)), catalogue=shelf).allowed
    refused = judge(pin(GOOD), of=call(fallbacks=("worse/a",)), catalogue=shelf)
    assert refused.reason == "requirement_unmet"
    assert judge(pin(GOOD), of=call(fallbacks=("nobody/x",)), catalogue=shelf).reason == "unknown_model"


def test_a_fallback_that_is_no_pin_is_pinned_where_it_stands_or_refused() -> None:
    shelf = Shelf(GOOD, route("example/b"))
    placed = judge(
        pin(GOOD), of=call(fallbacks=("b",), fallbacks_at=(("fallback_models", 0),)), catalogue=shelf
    )
    assert placed.edits == (Edit(("fallback_models", 0), "set", "example/b"),)
    assert judge(pin(GOOD), of=call(fallbacks=("b",)), catalogue=shelf).reason == "model_not_pinned"


def test_a_decision_names_each_route_that_may_serve_besides_the_main_one() -> None:
    spare, other = route("example/b"), route("other/b")
    shelf = Shelf(GOOD, BAD, spare, other)
    places: dict[str, Any] = {"fallbacks_at": tuple(("fallback_models", i) for i in range(3))}
    named = call(fallbacks=("example/b", "example/a", "example/b"), **places)
    assert judge(pin(GOOD)).besides == ()
    assert judge(pin(GOOD), of=named, catalogue=shelf).besides == (spare,)
    # A bare name is pinned, and only the pin may serve.
    assert judge(pin(GOOD), of=call(fallbacks=("b",), **places), catalogue=shelf).besides == (spare,)
    kept = policy(unsafe_forward_pools=True)
    assert judge(pin(GOOD), kept, of=call(fallbacks=("b",), **places), catalogue=shelf).besides == (
        spare, other,
    )  # fmt: skip


def test_of_a_pool_that_stays_a_pool_every_member_may_serve_and_of_a_pinned_one_the_pin_alone() -> None:
    unsafe, second = policy(name="u", unsafe_forward_pools=True), route("other/a")
    every, some = pool(second, GOOD), pool(second, GOOD, BAD)
    found = judge(every, unsafe, of=call("a"))
    assert (found.route, found.besides) == (GOOD, (second,))
    assert judge(every, unsafe, policy(name="s"), of=call("a")).besides == ()
    assert judge(some, unsafe, of=call("a")).besides == ()


@pytest.mark.parametrize("failing", [BAD, DARK, route("old/a", dpa="none")])
def test_a_fallback_that_does_not_comply_never_may_serve(failing: Any) -> None:
    both = policy(require={"training": "forbidden", "dpa": "signed"})
    shelf = Shelf(GOOD, route("example/b"), failing)
    found = judge(pin(GOOD), both, of=call(fallbacks=("example/b", failing.id)), catalogue=shelf)
    assert (found.allowed, found.besides) == (False, ())
    resting = judge(pin(GOOD), of=call(fallbacks=("example/b",)), catalogue=shelf, quarantined={"example/b"})
    assert (resting.reason, resting.besides) == ("route_quarantined", ())


def _gateway_waived(*routes: str, **fields: Any) -> Any:
    days = {"approved_at": "2026-11-01", "valid_until": "2026-11-30"}
    waived = {
        "id": "w-1", "dimension": "gateway.content_retention", "routes": list(routes),
        "because": "A pilot.", "approved_by": "The officer", **days,
    }  # fmt: skip
    return policy(gateway={"content_retention": "none"}, waivers=[waived], **fields)


def test_a_waiver_about_the_gateway_excuses_no_fallback_that_it_does_not_name() -> None:
    shelf, spare = Shelf(GOOD, route("example/b")), call(fallbacks=("example/b",))
    assert judge(pin(GOOD), _gateway_waived("example/a")).allowed
    refused = judge(pin(GOOD), _gateway_waived("example/a"), of=spare, catalogue=shelf)
    assert (refused.allowed, refused.reason, refused.besides) == (False, "requirement_unknown", ())
    allowed = judge(pin(GOOD), _gateway_waived("example/*"), of=spare, catalogue=shelf)
    assert allowed.allowed
    about = [finding for finding in allowed.findings if finding.dimension == "gateway.content_retention"]
    assert [finding.outcome for finding in about] == [Outcome.WAIVED]


def test_a_waiver_about_the_gateway_excuses_no_member_of_an_unpinned_pool_that_it_does_not_name() -> None:
    members = pool(GOOD, route("other/a"))
    some = _gateway_waived("example/a", unsafe_forward_pools=True)
    assert not judge(members, some, of=call("a")).allowed
    assert judge(members, _gateway_waived("*", unsafe_forward_pools=True), of=call("a")).allowed
    assert judge(members, _gateway_waived("example/a"), of=call("a")).allowed


def test_without_a_catalogue_a_fallback_is_refused() -> None:
    assert judge(pin(GOOD), of=call(fallbacks=("example/a",))).reason == "model_not_pinned"


# -- features --------------------------------------------------------------------------------------


def test_a_rewrite_is_ordered_and_told() -> None:
    found = judge(pin(GOOD), of=call(effects=[STORED]))
    assert found.edits == (UNDO,)
    assert found.rewrites == ("undo=row.store",)


def test_one_edit_that_two_features_need_is_ordered_once() -> None:
    assert judge(pin(GOOD), of=call(effects=[STORED, replace(STORED, row="row.again")])).edits == (UNDO,)


def test_a_refused_feature_refuses_the_request() -> None:
    hosted = Effect("row.tool", (Signal.HOSTED_TOOL,), "tools", "a hosted tool")
    found = judge(pin(GOOD), of=call(effects=[STORED, hosted]))
    assert found.reason == "feature_refused"
    assert found.edits == ()


def test_unknown_members_have_a_reason_of_their_own() -> None:
    member = Effect("member", (Signal.UNKNOWN_MEMBER,), "x", "an unknown member", (Edit(("x",), "remove"),))
    assert judge(pin(GOOD), of=call(effects=[member])).reason == "unknown_member"
    assert judge(pin(GOOD), policy(unknown_members="drop"), of=call(effects=[member])).edits == member.edits
    hosted = Effect("row.tool", (Signal.HOSTED_TOOL,), "tools", "a hosted tool")
    assert judge(pin(GOOD), of=call(effects=[member, hosted])).reason == "feature_refused"


# -- alternatives ----------------------------------------------------------------------------------


def test_compliant_routes_of_the_same_model_come_before_others_of_the_kind() -> None:
    same, other, image = route("other/a"), route("x/b"), route("y/c", kind="image")
    shelf = Shelf(BAD, same, other, image)
    assert judge(pin(BAD), of=call("worse/a"), catalogue=shelf).alternatives == ("other/a",)
    assert judge(pin(BAD), of=call("worse/a"), catalogue=Shelf(BAD, other, image)).alternatives == ("x/b",)


def test_alternatives_comply_are_few_and_are_ordered() -> None:
    many = [route(f"r{i}/b", price=float(9 - i)) for i in range(8)]
    shelf = Shelf(BAD, route("worse/b", training=None), *many)
    found = judge(pin(BAD), of=call("worse/a"), catalogue=shelf, quarantined={"r7/b"}).alternatives
    assert found == ("r6/b", "r5/b", "r4/b", "r3/b", "r2/b")
    assert len(found) == MOST_ALTERNATIVES


def test_no_route_is_named_where_another_route_would_not_help() -> None:
    hosted = Effect("row.tool", (Signal.HOSTED_TOOL,), "tools", "a hosted tool")
    shelf = Shelf(GOOD, route("other/a"))
    assert judge(pin(GOOD), of=call(effects=[hosted]), catalogue=shelf).alternatives == ()
    asks = policy(gateway={"content_retention": "none"})
    assert judge(pin(BAD), asks, of=call("worse/a"), catalogue=Shelf(BAD, GOOD)).alternatives == ()


# -- what it rests on ------------------------------------------------------------------------------


def test_a_decision_names_what_it_relied_on_and_until_when() -> None:
    end = AT + timedelta(days=3)
    attested = claim("never", until=end, source="attestation:a1")
    one = replace(GOOD, posture={**GOOD.posture, "training": attested})
    found = judge(pin(one))
    assert (found.attestations, found.until) == (("a1",), end)


def test_confirmation_is_asked_for_when_any_policy_asks() -> None:
    assert not judge(pin(GOOD)).require_confirmation
    assert judge(pin(GOOD), policy(), policy(name="q", require_confirmation=True)).require_confirmation


def test_a_thousand_edits_are_not_held_against_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a request costs to decide must grow with its size, and not with the square of it."""
    compared = 0

    def counted(one: Edit, other: object) -> bool:
        nonlocal compared
        compared += 1
        return isinstance(other, Edit) and (one.pointer, one.op) == (other.pointer, other.op)

    monkeypatch.setattr(Edit, "__eq__", counted)
    many = [
        replace(STORED, row=row, edits=tuple(Edit((row, n), "remove") for n in range(1000)))
        for row in ("one", "two")
    ]
    found = judge(pin(GOOD), of=call(effects=many))
    assert len(found.edits) == 2000
    assert compared < 10_000


def test_of_two_edits_at_one_place_the_later_counts() -> None:
    later = replace(STORED, row="later", edits=(replace(UNDO, value="else"),))
    assert judge(pin(GOOD), of=call(effects=[STORED, later])).edits == later.edits


def test_every_reason_of_a_denial_is_in_the_vocabulary() -> None:
    import re
    from pathlib import Path

    import proxy.core.decide as module

    text = Path(module.__file__).read_text(encoding="utf-8")
    codes = set(re.findall(r'"((?:no|requirement|feature|unknown|model|route|catalogue)_[a-z_]+)"', text))
    assert len(codes) >= 8
    assert codes <= set(REASONS)


def test_nothing_that_goes_in_is_changed() -> None:
    one, shelf, policies = call("a", effects=[STORED]), Shelf(GOOD, BAD), (policy(),)
    before = copy.deepcopy((one, shelf.routes, dict(policies[0].features)))
    judge(pool(GOOD, BAD), *policies, of=one, catalogue=shelf)
    assert before == (one, shelf.routes, dict(policies[0].features))
