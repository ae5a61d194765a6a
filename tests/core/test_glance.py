"""A glance says yes only where the long reading has nothing to refuse and nothing to report."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import wire
from proxy.core.errors import Unreadable
from proxy.core.glance import in_order
from proxy.core.members import read_members
from proxy.core.strict_json import MAX_MEMBERS, vet
from proxy.core.values import Json
from tests.core.test_members import TABLES, bodies

CHAT = TABLES.table("openai.chat")
HUGE = float("inf")


def nested(depth: int) -> Json:
    value: Json = 1
    for level in range(depth):
        value = [value] if level % 2 else {"a": value}
    return value


POISON: list[Any] = [
    "x", 1, 10**400, -HUGE, HUGE, None, True, {}, [], {"a\0b": 1}, {"model": "x"}, {"a": [HUGE]}, ["x", {}],
    nested(20), nested(31), nested(32), nested(33), nested(70), [1] * 70, [1.5] * 69 + [HUGE], ["a"] * 70,
    ["a"] * 70 + [1], {"a": [{"b\0": {}}]},
]  # fmt: skip
NAMES = [
    "model",
    "Model",
    "metadata",
    "tools",
    "parameters",
    "stop",
    "input",
    "maxOutputTokens",
    "max_output_tokens",
    "x",
]


def clean(body: dict[str, Json], table: str = "openai.chat") -> bool:
    """The long reading, in its own words: nothing refused, nothing unknown."""
    try:
        vet(body, json.dumps(body).encode())
        return not read_members(TABLES.table(table), body).unknown
    except Unreadable:
        return False


def glanced(body: dict[str, Json], table: str = "openai.chat") -> bool:
    return in_order(TABLES.table(table), body, json.dumps(body).encode())


def containers(node: Any) -> Iterator[Any]:
    if isinstance(node, dict | list):
        yield node
        for below in node.values() if isinstance(node, dict) else node:
            yield from containers(below)


@settings(deadline=None, max_examples=500)
@given(bodies, st.data())
def test_a_glance_never_says_yes_where_the_long_reading_says_no(
    case: tuple[str, Any], data: st.DataObject
) -> None:
    table, body = case[0], copy.deepcopy(case[1])
    for _ in range(data.draw(st.integers(0, 2))):
        node = data.draw(st.sampled_from(list(containers(body))))
        value = copy.deepcopy(data.draw(st.sampled_from(POISON)))
        if isinstance(node, list):
            node.append(value)
        else:
            node[data.draw(st.sampled_from([*NAMES, *node]))] = value
    if glanced(body, table):
        assert clean(body, table)


@pytest.mark.parametrize("poison", POISON)
@pytest.mark.parametrize(
    "table", ["openai.chat", "anthropic.messages", "openai.embeddings", "openai.responses"]
)
def test_what_stands_in_a_free_place_is_seen_to_its_end(table: str, poison: Json) -> None:
    schema: Json = {"type": "object", "properties": {"a": poison}}
    places: list[Any] = [
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": schema}}]},
        {"tools": [{"name": "f", "input_schema": schema}]},
        {"input": poison},
        {"temperature": poison},
        {"stop": poison},
    ]
    for body in places:
        if glanced(body, table):
            assert clean(body, table)


@pytest.mark.parametrize(
    ("table", "body"),
    [
        ("google.generate_content", {"generationConfig": {"topP": 1, "top_p": 1}}),
        ("google.generate_content", {"generationConfig": {}, "generation_config": {}}),
        ("openai.chat", {"service_tier": "of-tomorrow"}),
        ("openai.chat", {"messages": [{"role": "user", "content": [{"type": "of-tomorrow"}]}]}),
        ("openai.chat", {"Model": "x"}),
    ],
)
def test_what_the_long_reading_refuses_is_not_in_order(table: str, body: dict[str, Json]) -> None:
    assert not clean(body, table)
    assert not glanced(body, table)


@pytest.mark.parametrize("kind", ["chat", "agent", "image", "stream"])
def test_an_ordinary_body_is_in_order_at_a_glance(kind: str) -> None:
    body = json.loads(wire.bodies()[kind])
    assert in_order(CHAT, body, wire.bodies()[kind])


def test_a_long_embedding_input_is_in_order_and_one_number_too_large_is_not() -> None:
    tokens: list[Json] = [1] * 8000
    assert glanced({"input": tokens}, "openai.embeddings")
    assert not glanced({"input": [*tokens, 10**400]}, "openai.embeddings")


@pytest.mark.parametrize("members", [MAX_MEMBERS - 20, MAX_MEMBERS])
def test_members_in_free_places_count_towards_the_most(members: int) -> None:
    schema: Json = {str(number): number for number in range(members)}
    body: Any = {"tools": [{"type": "function", "function": {"name": "f", "parameters": schema}}]}
    assert glanced(body) is clean(body) is (members < MAX_MEMBERS)


@pytest.mark.parametrize("depth", [20, 60])
def test_a_body_that_is_deep_and_allowed_is_left_to_the_long_reading(depth: int) -> None:
    body: Any = {
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"a": nested(depth - 10)}}}]
    }
    assert clean(body)
    assert glanced(body) is (depth < 32)
