"""What a request's features do to data is found wherever it stands, and taken back as its row says."""

import copy
import json
import re
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.effects import EffectTable, compile_effects
from proxy.core.json_path import parse_path, select
from proxy.core.rewrite import apply
from proxy.core.strict_json import parse
from proxy.core.values import Edit, Effect, Json, Signal
from proxy.facts import read_facts
from tests.tables.reading import EFFECTS, files

TABLE = read_facts().tables.effects


def find(endpoint: str, body: Any, *, model: str = "") -> dict[str, Effect]:
    found = TABLE.find(endpoint.partition(".")[0], endpoint, body, model=model)
    return {effect.row: effect for effect in found}


def after(effect: Effect, body: Any) -> Any:
    return parse(apply(json.dumps(body).encode(), effect.edits))


# -- the real tables: silent defaults, hiding places, rewrites -------------------------------------


@pytest.mark.parametrize("body", [{}, {"store": None}, {"store": True}])
def test_a_response_is_stored_unless_it_says_otherwise(body: dict[str, Json]) -> None:
    effect = find("openai.responses", {"model": "openai/gpt-5.4", **body})["oai.responses.store_default"]
    assert effect.signals == (Signal.APP_STATE,)
    assert effect.path == "$.store"
    assert effect.edits == (Edit(("store",), "set", False),)


def test_a_response_that_is_not_stored_has_no_such_effect() -> None:
    assert find("openai.responses", {"model": "m", "store": False}) == {}


def test_a_completion_is_stored_only_when_it_says_so() -> None:
    assert "oai.chat.store_true" in find("openai.chat", {"store": True})
    assert find("openai.chat", {"store": None}) == find("openai.chat", {}) == {}


def test_true_is_not_taken_for_one() -> None:
    assert "oai.chat.store_true" not in find("openai.chat", {"store": 1})


@pytest.mark.parametrize(
    "url",
    [
        "https://a.example/x.png",
        "HTTP://a",
        "ftp://a",
        "gs://bucket/a",
        "//a.example/x",
        " https://a",
        "DATA",
    ],
)
def test_an_image_that_is_not_inline_is_fetched_by_somebody(url: str) -> None:
    body = {"messages": [{"content": "hi"}, {"content": [{"image_url": {"url": url}}]}]}
    assert set(find("openai.chat", body)) == {"oai.chat.image_remote"}
    assert find("openai.chat", body)["oai.chat.image_remote"].path == "$.messages[1].content[0].image_url.url"


def test_an_inline_image_leaves_for_nobody_else() -> None:
    body = {"messages": [{"content": [{"image_url": {"url": "data:image/png;base64,AA"}}]}]}
    assert find("openai.chat", body)["oai.chat.image_inline"].signals == (Signal.HUMAN_REVIEW,)


HOSTED = {"type": "code_interpreter", "container": {"type": "auto"}}
HIDING = {
    "a message that brings tools": {"input": [{"type": "message", "role": "user", "tools": [HOSTED]}]},
    "an item of no kind": {"input": [{"role": "user", "content": "x", "tools": [HOSTED]}]},
    "tools": {"tools": [HOSTED]},
    "an item that brings tools": {"input": [{"type": "additional_tools", "tools": [HOSTED]}]},
    "a tool search result": {"input": [{"type": "tool_search_output", "tools": [HOSTED]}]},
    "a namespace": {"tools": [{"type": "namespace", "tools": [HOSTED]}]},
    "a namespace in an item": {
        "input": [{"type": "additional_tools", "tools": [{"type": "namespace", "tools": [HOSTED]}]}]
    },
}


@pytest.mark.parametrize("body", HIDING.values(), ids=HIDING.keys())
def test_a_hosted_tool_is_found_wherever_tools_may_stand(body: dict[str, Json]) -> None:
    effect = find("openai.responses", {**body, "store": False})["oai.responses.code_interpreter"]
    assert Signal.HOSTED_TOOL in effect.signals


def test_a_tool_that_a_conversation_brings_along_cannot_be_taken_out_of_it() -> None:
    tool = {"type": "web_search_20250305", "name": "web_search"}
    here = find("anthropic.messages", {"tools": [tool, {"name": "f"}]})["ant.web_search.basic"]
    assert here.edits == (Edit(("tools", 0), "remove"),)
    block = {"type": "tool_addition", "tool": {"type": "tool_definition", "definition": tool}}
    change = {"type": "tool_changes", "tool_changes": [{"tool": {"definition": tool}}]}
    for content in (block, change):
        body = {"tools": [{"name": "f"}], "messages": [{"role": "user", "content": [content]}]}
        assert find("anthropic.messages", body)["ant.web_search.basic"].edits == ()


def test_the_last_tool_takes_the_list_with_it() -> None:
    body = {"tools": [{"type": "mcp", "connector_id": "connector_gmail"}], "store": False}
    assert after(find("openai.responses", body)["oai.responses.mcp_connector"], body) == {"store": False}


def test_google_members_are_found_in_both_spellings() -> None:
    for name in ("googleSearch", "google_search"):
        body = {"store": False, "tools": [{name: {}}, {"functionDeclarations": []}]}
        effect = find("google.generate_content", body, model="gemini/gemini-3")["g.tools.google_search"]
        assert after(effect, body)["tools"] == [{"functionDeclarations": []}]
    spelled = {"parallel_ai_search": {"enable_zero_data_retention": False}}
    row = find("google.generate_content", {"store": False, "tools": [spelled]})["g.vertex.parallel"]
    assert row.edits[0].pointer == ("tools", 0, "parallel_ai_search", "enable_zero_data_retention")


def test_a_missing_object_on_the_way_is_made() -> None:
    body: Json = {"model": "openai/gpt-5.6-sol", "messages": []}
    effect = find("openai.chat", body)["oai.cache.gpt56"]
    assert effect.edits == (Edit(("prompt_cache_options",), "set", {"mode": "explicit"}),)


def test_rows_of_one_provider_need_its_pin() -> None:
    def rows(model: str) -> set[str]:
        return {row for row in find("openai.responses", {"model": model}) if not row.startswith("oai.")}

    assert rows("azure/gpt-5.5") == {"az.responses.store"}
    assert rows("xai/grok-5") == {"xai.responses.store"}
    assert rows("gpt-5.5") == rows("openai/azure") == set()


def test_rows_of_some_models_need_such_a_model() -> None:
    def caches(model: str) -> set[str]:
        return {row for row in find("openai.chat", {"model": model}) if row.startswith("oai.cache.")}

    assert caches("openai/gpt-5.1") == {"oai.cache.default_older"}
    assert caches("openai/gpt-5.5-pro") == {"oai.cache.gpt55"}
    assert caches("openai/gpt-6.1-sol") == {"oai.cache.gpt56"}
    assert caches("mistral/mistral-large-2512") == set()


def test_a_model_that_knows_no_region_is_given_none() -> None:
    def regions(model: str) -> bool:
        return "ant.inference_geo.absent" in find("anthropic.messages", {"model": model})

    assert all(
        map(regions, ["anthropic/claude-opus-4-8", "anthropic/claude-sonnet-5", "anthropic/claude-fable-5"])
    )
    older = [
        "anthropic/claude-haiku-4-5",
        "anthropic/claude-opus-4-1-20250805",
        "anthropic/claude-3-5-sonnet-20241022",
    ]
    assert not any(map(regions, [*older, "aws/claude-opus-4-8", "claude-opus-4-8"]))


def test_a_path_that_no_table_knows_is_our_fault_and_finds_nothing_in_silence() -> None:
    with pytest.raises(KeyError):
        TABLE.find("openai", "/v1/unheard-of", {})


def test_an_endpoint_is_found_by_its_paths_and_by_its_table() -> None:
    for path in ("/v1/responses", "/v3/compat/responses", "openai.responses"):
        assert TABLE.find("openai", path, {})[0].row == "oai.responses.store_default"


def test_where_a_feature_stands_is_told_in_names_of_the_tables_alone() -> None:
    """Some objects take names of the sender's choosing, and findings and records tell where a feature is."""
    picture: Json = {"type": "input_image", "image_url": "https://a.example/x.png"}
    body: Json = {"prompt": {"id": "x", "variables": {"kanarie" * 9000: picture}}}
    effect = find("openai.responses", body)["oai.responses.image_remote"]
    assert effect.path == "$.prompt.variables.*.image_url"
    tool: Json = {"type": "web_search_20260209"}
    for name, told in (("definition", "definition"), ("kanarie", "*")):
        turns: Json = [{"content": [{"tool": {name: tool}}]}]
        found = find("anthropic.messages", {"messages": turns})["ant.web_search.newer"]
        assert found.path == f"$.messages[0].content[0].tool.{told}.type"


def test_a_body_that_is_no_object_has_no_features() -> None:
    assert TABLE.find("openai", "openai.chat", []) == ()


# -- the walk against an evaluation of one row at a time -------------------------------------------

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


ASKED: list[tuple[str, Json]] = [
    ("present", None),
    ("eq", True),
    ("in", ["a", "b"]),
    ("matches_prefix", "a"),
    ("regex", "^b"),
    ("absent", None),
    ("absent_or_eq", True),
    ("absent_or_in", ["a", None]),
    ("absent_or_not_eq", "a"),
    ("untyped", ["a"]),
    ("lacks", ["a", "store"]),
]
PATHS = [
    "$.store",
    "$.a.store",
    "$.tools[*].type",
    "$.tools[?@.type=='a'].store",
    "$.tools[?@.type=='a' || @.type=='b']",
    "$.tools[?@.type!='a'].store",
    "$.tools[*].a.store",
    "$..store",
]
leaves = st.sampled_from([None, True, False, 1, "a", "b", "ab", ""])
trees = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["store", "a", "tools", "type", "more"]), inner, max_size=4)
    ),
    max_leaves=12,
)
tree_bodies = st.dictionaries(st.sampled_from(["store", "a", "tools", "type", "more"]), trees, max_size=5)
ROWS = {
    f"{op} {path}": {"when": {"op": op, "at": [path], "value": value}}
    for op, value in ASKED
    for path in PATHS
}


def holds(op: str, asked: Any, value: Any) -> bool:
    """The vocabulary once more, in the plainest words."""

    def same(other: Any) -> bool:
        return type(value) is type(other) and bool(value == other)

    match op.removeprefix("absent_or_"):
        case "present":
            return value is not None
        case "absent":
            return value is None
        case "eq":
            return same(asked) or (op != "eq" and value is None)
        case "in":
            return any(same(other) for other in asked) or (op != "in" and value is None)
        case "not_eq":
            return not same(asked) or value is None
        case "matches_prefix":
            return isinstance(value, str) and value.startswith(asked)
        case "untyped":
            bare = isinstance(value, dict) and value.get("type") is None
            return bare and any(value.get(name) is None for name in asked)
        case "lacks":
            return isinstance(value, dict) and all(value.get(name) is None for name in asked)
        case _:
            return isinstance(value, str) and value.startswith("b")


def slowly(op: str, asked: Any, path: str, body: Any) -> bool:
    """One row alone: every selected value, and a missing one where the op asks for that."""
    for text in [path, path.replace("$.tools", "$.more.tools")]:
        steps = parse_path(text)
        values = [at(body, pointer) for pointer in select(steps, body)]
        if op.startswith("absent") and ".." not in text:
            chosen = "[" in text
            parents = list(select(steps[:-1], body))
            if chosen:
                name = text.rpartition(".")[2]
                values += [
                    None
                    for parent in parents
                    if isinstance(at(body, parent), dict) and name not in at(body, parent)
                ] * (not text.endswith("]"))
            elif not values:
                values = [None]
        if any(holds(op, asked, value) for value in values):
            return True
    return False


def at(body: Any, pointer: Sequence[str | int]) -> Any:
    for step in pointer:
        body = body[step]
    return body


def the_walk_finds_what_single_rows_find(table: EffectTable) -> None:
    @settings(database=None, derandomize=True, deadline=None, max_examples=400, report_multiple_bugs=False)
    @given(tree_bodies)
    def hold(body: Any) -> None:
        expected = {f"{op} {path}" for op, value in ASKED for path in PATHS if slowly(op, value, path, body)}
        assert {effect.row for effect in table.find("d", "e", body)} == expected

    hold()


def test_one_walk_finds_what_every_row_would_find_alone() -> None:
    the_walk_finds_what_single_rows_find(compiled(ROWS))


def test_the_property_catches_a_table_that_looks_at_the_usual_place_only() -> None:
    without_nested: Json = {"endpoints": {"e": {"dialects": ["d"], "paths": []}}}
    with pytest.raises(AssertionError):
        the_walk_finds_what_single_rows_find(compiled(ROWS, without_nested))


def test_the_property_catches_a_table_that_takes_missing_for_harmless() -> None:
    softened = copy.deepcopy(ROWS)
    softened["absent_or_eq $.store"]["when"]["op"] = "eq"
    with pytest.raises(AssertionError):
        the_walk_finds_what_single_rows_find(compiled(softened))


# -- every row of the shipped tables ---------------------------------------------------------------


def exhibit(path: str, value: Json, *, missing: bool) -> dict[str, Any]:
    """The smallest body in which a path leads to a value, or to a place where it is missing."""
    steps = parse_path(path)
    node: Any = value
    for depth in range(len(steps) - 1, -1, -1):
        step: Any = steps[depth]
        kind = type(step).__name__
        if kind == "Name":
            node = {} if missing and depth == len(steps) - 1 else {step.spellings[0]: node}
        elif kind == "Every":
            node = [node]
        else:
            text = sorted(step.texts)[0]
            node = [{**(node if isinstance(node, dict) else {}), step.field: text} if step.field else text]
    assert isinstance(node, dict)
    return node


SAMPLES = {"matches_prefix": lambda value: str(value if isinstance(value, str) else value[0]) + "x"}
REGEX_SAMPLES = [
    "https://a.example/x",
    "data:image/png;base64,AA",
    "openai/gpt-5.5",
    "gpt-4o-search-preview",
    "claude-fable-5",
    "file_abc",
    "aws/claude-fable-5",
]


def samples(when: dict[str, Any]) -> list[tuple[Json, bool]]:
    """Values that make a row apply, and whether the member has to be missing."""
    op: str = when["op"]
    value: Any = when.get("value")
    if op.startswith("absent"):
        return [(None, True), (None, False)]
    if op == "regex":
        return [(text, False) for text in REGEX_SAMPLES if re.search(value, text)]
    if op == "matches_prefix":
        return [(SAMPLES[op](value), False)]
    if op in ("eq", "contains"):
        return [(value, False)]
    if op in ("untyped", "lacks"):
        return [({"x": 1}, False)]
    if op == "chosen_unoffered":
        return [({"tool_choice": {"type": each}}, False) for each in value]
    if op in ("in", "any_of"):
        return [(each, False) for each in value]
    return [("x", False), ({"x": 1}, False)]


def cases() -> list[Any]:
    found = []
    for row, about in sorted(written_rows().items()):
        for endpoint in about["endpoints"]:
            found.append(pytest.param(row, about, endpoint, id=f"{row} in {endpoint}"))
    return found


def written_rows() -> dict[str, Any]:
    return {row: about for file in files(EFFECTS).values() for row, about in file.get("rows", {}).items()}


MODELS = [
    "openai/gpt-5.1",
    "openai/gpt-5.6",
    "azure/m",
    "aws/claude-fable-5",
    "xai/m",
    "fireworks/m",
    "anthropic/claude-opus-4-8",
    "m",
]


@pytest.mark.parametrize(("row", "about", "endpoint"), cases())
def test_every_row_finds_its_feature_and_its_rewrite_takes_it_away(
    row: str, about: Any, endpoint: str
) -> None:
    seen = 0
    for path in about["when"]["at"]:
        for value, missing in samples(about["when"]):
            for model in MODELS:
                body = exhibit(path, value, missing=missing)
                by_name = "model" in body and about["when"]["op"] == "regex"
                body = body if by_name else {**body, "model": model}
                effect = find(endpoint, body).get(row)
                if effect is None:
                    continue
                seen += 1
                assert bool(effect.edits) == bool(about.get("undo"))
                if effect.edits and not effect.stays:
                    assert row not in find(endpoint, after(effect, body))
    assert seen
