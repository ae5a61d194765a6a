"""Each op holds for just the values that its name says, and true is not 1."""

from __future__ import annotations

import pytest

from proxy.core.effect_ops import FACTS_ONLY, OF_ABSENCE, OPS
from proxy.core.values import Json

VALUES: tuple[Json, ...] = (None, True, False, 1, 0, "", "a", "ab", "b", [], {})


@pytest.mark.parametrize(
    ("op", "asked", "held"),
    [
        ("present", None, [True, False, 1, 0, "", "a", "ab", "b", [], {}]),
        ("present_non_null", None, [True, False, 1, 0, "", "a", "ab", "b", [], {}]),
        ("any_present", None, [True, False, 1, 0, "", "a", "ab", "b", [], {}]),
        ("eq", True, [True]),
        ("eq", 1, [1]),
        ("eq", "a", ["a"]),
        ("in", ["a", False], [False, "a"]),
        ("contains", "b", ["b"]),
        ("any_of", ["a", "b", "c"], ["a", "b"]),
        ("matches_prefix", "a", ["a", "ab"]),
        ("matches_prefix", ["a", "b"], ["a", "ab", "b"]),
        ("regex", "b$", ["ab", "b"]),
        ("absent", None, [None]),
        ("absent_or_eq", False, [None, False]),
        ("absent_or_in", ["a", 0], [None, 0, "a"]),
        ("absent_or_not_eq", "a", [None, True, False, 1, 0, "", "ab", "b", [], {}]),
        ("untyped", None, [{}]),
        ("lacks", ["a"], [{}]),
        ("chosen_unoffered", ["a"], []),
    ],
)
def test_an_op_holds_for_what_its_name_says(op: str, asked: Json, held: list[Json]) -> None:
    found = [value for value in VALUES if OPS[op](asked)(value)]
    assert list(map(repr, found)) == list(map(repr, held))


@pytest.mark.parametrize(
    ("value", "held"),
    [
        ({}, True),
        ({"id": "x"}, True),
        ({"type": None, "role": "user"}, True),
        ({"role": "user", "content": None}, True),
        ({"role": "user", "content": ""}, False),
        ({"type": "message"}, False),
        ([], False),
    ],
)
def test_an_object_without_a_type_is_told_by_all_of_the_members_that_stand_for_it(
    value: Json, held: bool
) -> None:
    assert OPS["untyped"](["role", "content"])(value) is held


def test_without_a_type_nothing_else_tells_what_an_object_is() -> None:
    assert OPS["untyped"](None)({"role": "user", "content": "x"})


def test_an_object_lacks_members_when_it_has_none_of_them() -> None:
    lacks = OPS["lacks"](["url", "id"])
    assert lacks({"name": "x", "id": None})
    assert not lacks({"id": ""})


def test_a_choice_of_a_tool_stands_alone_where_neither_body_nor_items_offer_it() -> None:
    alone = OPS["chosen_unoffered"](["shell"])
    choice: Json = {"type": "shell"}
    assert alone({"tool_choice": choice})
    assert alone({"tool_choice": choice, "tools": [{"type": "function"}], "input": "x"})
    assert not alone({"tool_choice": choice, "tools": [{"type": "shell"}]})
    brought: Json = {"type": "additional_tools", "tools": [{"type": "shell"}]}
    listed: Json = {"type": "mcp_list_tools", "tools": [{"type": "shell"}]}
    assert not alone({"tool_choice": choice, "input": ["x", brought]})
    assert alone({"tool_choice": choice, "input": [listed]})
    assert not alone({"tool_choice": "auto"})
    assert not alone({"tool_choice": {"type": "function"}})


def test_just_the_ops_of_absence_hold_where_nothing_stands() -> None:
    assert {op for op in OPS if OPS[op]("x")(None)} == OF_ABSENCE


def test_a_row_that_states_facts_asks_nothing() -> None:
    assert not FACTS_ONLY & set(OPS)
