"""Small tables, compiled by the real compilers: enough to read requests without the shipped facts."""

from __future__ import annotations

import pathlib
from typing import Any

import yaml

from proxy.core.dialects import Tables, routing
from proxy.core.effects import compile_effects
from proxy.core.headers import compile_headers
from proxy.core.member_rows import compile_members
from proxy.core.values import Match, RawRequest

HEADERS = yaml.safe_load(
    (pathlib.Path(__file__).parents[3] / "proxy" / "tables" / "headers.yaml").read_text(encoding="utf-8")
)

_COMMON = {
    "model": "reference string",
    "fallback_models": "reference [string]",
    "stream": "neutral boolean",
    "messages": "content open",
    "input": "content open",
    "tools": "effect open",
    "store": "effect boolean",
    "max_tokens": "neutral number",
    "agent": "effect string",
}
_IMAGES = dict.fromkeys(
    [
        "model",
        "prompt",
        "n",
        "size",
        "quality",
        "style",
        "response_format",
        "store",
        "image",
        "mask",
        "reference_images",
    ],
    "content open",
)
_GOOGLE = {
    "contents": "content open",
    "content": "content open",
    "model": "reference string",
    "requests": "content open",
}


def _members(spelling: str, **tables: dict[str, str]) -> Any:
    names = {name: name.replace("__", ".") for name in tables}
    return {
        "spelling": spelling,
        "tables": {names[name]: {"root": name} for name in tables},
        "shapes": {name: {"members": members} for name, members in tables.items()},
    }


def _effects() -> Any:
    tables = [
        "openai.chat",
        "openai.responses",
        "openai.embeddings",
        "opper.images",
        "anthropic.messages",
        "anthropic.count_tokens",
        "google.generate_content",
        "google.embed_content",
        "google.batch_embed_contents",
        "google.interactions",
    ]
    return {
        "sources": {"here": {"url": "https://example.test/", "title": "a test", "seen": "2026-11-22"}},
        "endpoints": {name: {"dialects": [name.partition(".")[0]], "paths": []} for name in tables},
        "rows": {
            "test.stored": {
                "feature": "what is kept",
                "endpoints": list(tables),
                "when": {"op": "eq", "at": ["$.store"], "value": True},
                "signals": ["app_state"],
                "undo": [{"set": "$.store", "to": False}],
                "sources": ["here"],
                "seen": "2026-11-22",
            }
        },
    }


TABLES = Tables(
    members=compile_members(
        _members(
            "exact",
            openai__chat=_COMMON,
            openai__responses=_COMMON,
            openai__embeddings=_COMMON,
            opper__images=_IMAGES,
            anthropic__messages=_COMMON,
            anthropic__count_tokens=_COMMON,
            google__interactions=_COMMON,
        ),
        _members(
            "proto",
            google__generate_content=_GOOGLE,
            google__embed_content=_GOOGLE,
            google__batch_embed_contents=_GOOGLE,
        ),
    ),
    effects=compile_effects(_effects()),
    headers=compile_headers(HEADERS),
)

JSON = ((b"content-type", b"application/json"),)


def asked(target: str, body: bytes, headers: Any = JSON, method: str = "POST") -> tuple[RawRequest, Match]:
    """A request and the endpoint that it is for."""
    path, _, query = target.partition("?")
    raw = RawRequest(method, path, query, headers, body)
    match = routing.match(raw)
    assert match is not None
    return raw, match
