"""Bodies, heads and targets that clients really send: where the mutations start from."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

KEY = "rk-test-0123456789abcdef0123456789abcdef"
ALLOWED = "azure/gpt-5.5"
_TOOL = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


@dataclass(frozen=True, slots=True)
class Seed:
    """One request as it should be. `table` is the member table of its body."""

    table: str
    target: str
    body: bytes
    fields: tuple[bytes, ...] = ()

    def head(self, length: int) -> bytes:
        """Its head without the closing empty line."""
        return b"\r\n".join((
            b"POST %s HTTP/1.1" % self.target.encode(),
            b"Host: proxy.test",
            b"Authorization: Bearer " + KEY.encode(),
            b"Content-Type: application/json",
            *self.fields,
            b"Content-Length: %d" % length,
        ))  # fmt: skip


def _seed(table: str, target: str, body: dict[str, Any], *fields: bytes) -> Seed:
    return Seed(table, target, json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(), fields)


_TURN = {"role": "user", "content": "Ahoj \u2603 \U0001f600"}

SEEDS: tuple[Seed, ...] = (
    _seed("openai.chat", "/v1/chat/completions", {"model": ALLOWED, "messages": [_TURN]}),
    _seed(
        "openai.chat",
        "/v1/chat/completions",
        {
            "model": ALLOWED,
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": [{"type": "text", "text": "What is it?"}]},
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [
                        {
                            "id": "c1",
                            "type": "function",
                            "function": {"name": "f", "arguments": '{"model":1}'},
                        }
                    ],
                },
                {"role": "tool", "tool_call_id": "c1", "content": '{"model":"openai/gpt-5.5"}'},
            ],
            "tools": [{"type": "function", "function": {"name": "f", "parameters": _TOOL}}],
            "stream": True,
            "stream_options": {"include_usage": True},
            "store": False,
            "temperature": 0.2,
            "max_completion_tokens": 100,
        },
    ),
    _seed(
        "openai.responses",
        "/v1/responses",
        {
            "model": ALLOWED,
            "input": [{"role": "user", "content": [{"type": "input_text", "text": "Hi"}]}],
            "tools": [{"type": "function", "name": "f", "parameters": _TOOL, "strict": True}],
            "store": False,
            "stream": True,
        },
    ),
    _seed("openai.embeddings", "/v1/embeddings", {"model": ALLOWED, "input": ["a", "b"], "dimensions": 8}),
    _seed(
        "anthropic.messages",
        "/v1/messages?beta=true",
        {
            "model": ALLOWED,
            "max_tokens": 5,
            "system": [{"type": "text", "text": "Be brief."}],
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
                {
                    "role": "assistant",
                    "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}}],
                },
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "ok"}]},
            ],
            "tools": [{"name": "f", "input_schema": _TOOL}],
            "stream": True,
        },
        b"anthropic-version: 2023-06-01",
    ),
    _seed(
        "google.generate_content",
        "/v1beta/models/gemini-eu-fixture:generateContent",
        {
            "contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
            "generationConfig": {"temperature": 0.1, "maxOutputTokens": 5},
            "tools": [{"functionDeclarations": [{"name": "f", "parameters": {"type": "OBJECT"}}]}],
        },
    ),
)

_EVENTS = b"c\r\ndata: hello\n\r\n8\r\ndata: x\n\r\n0\r\n\r\n"
ANSWERS: tuple[bytes, ...] = (
    b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{"id":"x"}',
    b"HTTP/1.1 200 OK\r\nX-Opper-Served-Model: a/b\r\nTransfer-Encoding: chunked\r\n\r\n" + _EVENTS,
    b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n" + _EVENTS,
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nhel\r\n2\r\nlo\r\n0\r\nX-T: 1\r\n\r\n",
    b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 2\r\nContent-Length: 2\r\n\r\n{}",
    b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX-A: b\r\n\r\nuntil the connection ends",
)
"""What a gateway may answer."""
