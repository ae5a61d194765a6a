"""Google generateContent and embedContent; Opper documents neither path, its drop-in page claims both"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from proxy.simulator.answers import Answer, Refused, event, plain, stream
from proxy.simulator.rows import Served
from proxy.simulator.turns import Ask, Body, Offered, Turn

_DIMENSIONS = 8


def read(model: str, body: Body, size: int, *, streamed: bool) -> Ask:
    """What a request asks; the model stands in the path."""
    contents = [each for each in _list(body.get("contents")) if isinstance(each, dict)]
    if not contents:
        raise Refused(400, "contents is not specified")
    text, results = _conversation(contents)
    return Ask(model=model, text=text, stream=streamed, body=body, tools=tuple(_tools(body)),
               results=results, size=size)  # fmt: skip


def answer(ask: Ask, turn: Turn, served: Served, identity: str, *, sse: bool) -> Answer:
    """The turn whole, as server-sent events, or as the JSON array of a stream without `alt=sse`."""
    if not ask.stream:
        whole = _chunk(ask, identity, _parts(turn, identity), "STOP") | {"usageMetadata": _usage(served)}
        return plain(whole, headers=(*served.headers, ("x-opper-cost", f"{served.cost:.9f}")))
    chunks = tuple(_chunks(ask, turn, served, identity))
    if sse:
        return stream((event(each) for each in chunks), headers=served.headers)
    return plain(list(chunks), headers=served.headers)


def embed(body: Body, served: Served, *, batch: bool) -> Answer:
    """One vector, or one per entry of `requests`."""
    asked = _list(body.get("requests")) if batch else [body]
    vectors = [{"values": _vector(each)} for each in asked]
    headers = (*served.headers, ("x-opper-cost", f"{served.cost:.9f}"))
    return plain({"embeddings": vectors} if batch else {"embedding": vectors[0]}, headers=headers)


def _chunks(ask: Ask, turn: Turn, served: Served, identity: str) -> Iterator[Body]:
    parts = [{"text": piece} for piece in turn.pieces] + _calls(turn, identity)
    for place, part in enumerate(parts or [{"text": ""}]):
        last = place >= len(parts) - 1
        chunk = _chunk(ask, identity, [part], "STOP" if last else None)
        yield chunk | ({"usageMetadata": _usage(served)} if last else {})


def _chunk(ask: Ask, identity: str, parts: list[Body], finish: str | None) -> Body:
    candidate: Body = {"content": {"role": "model", "parts": parts}, "index": 0}
    if finish is not None:
        candidate["finishReason"] = finish
    return {"candidates": [candidate], "modelVersion": ask.model, "responseId": identity}


def _parts(turn: Turn, identity: str) -> list[Body]:
    calls = _calls(turn, identity)
    return [{"text": turn.text}, *calls] if turn.text or not calls else calls


def _calls(turn: Turn, identity: str) -> list[Body]:
    return [
        {"functionCall": {"id": f"call_{identity}_{place}", "name": call.tool.name, "args": call.arguments}}
        for place, call in enumerate(turn.calls)
    ]


def _usage(served: Served) -> Body:
    return {"promptTokenCount": served.tokens_in, "candidatesTokenCount": served.tokens_out,
            "totalTokenCount": served.tokens_in + served.tokens_out, "cost": served.cost}  # fmt: skip


def _tools(body: Body) -> Iterator[Offered]:
    for group in _list(body.get("tools")):
        if not isinstance(group, dict):
            continue
        declared = group.get("functionDeclarations") or group.get("function_declarations")
        for each in _list(declared):
            if isinstance(each, dict) and isinstance(each.get("name"), str):
                schema = each.get("parameters") or each.get("parametersJsonSchema") or {}
                yield Offered(each["name"], schema)


def _conversation(contents: list[Body]) -> tuple[str, int]:
    text, results = "", 0
    for each in contents:
        parts = [part for part in _list(each.get("parts")) if isinstance(part, dict)]
        found = sum("functionResponse" in part or "function_response" in part for part in parts)
        if found:
            results += found
        elif each.get("role", "user") == "user":
            said = (part.get("text") for part in parts)
            text, results = "\n".join(part for part in said if isinstance(part, str)), 0
    return text, results


def _vector(value: Any) -> list[float]:
    seed = orjson.dumps(value)
    return [(seed[n % len(seed)] % 16) / 16 for n in range(_DIMENSIONS)]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
