"""Opper's own API: images

Only `/v3/images` of the native surface is offered; the rest is unknown to the proxy and so refused
(https://docs.opper.ai/v3-api-reference/images/create-image).
"""

from __future__ import annotations

from collections.abc import Sequence

from proxy.core.dialects.base import Common, Tables
from proxy.core.dialects.reading import call_in_body
from proxy.core.dialects.replies import extension, json_reply, refusal_reply
from proxy.core.tap import Tap, body_tap
from proxy.core.values import Call, Endpoint, Json, Match, RawRequest, Refusal, Reply, Route


class Opper(Common):
    """Requests and refusals of clients that speak to Opper natively."""

    name = "opper"
    endpoints = (Endpoint("images.create", "opper", "POST", "/v3/images", "/v3/images", "opper.images"),)

    def read(self, raw: RawRequest, match: Match, tables: Tables) -> Call:
        """What the request asks for; raises `Unreadable`."""
        return call_in_body(raw, match, tables)

    def refuse(self, refusal: Refusal) -> Reply:
        """An error in the form of Opper's native API: `code`, `message`, `details`."""
        error: dict[str, Json] = {
            "code": refusal.code,
            "message": refusal.message,
            "details": {"param": refusal.param, **extension(refusal)},
        }
        return refusal_reply(refusal, {"error": error})

    def models(self, routes: Sequence[Route]) -> Reply:
        """The ids in the envelope of Opper's own list."""
        rows: list[Json] = [
            {"id": route.id, "name": route.name, "provider": route.provider} for route in routes
        ]
        return json_reply(200, {"models": rows, "total": len(rows), "offset": 0, "limit": len(rows)})

    def answer(self, match: Match, routes: Sequence[Route]) -> Reply:
        """No endpoint of this dialect is answered here but the list."""
        return self.models(routes)

    def tap(self, operation: str, streamed: bool) -> Tap:
        """What reads along with the reply."""
        return body_tap()


DIALECT = Opper()
