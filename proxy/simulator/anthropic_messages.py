"""Anthropic messages, plain and as the event sequence that Claude Code reads"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from proxy.simulator.answers import Answer, Refused, event, plain, stream
from proxy.simulator.rows import Served
from proxy.simulator.turns import Ask, Body, Offered, Turn


def read(body: Body, size: int) -> Ask:
    """What a request asks. Tool results count from the last user message that brings none."""
    messages = [each for each in body.get("messages") or () if isinstance(each, dict)]
    if not messages:
        raise Refused(400, "messages: Field required")
    if not isinstance(body.get("max_tokens"), int):
        raise Refused(400, "max_tokens: Field required")
    text, results = _conversation(messages)
    return Ask(
        model=body.get("model") or "", text=text, stream=body.get("stream") is True, body=body,
        tools=tuple(_tools(body)), results=results, size=size,
    )  # fmt: skip


def answer(ask: Ask, turn: Turn, served: Served, identity: str) -> Answer:
    """The turn as one message, or as events that end with `message_stop`."""
    if ask.stream:
        return stream(_events(ask, turn, served, identity), headers=served.headers)
    body = _message(ask, identity) | {
        "content": _blocks(turn, identity), "stop_reason": _stop(turn), "usage": _usage(served),
    }  # fmt: skip
    return plain(body, headers=(*served.headers, ("x-opper-cost", f"{served.cost:.9f}")))


def _events(ask: Ask, turn: Turn, served: Served, identity: str) -> Iterator[bytes]:
    def named(data: Body) -> bytes:
        return event(data, data["type"])

    begun = {"input_tokens": served.tokens_in, "output_tokens": 1,
             "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}  # fmt: skip
    message = _message(ask, identity) | {"content": [], "usage": begun}
    yield named({"type": "message_start", "message": message})
    yield named({"type": "ping"})
    for place, block in enumerate(_blocks(turn, identity)):
        is_text = block["type"] == "text"
        empty = {**block, "text": ""} if is_text else {**block, "input": {}}
        yield named({"type": "content_block_start", "index": place, "content_block": empty})
        for piece in turn.pieces if is_text else _halves(orjson.dumps(block["input"]).decode()):
            delta = ({"type": "text_delta", "text": piece} if is_text else
                     {"type": "input_json_delta", "partial_json": piece})  # fmt: skip
            yield named({"type": "content_block_delta", "index": place, "delta": delta})
        yield named({"type": "content_block_stop", "index": place})
    yield named({"type": "message_delta", "usage": _usage(served),
                 "delta": {"stop_reason": _stop(turn), "stop_sequence": None}})  # fmt: skip
    yield named({"type": "message_stop"})


def _message(ask: Ask, identity: str) -> Body:
    return {"id": f"msg_{identity}", "type": "message", "role": "assistant", "model": ask.model,
            "stop_reason": None, "stop_sequence": None}  # fmt: skip


def _blocks(turn: Turn, identity: str) -> list[Body]:
    blocks: list[Body] = [
        {"type": "tool_use", "id": f"toolu_{identity}_{place}", "name": call.tool.name,
         "input": call.arguments} for place, call in enumerate(turn.calls)
    ]  # fmt: skip
    return [{"type": "text", "text": turn.text}, *blocks] if turn.text or not blocks else blocks


def _stop(turn: Turn) -> str:
    return "tool_use" if turn.calls else "end_turn"


def _usage(served: Served) -> Body:
    return {"input_tokens": served.tokens_in, "output_tokens": served.tokens_out,
            "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "cost": served.cost}  # fmt: skip


def _halves(text: str) -> tuple[str, str]:
    return text[: len(text) // 2], text[len(text) // 2 :]


def _tools(body: Body) -> Iterator[Offered]:
    choice = body.get("tool_choice")
    if isinstance(choice, dict) and choice.get("type") == "none":
        return
    for each in body.get("tools") or ():
        # Server tools have a type and no schema; they are not the client's to run.
        if isinstance(each, dict) and isinstance(each.get("name"), str) and "input_schema" in each:
            yield Offered(each["name"], each["input_schema"] or {})


def _conversation(messages: list[Body]) -> tuple[str, int]:
    text, results = "", 0
    for each in messages:
        if each.get("role") != "user":
            continue
        blocks = _blocks_of(each.get("content"))
        found = sum(block.get("type") == "tool_result" for block in blocks)
        if found:
            results += found
        else:
            said = (block.get("text") for block in blocks if block.get("type") == "text")
            text, results = "\n".join(part for part in said if isinstance(part, str)), 0
    return text, results


def _blocks_of(content: Any) -> list[Body]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [each for each in content if isinstance(each, dict)] if isinstance(content, list) else []
