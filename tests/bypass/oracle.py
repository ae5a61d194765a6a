"""Which models a forwarded request asks for, by every plausible reading of its bytes.

Looks in the target (decoded up to three times), in the query, in JSON bodies through every reader of
`readers.py`, and in form and multipart bodies. Names are compared after NFKC and case folding.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, unquote

from tests.bypass.cases import Fixture
from tests.bypass.http1 import Message
from tests.bypass.readers import folded, readings

MODEL_NAMES = frozenset({
    "model", "models", "model[]", "fallback_models", "fallbackmodels", "fallbacks", "model_name", "model_id",
    "modelid", "agent", "order", "deployment", "engine",
})  # fmt: skip
_CONTENT = frozenset({"messages", "input", "contents", "system", "instructions", "metadata", "prompt"})
_GOOGLE = re.compile(r"/models/(.+?):[A-Za-z]+$")
_PART = re.compile(rb"(?is)name\*?\s*=\s*(?:utf-8'')?\"?\s*([^\s\";]+)\"?.*?\r?\n\r?\n(.*?)\r?\n--")


def models(message: Message) -> set[str]:
    """Every model that some reader would see in the request, folded."""
    found = {folded(name) for name in (*_in_target(message.target), *_in_body(message))}
    return {name.removeprefix("models/") for name in found if name}


def _in_target(target: str) -> Iterator[str]:
    for _ in range(4):
        path, _, query = target.partition("?")
        if named := _GOOGLE.search(path):
            yield named[1]
        for name, value in parse_qsl(query, keep_blank_values=True):
            if folded(name) in MODEL_NAMES:
                yield value
        target = unquote(target)


def _in_body(message: Message) -> Iterator[str]:
    media = b",".join(message.all(b"content-type")).lower()
    for value in readings(message.body):
        yield from _in_json(value)
    if b"form-urlencoded" in media:
        for name, value in parse_qsl(message.body.decode("utf-8", "replace")):
            if folded(name) in MODEL_NAMES:
                yield value
    if b"multipart" in media:
        for name, held in _PART.findall(message.body):
            if folded(name.decode("utf-8", "replace")) in MODEL_NAMES:
                yield held.decode("utf-8", "replace")


def _in_json(value: Any, *, at_top: bool = True) -> Iterator[str]:
    if isinstance(value, list):
        for each in value:
            yield from _in_json(each, at_top=at_top)
    if not isinstance(value, dict):
        return
    for key, held in value.items():
        name = folded(str(key))
        if name in MODEL_NAMES:
            yield from _strings(held)
        if not (at_top and name in _CONTENT):
            yield from _in_json(held, at_top=False)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _strings(each)
    else:
        yield f"<{value!r}>"


def unapproved(message: Message, fixture: Fixture) -> set[str]:
    """Models that a reader would see and that the policy does not allow; `<none>` when it sees none.

    Only a request that carries nothing may ask for no model.
    """
    allowed = {folded(name) for name in fixture.allowed}
    seen = models(message)
    if not seen and (message.body or message.method != "GET"):
        return {"<none>"}
    return seen - allowed


def forbidden_in(raw: bytes, words: tuple[str, ...]) -> list[str]:
    """Which of the words stand anywhere in the raw bytes, without regard to case."""
    held = raw.lower()
    return [word for word in words if word.lower().encode("utf-8") in held]
