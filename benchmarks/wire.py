"""what travels in the benchmarks: request heads and bodies, answers, stream chunks

Everything is built once, from constants and a seeded generator, so two runs send the same bytes. The
head is the one that OpenAI's Python SDK sends, shortened to 14 fields besides Content-Length.
"""

from __future__ import annotations

import base64
import itertools
import random
from collections.abc import Callable

import orjson

PATH = "/v1/chat/completions"
UPSTREAM_PATH = "/v3/compat/chat/completions"
MODEL = "bench/steady-1"
CALLER_KEY = "bench-caller-7Qd2mXw9TzKc41LrHs"

CHAT_BYTES = 872
AGENT_BYTES = 76_000
IMAGE_BYTES = 5_000_000
ANSWER_BYTES = 1_135
STREAM_CHUNKS = 50
STREAM_PACE_MS = 20

_SENTENCE = "The committee met on the second floor and wrote down what each of the members had said. "
_FIXED_TRACE = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


# -- requests --------------------------------------------------------------------------------------


def bodies() -> dict[str, bytes]:
    """The request bodies by kind: chat, agent, image, stream."""
    return {"chat": chat(), "agent": agent(), "image": image(), "stream": chat(stream=True)}


def chat(*, stream: bool = False) -> bytes:
    """A short chat turn of exactly `CHAT_BYTES` bytes."""
    body: dict[str, object] = {"model": MODEL}
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    body |= {"temperature": 0.2, "max_completion_tokens": 512}
    return _filled(body, [{"role": "system", "content": "You answer in one paragraph."}], CHAT_BYTES)


def agent() -> bytes:
    """A coding agent's turn of `AGENT_BYTES` bytes: long system prompt, 18 tools, 24 calls before."""
    turns: list[object] = [{"role": "system", "content": _SENTENCE * 80}]
    for number in range(24):
        turns += _tool_turn(number)
    body: dict[str, object] = {
        "model": MODEL,
        "tools": [_tool(number) for number in range(18)],
        "tool_choice": "auto",
    }
    return _filled(body, turns, AGENT_BYTES)


def image() -> bytes:
    """A question about one picture that stands in the body as a data URL; `IMAGE_BYTES` bytes in all."""
    picture = base64.b64encode(random.Random(5).randbytes(IMAGE_BYTES * 3 // 4)).decode()
    question = {"type": "text", "text": "What is to be seen in this picture?"}
    frame = len(_image_body(question, ""))
    return _image_body(question, picture[: (IMAGE_BYTES - frame) // 4 * 4])


def _image_body(question: object, picture: str) -> bytes:
    part = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + picture}}
    return orjson.dumps({"model": MODEL, "messages": [{"role": "user", "content": [question, part]}]})


def _tool(number: int) -> object:
    names = ("path", "pattern", "first_line", "last_line", "reason")
    members = {name: {"type": "string", "description": _SENTENCE} for name in names}
    schema = {"type": "object", "properties": members, "required": ["path"], "additionalProperties": False}
    function = {"name": f"tool_{number}", "description": _SENTENCE * 3, "parameters": schema}
    return {"type": "function", "function": function}


def _tool_turn(number: int) -> list[object]:
    arguments = orjson.dumps({"path": f"src/module_{number}.py", "reason": _SENTENCE}).decode()
    function = {"name": f"tool_{number % 18}", "arguments": arguments}
    call = {"id": f"call_{number:08}", "type": "function", "function": function}
    result = "\n".join(f"{line:4} | value_{line} = compute({line}, 'x')" for line in range(30))
    return [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": f"call_{number:08}", "content": result},
    ]


def _filled(body: dict[str, object], turns: list[object], size: int) -> bytes:
    """The body with a last user turn that is as long as it takes to reach `size` bytes."""
    empty = orjson.dumps(body | {"messages": [*turns, {"role": "user", "content": ""}]})
    missing = size - len(empty)
    if missing < 0:
        raise ValueError(f"the body has {len(empty)} bytes before its last turn, more than {size}")
    text = (_SENTENCE * (missing // len(_SENTENCE) + 1))[:missing]
    return orjson.dumps(body | {"messages": [*turns, {"role": "user", "content": text}]})


def heads(port: int, length: int, *, fresh: bool) -> Callable[[], bytes]:
    """A source of request heads: each with a trace id of its own (`fresh`), or always the same bytes."""
    before, after = _head(port, length).split(_FIXED_TRACE)
    counter = itertools.count(random.Random(port).getrandbits(60))
    if not fresh:
        whole = before + _FIXED_TRACE + after
        return lambda: whole
    return lambda: b"%s00-%032x-00f067aa0ba902b7-01%s" % (before, next(counter), after)


def _head(port: int, length: int) -> bytes:
    fields = (
        f"POST {PATH} HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        "Accept-Encoding: gzip, deflate",
        "Connection: keep-alive",
        f"authorization: Bearer {CALLER_KEY}",
        "accept: application/json",
        "content-type: application/json",
        "user-agent: AsyncOpenAI/Python 3.57.0",
        "x-stainless-lang: python",
        "x-stainless-package-version: 3.57.0",
        "x-stainless-os: Linux",
        "x-stainless-arch: x64",
        "x-stainless-runtime: CPython",
        "x-stainless-runtime-version: 3.11.7",
        f"traceparent: {_FIXED_TRACE.decode()}",
        f"Content-Length: {length}",
    )
    return ("\r\n".join(fields) + "\r\n\r\n").encode()


# -- answers ---------------------------------------------------------------------------------------

_SERVED = (
    b"x-opper-served-provider: bench\r\nx-opper-served-model: steady-1\r\n"
    b"x-opper-trace-id: 6f1c2d0e-7f0a-4d6b-9a6e-1f2e3d4c5b6a\r\n"
)
STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\n"
    + _SERVED
    + b"transfer-encoding: chunked\r\n\r\n"
)
STREAM_END = b"0\r\n\r\n"
_CHUNK = (
    b'data: {"id":"chatcmpl-9f86d081884c7d659a2feaa0","object":"chat.completion.chunk","created":1763769600,'
    b'"model":"bench/steady-1","system_fingerprint":"%019d","choices":[{"index":0,"delta":'
    b'{"content":" and wrote it down"},"logprobs":null,"finish_reason":null}],"obfuscation":"aaaaaaaaaa"}\n\n'
)
_LAST = (
    b'data: {"id":"chatcmpl-9f86d081884c7d659a2feaa0","object":"chat.completion.chunk","created":1763769600,'
    b'"model":"bench/steady-1","system_fingerprint":"%019d","choices":[],"usage":{"prompt_tokens":187,'
    b'"completion_tokens":49,"total_tokens":236}}\n\ndata: [DONE]\n\n'
)
CLOCK = b'"system_fingerprint":"'
"""What stands before the sender's monotonic clock (19 digits, nanoseconds) in each chunk."""


def answer() -> bytes:
    """A whole chat answer, head and body; the body has `ANSWER_BYTES` bytes."""
    body = _answer_body("x")
    body = _answer_body((_SENTENCE * 20)[: ANSWER_BYTES - len(body) + 1])
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-opper-cost: 0.000121\r\n" + _SERVED
    return b"%scontent-length: %d\r\n\r\n%s" % (head, len(body), body)


def _answer_body(text: str) -> bytes:
    message: dict[str, object] = {"role": "assistant", "content": text, "refusal": None, "annotations": []}
    usage = {
        "prompt_tokens": 187,
        "completion_tokens": 49,
        "total_tokens": 236,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }
    return orjson.dumps(
        {
            "id": "chatcmpl-9f86d081884c7d659a2feaa0",
            "object": "chat.completion",
            "created": 1763769600,
            "model": MODEL,
            "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
            "usage": usage,
            "service_tier": "default",
            "system_fingerprint": "fp_bench",
        }
    )


def chunk(now_ns: int, *, last: bool) -> bytes:
    """One event in HTTP chunk framing; the last one carries the usage and the end of the dialect's stream."""
    event = (_LAST if last else _CHUNK) % now_ns
    return b"%x\r\n%s\r\n" % (len(event), event)
