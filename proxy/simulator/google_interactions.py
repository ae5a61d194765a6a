"""Google interactions, plain and as events"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from proxy.simulator.answers import Answer, Refused, event, plain, stream
from proxy.simulator.openai_chat import text_of
from proxy.simulator.rows import Served
from proxy.simulator.turns import Ask, Body, Offered, Turn


def read(body: Body, size: int) -> Ask:
    """What a request asks; `input` is text, contents or steps."""
    given = body.get("input")
    if not given:
        raise Refused(400, "input is required")
    text, results = _conversation(given)
    return Ask(model=body.get("model") or "", text=text, stream=body.get("stream") is True, body=body,
               tools=tuple(_tools(body)), results=results, size=size)  # fmt: skip


def answer(ask: Ask, turn: Turn, served: Served, identity: str, created: str) -> Answer:
    """The turn as one interaction, or as events that end with `interaction.completed`."""
    steps = _steps(turn, identity)
    head = {"id": f"v1_{identity}", "object": "interaction", "model": ask.model, "created": created,
            "updated": created}  # fmt: skip
    status = "requires_action" if turn.calls else "completed"
    done = {**head, "status": status, "steps": steps, "usage": _usage(served)}
    if not ask.stream:
        return plain(done, headers=(*served.headers, ("x-opper-cost", f"{served.cost:.9f}")))
    return stream(_events(turn, steps, {**head, "status": "in_progress"}, done), headers=served.headers)


def _events(turn: Turn, steps: list[Body], begun: Body, done: Body) -> Iterator[bytes]:
    def named(data: Body) -> bytes:
        return event(data, data["event_type"])

    yield named({"event_type": "interaction.created", "interaction": begun})
    for place, step in enumerate(steps):
        is_text = step["type"] == "model_output"
        empty = {**step, "content": []} if is_text else {**step, "arguments": {}}
        yield named({"event_type": "step.start", "index": place, "step": empty})
        deltas: Iterator[Body] = (
            ({"type": "text", "text": piece} for piece in turn.pieces) if is_text else
            iter([{"type": "arguments_delta", "arguments": orjson.dumps(step["arguments"]).decode()}])
        )  # fmt: skip
        for delta in deltas:
            yield named({"event_type": "step.delta", "index": place, "delta": delta})
        yield named({"event_type": "step.stop", "index": place})
    yield named({"event_type": "interaction.completed", "interaction": done})
    yield event("[DONE]", "done")


def _steps(turn: Turn, identity: str) -> list[Body]:
    calls: list[Body] = [
        {"type": "function_call", "id": f"call_{identity}_{place}", "name": call.tool.name,
         "arguments": call.arguments} for place, call in enumerate(turn.calls)
    ]  # fmt: skip
    words: Body = {"type": "model_output", "content": [{"type": "text", "text": turn.text}]}
    return [words, *calls] if turn.text or not calls else calls


def _usage(served: Served) -> Body:
    return {"total_input_tokens": served.tokens_in, "total_output_tokens": served.tokens_out,
            "total_tokens": served.tokens_in + served.tokens_out, "cost": served.cost}  # fmt: skip


def _tools(body: Body) -> Iterator[Offered]:
    for each in body.get("tools") or ():
        if isinstance(each, dict) and each.get("type") == "function" and isinstance(each.get("name"), str):
            yield Offered(each["name"], each.get("parameters") or {})


def _conversation(given: Any) -> tuple[str, int]:
    if isinstance(given, str):
        return given, 0
    text, results = "", 0
    for each in given if isinstance(given, list) else [given]:
        if not isinstance(each, dict):
            continue
        if each.get("type") == "function_result":
            results += 1
        elif each.get("type") in ("user_input", "text") or each.get("role") == "user":
            text, results = text_of(each.get("content", [each])), 0
    return text, results
