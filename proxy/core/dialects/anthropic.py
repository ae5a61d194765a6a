"""the Anthropic SDKs and Claude Code: messages, token counts, models, and the probes before them

Paths and error classes are those of anthropic-python 2.13.0 (`resources/`, `_exceptions.py`); the
probes were seen from Claude Code 2.1.197.
"""

from __future__ import annotations

from collections.abc import Sequence

from proxy.core.dialects.base import Common, Tables, unknown_model
from proxy.core.dialects.reading import bodiless, call_in_body, require_no_body
from proxy.core.dialects.replies import extension, json_reply, refusal_reply
from proxy.core.tap import ANTHROPIC, Tap, body_tap, event_tap
from proxy.core.values import Call, Endpoint, Json, Match, RawRequest, Refusal, Reply, Route

_PREFIXES = ("/v1", "/v3/compat/v1")
# Claude Code asks for its base URL before it asks for anything else; the last is that of a session path.
_BASES = ("/", "/v3/compat", "/v3/compat/")
_POSTS = (
    ("messages", "/messages", "anthropic.messages"),
    ("messages.count_tokens", "/messages/count_tokens", "anthropic.count_tokens"),
)
_LIST_QUERY = ("beta=true", "limit=")
_ERROR_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
# The catalogue does not say when a model came out; the SDK's type allows the epoch for that.
_UNDATED = "1970-01-01T00:00:00Z"


def _endpoints() -> tuple[Endpoint, ...]:
    found = [
        *(Endpoint("probe", "anthropic", "HEAD", base, "", "") for base in _BASES),
        Endpoint("probe", "anthropic", "GET", "/api/hello", "", ""),
        Endpoint("probe", "anthropic", "HEAD", "/api/hello", "", ""),
    ]
    for prefix in _PREFIXES:
        for operation, path, members in _POSTS:
            target = "/v3/compat/v1" + path
            found.append(
                Endpoint(operation, "anthropic", "POST", prefix + path, target, members, query=("beta=true",))
            )
        found.append(
            Endpoint("models.list", "anthropic", "GET", f"{prefix}/models", "", "", query=_LIST_QUERY)
        )
        found.append(
            Endpoint(
                "models.get", "anthropic", "GET", f"{prefix}/models/{{model}}", "", "", query=("beta=true",)
            )
        )
    return tuple(found)


class Anthropic(Common):
    """Requests and refusals as the anthropic packages write and read them."""

    name = "anthropic"
    endpoints = _endpoints()

    def read(self, raw: RawRequest, match: Match, tables: Tables) -> Call:
        """What the request asks for; raises `Unreadable`."""
        if not match.endpoint.members:
            require_no_body(raw)
            return bodiless(match)
        return call_in_body(raw, match, tables)

    def refuse(self, refusal: Refusal) -> Reply:
        """An error as `anthropic.APIStatusError` reads it; `error_code` is our reason code."""
        details: dict[str, Json] = {"error_code": refusal.code, "param": refusal.param, **extension(refusal)}
        error: dict[str, Json] = {
            "type": error_type(refusal.status),
            "message": refusal.message,
            "details": details,
        }
        return refusal_reply(refusal, {"type": "error", "error": error})

    def models(self, routes: Sequence[Route]) -> Reply:
        """`GET /v1/models`, whole on one page."""
        page: dict[str, Json] = {
            "data": [_model(route) for route in routes],
            "has_more": False,
            "first_id": routes[0].id if routes else None,
            "last_id": routes[-1].id if routes else None,
        }
        return json_reply(200, page)

    def answer(self, match: Match, routes: Sequence[Route]) -> Reply:
        """The list, one model of it, or the word that a probe waits for."""
        operation = match.endpoint.operation
        if operation == "probe":
            return json_reply(200, {"message": "hello"})
        if operation == "models.list":
            return self.models(routes)
        found = next((route for route in routes if route.id == match.model), None)
        return json_reply(200, _model(found)) if found else self.refuse(unknown_model(match.model))

    def tap(self, operation: str, streamed: bool) -> Tap:
        """What reads along with the reply."""
        return event_tap(ANTHROPIC) if streamed else body_tap()


def error_type(status: int) -> str:
    """The `type` of an Anthropic error by status."""
    return _ERROR_TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")


def _model(route: Route) -> dict[str, Json]:
    return {
        "type": "model",
        "id": route.id,
        "display_name": route.name or route.id,
        "created_at": _UNDATED,
        "lifecycle": "active" if route.retired_at is None else "retired",
        "max_input_tokens": route.context_window,
        "max_tokens": route.max_output,
    }


DIALECT = Anthropic()
