"""what goes back over the wire, and Opper's documented error bodies"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import orjson

Headers = tuple[tuple[str, str], ...]
DOCS_URL = "https://docs.opper.ai/"

_ANTHROPIC = {400: "invalid_request_error", 401: "authentication_error", 403: "permission_error",
              404: "not_found_error", 413: "request_too_large", 429: "rate_limit_error",
              500: "api_error", 529: "overloaded_error"}  # fmt: skip
_GOOGLE = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND",
           429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 503: "UNAVAILABLE"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply before it is sent: one body, or the events of a stream (each a whole SSE event)."""

    status: int = 200
    headers: Headers = ()
    body: bytes = field(default=b"", repr=False)
    events: tuple[bytes, ...] | None = field(default=None, repr=False)
    media: str = "application/json"


class Refused(Exception):
    """The simulated API says no; the dialect words it."""

    def __init__(self, status: int, message: str, *, code: str = "", headers: Headers = ()) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.headers = headers


def plain(body: Any, *, status: int = 200, headers: Headers = ()) -> Answer:
    """A whole JSON answer."""
    return Answer(status, headers, orjson.dumps(body))


def stream(events: Iterable[bytes], *, headers: Headers = ()) -> Answer:
    """A server-sent event stream."""
    return Answer(200, headers, events=tuple(events), media="text/event-stream")


def event(data: Any, name: str = "") -> bytes:
    """One server-sent event. Text is sent as it is, everything else as JSON."""
    body = data.encode() if isinstance(data, str) else orjson.dumps(data)
    head = f"event: {name}\n".encode() if name else b""
    return head + b"data: " + body + b"\n\n"


def no_key() -> Answer:
    """The answer to a request without a key: the same in every dialect, as observed."""
    return plain({"error": "No API key was sent. Send it as `Authorization: Bearer <key>`.",
                  "docs_url": DOCS_URL}, status=401)  # fmt: skip


def bad_key() -> Answer:
    """The answer to a key that Opper does not know."""
    return plain({"error": "invalid bearer token. Check that the key starts with `op-` and is active.",
                  "docs_url": DOCS_URL}, status=401)  # fmt: skip


def unknown_path() -> Answer:
    """The answer of Opper's router to a path that it does not have."""
    return plain({"errors": [{"type": "HTTPException", "message": "Not Found"}]}, status=404)


def refusal(family: str, refused: Refused) -> Answer:
    """A refusal in the shape of a dialect family: openai, anthropic, google, or native."""
    shapes = {"openai": _openai, "anthropic": _anthropic, "google": _google}
    shape = shapes.get(family, _native)
    return plain(shape(refused), status=refused.status, headers=refused.headers)


def _openai(refused: Refused) -> dict[str, Any]:
    kind = _ANTHROPIC.get(refused.status, "api_error")
    return {"error": {"message": refused.message, "type": kind, "param": None, "code": refused.code or kind}}


def _anthropic(refused: Refused) -> dict[str, Any]:
    kind = _ANTHROPIC.get(refused.status, "api_error")
    return {"type": "error", "error": {"type": kind, "message": refused.message}}


def _google(refused: Refused) -> dict[str, Any]:
    status = _GOOGLE.get(refused.status, "UNKNOWN")
    return {"error": {"code": refused.status, "message": refused.message, "status": status}}


def _native(refused: Refused) -> dict[str, Any]:
    kind = _ANTHROPIC.get(refused.status, "api_error")
    return {"error": {"code": refused.code or kind, "message": refused.message}}
