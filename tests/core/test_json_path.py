"""The subset of RFC 9535 that the tables use."""

import pytest

from proxy.core.errors import Mistake
from proxy.core.json_path import parse_path, select, snake, written
from proxy.core.values import Json, Pointer

BODY: Json = {
    "store": True,
    "tools": [{"type": "mcp", "url": "a"}, {"type": "shell", "deep": {"mark": 1}}, "text", {"type": ["mcp"]}],
    "modalities": ["text", "audio"],
    "mark": {"mark": 2},
}


@pytest.mark.parametrize(
    ("path", "pointers"),
    [
        ("$", [()]),
        ("$.store", [("store",)]),
        ("$.missing.deeper", []),
        ("$.store.below", []),
        ("$.tools[*].type", [("tools", 0, "type"), ("tools", 1, "type"), ("tools", 3, "type")]),
        ("$.tools[?@.type=='mcp'].url", [("tools", 0, "url")]),
        ("$.tools[?(@.type=='mcp')]", [("tools", 0)]),
        ("$.tools[?@.type=='mcp' || @.type=='shell']", [("tools", 0), ("tools", 1)]),
        ("$.modalities[?@=='audio']", [("modalities", 1)]),
        ("$.tools[?@.type!='mcp']", [("tools", 1), ("tools", 2), ("tools", 3)]),
        ("$.modalities[?@!='audio']", [("modalities", 0)]),
        ("$..mark", [("tools", 1, "deep", "mark"), ("mark",), ("mark", "mark")]),
        ("$.mark[*]", [("mark", "mark")]),
    ],
)
def test_a_path_selects_what_the_rfc_says(path: str, pointers: list[Pointer]) -> None:
    assert list(select(parse_path(path), BODY)) == pointers


@pytest.mark.parametrize(
    "path",
    [
        "",
        "store",
        "$store",
        "$.a[0]",
        "$.a[?@.b>1]",
        "$.a[?@.b=='x' && @.c=='y']",
        "$.a[?@.b=='x' || @.c=='y']",
        "$.a[?@.b=='x' || @.b!='y']",
        "$.a[?@.b!='x' || @.b!='y']",
        "$.a[?@.b!='x' && @.b!='y']",
        "$.",
    ],
)
def test_a_path_beyond_the_subset_does_not_compile(path: str) -> None:
    with pytest.raises(Mistake):
        parse_path(path)


def test_pointers_are_written_as_paths() -> None:
    assert written(("tools", 0, "type")) == "$.tools[0].type"
    assert written(()) == "$"


def test_a_camel_case_name_has_one_proto_spelling() -> None:
    assert snake("generationConfig") == "generation_config"
    assert snake("already_snake") == "already_snake"
