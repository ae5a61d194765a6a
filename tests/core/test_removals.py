"""A removal leaves no empty array or object behind."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from proxy.core.removals import removals
from proxy.core.values import Json, Pointer

BODY: Json = {
    "model": "m",
    "tools": [{"search": {}}, {"type": "a", "cache": {"ttl": 1}}],
    "a": {"b": {"c": 1}},
}


def test_what_stands_beside_others_goes_alone() -> None:
    assert removals(BODY, [("tools", 1, "cache")]) == (("tools", 1, "cache"),)


def test_an_emptied_element_goes_with_its_only_member() -> None:
    assert removals(BODY, [("tools", 0, "search")]) == (("tools", 0),)


def test_an_emptied_list_goes_with_its_last_elements() -> None:
    assert removals(BODY, [("tools", 0, "search"), ("tools", 1)]) == (("tools",),)


def test_emptiness_climbs_up_to_the_body_and_not_beyond() -> None:
    assert removals(BODY, [("a", "b", "c")]) == (("a",),)
    assert removals({"a": 1}, [("a",)]) == (("a",),)


def test_what_goes_with_something_larger_is_not_named_twice() -> None:
    assert removals(BODY, [("tools", 1, "cache", "ttl"), ("tools", 1)]) == (("tools", 1),)


json = st.recursive(
    st.none() | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab"), inner),
)


def places(value: Any, at: Pointer = ()) -> list[Pointer]:
    below = enumerate(value) if isinstance(value, list) else value.items() if isinstance(value, dict) else ()
    return [place for key, inner in below for place in ((*at, key), *places(inner, (*at, key)))]


def without(value: Any, gone: set[Pointer], at: Pointer = ()) -> Any:
    if isinstance(value, dict):
        kept = [(key, inner) for key, inner in value.items() if (*at, key) not in gone]
        return {key: without(inner, gone, (*at, key)) for key, inner in kept}
    if isinstance(value, list):
        indexed = [(index, inner) for index, inner in enumerate(value) if (*at, index) not in gone]
        return [without(inner, gone, (*at, index)) for index, inner in indexed]
    return value


def empties(value: Any) -> int:
    return sum(
        1
        for place in places(value)
        if (inner := _at(value, place)) == [] or (inner == {} and isinstance(inner, dict))
    )


def _at(value: Any, place: Pointer) -> Any:
    for step in place:
        value = value[step]
    return value


@given(st.dictionaries(st.text("abc", min_size=1), json, min_size=1), st.data())
def test_no_removal_makes_an_empty_husk(body: dict[str, Any], data: st.DataObject) -> None:
    chosen = data.draw(st.lists(st.sampled_from(places(body)), max_size=4))
    gone = removals(body, chosen)
    left = without(body, set(gone))
    assert empties(left) <= empties(body)
    assert all(any(place[:end] in gone for end in range(len(place) + 1)) for place in chosen)
    assert not any(place[:end] in gone for place in gone for end in range(len(place)))
