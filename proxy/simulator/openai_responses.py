"""OpenAI Responses, plain and as the event sequence that Codex reads"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from proxy.simulator.answers import Answer, Refused, event, plain, stream
from proxy.simulator.openai_chat import text_of
from proxy.simulator.rows import Served
from proxy.simulator.turns import Ask, Body, Offered, ToolCall, Turn


def read(body: Body, size: int) -> Ask:
    """What a request asks. Tools may stand in `tools` or in an `additional_tools` input item."""
    given = body.get("input")
    if not isinstance(given, str | list) or not given:
        raise Refused(400, "input must be a string or a non-empty array")
    items = [{"role": "user", "content": given}] if isinstance(given, str) else given
    items = [each for each in items if isinstance(each, dict)]
    return Ask(
        model=body.get("model") or "", text=_last_user_text(items), stream=body.get("stream") is True,
        body=body, tools=tuple(_tools(body, items)), results=_results(items), size=size,
    )  # fmt: skip


def answer(ask: Ask, turn: Turn, served: Served, identity: str, created: int) -> Answer:
    """The turn as one response, or as events that end with `response.completed`."""
    items = _items(turn, identity)
    done = _response(ask, identity, created, "completed", items) | {"usage": _usage(served)}
    if not ask.stream:
        return plain(done, headers=(*served.headers, ("x-opper-cost", f"{served.cost:.9f}")))
    begun = _response(ask, identity, created, "in_progress", []) | {"usage": None}
    return stream(_numbered(_events(turn, items, begun, done)), headers=served.headers)


def _events(turn: Turn, items: list[Body], begun: Body, done: Body) -> Iterator[Body]:
    yield {"type": "response.created", "response": begun}
    yield {"type": "response.in_progress", "response": begun}
    for place, item in enumerate(items):
        where = {"output_index": place, "item_id": item["id"]}
        yield {"type": "response.output_item.added", "output_index": place, "item": _started(item)}
        if item["type"] == "message":
            yield from _text_events(turn, item, where)
        elif item["type"] == "function_call":
            whole = item["arguments"]
            for part in (whole[: len(whole) // 2], whole[len(whole) // 2 :]):
                yield {"type": "response.function_call_arguments.delta", **where, "delta": part}
            yield {"type": "response.function_call_arguments.done", **where, "arguments": whole,
                   "name": item["name"]}  # fmt: skip
        elif item["type"] == "custom_tool_call":
            yield {"type": "response.custom_tool_call_input.delta", **where, "delta": item["input"]}
            yield {"type": "response.custom_tool_call_input.done", **where, "input": item["input"]}
        yield {"type": "response.output_item.done", "output_index": place, "item": item}
    yield {"type": "response.completed", "response": done}


def _text_events(turn: Turn, item: Body, where: Body) -> Iterator[Body]:
    spot = {**where, "content_index": 0}
    part = item["content"][0]
    yield {"type": "response.content_part.added", **spot, "part": {**part, "text": ""}}
    for piece in turn.pieces:
        yield {"type": "response.output_text.delta", **spot, "delta": piece, "logprobs": []}
    yield {"type": "response.output_text.done", **spot, "text": part["text"], "logprobs": []}
    yield {"type": "response.content_part.done", **spot, "part": part}


def _numbered(events: Iterable[Body]) -> Iterator[bytes]:
    for number, each in enumerate(events):
        yield event({**each, "sequence_number": number}, each["type"])


def _started(item: Body) -> Body:
    empty: dict[str, Body] = {"message": {"content": []}, "function_call": {"arguments": ""},
                              "custom_tool_call": {"input": ""}}  # fmt: skip
    return {**item, **empty.get(item["type"], {}), "status": "in_progress"}


def _items(turn: Turn, identity: str) -> list[Body]:
    items = [_call(call, f"{identity}_{place}") for place, call in enumerate(turn.calls)]
    if turn.text or not items:
        part = {"type": "output_text", "text": turn.text, "annotations": [], "logprobs": []}
        items.insert(0, {"id": f"msg_{identity}", "type": "message", "role": "assistant",
                         "status": "completed", "content": [part]})  # fmt: skip
    return items


def _call(call: ToolCall, identity: str) -> Body:
    if call.tool.form == "custom":
        item: Body = {"type": "custom_tool_call", "id": f"ctc_{identity}", "name": call.tool.name,
                      "input": call.text}  # fmt: skip
    elif call.tool.form == "local_shell":
        action = {"type": "exec", "env": {}, **call.arguments}
        item = {"type": "local_shell_call", "id": f"lsh_{identity}", "action": action}
    else:
        item = {"type": "function_call", "id": f"fc_{identity}", "name": call.tool.name,
                "arguments": orjson.dumps(call.arguments).decode()}  # fmt: skip
    if call.tool.namespace:
        item["namespace"] = call.tool.namespace
    return {**item, "call_id": f"call_{identity}", "status": "completed"}


def _response(ask: Ask, identity: str, created: int, status: str, output: list[Body]) -> Body:
    body = ask.body
    return {
        "id": f"resp_{identity}", "object": "response", "created_at": created, "status": status,
        "model": ask.model, "output": output, "error": None, "incomplete_details": None,
        "instructions": body.get("instructions"), "metadata": body.get("metadata") or {},
        "parallel_tool_calls": body.get("parallel_tool_calls", True), "temperature": 1.0, "top_p": 1.0,
        "tool_choice": body.get("tool_choice") or "auto", "tools": body.get("tools") or [],
        "store": body.get("store", True), "previous_response_id": body.get("previous_response_id"),
    }  # fmt: skip


def _usage(served: Served) -> Body:
    return {
        "input_tokens": served.tokens_in, "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": served.tokens_out, "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": served.tokens_in + served.tokens_out, "cost": served.cost,
    }  # fmt: skip


def _tools(body: Body, items: list[Body]) -> Iterator[Offered]:
    offered = list(body.get("tools") or ())
    for item in items:
        if item.get("type") == "additional_tools":
            offered += item.get("tools") or ()
    yield from _offered(offered)


def _offered(tools: Iterable[Any], namespace: str = "") -> Iterator[Offered]:
    for each in tools:
        if not isinstance(each, dict):
            continue
        kind, name = each.get("type"), each.get("name")
        if kind == "namespace" and isinstance(each.get("tools"), list):
            yield from _offered(each["tools"], str(name or ""))
        elif kind == "local_shell":
            yield Offered("local_shell", {}, "local_shell")
        elif kind in ("function", "custom") and isinstance(name, str):
            yield Offered(
                name, each.get("parameters") or {}, kind, namespace, str(each.get("description") or "")
            )


def _is_result(item: Body) -> bool:
    return str(item.get("type", "")).endswith("_call_output")


def _last_user_text(items: list[Body]) -> str:
    said = (text_of(each.get("content")) for each in reversed(items) if each.get("role") == "user")
    return next(said, "")


def _results(items: list[Body]) -> int:
    """Calls answered since the last user text; a call may get several outputs, and counts once."""
    answered: set[str] = set()
    for each in items:
        if each.get("role") == "user":
            answered.clear()
        elif _is_result(each):
            answered.add(str(each.get("call_id")))
    return len(answered)
