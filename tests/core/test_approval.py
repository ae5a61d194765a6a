"""Only what a decision allows may be sent, and an edited request only when it was judged again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proxy.core.approval import Approval, NotApproved, approve
from proxy.core.values import Decision
from tests.core.test_decide import BAD, GOOD, judge
from tests.judging import call, pin, policy, pool, route


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
