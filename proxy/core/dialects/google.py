"""the Google Gen AI SDKs: generateContent, its stream, embeddings, interactions, models

Paths and error classes are those of google-genai 3.6.1 (`models.py`, `errors.py`). The model stands
in the path and may hold slashes and colons when it is a pinned route. Opper documents only
`/v3/compat/v1beta/interactions`; the other targets follow its statement that the SDK works with the
same base URL (https://docs.opper.ai/build/gateway/drop-in-sdks).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from typing_extensions import override

from proxy.core.dialects.base import Common, Tables, unknown_model
from proxy.core.dialects.reading import (
    bodiless,
    call_in_body,
    features,
    path_model,
    read_json,
    require_no_body,
)
from proxy.core.dialects.replies import json_reply, refusal_reply
from proxy.core.errors import Unreadable
from proxy.core.tap import GOOGLE, GOOGLE_INTERACTIONS, Tap, body_tap, event_tap
from proxy.core.values import (
    Call,
    Edit,
    Effect,
    Endpoint,
    Json,
    Match,
    Pointer,
    RawRequest,
    Refusal,
    Reply,
    Route,
    RouteId,
)

_PREFIXES = ("/v1", "/v1beta", "/v3/compat/v1", "/v3/compat/v1beta")
_UPSTREAM = "/v3/compat/v1beta"
_STREAM = "streamGenerateContent"
_VERBS = (
    ("generateContent", "google.generate_content"),
    (_STREAM, "google.generate_content"),
    ("embedContent", "google.embed_content"),
    ("batchEmbedContents", "google.batch_embed_contents"),
)
_STATUSES = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_TYPES = "type.googleapis.com/google.rpc."


def _endpoints() -> tuple[Endpoint, ...]:
    found: list[Endpoint] = []
    for prefix in _PREFIXES:
        for verb, members in _VERBS:
            path = f"/models/{{model}}:{verb}"
            query = ("alt=sse", "key=") if verb == _STREAM else ("key=",)
            found.append(
                Endpoint(verb, "google", "POST", prefix + path, _UPSTREAM + path, members, query=query)
            )
        path = "/interactions"
        found.append(
            Endpoint(
                "interactions",
                "google",
                "POST",
                prefix + path,
                _UPSTREAM + path,
                "google.interactions",
                query=("key=",),
            )
        )
        found.append(
            Endpoint("models.list", "google", "GET", f"{prefix}/models", "", "", query=("key=", "pageSize="))
        )
        found.append(
            Endpoint("models.get", "google", "GET", f"{prefix}/models/{{model}}", "", "", query=("key=",))
        )
    return tuple(found)


class Google(Common):
    """Requests and refusals as the google-genai packages write and read them."""

    name = "google"
    endpoints = _endpoints()

    def read(self, raw: RawRequest, match: Match, tables: Tables) -> Call:
        """What the request asks for; raises `Unreadable`."""
        operation = match.endpoint.operation
        if not match.endpoint.members:
            require_no_body(raw)
            return bodiless(match)
        if operation == _STREAM and "alt=sse" not in raw.query.split("&"):
            words = "Streams come as server-sent events here: add ?alt=sse, as the SDKs do."
            raise Unreadable("bad_request_target", words)
        if operation == "interactions":
            return call_in_body(raw, match, tables)
        body, strangers = read_json(raw, match, tables)
        repeats = tuple(_repeats(body, match.model))
        effects = strangers + features(body, match, tables, (match.model,))
        return _call(match, repeats, effects, tables.headers.agent(raw.fields))

    @override
    def pin(self, match: Match, call: Call, route: RouteId) -> tuple[Match, tuple[Edit, ...]]:
        """Name the route in the path, and wherever the body says the path's model again."""
        if call.model_at:
            return super().pin(match, call, route)
        if match.model == route:
            return match, ()
        named = replace(match, model=path_model(route))
        return named, tuple(Edit(place, "set", f"models/{route}") for place in call.repeats)

    def refuse(self, refusal: Refusal) -> Reply:
        """An error as `google.genai.errors.APIError` reads it, with an ErrorInfo of domain `ringfence`."""
        metadata: dict[str, Json] = {
            "code": refusal.code,
            "decision_id": refusal.decision_id,
            "remedies": "\n".join(refusal.remedies),
            "compliant_routes": ",".join(refusal.alternatives),
        }
        if refusal.param is not None:
            metadata["param"] = refusal.param
        details: list[Json] = [
            {
                "@type": _TYPES + "ErrorInfo",
                "reason": refusal.code.upper(),
                "domain": "ringfence",
                "metadata": metadata,
            }
        ]
        if refusal.retry_after is not None:
            details.append({"@type": _TYPES + "RetryInfo", "retryDelay": f"{refusal.retry_after}s"})
        error: dict[str, Json] = {
            "code": refusal.status,
            "message": refusal.message,
            "status": error_status(refusal.status),
            "details": details,
        }
        return refusal_reply(refusal, {"error": error})

    def models(self, routes: Sequence[Route]) -> Reply:
        """`GET /v1beta/models`, whole on one page."""
        return json_reply(200, {"models": [_model(route) for route in routes]})

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
        return event_tap(GOOGLE_INTERACTIONS if operation == "interactions" else GOOGLE)


def error_status(status: int) -> str:
    """The canonical name of a status (https://cloud.google.com/apis/design/errors)."""
    return _STATUSES.get(status, "INTERNAL" if status >= 500 else "INVALID_ARGUMENT")


def _call(match: Match, repeats: tuple[Pointer, ...], effects: tuple[Effect, ...], agent: str) -> Call:
    return Call(
        operation=match.endpoint.operation,
        dialect="google",
        models=(match.model,),
        stream=match.endpoint.operation == _STREAM,
        effects=effects,
        model_at=(),
        agent=agent,
        repeats=repeats,
    )


def _repeats(body: Mapping[str, Json], model: str) -> Iterator[Pointer]:
    """Where the body says the path's model again; saying another one is refused."""
    requests = body.get("requests")
    rows = enumerate(requests) if isinstance(requests, list) else ()
    places: list[tuple[Pointer, Mapping[str, Json]]] = [(("model",), body)]
    places += [(("requests", index, "model"), row) for index, row in rows if isinstance(row, dict)]
    for place, row in places:
        named = row.get("model")
        if named is None:
            continue
        if named not in (model, f"models/{model}"):
            words = "The body names another model than the path. Name it in the path only."
            raise Unreadable("ambiguous_member", words, param="model")
        yield place


def _model(route: Route) -> dict[str, Json]:
    embeds = route.kind == "embedding"
    row: dict[str, Json] = {
        "name": f"models/{route.id}",
        "displayName": route.name or route.id,
        "supportedGenerationMethods": ["embedContent"] if embeds else ["generateContent"],
    }
    if route.context_window is not None:
        row["inputTokenLimit"] = route.context_window
    if route.max_output is not None:
        row["outputTokenLimit"] = route.max_output
    return row


DIALECT = Google()
