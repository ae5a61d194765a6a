from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.simulator.turns import Ask, Offered, Turn, example, marked_turn, marker, markers

TOOL = Offered("f", {"properties": {"a": {"type": "integer"}}, "required": ["a"]})
CUSTOM = Offered("c", {}, "custom")


def turn(text: Any, *tools: Any, results: Any = 0) -> Any:
    return marked_turn(Ask("m", text, False, {}, tools, results))


@given(st.text(max_size=200))
def test_the_pieces_of_a_text_add_up_to_it(text):
    assert "".join(Turn(text).pieces) == (text if text.strip() else "")


def test_markers_are_found_in_order_with_their_arguments():
    assert list(markers("a [[say: x ]] b [[tool]] [[other:y]] [[tool:f {}]]")) == [
        ("say", "x"),
        ("tool", ""),
        ("tool", "f {}"),
    ]
    assert (marker("[[tool]]", "tool"), marker("", "tool")) == ("", None)


def test_arguments_may_hold_double_brackets():
    found = turn('[[tool:f {"a": [[1]], "b": [[2]]}]] [[say:x]]', TOOL)
    assert found.calls[0].arguments == {"a": [[1]], "b": [[2]]}


def test_a_tool_is_called_with_example_arguments_when_none_are_given():
    assert turn("[[tool:f]]", CUSTOM, TOOL).calls[0].arguments == {"a": 1}
    assert turn("[[tool:c print(1)]]", CUSTOM, TOOL).calls[0].text == "print(1)"


def test_a_tool_that_is_not_offered_is_not_called():
    assert turn("[[tool:g]]", TOOL) is None
    assert turn("[[tool]]") is None


def test_a_prompt_without_markers_asks_for_nothing_in_particular():
    assert turn("hello", TOOL) is None


def test_words_are_bounded():
    assert len(turn("[[words:7]]").pieces) == 7
    assert turn("[[words:many]]") is None


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string"}, "example"),
        ({"type": "STRING"}, "example"),
        ({"type": ["null", "integer"]}, 1),
        ({"enum": ["x", "y"]}, "x"),
        ({}, "example"),
        ({"type": "boolean"}, True),
        ({"type": "array"}, []),
        (
            {"type": "object", "properties": {"a": {"type": "number"}}, "required": ["a", "b"]},
            {"a": 1.5, "b": "example"},
        ),
    ],
)
def test_an_example_fits_its_schema(schema, value):
    assert example(schema) == value
