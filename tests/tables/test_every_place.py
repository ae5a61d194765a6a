"""What raises a row at one place raises it wherever else it may stand, and hiding the type hides nothing.

The places are those that the member tables admit: a row that was written for the usual one alone
lets the same value pass one level deeper. Rows that ask for objects without a type are left out of
the first comparison, where few objects have one, for they would cover up what the others overlook.
"""

from __future__ import annotations

import copy
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from proxy.core.effects import EffectTable, compile_effects
from proxy.core.json_path import Where, parse_path, written
from proxy.core.values import Json, Pointer
from proxy.facts import read_facts
from tests.tables.admitted import Place, places
from tests.tables.reading import EFFECTS, files

FILES = files(EFFECTS)
ROWS = {row: about for file in FILES.values() for row, about in file.get("rows", {}).items()}
UNTYPED = frozenset(row for row, about in ROWS.items() if about["when"]["op"] == "untyped")
ENDPOINTS = FILES["endpoints"]["endpoints"]
MEMBERS = read_facts().tables.members
SHIPPED = compile_effects(*FILES.values(), names=MEMBERS.names())
NOBODY = "of no kind"

ELSEWHERE: list[tuple[str, str, str]] = [
    ("custom_voice", r"\.(messages|tool_calls)\[\*\]\S*\.id", "not the id of a voice"),
    ("audio_reference", r"\.(voice|tool_calls\[\*\])\.id", "not the id of an answer in sound"),
    ("image_", r"\.url_citation\.url", "what an answer cited; nobody fetches it again"),
    (
        "json_schema",
        r"\.(json_schema|format)\.strict",
        "a response schema is told by its type, strict or not",
    ),
    ("g.schema", r"\.functionDeclarations\[\*\]\S*", "describes a tool; the row is about responses"),
    ("file_id|container_ref", r"\.annotations\[\*\]\.\w+", "what an answer cited; nothing is loaded by it"),
    ("file_id", r"\.input\[\*\]\.results\[\*\]\.file_id", "names what was found; its text stands beside it"),
    ("ant.file_ids", r"\.citations\[\*\]\.file_id", "what an answer cited; nothing is loaded by it"),
    ("ant.file_ids", r"\.content\.content\[\*\]\.file_id", "names what code wrote; nothing is loaded by it"),
    ("skills|shell_hosted", r"\.input\[\*\]\.environment\.\w+", "where a call ran; container_id is judged"),
    ("svg_model|agent_model", r"\$\.model|\.tools\[\*\]\.model", "a reference, which the dialect reads"),
    ("svg_model", r"\.svg_usage\.model", "says who drew an earlier picture"),
    ("svg_model", r"\.moderation\.model", "all of `moderation` is judged"),
    ("identifiers", r"\.action\.user", "the user of the caller's own shell"),
    ("tool_choice_hosted", r"\.tools\[\*\]\.type", "an offer reaches somebody else, and is judged by that"),
    ("ant.cache_diagnostics", r"\.thread\.previous_message_id", "all of `thread` is judged"),
    ("ant.code_execution", r"\.caller\.type", "says what made an earlier call; the offer is judged"),
    ("env_agent", r"\.tools\[\*\]\.environment", "what kind of computer the caller operates for the model"),
]
"""Rows, places and reasons: what has the same name and value there, and means something else."""


@dataclass(slots=True)
class Seen:
    """What one member with one value was seen to raise: rows of its own, and everything by place."""

    own: set[str] = field(default_factory=set)
    at: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))


def filtered() -> frozenset[str]:
    """Types that some row looks into; no other type of an object around a value makes a difference."""
    paths = [path for about in ROWS.values() for path in about["when"]["at"]]
    steps = [step for path in paths for step in parse_path(path) if isinstance(step, Where)]
    return frozenset(text for step in steps if step.field == "type" for text in step.texts)


FILTERED = sorted(filtered())


def typings(place: Place) -> Iterator[Mapping[Pointer, Json]]:
    """No types around a place, then each that rows look into at each object around it."""
    yield {}
    for at, shape in place.around:
        slot = shape.slots.get("type")
        if slot is not None and (*at, "type") != place.at:
            yield from ({at: text} for text in FILTERED if text in (slot.values or ()))


def found(table: EffectTable, endpoint: str, body: Json) -> dict[str, str]:
    """The rows that a body raises beyond those of an empty one, each with its place."""
    dialect = ENDPOINTS[endpoint]["dialects"][0]
    silent = {effect.row for effect in table.find(dialect, endpoint, {})}
    return {e.row: e.path for e in table.find(dialect, endpoint, body) if e.row not in silent}


def survey(table: EffectTable, endpoint: str) -> dict[tuple[str, str], Seen]:
    """Every member and value that an endpoint admits, with what it raises at each of its places."""
    seen: dict[tuple[str, str], Seen] = defaultdict(Seen)
    for place in places(MEMBERS.table(endpoint)):
        for value in place.values():
            about = seen[place.name, repr(value)]
            for types in typings(place):
                rows = found(table, endpoint, place.body(value, types))
                own = {row for row, at in rows.items() if at == written(place.at)}
                if place.name == "type":
                    other = found(table, endpoint, place.body(NOBODY, types))
                    own |= {row for row, at in rows.items() if row not in other and at in written(place.at)}
                about.own |= own - UNTYPED
                about.at[place.path] |= (own if types else rows.keys()) - UNTYPED
    return seen


def overlooked(table: EffectTable, endpoint: str) -> set[tuple[str, str]]:
    """Rows and places where a member and value raise less than they do elsewhere."""
    gaps: set[tuple[str, str]] = set()
    for about in survey(table, endpoint).values():
        for row in about.own:
            gaps |= {(row, path) for path, rows in about.at.items() if not signals([row]) <= signals(rows)}
    return gaps


def signals(rows: Any) -> set[str]:
    return {signal for row in rows for signal in ROWS[row]["signals"]}


def excused(row: str, path: str) -> list[tuple[str, str, str]]:
    return [one for one in ELSEWHERE if re.search(one[0], row) and re.search(f"(?:{one[1]})$", path)]


def of_rows(changed: Mapping[str, Any]) -> EffectTable:
    """The shipped table with some rows put in another way."""
    parts = copy.deepcopy(FILES)
    for part in parts.values():
        part.get("rows", {}).update({row: changed[row] for row in part.get("rows", {}).keys() & changed})
    return compile_effects(*parts.values(), names=MEMBERS.names())


def changed(row: str, **when: Any) -> EffectTable:
    return of_rows({row: {**ROWS[row], "when": {**ROWS[row]["when"], **when}}})


@pytest.mark.parametrize("endpoint", sorted(ENDPOINTS))
def test_what_raises_a_row_at_one_place_raises_it_at_every_other(endpoint: str) -> None:
    gaps = overlooked(SHIPPED, endpoint)
    assert {gap for gap in gaps if not excused(*gap)} == set()


def test_every_exception_is_still_needed() -> None:
    gaps = {gap for endpoint in ENDPOINTS for gap in overlooked(SHIPPED, endpoint)}
    needed = {one for gap in gaps for one in excused(*gap)}
    assert [one for one in ELSEWHERE if one not in needed] == []


@pytest.mark.parametrize(
    ("row", "place"),
    [
        ("ant.cache", "$.messages[*].content[*].content[*].content[*].cache_control"),
        ("ant.files_ref", "$.messages[*].content[*].content[*].source.content[*].source.type"),
        ("ant.file_ids", "$.messages[*].content[*].content[*].source.content[*].source.file_id"),
        ("g.file_url", "$.systemInstruction.parts[*].functionResponse.parts[*].fileData.fileUri"),
        ("oai.responses.container_reference", "$.input[*].container_id"),
        ("oai.responses.inline_image", "$.prompt.variables[*].image_url"),
    ],
)
def test_a_row_that_forgets_one_of_its_places_is_noticed(row: str, place: str) -> None:
    others = [path for path in ROWS[row]["when"]["at"] if path != place]
    assert len(others) < len(ROWS[row]["when"]["at"])
    gaps = overlooked(changed(row, at=others), ROWS[row]["endpoints"][0])
    assert [path for missed, path in gaps if missed == row and not excused(missed, path)]


# -- types that are left out -----------------------------------------------------------------------


def hidden(table: EffectTable, endpoint: str) -> Iterator[tuple[str, set[str]]]:
    """Objects that raise more signals by some type than without one, and which those are."""
    for place in places(MEMBERS.table(endpoint)):
        if place.name != "type" or not place.slot.values:
            continue
        for types in typings(place):
            other = signals(found(table, endpoint, place.body(NOBODY, types)))
            told = {s for v in place.values() for s in signals(found(table, endpoint, place.body(v, types)))}
            silent = signals(found(table, endpoint, place.body(None, types)))
            if missing := told - other - silent:
                yield place.path, missing


@pytest.mark.parametrize("endpoint", sorted(ENDPOINTS))
def test_an_object_without_its_type_raises_what_any_type_would(endpoint: str) -> None:
    assert list(hidden(SHIPPED, endpoint)) == []


@pytest.mark.parametrize("row", sorted(UNTYPED))
def test_a_row_for_what_leaves_its_type_out_is_needed(row: str) -> None:
    without = of_rows({row: {**ROWS[row], "when": {"op": "eq", "at": ROWS[row]["when"]["at"], "value": 0}}})
    assert list(hidden(without, ROWS[row]["endpoints"][0]))
