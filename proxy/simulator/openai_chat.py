"""OpenAI chat completions and embeddings, as Opper's compat surface answers them"""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator
from typing import Any

import orjson

from proxy.simulator.answers import Answer, Refused, event, plain, stream
from proxy.simulator.rows import Served
from proxy.simulator.turns import Ask, Body, Offered, ToolCall, Turn

_DIMENSIONS = 8
_MAX_DIMENSIONS = 4096


def read(body: Body, size: int) -> Ask:
    """What a chat request asks; replayed assistant turns and tool results are taken as they come."""
    messages = [each for each in _list(body.get("messages")) if isinstance(each, dict)]
    if not messages:
        raise Refused(400, "messages must be a non-empty array")
    return Ask(
        model=body.get("model") or "", text=_last_user_text(messages), stream=body.get("stream") is True,
        body=body, tools=tuple(_tools(body)), results=_results(messages), size=size,
    )  # fmt: skip


def answer(ask: Ask, turn: Turn, served: Served, identity: str, created: int) -> Answer:
    """The turn as one completion, or as chunks that end with `[DONE]`."""
    if ask.stream:
        return stream(_events(ask, turn, served, identity, created), headers=served.headers)
    message: Body = {"role": "assistant", "content": turn.text or None, "refusal": None, "annotations": []}
    if turn.calls:
        message["tool_calls"] = [_call(identity, place, call) for place, call in enumerate(turn.calls)]
    body = {
        "id": f"chatcmpl-{identity}", "object": "chat.completion", "created": created, "model": ask.model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": _finish(turn)}],
        "usage": _usage(served),
    }  # fmt: skip
    return plain(body, headers=(*served.headers, ("x-opper-cost", f"{served.cost:.9f}")))


def embeddings(body: Body, served: Served) -> Answer:
    """One vector per input, made of the input's bytes; base64 when the client asks for it."""
    given = body.get("input")
    inputs = given if isinstance(given, list) and not _is_tokens(given) else [given]
    wanted = body.get("dimensions")
    dimensions = wanted if isinstance(wanted, int) and 0 < wanted <= _MAX_DIMENSIONS else _DIMENSIONS
    coded = body.get("encoding_format") == "base64"
    data = [
        {"object": "embedding", "index": place, "embedding": _vector(each, dimensions, coded)}
        for place, each in enumerate(inputs)
    ]
    usage = {"prompt_tokens": served.tokens_in, "total_tokens": served.tokens_in, "cost": served.cost}
    return plain(
        {"object": "list", "data": data, "model": body.get("model"), "usage": usage},
        headers=(*served.headers, ("x-opper-cost", f"{served.cost:.9f}")),
    )


def text_of(content: Any) -> str:
    """The text of a message's content, whether it is a string or a list of parts."""
    if isinstance(content, str):
        return content
    parts = [part.get("text") for part in _list(content) if isinstance(part, dict)]
    return "\n".join(part for part in parts if isinstance(part, str))


def _events(ask: Ask, turn: Turn, served: Served, identity: str, created: int) -> Iterator[bytes]:
    head = {"id": f"chatcmpl-{identity}", "object": "chat.completion.chunk", "created": created,
            "model": ask.model}  # fmt: skip

    def chunk(delta: Body, finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return event({**head, "choices": [choice]})

    yield chunk({"role": "assistant", "content": ""})
    for piece in turn.pieces:
        yield chunk({"content": piece})
    for place, call in enumerate(turn.calls):
        whole = _call(identity, place, call)
        arguments = whole["function"]["arguments"]
        middle = len(arguments) // 2
        start = {**whole, "index": place, "function": {**whole["function"], "arguments": ""}}
        yield chunk({"tool_calls": [start]})
        for part in (arguments[:middle], arguments[middle:]):
            yield chunk({"tool_calls": [{"index": place, "function": {"arguments": part}}]})
    yield chunk({}, _finish(turn))
    options = ask.body.get("stream_options")
    if isinstance(options, dict) and options.get("include_usage") is True:
        yield event({**head, "choices": [], "usage": _usage(served)})
    yield event("[DONE]")


def _call(identity: str, place: int, call: ToolCall) -> Body:
    arguments = orjson.dumps(call.arguments).decode()
    return {"id": f"call_{identity}_{place}", "type": "function",
            "function": {"name": call.tool.name, "arguments": arguments}}  # fmt: skip


def _finish(turn: Turn) -> str:
    return "tool_calls" if turn.calls else "stop"


def _usage(served: Served) -> Body:
    return {"prompt_tokens": served.tokens_in, "completion_tokens": served.tokens_out,
            "total_tokens": served.tokens_in + served.tokens_out, "cost": served.cost}  # fmt: skip


def _tools(body: Body) -> Iterator[Offered]:
    if body.get("tool_choice") == "none":
        return
    for each in _list(body.get("tools")):
        function = each.get("function") if isinstance(each, dict) else None
        if isinstance(function, dict) and isinstance(function.get("name"), str):
            yield Offered(function["name"], function.get("parameters") or {})


def _last_user_text(messages: list[Body]) -> str:
    said = (text_of(each.get("content")) for each in reversed(messages) if each.get("role") == "user")
    return next(said, "")


def _results(messages: list[Body]) -> int:
    count = 0
    for each in messages:
        count = 0 if each.get("role") == "user" else count + (each.get("role") == "tool")
    return count


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _is_tokens(value: list[Any]) -> bool:
    return bool(value) and all(isinstance(each, int) for each in value)


def _vector(value: Any, dimensions: int, coded: bool) -> list[float] | str:
    seed = orjson.dumps(value) or b"\0"
    # Sixteenths are exact in 32 and 64 bits, so both encodings carry the same numbers.
    numbers = [(seed[n % len(seed)] % 16) / 16 for n in range(dimensions)]
    return base64.b64encode(struct.pack(f"<{dimensions}f", *numbers)).decode() if coded else numbers
