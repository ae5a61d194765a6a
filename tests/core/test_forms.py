"""A form collects every mistake at its place and goes on."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from proxy.core.errors import Mistakes
from proxy.core.forms import Form, kind_of, read_instant
from proxy.core.strict_yaml import load
from proxy.core.values import Json


def form(text: str, *fields: str) -> Form:
    return Form(load(text, "f.yaml"), (), fields)


def told(one: Form) -> list[str]:
    with pytest.raises(Mistakes) as caught:
        one.done()
    return [str(mistake) for mistake in caught.value.found]


def test_a_form_without_mistakes_is_done() -> None:
    one = form("a: x", "a")
    assert one.text("a") == "x"
    one.done()


def test_an_unknown_field_names_the_nearest_valid_one() -> None:
    assert told(form("becuase: x", "because", "policy")) == [
        "f.yaml:1:1: unknown field 'becuase'; did you mean 'because'?"
    ]


def test_an_unknown_field_that_is_near_to_nothing_lists_the_valid_ones() -> None:
    assert told(form("zzz: x", "because", "policy")) == [
        "f.yaml:1:1: unknown field 'zzz'; it takes because, policy"
    ]


def test_what_is_no_mapping_is_told_and_read_as_empty() -> None:
    one = form("[1]", "a")
    assert one.text("a") == ""
    assert told(one) == ["f.yaml:1:1: write a mapping with a"]


def test_every_kind_of_field_notes_its_own_mistake_and_returns_a_stand_in() -> None:
    text = "t: 1\nn: Not A Name\nf: maybe\nc: blue\nl: [x, 1, x, z]\nv: [gren]\nd: tomorrow\ne: 5\nm: 3\n"
    one = form(text, *"tnfclvdem")
    assert one.text("t", why="needed") == ""
    assert one.name("n", "needed") == "Not A Name"
    assert one.flag("f", default=True) is True
    assert one.choice("c", ("red", "green"), "red") == "red"
    assert one.texts("l") == ("x", "z")
    assert one.texts("v", valid=("red", "green")) == ()
    assert one.instant("d", "needed") is None
    assert one.each("e", lambda i: i) == ()
    assert one.within("m", fields=("x",)).data == {}
    assert [line.split(": ", 1)[0] for line in told(one)] == [
        "f.yaml:1:4", "f.yaml:2:4", "f.yaml:3:4", "f.yaml:4:4", "f.yaml:5:8", "f.yaml:5:11", "f.yaml:6:5",
        "f.yaml:7:4", "f.yaml:8:4", "f.yaml:9:4",
    ]  # fmt: skip


def test_a_missing_field_says_why_it_is_needed() -> None:
    one = form("a: x", "a", "because")
    one.text("because", why="say why")
    assert told(one) == ["f.yaml:1:1: because is missing: say why"]


def test_text_is_one_printable_line() -> None:
    one = form('a: "x\\ny"\nb: "\\u0007"\nc: "   "', "a", "b", "c")
    for name in "abc":
        one.text(name)
    assert len(told(one)) == 3


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-22", datetime(2026, 11, 22, tzinfo=UTC)),
        ("2026-11-22T12:00:00Z", datetime(2026, 11, 22, 12, tzinfo=UTC)),
        ("2026-11-22T12:00:00+02:00", datetime(2026, 11, 22, 10, tzinfo=UTC)),
        ("2026-11-22T12:00:00", None),
        ("22.11.2026", None),
        ("20261122", None),
        (20261122, None),
        (None, None),
    ],
)
def test_an_instant_has_a_zone_or_is_a_day(text: Json, expected: datetime | None) -> None:
    assert read_instant(text) == expected


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_an_instant_that_its_zone_pushes_out_of_the_calendar_is_none(text: str) -> None:
    assert read_instant(text) is None


def test_the_last_day_counts_whole() -> None:
    found = read_instant("2026-11-22", end_of_day=True)
    assert found is not None
    assert datetime(2026, 11, 22, 23, 59, 59, tzinfo=UTC) < found < datetime(2026, 11, 23, tzinfo=UTC)


def test_kinds_are_named_as_a_person_would() -> None:
    values: list[Json] = [None, True, 1, 1.5, "x", [], {}]
    kinds = [kind_of(value) for value in values]
    assert kinds == ["nothing", "true", "a number", "a number", "text", "a list", "a mapping"]
