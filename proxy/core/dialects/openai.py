"""the OpenAI SDKs: chat completions, responses, embeddings, images, models

Paths and error classes are those of openai-python 3.57.0 (`_client.py`, `resources/`). The image
endpoints are Opper's native ones in another form; see `images.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

from typing_extensions import override

from proxy.core.dialects import images
from proxy.core.dialects.base import Common, Tables, unknown_model
from proxy.core.dialects.reading import bodiless, call_in_body, require_no_body
from proxy.core.dialects.replies import extension, json_reply, refusal_reply
from proxy.core.tap import OPENAI_CHAT, OPENAI_RESPONSES, Tap, body_tap, event_tap
from proxy.core.values import Call, Endpoint, Json, Match, RawRequest, Refusal, Reply, Route

_PREFIXES = ("/v1", "/v3/compat")
_POSTS = (
    ("chat.completions", "/chat/completions", "openai.chat"),
    ("responses", "/responses", "openai.responses"),
    ("embeddings", "/embeddings", "openai.embeddings"),
)
_ERROR_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


def _endpoints() -> tuple[Endpoint, ...]:
    found: list[Endpoint] = []
    for prefix in _PREFIXES:
        for operation, path, members in _POSTS:
            found.append(Endpoint(operation, "openai", "POST", prefix + path, "/v3/compat" + path, members))
        found += images.endpoints(prefix)
    for prefix in (*_PREFIXES, "/v3/compat/v1"):
        # Codex names its version when it asks for the list.
        query = ("client_version=", "limit=")
        found.append(Endpoint("models.list", "openai", "GET", f"{prefix}/models", "", "", query=query))
        found.append(Endpoint("models.get", "openai", "GET", f"{prefix}/models/{{model}}", "", ""))
    return tuple(found)


class OpenAI(Common):
    """Requests and refusals as the openai packages write and read them."""

    name = "openai"
    endpoints = _endpoints()

    @override
    def translate(self, raw: RawRequest, match: Match) -> tuple[RawRequest, Match]:
        """The request itself, or an image request as Opper's native one."""
        return images.translate(raw, match) if images.is_translated(match) else (raw, match)

    def read(self, raw: RawRequest, match: Match, tables: Tables) -> Call:
        """What the request asks for; raises `Unreadable`."""
        raw, match = self.translate(raw, match)
        if not match.endpoint.members:
            require_no_body(raw)
            return bodiless(match)
        return call_in_body(raw, match, tables)

    def refuse(self, refusal: Refusal) -> Reply:
        """An error as `openai.APIStatusError` reads it: `message`, `type`, `param`, `code`."""
        error: dict[str, Json] = {
            "message": refusal.message,
            "type": error_type(refusal.status),
            "param": refusal.param,
            "code": refusal.code,
            **extension(refusal),
        }
        return refusal_reply(refusal, {"error": error})

    def models(self, routes: Sequence[Route]) -> Reply:
        """`GET /v1/models`."""
        return json_reply(200, {"object": "list", "data": [_model(route) for route in routes]})

    def answer(self, match: Match, routes: Sequence[Route]) -> Reply:
        """The list, or one model of it."""
        if match.endpoint.operation == "models.list":
            return self.models(routes)
        found = next((route for route in routes if route.id == match.model), None)
        return json_reply(200, _model(found)) if found else self.refuse(unknown_model(match.model))

    def tap(self, operation: str, streamed: bool) -> Tap:
        """What reads along with the reply."""
        if not streamed:
            return body_tap()
        return event_tap(OPENAI_RESPONSES if operation == "responses" else OPENAI_CHAT)


def error_type(status: int) -> str:
    """The `type` of an OpenAI error by status."""
    return _ERROR_TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")


def _model(route: Route) -> dict[str, Json]:
    # The catalogue does not say when a model came out, and the SDK's type needs a number.
    row: dict[str, Json] = {"id": route.id, "object": "model", "created": 0, "owned_by": route.provider}
    if route.context_window is not None:
        row["context_length"] = route.context_window
    return row


DIALECT = OpenAI()
