"""Only what a decision allows may be sent, and an edited request only when it was judged again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proxy.core.approval import Approval, NotApproved, approve
from proxy.core.values import Decision, Edit
from tests.core.test_decide import BAD, GOOD, judge
from tests.judging import Shelf, call, pin, policy, pool, route


def test_an_approval_comes_from_an_allowing_decision_only() -> None:
    assert approve(judge(pin(GOOD))).decision.allowed
    with pytest.raises(NotApproved):
        approve(judge(pin(BAD)))
    with pytest.raises(NotApproved):
        Approval(judge(pin(GOOD)), GOOD, mint=object())


def test_a_decision_made_up_elsewhere_is_not_approved() -> None:
    sound, denied = judge(pin(GOOD)), judge(pin(BAD))
    for forged in (
        replace(denied, allowed=True),
        replace(denied, allowed=True, route=GOOD),
        replace(sound, policies=()),
        replace(sound, findings=()),
        replace(sound, route=None),
        Decision(True, "allowed", GOOD, (), (), (), sound.policies),
    ):
        with pytest.raises(NotApproved):
            approve(forged)


def test_an_edited_request_has_to_be_judged_again_and_alike() -> None:
    first = judge(pool(GOOD, BAD), of=call("a"))
    again = judge(pin(GOOD), of=call("example/a"))
    assert approve(first, after=again).decision is first
    other = judge(pin(route("other/a")), of=call("other/a"))
    for wrong in (None, first, other, judge(pin(BAD)), judge(pin(GOOD), policy(name="q"))):
        with pytest.raises(NotApproved):
            approve(first, after=wrong)


def test_a_model_that_is_pinned_in_the_path_has_to_be_judged_again_as_well() -> None:
    first = judge(pool(GOOD, BAD), of=call("a", model_at=()))
    assert (first.edits, first.rewrites) == ((), ("pin=example/a",))
    again = judge(pin(GOOD), of=call("example/a", model_at=()))
    assert approve(first, after=again).route is first.route
    for wrong in (None, first, judge(pin(route("other/a")), of=call("other/a", model_at=()))):
        with pytest.raises(NotApproved):
            approve(first, after=wrong)


# -- what may serve besides ------------------------------------------------------------------------

SPARE = route("spare/b")
SHELF = Shelf(GOOD, BAD, SPARE)
WITH_SPARE = judge(pin(GOOD), of=call(fallbacks=("spare/b",)), catalogue=SHELF)


def test_an_approval_carries_the_route_asked_for_first_and_every_judged_fallback_after_it() -> None:
    assert approve(judge(pin(GOOD))).routes == (GOOD,)
    approval = approve(WITH_SPARE)
    assert (approval.route, approval.routes, approval.also) == (GOOD, (GOOD, SPARE), ("spare/b",))


def test_a_route_that_no_finding_of_the_decision_speaks_of_is_not_approved() -> None:
    two = (policy(), policy(name="q", require={"training": "forbidden", "dpa": "signed"}))
    judged = judge(pin(GOOD), *two, of=call(fallbacks=("spare/b",)), catalogue=SHELF)
    half = tuple(f for f in judged.findings if (f.route, f.policy) != ("spare/b", "q"))
    less = tuple(f for f in judged.findings if (f.route, f.dimension) != ("spare/b", "dpa"))
    assert approve(judged).routes == (GOOD, SPARE)
    for forged in (
        replace(judge(pin(GOOD)), besides=(BAD,)),
        replace(judged, besides=(*judged.besides, BAD)),
        replace(judged, findings=half),
        replace(judged, findings=less),
    ):
        with pytest.raises(NotApproved):
            approve(forged)


def test_what_may_serve_an_edited_request_is_what_was_found_when_it_was_judged_again() -> None:
    taken_out = replace(WITH_SPARE, edits=(Edit(("fallback_models",), "remove"),), rewrites=("undo=x",))
    assert approve(taken_out, after=judge(pin(GOOD))).routes == (GOOD,)
    assert approve(taken_out, after=WITH_SPARE).routes == (GOOD, SPARE)
    alone = replace(judge(pin(GOOD)), rewrites=("undo=x",))
    with pytest.raises(NotApproved):
        approve(alone, after=WITH_SPARE)
