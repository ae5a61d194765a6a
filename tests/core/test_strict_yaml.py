"""A file of the operator's has one reading, and every mistake has a place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.errors import Mistake, Mistakes
from proxy.core.strict_yaml import MAX_BYTES, load


def mistakes(text: str | bytes) -> tuple[Mistake, ...]:
    with pytest.raises(Mistakes) as caught:
        load(text, "f.yaml")
    return caught.value.found


def places(text: str | bytes) -> list[tuple[int, int]]:
    return [(mistake.line, mistake.column) for mistake in mistakes(text)]


def test_values_mean_what_yaml_1_2_says() -> None:
    text = "a: true\nb: false\nc: null\nd:\ne: 12\nf: -1.5\ng: 1e3\nh: text\ni: '12'\nj: [1, x]\nk: {l: m}\n"
    assert load(text, "f").data == {
        "a": True, "b": False, "c": None, "d": None, "e": 12, "f": -1.5, "g": 1000.0, "h": "text", "i": "12",
        "j": [1, "x"], "k": {"l": "m"},
    }  # fmt: skip


def test_norway_is_a_country() -> None:
    assert load("within: [NO, SE]", "f").data == {"within": ["NO", "SE"]}


def test_dates_stay_text() -> None:
    assert load("day: 2026-11-22", "f").data == {"day": "2026-11-22"}


@pytest.mark.parametrize("word", ["yes", "no", "Yes", "on", "off", "True", "False", "y", "n"])
def test_a_word_that_used_to_be_a_boolean_has_to_be_quoted(word: str) -> None:
    assert places(f"a: {word}") == [(1, 4)]
    assert load(f"a: '{word}'", "f").data == {"a": word}


@pytest.mark.parametrize(
    "number", ["0123", "0o17", "0x1f", "0b11", "12:30", "1:2:3", "1_000", ".inf", ".nan", "-.inf"]
)
def test_a_number_that_readers_disagree_on_has_to_be_quoted(number: str) -> None:
    assert places(f"a: {number}") == [(1, 4)]
    assert load(f"a: '{number}'", "f").data == {"a": number}


def test_numbers_that_would_lose_digits_are_refused() -> None:
    assert places("a: 12345678901234567890\nb: 1e999") == [(1, 4), (2, 4)]


def test_a_key_that_stands_twice_is_refused_at_its_second_place_at_any_depth() -> None:
    found = mistakes("a:\n  - b: 1\n    c: 2\n    b: 3\n")
    assert [(m.line, m.column) for m in found] == [(4, 5)]
    assert "line 2" in found[0].message


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a: &x 1\nb: 2", (1, 4)),
        ("a: !!str 1", (1, 4)),
        ("a: !ruby/object:Gem {}", (1, 4)),
        ("%YAML 1.1\n---\na: 1", (1, 1)),
        ("a:\n  <<: {b: 1}", (2, 3)),
        ("? [a]\n: 1", (1, 3)),
        ("a: 1\n---\nb: 2", (2, 1)),
    ],
)
def test_what_makes_a_file_mean_more_than_it_shows_is_refused(text: str, place: tuple[int, int]) -> None:
    assert places(text) == [place]


def test_an_alias_is_refused_and_so_no_file_can_unfold() -> None:
    bomb = "a: &a [x, x]\n" + "\n".join(f"b{i}: [*a, *a]" for i in range(30))
    assert len(mistakes(bomb)) == 61


def test_every_mistake_is_reported_at_once_in_order() -> None:
    assert places("a: 0123\nb: yes\na: 1\n") == [(1, 4), (2, 4), (3, 1)]


def test_a_quoted_merge_key_is_only_a_key() -> None:
    assert load("'<<': 1", "f").data == {"<<": 1}


@pytest.mark.parametrize(
    "text", ["[" * 3000, "a: " + "[" * 25, "a:\n" + "".join(f"{'  ' * i}b:\n" for i in range(1, 30))]
)
def test_deep_nesting_is_refused(text: str) -> None:
    assert "nested deeper" in mistakes(text)[0].message


def test_a_file_that_is_too_large_is_refused_unread() -> None:
    assert "larger" in mistakes("#" * (MAX_BYTES + 1))[0].message


def test_too_many_values_are_refused() -> None:
    assert "too many" in mistakes("[" + "1," * 60_000 + "1]")[0].message


def test_bytes_that_are_not_utf8_are_refused_with_their_line() -> None:
    assert places(b"a: 1\nb: \xff\n") == [(2, 1)]


@pytest.mark.parametrize("text", ["a: [1", "a: 'x", "\ta: 1", "a: b: c", "a: \x00"])
def test_what_is_not_yaml_is_a_mistake_and_not_a_crash(text: str) -> None:
    assert "YAML" in mistakes(text)[0].message


def test_an_empty_file_holds_nothing() -> None:
    assert load("", "f").data is None
    assert load("# only a comment\n", "f").data is None


def test_a_mistake_stands_at_its_pointer_or_at_the_nearest_thing_around_it() -> None:
    doc = load("a:\n  - b: 1\n    c: 2\n", "f.yaml")
    assert str(doc.mistake(("a", 0, "c"), "x")) == "f.yaml:3:8: x"
    assert str(doc.mistake(("a", 0, "c"), "x", at_key=True)) == "f.yaml:3:5: x"
    assert str(doc.mistake(("a", 0, "missing"), "x")) == "f.yaml:2:5: x"
    assert str(doc.mistake(("nowhere",), "x")) == "f.yaml:1:1: x"


@given(st.text(max_size=60) | st.text("[]{}:,-#&*!|>'\"%@`? \n\tayN0.<", max_size=40))
def test_any_text_gives_data_or_mistakes(text: str) -> None:
    try:
        load(text, "f")
    except Mistakes as group:
        assert group.found
        assert all(mistake.line >= 1 and mistake.column >= 1 for mistake in group.found)
