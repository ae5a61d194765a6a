"""A member that no table knows is named to its sender, and to nobody else."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.core import explain
from proxy.core.decide import decide
from proxy.core.dialects.reading import unknown_members
from proxy.core.explain import refusal
from proxy.core.json_path import written
from proxy.core.values import Call, Decision, Pointer
from tests.judging import AT, CALLER, call, pin, policy, route


def refused(*pointers: Pointer, fields: dict[str, Any] | None = None) -> tuple[Decision, Call]:
    asked = call("example/a", effects=unknown_members(pointers))
    candidates, rules = pin(route("example/a")), [policy(**(fields or {}))]
    return decide(asked, CALLER, candidates, rules, {}, at=AT), asked


def test_the_sender_is_told_which_member_to_leave_out() -> None:
    decision, asked = refused(("messages", 0, "sekret"))
    words = refusal(decision, asked, decision_id="d")
    assert (words.code, words.status, words.param) == ("unknown_member", 400, "messages[0].sekret")
    assert "messages[0].sekret" in words.message
    assert words.remedies == (
        "leave out messages[0].sekret, or have the policy set unknown_members: drop",
    )
    assert "$" not in words.message


def test_no_finding_names_the_member() -> None:
    decision, _ = refused(("messages", 0, "sekret"))
    assert "sekret" not in repr(decision.findings)


def test_many_members_are_named_up_to_a_limit_and_long_ones_are_cut() -> None:
    decision, asked = refused(*(("messages", n, "m" * 500) for n in range(100)))
    words = refusal(decision, asked, decision_id="d")
    assert "and 95 more" in words.message
    assert len(words.message) < 4000
    assert words.param is not None
    assert len(words.param) <= 160


def test_no_more_places_are_worded_than_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A body may hold a hundred thousand such members, and others wait while its refusal is worded."""
    decision, asked = refused(*(("messages", n, "m") for n in range(5000)))
    worded: list[Pointer] = []

    def counted(at: Pointer) -> str:
        worded.append(at)
        return written(at)

    monkeypatch.setattr(explain, "written", counted)
    assert "and 4995 more" in refusal(decision, asked, decision_id="d").message
    assert 0 < len(worded) < 50


def test_a_policy_that_drops_unknown_members_lets_the_rest_pass() -> None:
    decision, asked = refused(("x",), fields={"unknown_members": "drop"})
    assert decision.allowed, asked
