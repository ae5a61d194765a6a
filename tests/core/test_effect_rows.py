"""A row that is not understood does not compile; what no body shows is kept and finds nothing."""

from collections.abc import Callable
from typing import Any

import pytest

from proxy.core.effect_rows import Compiler
from proxy.core.effects import EffectTable, compile_effects
from proxy.core.errors import Mistake
from proxy.core.values import Edit, Json

ENDPOINT: Json = {
    "endpoints": {"e": {"dialects": ["d"], "paths": [], "nested": {"$.tools": ["$.more.tools"]}}}
}
ABOUT: dict[str, Json] = {
    "endpoints": ["e"],
    "feature": "a feature",
    "signals": ["cache"],
    "sources": ["s"],
    "seen": "2026-11-25",
}


def compiled(rows: dict[str, Any], endpoint: Json = ENDPOINT) -> EffectTable:
    return compile_effects(
        endpoint, {"sources": {"s": {}}, "rows": {name: {**ABOUT, **row} for name, row in rows.items()}}
    )


def row(**changed: Any) -> Callable[[], EffectTable]:
    return lambda: compiled({"r": {"when": {"op": "eq", "at": ["$.store"], "value": True}, **changed}})


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (row(when={"op": "looks_like", "at": ["$.a"]}), "no op is called 'looks_like'"),
        (row(when={"op": "semantic", "at": ["$.a"]}), "no body can be asked for 'semantic'"),
        (row(when={"op": "eq", "at": ["$.a[0]"], "value": 1}), "no path that the tables support"),
        (row(signals=["needs_review"]), "its signals must be some of"),
        (row(signals=[]), "its signals must be some of"),
        (row(sources=["elsewhere"]), "no source of this file"),
        (row(endpoints=["nowhere"]), "no endpoint is called nowhere"),
        (row(undo=[{"replace": "match"}]), "an undo is"),
        (row(undo=[{"set": "match"}]), "an undo is"),
        (row(seen=None), "when its sources were seen"),
        (row(when={"op": "present", "at": ["$.model"]}, undo=[{"remove": "match"}]), "cannot be undone"),
        (lambda: compile_effects([]), "must be an object"),
    ],
)
def test_a_row_that_is_not_understood_does_not_compile(broken: Callable[[], EffectTable], words: str) -> None:
    with pytest.raises(Mistake, match=words):
        broken()


def test_an_undo_may_name_a_place_of_its_own_which_is_made_when_it_is_missing() -> None:
    rows = {"r": {"when": {"op": "present", "at": ["$.a"]}, "undo": [{"set": "$.b.c", "to": 1}]}}
    (effect,) = compiled(rows).find("d", "e", {"a": 1})
    assert effect.edits == (Edit(("b",), "set", {"c": 1}),)


def test_a_row_may_stand_once_only() -> None:
    rows: Json = {"r": {**ABOUT, "when": {"op": "eq", "at": ["$.a"], "value": 1}}}
    file: Json = {"sources": {"s": {}}, "rows": rows}
    with pytest.raises(Mistake, match="twice"):
        compile_effects(ENDPOINT, file, file)


def test_facts_that_no_body_shows_are_kept_and_find_nothing() -> None:
    fact: Json = {
        **ABOUT,
        "when": {"op": "credential_attribute", "in": "credential"},
        "signals": ["training"],
    }
    table = compile_effects(ENDPOINT, {"sources": {"s": {}}, "facts": {"f": fact}})
    assert table.rows == {}
    assert table.find("d", "e", {"a": 1}) == ()


def test_one_tree_serves_every_path_of_an_endpoint() -> None:
    compiler = Compiler()
    compiler.take_endpoints({"endpoints": {"e": {"dialects": ["d", "f"], "paths": ["/a", "/b"]}}})
    assert len(compiler.paths) == 6
    assert len({id(tree) for tree in compiler.paths.values()}) == 1


def test_what_applies_to_one_model_is_not_taken_for_another_and_does_not_pile_up() -> None:
    when = {"op": "present", "at": ["$.a"]}
    table = compiled({"r": {"when": when, "providers": ["p"], "models": "^m1$"}})
    for number in range(600):
        for model in (f"p/m{number}", f"q/m{number}", f"p/m{number}" + "x" * 200):
            found = table.find("d", "e", {"model": model, "a": 1})
            assert bool(found) is (model == "p/m1")
            assert table.find("d", "e", {"a": 1}, model=model) == found
    assert len(table._applying) <= 256
    assert max(map(len, table._applying)) <= 128
