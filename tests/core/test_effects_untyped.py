"""What does not say what it is counts as whatever it could be, and what the SDKs let be untyped is served."""

from __future__ import annotations

import pytest

from proxy.core.values import Edit, Effect, Json, Signal
from proxy.facts import read_facts


def find(endpoint: str, body: Json) -> dict[str, Effect]:
    found = read_facts().tables.effects.find(endpoint.partition(".")[0], endpoint, body)
    return {effect.row: effect for effect in found}


@pytest.mark.parametrize(
    "item", [{"id": "msg_1"}, {"id": "msg_1", "type": None}, {"id": "msg_1", "role": "user"}]
)
def test_an_item_that_is_no_message_and_has_no_type_refers_to_a_stored_one(item: dict[str, Json]) -> None:
    effect = find("openai.responses", {"input": [item], "store": False})["oai.responses.item_untyped"]
    assert effect.signals == (Signal.STATEFUL_REFERENCE,)


def test_a_message_may_leave_its_type_out_even_when_it_repeats_its_id() -> None:
    said: Json = {"role": "assistant", "id": "msg_1", "content": [{"type": "output_text", "text": "x"}]}
    assert find("openai.responses", {"input": [{"role": "user", "content": "x"}, said], "store": False}) == {}


UNTYPED: list[tuple[str, dict[str, Json]]] = [
    ("openai.responses", {"server_label": "x", "server_url": "https://a.example/mcp"}),
    ("openai.responses", {"vector_store_ids": ["vs_1"]}),
    ("openai.responses", {"type": None, "name": "f", "parameters": {}}),
    ("openai.chat", {"engine": "exa"}),
    ("google.interactions", {"url": "https://a.example/mcp"}),
    ("google.interactions", {"file_search_store_names": ["s"]}),
    ("anthropic.messages", {"name": "x", "mcp_server_name": "y"}),
]


@pytest.mark.parametrize(("endpoint", "tool"), UNTYPED)
def test_a_tool_that_does_not_say_what_it_is_could_be_any(endpoint: str, tool: dict[str, Json]) -> None:
    found = find(endpoint, {"tools": [tool], "store": False})
    raised = {signal for effect in found.values() for signal in effect.signals}
    assert {Signal.OPAQUE_CONTENT, Signal.THIRD_PARTY_EGRESS} <= raised


def test_a_tool_of_the_callers_own_may_leave_its_type_out_where_the_sdk_lets_it() -> None:
    own: Json = {"name": "f", "input_schema": {"type": "object"}}
    function: Json = {"function": {"name": "f"}}
    assert find("anthropic.messages", {"tools": [own]}) == {}
    assert find("openai.chat", {"tools": [function]}) == {}


def test_an_mcp_server_counts_whether_or_not_the_request_names_it() -> None:
    body: Json = {"tools": [{"type": "mcp", "server_label": "x"}], "store": False}
    effect = find("openai.responses", body)["oai.responses.mcp_unnamed"]
    assert effect.signals == (Signal.THIRD_PARTY_EGRESS,)
    named: Json = {"tools": [{"type": "mcp", "server_url": "https://a.example"}], "store": False}
    assert set(find("openai.responses", named)) == {"oai.responses.mcp_url"}


@pytest.mark.parametrize("source", [{"url": "https://a.example/x"}, {"type": None, "file_id": "file_1"}])
def test_a_source_without_a_type_could_come_from_anywhere(source: dict[str, Json]) -> None:
    image: Json = {"type": "image", "source": source}
    inside: Json = {"type": "document", "source": {"type": "content", "content": [image]}}
    result: Json = {"type": "tool_result", "tool_use_id": "t", "content": [inside]}
    for block in (image, inside, result):
        effect = find("anthropic.messages", {"messages": [{"content": [block]}]})["ant.source_untyped"]
        assert {Signal.THIRD_PARTY_EGRESS, Signal.STATEFUL_REFERENCE} <= set(effect.signals)


def test_what_a_remote_server_listed_in_an_earlier_turn_is_no_offer() -> None:
    listed: Json = {"type": "mcp_list_tools", "tools": [{"name": "f", "input_schema": {}}]}
    assert find("openai.responses", {"input": [listed], "store": False}) == {}


def test_a_choice_of_a_shell_is_judged_by_the_shell_that_is_offered() -> None:
    choice: dict[str, Json] = {"store": False, "tool_choice": {"type": "shell"}}
    alone = find("openai.responses", choice)["oai.responses.tool_choice_shell"]
    assert alone.edits == (Edit(("tool_choice",), "remove"),)
    local: Json = {**choice, "tools": [{"type": "shell", "environment": {"type": "local"}}]}
    assert find("openai.responses", local) == {}
