"""The member tables that ship: derived from today's SDKs, wholly judged, and wide enough for real clients."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from anthropic.types.beta import BetaMessage
from openai.types.chat import ChatCompletionMessage
from openai.types.responses import Response

from proxy.core.errors import Unreadable
from proxy.core.json_path import Name, Path, parse_path, snake
from proxy.core.member_rows import CLASSES, compile_members
from proxy.core.members import Members, Shape, Slot
from proxy.core.strict_json import parse_object
from proxy.core.values import Json
from proxy.facts import read_facts
from scripts.derive_members import derive, differences, main, written
from tests.tables.reading import EFFECTS, MEMBERS, files

FILES = files(MEMBERS)
ROWS = {row: about for file in files(EFFECTS).values() for row, about in file.get("rows", {}).items()}
ENDPOINTS = files(EFFECTS)["endpoints"]["endpoints"]
TABLES = read_facts().tables.members
IN_THE_PATH = {"google.generate_content", "google.embed_content", "google.batch_embed_contents"}


# -- drift -----------------------------------------------------------------------------------------


def test_the_tables_are_what_the_installed_sdks_say(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check"]) == 0, capsys.readouterr().out


@pytest.mark.parametrize("name", [name for name, file in FILES.items() if file.get("sdks")])
def test_deriving_again_loses_no_judgement(name: str) -> None:
    text = (MEMBERS / f"{name}.yaml").read_text(encoding="utf-8")
    assert written(derive(FILES[name])) == text


def test_a_member_that_an_sdk_gained_is_listed_to_be_judged_and_loads_in_no_table() -> None:
    older = copy.deepcopy(FILES["openai"])
    del older["shapes"]["chat.messages*"]["members"]["annotations"]
    older["shapes"]["chat.tools*"]["values"]["type"].remove("custom")
    newer = derive(older)
    assert list(differences("openai.yaml", older, newer)) == [
        "openai.yaml: chat.messages*.annotations has to be judged ([chat.messages*.annotations*])",
        "openai.yaml: chat.tools*.type may now be 'custom'",
    ]
    with pytest.raises(Exception, match="not judged"):
        compile_members(newer)


def test_a_member_that_an_sdk_lost_is_listed_and_what_people_added_stays() -> None:
    older = copy.deepcopy(FILES["openai"])
    older["shapes"]["chat"]["members"]["bygone"] = "neutral string"
    older["shapes"]["chat"]["added"] = {"ours": {"is": "content string", "where": "a test"}}
    newer = derive(older)
    assert list(differences("openai.yaml", older, newer)) == [
        "openai.yaml: chat.bygone is in no SDK type any more"
    ]
    assert newer["shapes"]["chat"]["added"] == older["shapes"]["chat"]["added"]


def test_checking_writes_nothing_and_says_so_by_its_exit_code(tmp_path: Any) -> None:
    older = copy.deepcopy(FILES["opper"] | {"sdks": {"openai": "0.0.1"}})
    path = tmp_path / "opper.yaml"
    path.write_text(written(older), encoding="utf-8")
    before = path.read_text(encoding="utf-8")
    assert main(["--check", str(path)]) == 1
    assert path.read_text(encoding="utf-8") == before
    assert main([str(path)]) == 0
    assert main(["--check", str(path)]) == 0


# -- judgements ------------------------------------------------------------------------------------


def test_every_member_has_a_class_and_every_addition_says_where_it_was_seen() -> None:
    for name, file in FILES.items():
        for shape, about in file["shapes"].items():
            for member, text in about.get("members", {}).items():
                assert text.split(" ")[0] in CLASSES, f"{name}: {shape}.{member}"
            for added in about.get("added", {}).values():
                assert len(added["where"]) > 10


def reached(slot: Slot, path: Path, last: tuple[str, str] | None) -> Iterator[tuple[str, str]]:
    """The members that a path of an effect row ends at, as shape and name."""
    if not path:
        if last is not None:
            yield last
        return
    step, rest = path[0], path[1:]
    if isinstance(step, Name) and slot.shape is None and dict in slot.actions:
        yield ("open", step.spellings[0])
    elif isinstance(step, Name):
        for name in step.spellings if slot.shape is not None else ():
            assert slot.shape is not None
            if name in slot.shape.slots:
                yield from reached(slot.shape.slots[name], rest, (slot.shape.name, name))
    elif slot.item is not None:
        yield from reached(slot.item, rest, last)
    elif slot.shape is not None:
        for name, below in slot.shape.slots.items():
            yield from reached(below, rest, (slot.shape.name, name))
        if slot.shape.rest is not None:
            yield from reached(slot.shape.rest, rest, last)


def whole(endpoint: str) -> Slot:
    return Slot("content", "", {}, shape=TABLES.table(endpoint))


def ends_of(row: dict[str, Any], endpoint: str) -> dict[str, set[tuple[str, str]]]:
    # What asks a whole body looks at its tool choice.
    paths = {path: path if path != "$" else "$.tool_choice" for path in row["when"]["at"]}
    return {path: set(reached(whole(endpoint), parse_path(at), None)) for path, at in paths.items()}


def spread(row: dict[str, Any], endpoint: str) -> Iterator[str]:
    """A row's paths in an endpoint, and the same ones where such values may stand as well."""
    for path in row["when"]["at"] if endpoint in row["endpoints"] else ():
        yield path
        for prefix, more in ENDPOINTS[endpoint].get("nested", {}).items():
            if path.startswith((f"{prefix}[", f"{prefix}.")):
                yield from (other + path.removeprefix(prefix) for other in more)
                yield from more


@pytest.mark.parametrize("row", sorted(ROWS))
def test_every_row_asks_about_members_that_its_endpoints_have(row: str) -> None:
    about = ROWS[row]
    if about["when"]["at"] == ["$.model"]:
        return  # It asks about the model itself, which stands in the path of some endpoints.
    everywhere = [ends_of(about, endpoint) for endpoint in about["endpoints"]]
    assert all(any(ends.values()) for ends in everywhere)
    for path in about["when"]["at"]:
        assert any(ends[path] for ends in everywhere), f"no endpoint of {row} has {path}"


@pytest.mark.parametrize("endpoint", sorted(ENDPOINTS))
def test_every_member_judged_to_have_an_effect_has_a_row_that_says_which(endpoint: str) -> None:
    explained: set[tuple[str, str]] = set()
    for about in ROWS.values():
        for path in spread(about, endpoint):
            explained |= set(reached(whole(endpoint), parse_path(path), None))
            explained |= set(_filter_fields(path, endpoint))
    judged = {
        (shape.name, member)
        for shape in shapes(TABLES.table(endpoint), {})
        for member, slot in shape.slots.items()
        if slot.judgement == "effect" and member not in shape.twins
    }
    # Shapes are shared between endpoints, so a member may get its row from a neighbour.
    assert judged - explained - neighbours(endpoint) == set()


def _filter_fields(path: str, endpoint: str) -> Iterator[tuple[str, str]]:
    """The member that a filter compares decides as much as the one at the path's end."""
    steps = parse_path(path)
    for depth, step in enumerate(steps):
        name = getattr(step, "field", "")
        if name:
            yield from reached(whole(endpoint), (*steps[: depth + 1], Name((name,))), None)


def neighbours(endpoint: str) -> set[tuple[str, str]]:
    dialect = endpoint.partition(".")[0]
    found: set[tuple[str, str]] = set()
    for about in ROWS.values():
        for other in about["endpoints"]:
            if other != endpoint and other.startswith(dialect):
                found |= {end for ends in ends_of(about, other).values() for end in ends}
    return found


def shapes(shape: Shape, seen: dict[int, Shape]) -> list[Shape]:
    if id(shape) not in seen:
        seen[id(shape)] = shape
        for slot in shape.slots.values():
            below: Slot | None = slot
            while below is not None:
                if below.shape is not None:
                    shapes(below.shape, seen)
                below = below.item
    return list(seen.values())


def test_every_endpoint_of_the_effect_tables_has_its_member_table() -> None:
    assert set(TABLES.tables) - set(ENDPOINTS) == {"openai.images.generate", "openai.images.edit"}
    assert set(ENDPOINTS) <= set(TABLES.tables)


@pytest.mark.parametrize("name", sorted(set(TABLES.tables) - IN_THE_PATH))
def test_the_model_is_a_reference_in_every_table_whose_path_has_none(name: str) -> None:
    assert TABLES.table(name).slots["model"].judgement == "reference"


@pytest.mark.parametrize("name", sorted(set(ENDPOINTS) - IN_THE_PATH - {"opper.images"}))
def test_members_that_choose_a_route_are_references_or_refused(name: str) -> None:
    assert TABLES.table(name).slots["fallback_models"].judgement == "reference"
    for member in ("models", "route", "provider"):
        with pytest.raises(Unreadable) as error:
            TABLES.read(name, {"model": "m", member: {"order": ["a"]}})
        assert error.value.code == "routing_member"


# -- what real clients send ------------------------------------------------------------------------


def in_order(name: str, body: Any) -> None:
    assert TABLES.read(name, parse_object(json.dumps(body).encode())) == Members(())


def test_a_replayed_openai_turn_is_admitted_with_its_response_members() -> None:
    answer = {
        "role": "assistant",
        "content": None,
        "refusal": None,
        "annotations": [
            {
                "type": "url_citation",
                "url_citation": {"end_index": 1, "start_index": 0, "title": "t", "url": "u"},
            }
        ],
        "audio": None,
        "function_call": None,
        "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
    }
    turn = ChatCompletionMessage.model_validate(answer).model_dump()
    body = {
        "model": "m",
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "hi"}]},
            turn,
            {"role": "tool", "tool_call_id": "c", "content": "ok"},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"x-anything": [1]}}}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    in_order("openai.chat", body)


OUTPUT: list[dict[str, Any]] = [
    {"type": "reasoning", "id": "r", "summary": [], "encrypted_content": "e", "status": None},
    {
        "type": "message",
        "id": "m",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "output_text", "text": "a", "annotations": [], "logprobs": []}],
    },
    {
        "type": "function_call",
        "id": "f",
        "call_id": "c",
        "name": "n",
        "arguments": "{}",
        "status": "completed",
    },
]


def test_replayed_response_items_are_admitted_with_their_response_members() -> None:
    response = Response.model_validate(
        {
            "id": "resp",
            "created_at": 0,
            "model": "m",
            "object": "response",
            "output": OUTPUT,
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
        }
    )
    items = [item.to_dict() for item in response.output]
    items.append({"type": "function_call_output", "call_id": "c", "output": "x"})
    in_order("openai.responses", {"model": "m", "input": items, "store": False})


def test_a_replayed_anthropic_turn_is_admitted_with_its_response_members() -> None:
    message = BetaMessage.model_validate(
        {
            "id": "msg",
            "type": "message",
            "role": "assistant",
            "model": "m",
            "stop_reason": "tool_use",
            "usage": {"input_tokens": 1, "output_tokens": 1},
            "content": [
                {"type": "thinking", "thinking": "t", "signature": "s"},
                {"type": "text", "text": "a", "citations": None},
                {
                    "type": "tool_use",
                    "id": "t",
                    "name": "f",
                    "input": {"Any": {"thing": 1}},
                    "caller": {"type": "direct"},
                },
            ],
        }
    )
    turn = {"role": "assistant", "content": [block.model_dump() for block in message.content]}
    result = {
        "type": "tool_result",
        "tool_use_id": "t",
        "content": [{"type": "text", "text": "x"}],
        "is_error": False,
    }
    body = {"model": "m", "max_tokens": 1, "messages": [turn, {"role": "user", "content": [result]}]}
    in_order("anthropic.messages", body)
    in_order("anthropic.count_tokens", {"model": "m", "messages": body["messages"]})


def test_what_claude_code_sends_is_admitted() -> None:
    cache = {"type": "ephemeral", "ttl": "1h", "scope": "global"}
    body = {
        "model": "claude-opus-4-8",
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "x", "cache_control": cache}]},
            {"role": "user", "content": "hi"},
        ],
        "system": [{"type": "text", "text": "s"}, {"type": "text", "text": "s", "cache_control": cache}],
        "tools": [{"name": "Bash", "description": "d", "input_schema": {"type": "object", "Anything": {}}}],
        "metadata": {"user_id": "{}"},
        "max_tokens": 64000,
        "thinking": {"type": "adaptive"},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "output_config": {"effort": "high"},
        "stream": True,
    }
    in_order("anthropic.messages", body)


def test_what_codex_sends_is_admitted() -> None:
    tools = [
        {"type": "function", "name": "shell", "description": "d", "strict": False, "parameters": {"a": 1}},
        {
            "type": "custom",
            "name": "apply_patch",
            "format": {"type": "grammar", "syntax": "lark", "definition": "x"},
        },
    ]
    body = {
        "model": "gpt-6.1-sol",
        "stream": True,
        "input": [
            {"type": "additional_tools", "id": "a", "role": "developer", "tools": tools},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]},
        ],
        "tool_choice": "auto",
        "parallel_tool_calls": False,
        "reasoning": {"effort": "medium", "context": "all_turns"},
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": "k",
        "text": {"verbosity": "low"},
        "client_metadata": {"installation": "x", "x-codex-turn-metadata": "{}"},
    }
    in_order("openai.responses", body)


def test_what_google_genai_sends_is_admitted_in_both_spellings() -> None:
    body: dict[str, Json] = {
        "contents": [
            {"role": "user", "parts": [{"text": "hi"}, {"inlineData": {"mimeType": "a/b", "data": "AA"}}]}
        ],
        "systemInstruction": {"parts": [{"text": "s"}]},
        "generationConfig": {
            "temperature": 0.1,
            "maxOutputTokens": 5,
            "thinkingConfig": {"thinkingBudget": 1},
        },
        "tools": [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": {"x": 1}}]}],
        "toolConfig": {"functionCallingConfig": {"mode": "AUTO"}},
        "safetySettings": [{"category": "a", "threshold": "b"}],
    }
    in_order("google.generate_content", body)
    in_order("google.generate_content", _snaked(body))


def _snaked(value: Any) -> Any:
    if isinstance(value, dict):
        return {snake(name): _snaked(below) for name, below in value.items()}
    return [_snaked(below) for below in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("openai.chat", {"tools": [{"type": "web_search_of_tomorrow"}]}),
        ("openai.responses", {"tools": [{"type": "web_search_of_tomorrow"}]}),
        ("openai.responses", {"input": [{"type": "additional_tools", "tools": [{"type": "tomorrow"}]}]}),
        ("anthropic.messages", {"tools": [{"type": "web_search_20990101"}]}),
        ("google.interactions", {"tools": [{"type": "tomorrow"}]}),
        ("openai.chat", {"service_tier": "tomorrow"}),
    ],
)
def test_a_tool_or_tier_that_nobody_has_judged_is_refused(name: str, body: Any) -> None:
    with pytest.raises(Unreadable) as error:
        TABLES.read(name, body)
    assert error.value.code == "unknown_value"
