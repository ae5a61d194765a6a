"""Closed at every depth: what a table does not name is reported or refused, wherever it stands."""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from proxy.core.errors import Unreadable
from proxy.core.member_rows import compile_members
from proxy.core.members import Members, MemberTables, Shape, Slot, fold, read_members
from proxy.core.values import Json, Pointer
from proxy.facts import read_facts

FILE: Json = {
    "tables": {"small": {"root": "body", "with": "extras"}},
    "groups": {"extras": {"route": {"is": "routing", "where": "a test"}}},
    "shapes": {
        "body": {
            "members": {
                "model": "reference string!",
                "stream": "neutral boolean",
                "stop": "content string|[string]",
                "messages": "content [message]",
                "metadata": "effect open",
                "labels": "effect {string}",
                "configs": "neutral known|{config}",
            }
        },
        "message": {
            "members": {
                "role": "neutral string",
                "content": "content string|[part]",
                "inner": "content message",
            },
        },
        "part": {
            "members": {"type": "effect string", "text": "content string", "input": "content {open}"},
            "values": {"type": ["text"]},
            "added_values": {"type": {"picture": "a test"}},
            "added": {"extra": {"is": "content open", "where": "a test"}},
        },
        "known": {"members": {"click": "neutral message"}},
        "config": {"members": {"enabled": "neutral boolean"}},
    },
}
SMALL = compile_members(FILE).table("small")
TABLES = read_facts().tables.members


def refused(body: Any, table: Shape = SMALL) -> Unreadable:
    with pytest.raises(Unreadable) as caught:
        read_members(table, body)
    return caught.value


def in_messages(part: Json) -> Json:
    return {"model": "m", "messages": [{"role": "user", "content": [{"type": "text"}, part]}]}


# -- unknown members -------------------------------------------------------------------------------


def test_a_body_of_known_members_is_in_order() -> None:
    body: Json = {
        "model": "m",
        "stream": None,
        "stop": ["a", "b"],
        "messages": [
            {"role": "user", "content": "hi", "inner": {"inner": {"role": "x"}}},
            {
                "content": [
                    {"type": "picture", "extra": [{"anything": {"at": "all"}}]},
                    {"input": {"A": 1, "a": 2}},
                ]
            },
        ],
        "metadata": {"Model": "x", "deep": [{"model": 1}]},
        "labels": {"team": "a"},
        "configs": {"click": {"role": "x"}, "anything": {"enabled": True}},
    }
    assert read_members(SMALL, body) == Members(())


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({"model": "m", "zeta": 1}, [("zeta",)]),
        ({"model": "m", "zeta": {"model": 1}, "omega": []}, [("zeta",), ("omega",)]),
        (in_messages({"type": "text", "zeta": 1}), [("messages", 0, "content", 1, "zeta")]),
        ({"messages": [{"inner": {"inner": {"zeta": 1}}}]}, [("messages", 0, "inner", "inner", "zeta")]),
        ({"configs": {"click": {"zeta": 1}}}, [("configs", "click", "zeta")]),
        ({"configs": {"other": {"zeta": 1}}}, [("configs", "other", "zeta")]),
    ],
)
def test_an_unknown_member_is_reported_at_its_place(body: Json, pointers: list[Pointer]) -> None:
    assert list(read_members(SMALL, body).unknown) == pointers


# -- kinds and values ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "param", "detail"),
    [
        ([], None, "The body must be a JSON object."),
        ({"model": ["a", "b"]}, "model", "model must be a string, not an array."),
        ({"model": None}, "model", "model must be a string, not null."),
        ({"model": {"name": "a"}}, "model", "model must be a string, not an object."),
        ({"stream": "true"}, "stream", "stream must be a boolean, not a string."),
        ({"stream": 1}, "stream", "stream must be a boolean, not a number."),
        ({"stop": {"zeta": 1}}, "stop", "stop must be a string or an array, not an object."),
        ({"stop": [["a"]]}, "stop[0]", "stop[0] must be a string, not an array."),
        ({"messages": [{"content": [{"text": {"model": "x"}}]}]}, "messages[0].content[0].text", None),
        ({"messages": ["hi"]}, "messages[0]", "messages[0] must be an object, not a string."),
        ({"labels": {"a": {"b": 1}}}, "labels.a", "labels.a must be a string, not an object."),
    ],
)
def test_a_value_of_another_kind_hides_nothing(body: Json, param: str | None, detail: str | None) -> None:
    error = refused(body)
    assert (error.code, error.param) == ("wrong_type", param)
    assert detail is None or error.detail == detail


def test_a_value_that_decides_about_data_has_to_be_known() -> None:
    error = refused(in_messages({"type": "hologram"}))
    assert (error.code, error.param) == ("unknown_value", "messages[0].content[1].type")
    assert "hologram" not in error.detail


def test_long_lists_of_scalars_are_checked_by_kind() -> None:
    assert read_members(SMALL, {"stop": ["a"] * 1000}) == Members(())
    assert refused({"stop": [*["a"] * 1000, {"model": "x"}]}).param == "stop[1000]"


def test_a_member_that_can_change_who_serves_is_refused_whatever_it_holds() -> None:
    for value in (None, "fast", {"prefer": "cheap"}):
        error = refused({"model": "m", "route": value})
        assert (error.code, error.param) == ("routing_member", "route")


# -- names that another reader takes for known ones ------------------------------------------------

LOOKALIKES = [
    "Model",
    "MODEL",
    "model\0",
    " model",
    "mo-del",
    "mo_del",
    "\uff4dodel",
    "model\u200b",
    "\u2133odel",
    "mode\u2113",
]


@pytest.mark.parametrize("name", LOOKALIKES)
def test_a_name_that_a_lenient_reader_takes_for_a_known_one_is_refused(name: str) -> None:
    for body in ({"model": "m", name: "x"}, {name: "x"}):
        error = refused(body)
        assert (error.code, error.param) == ("ambiguous_member", "model")


def test_the_long_s_and_the_kelvin_sign_are_read_as_s_and_k_by_go() -> None:
    assert refused({"\u017ftream": True}).param == "stream"
    assert fold("to\u212aens") == "tokens"


def test_free_names_may_not_differ_in_case_only() -> None:
    assert refused({"labels": {"Team": "a", "team": "b"}}).code == "ambiguous_member"
    assert refused({"configs": {"other": {}, "OTHER": {}}}).param == "configs"


def test_both_spellings_of_one_member_are_refused_and_each_alone_is_read() -> None:
    table = TABLES.table("google.generate_content")
    for name in ("generationConfig", "generation_config"):
        assert read_members(table, {name: {"topP": 1}}) == Members(())
        assert read_members(table, {name: {"top_p": 1}}) == Members(())
    error = refused({"generationConfig": {}, "generation_config": {}}, table)
    assert (error.code, error.param) == ("ambiguous_member", "generationConfig")
    nested: Json = {"contents": [{"parts": [{"inlineData": {"mimeType": "a", "mime_type": "b"}}]}]}
    assert refused(nested, table).param == "contents[0].parts[0].inlineData.mimeType"
    assert refused({"GenerationConfig": {}}, table).code == "ambiguous_member"


# -- properties over every table that ships --------------------------------------------------------

SCALAR: dict[type, st.SearchStrategy[Json]] = {
    str: st.text(max_size=3),
    int: st.integers(-9, 9),
    float: st.floats(-1, 1),
    bool: st.booleans(),
    type(None): st.none(),
}


@st.composite
def fitting(draw: st.DrawFn, slot: Slot, depth: int) -> Json:
    """A value that its slot admits."""
    kinds = [kind for kind in slot.actions if depth > 0 or kind not in (dict, list)]
    kind = draw(st.sampled_from(sorted(kinds or slot.actions, key=str)))
    if kind is dict:
        return {} if slot.shape is None else draw(body_of(slot.shape, depth - 1))
    if kind is list:
        if slot.item is None or depth <= 0:
            return []
        return [draw(fitting(slot.item, depth - 1)) for _ in range(draw(st.integers(1, 2)))]
    return draw(st.sampled_from(sorted(slot.values)) if kind is str and slot.values else SCALAR[kind])


@st.composite
def body_of(draw: st.DrawFn, shape: Shape, depth: int) -> dict[str, Json]:
    """A body that its shape admits, in the first spelling of each member."""
    names = sorted(name for name, slot in shape.slots.items() if slot.actions and name not in shape.twins)
    chosen = draw(st.lists(st.sampled_from(names), max_size=4, unique=True)) if names else []
    return {name: draw(fitting(shape.slots[name], depth)) for name in chosen}


bodies = st.sampled_from(sorted(TABLES.tables)).flatmap(
    lambda name: st.tuples(st.just(name), body_of(TABLES.table(name), 6))
)


def closed_objects(shape: Shape, node: Any, at: Pointer = ()) -> Iterator[tuple[Shape, Pointer]]:
    """Every object of a body that its table closes."""
    if shape.rest is None:
        yield shape, at
    for name, value in node.items():
        slot = shape.slots.get(name) or shape.rest
        assert slot is not None
        yield from _closed_below(slot, value, (*at, name))


def _closed_below(slot: Slot, value: Any, at: Pointer) -> Iterator[tuple[Shape, Pointer]]:
    if isinstance(value, dict) and slot.shape is not None:
        yield from closed_objects(slot.shape, value, at)
    elif isinstance(value, list) and slot.item is not None:
        for index, below in enumerate(value):
            yield from _closed_below(slot.item, below, (*at, index))


def at(body: Any, pointer: Pointer) -> Any:
    for step in pointer:
        body = body[step]
    return body


@settings(deadline=None)
@given(bodies)
def test_every_body_made_from_its_table_is_in_order(case: tuple[str, dict[str, Json]]) -> None:
    name, body = case
    assert TABLES.read(name, body) == Members(())


Reading = Callable[[MemberTables, str, Json], Members]


def strangers_are_found(read: Reading) -> None:
    """Whatever is put into whichever closed object is reported there, and nothing else is."""

    @settings(database=None, derandomize=True, deadline=None, report_multiple_bugs=False, max_examples=300)
    @given(bodies, st.text("abcz_Z", min_size=1, max_size=9), st.data())
    def hold(case: tuple[str, dict[str, Json]], stranger: str, data: st.DataObject) -> None:
        name, body = case
        places = list(closed_objects(TABLES.table(name), body))
        shape, place = data.draw(st.sampled_from(sorted(places, key=lambda found: -len(found[1]))))
        assume(fold(stranger) not in shape.folded)
        assume(stranger not in shape.slots)
        spoiled = copy.deepcopy(body)
        at(spoiled, place)[stranger] = {"model": "x"}
        assert read(TABLES, name, spoiled).unknown == ((*place, stranger),)

    hold()


def kinds_are_held(read: Reading) -> None:
    """An object where the table has none is refused, wherever it stands."""

    @settings(database=None, derandomize=True, deadline=None, report_multiple_bugs=False, max_examples=300)
    @given(bodies, st.data())
    def hold(case: tuple[str, dict[str, Json]], data: st.DataObject) -> None:
        name, body = case
        flat = [
            (*place, member)
            for shape, place in closed_objects(TABLES.table(name), body)
            for member, slot in shape.slots.items()
            if dict not in slot.actions and member in at(body, place)
        ]
        assume(flat)
        spoiled = copy.deepcopy(body)
        place = data.draw(st.sampled_from(flat))
        at(spoiled, place[:-1])[place[-1]] = {"model": "x"}
        code = ""
        try:
            read(TABLES, name, spoiled)
        except Unreadable as error:
            code = error.code
        assert code == "wrong_type"

    hold()


def honest(tables: MemberTables, name: str, body: Json) -> Members:
    return tables.read(name, body)


def test_a_strange_member_is_found_in_every_closed_object_of_every_table() -> None:
    strangers_are_found(honest)


def test_an_object_below_a_scalar_member_is_refused_in_every_table() -> None:
    kinds_are_held(honest)


def top_level_only(tables: MemberTables, name: str, body: Json) -> Members:
    assert isinstance(body, dict)
    known = tables.table(name).slots
    return Members(tuple((member,) for member in body if member not in known))


def without_list_elements(tables: MemberTables, name: str, body: Json) -> Members:
    found = tables.read(name, body).unknown
    return Members(tuple(place for place in found if not any(isinstance(step, int) for step in place)))


@pytest.mark.parametrize("broken", [top_level_only, without_list_elements])
def test_the_property_of_strangers_catches_a_reading_that_does_not_go_down(broken: Reading) -> None:
    with pytest.raises(AssertionError):
        strangers_are_found(broken)


def test_the_property_of_kinds_catches_a_reading_of_names_alone() -> None:
    with pytest.raises(AssertionError):
        kinds_are_held(top_level_only)
