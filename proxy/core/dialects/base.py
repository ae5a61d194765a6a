"""what every dialect offers

A dialect knows one SDK family: its paths, where a body names models, how that SDK expects an error.
It never changes what a request says. To add one, write `<name>.py` beside this file and name it in
the tuple in `__init__.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from proxy.core.dialects.reading import path_model
from proxy.core.tap import Tap
from proxy.core.values import (
    Call,
    Edit,
    Endpoint,
    Match,
    RawRequest,
    Refusal,
    Reply,
    Route,
    RouteId,
    UpstreamRequest,
)

if TYPE_CHECKING:
    from proxy.core.effects import EffectTable
    from proxy.core.headers import HeaderTable
    from proxy.core.members import MemberTables


@dataclass(frozen=True, slots=True)
class Tables:
    """The compiled facts that reading a request needs."""

    members: MemberTables
    effects: EffectTable
    headers: HeaderTable


class Dialect(Protocol):
    """One SDK family. Every method is pure."""

    @property
    def name(self) -> str: ...

    @property
    def endpoints(self) -> tuple[Endpoint, ...]: ...

    def translate(self, raw: RawRequest, match: Match) -> tuple[RawRequest, Match]:
        """The request in the gateway's own form: itself, but for images. Raises `Unreadable`."""

    def read(self, raw: RawRequest, match: Match, tables: Tables) -> Call:
        """What the request asks for; raises `Unreadable`. An untranslated request is translated first."""

    def pin(self, match: Match, call: Call, route: RouteId) -> tuple[Match, tuple[Edit, ...]]:
        """What has to change so that the request names one route and nothing else."""

    def forward(
        self, raw: RawRequest, match: Match, call: Call, body: bytes, tables: Tables
    ) -> UpstreamRequest:
        """The request for the gateway; `body` is that of `translate` after the ordered edits."""

    def refuse(self, refusal: Refusal) -> Reply:
        """A refusal as this family's SDK reads errors."""

    def models(self, routes: Sequence[Route]) -> Reply:
        """The model list that shows these routes."""

    def answer(self, match: Match, routes: Sequence[Route]) -> Reply:
        """The reply of an endpoint without upstream; `routes` are those the caller may use."""

    def tap(self, operation: str, streamed: bool) -> Tap:
        """What reads along with the reply of an operation."""


class Common:
    """What dialects do alike: nothing to translate, the model in the body, a constant target."""

    def translate(self, raw: RawRequest, match: Match) -> tuple[RawRequest, Match]:
        """The request itself."""
        return raw, match

    def pin(self, match: Match, call: Call, route: RouteId) -> tuple[Match, tuple[Edit, ...]]:
        """Name the route where the body names its model, unless it already stands there."""
        edits = tuple(Edit(place, "set", route) for place in (call.model_at, *call.repeats) if place)
        return match, () if call.models[:1] == (route,) else edits

    def forward(
        self, raw: RawRequest, match: Match, call: Call, body: bytes, tables: Tables
    ) -> UpstreamRequest:
        """The request with a constant target and listed headers only."""
        endpoint, target = match.endpoint, match.endpoint.upstream
        if "{model}" in target:
            target = target.replace("{model}", path_model(call.models[0]))
        if raw.query:
            # Only the literal pairs of the endpoint travel on; `key=` and its like stay here.
            pairs = [p for p in raw.query.split("&") if p in endpoint.query and not p.endswith("=")]
            target += "?" + "&".join(pairs) if pairs else ""
        return UpstreamRequest(endpoint.method, target, tables.headers.upstream(raw.fields), body)


def unknown_model(model: str) -> Refusal:
    """What a look-up of one model says when the caller may not use it, or nobody knows it."""
    words = f'The model "{model}" is not in the list of models that you may use here.'
    return Refusal(404, "unknown_model", words, param="model")
