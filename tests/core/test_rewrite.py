"""Edits are spliced: what they name changes, and no other byte does."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core import rewrite, strict_json
from proxy.core.errors import Unreadable
from proxy.core.values import Edit

NAMES = st.text(max_size=4).filter(lambda name: "\0" not in name and name.isprintable()) | st.sampled_from(
    ["model", "store", "tools", 'quo"te', "back\\slash", "é"]
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=12)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
BODIES = st.dictionaries(NAMES, VALUES, max_size=5)


def spelled(value: Any, draw: Any) -> Any:
    """The same value with the spelling left to chance: escapes and white space."""
    space = draw(st.sampled_from(["", " ", "\n  ", "\t", "\r\n"]))
    if isinstance(value, dict):
        members = [
            f"{space}{json.dumps(name, ensure_ascii=draw(st.booleans()))}{space}:{space}{spelled(item, draw)}"
            for name, item in value.items()
        ]
        return "{" + f"{space},".join(members) + space + "}"
    if isinstance(value, list):
        return "[" + f"{space},".join(space + spelled(item, draw) for item in value) + space + "]"
    return json.dumps(value, ensure_ascii=draw(st.booleans()))


def places(value: Any, at: Any = ()) -> Any:
    """Every pointer into a value, outermost first."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, item in items:
        yield (*at, step)
        yield from places(item, (*at, step))


def edited(value: Any, edits: Any) -> Any:
    """What the edits mean, done on the parsed value: pointers are those of the value as given."""
    doomed: list[tuple] = []
    value = deepcopy(value)
    final = {edit.pointer: edit for edit in edits}
    covered = [p for p in final if any(p[:n] in final for n in range(1, len(p)))]
    for pointer, edit in final.items():
        if pointer in covered:
            continue
        parent = value
        for step in pointer[:-1]:
            if isinstance(parent, dict) and parent.get(step) is None:
                if edit.op == "remove":
                    break
                parent[step] = {}
            parent = parent[step]
        else:
            if edit.op == "set":
                parent[pointer[-1]] = edit.value
            elif isinstance(parent, list) or pointer[-1] in parent:
                doomed.append((parent, pointer[-1]))
    # Indices are those of the list as given, so the last goes first.
    for parent, step in sorted(doomed, key=lambda pair: str(type(pair[1])) + f"{pair[1]:>9}", reverse=True):
        del parent[step]
    return value


@st.composite
def cases(draw):
    value = draw(BODIES)
    body = (draw(st.sampled_from(["", " ", "\n"])) + spelled(value, draw)).encode()
    known = list(places(value))
    edits = []
    for _ in range(draw(st.integers(0, 4))):
        op = draw(st.sampled_from(["set", "remove"]))
        if known and draw(st.integers(0, 3)):
            pointer = draw(st.sampled_from(known))
        else:
            pointer = (draw(NAMES),) + ((draw(NAMES),) if draw(st.booleans()) else ())
            first = value.get(pointer[0])
            if len(pointer) == 2 and not (first is None or isinstance(first, dict)):
                pointer = pointer[:1]
        edits.append(Edit(pointer, op, draw(SCALARS) if op == "set" else None))
    return value, body, edits


@settings(report_multiple_bugs=False, database=None)
@given(cases())
def test_reading_the_edited_text_gives_the_edited_value(case):
    value, body, edits = case
    assert strict_json.parse(body) == value
    assert strict_json.parse(rewrite.apply(body, edits)) == edited(value, edits)


@given(cases())
def test_every_byte_outside_the_edited_members_stays(case):
    value, body, _ = case
    for name in value:
        out = rewrite.apply(body, [Edit((name,), "set", 7)])
        start = next(i for i in range(len(body)) if body[i] != out[i : i + 1][0:1][0]) if body != out else 0
        kept = len(body) - start
        assert body[:start] == out[:start]
        tail = next((n for n in range(1, kept + 1) if body[-n:] != out[-n:]), kept + 1) - 1
        # What is left between the equal ends is the old value, and seven.
        assert b"7".startswith(out[start : len(out) - tail])


def test_no_edits_return_the_very_same_bytes():
    body = b'{"model": "a"}'
    assert rewrite.apply(body, ()) is body


@pytest.mark.parametrize(
    ("body", "edits", "want"),
    [
        (b'{ "model" : "p", "n":1.50 }', [Edit(("model",), "set", "a/b")], b'{ "model" : "a/b", "n":1.50 }'),
        (b'{"a":1e2}', [Edit(("store",), "set", False)], b'{"a":1e2,"store":false}'),
        (b"{ }", [Edit(("store",), "set", False)], b'{"store":false }'),
        (b'{"a":1, "b":2, "c":3}', [Edit(("b",), "remove")], b'{"a":1, "c":3}'),
        (b'{"a":1, "b":2 }', [Edit(("b",), "remove")], b'{"a":1 }'),
        (b'{"a":1}', [Edit(("a",), "remove")], b"{}"),
        (b'{"t":[1, 2, 3]}', [Edit(("t", 0), "remove"), Edit(("t", 2), "remove")], b'{"t":[2]}'),
        (b'{"t":[1, 2, 3]}', [Edit(("t", 0), "remove"), Edit(("t", 1), "remove")], b'{"t":[3]}'),
        (b'{"st\\u006fre":true}', [Edit(("store",), "set", False)], b'{"st\\u006fre":false}'),
        (b'{"o":null}', [Edit(("o", "usage"), "set", True)], b'{"o":{"usage":true}}'),
        (b'{"o":null}', [Edit(("o", "usage"), "remove")], b'{"o":null}'),
        (b'{"o":{"x":1}}', [Edit(("o",), "remove"), Edit(("o", "x"), "set", 2)], b"{}"),
    ],
)
def test_an_edit_touches_its_span_and_nothing_else(body, edits, want):
    assert rewrite.apply(body, edits) == want


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (b'{"model":"x"}', ("model", "name")),
        (b'{"t":[1]}', ("t", 4)),
        (b'{"t":[1]}', ("t", "x")),
        (b"[1]", ("a",)),
    ],
)
def test_a_place_that_cannot_be_is_refused(body, pointer):
    with pytest.raises(Unreadable):
        rewrite.apply(body, [Edit(pointer, "set", 1)])


@pytest.mark.parametrize("edit", [Edit(("a",), "append", 1), Edit((), "set", 1)])
def test_an_edit_that_means_nothing_is_an_error(edit):
    with pytest.raises(ValueError):
        rewrite.apply(b"{}", [edit])


def test_the_properties_catch_a_splice_that_takes_a_byte_too_many(monkeypatch):
    honest = rewrite._change

    def greedy(body, member, child, splices):
        before = len(splices)
        honest(body, member, child, splices)
        if len(splices) > before:
            start, end, text = splices.pop()
            splices.append((start, end + 1, text))

    monkeypatch.setattr(rewrite, "_change", greedy)
    with pytest.raises((AssertionError, Unreadable)):
        test_reading_the_edited_text_gives_the_edited_value()


def test_many_removals_beside_a_string_of_megabytes_leave_the_rest():
    items = b",".join([b'{"k":[1]}'] * 20_000)
    body = b'{"a":"' + b"x" * 4_000_000 + b'","list":[' + items + b'],"model":"m"}'
    edits = [Edit(("list", index), "remove") for index in range(0, 20_000, 2)]
    read = strict_json.parse_object(rewrite.apply(body, [*edits, Edit(("model",), "set", "n")]))
    assert read["list"] == [{"k": [1]}] * 10_000
    assert read["model"] == "n"


def test_what_is_nested_as_deep_as_the_reader_takes_is_passed_over():
    for depth in (1, 9, 10, 11, 12, 60):
        deep = b'{"a":' * depth + b'["}",{}]' + b"}" * depth
        body = b'{"deep":' + deep + b',"list":[' + deep + b'],"model":"m"}'
        read = strict_json.parse_object(rewrite.apply(body, [Edit(("model",), "set", "n")]))
        assert (read["model"], read["deep"]) == ("n", strict_json.parse(deep))
