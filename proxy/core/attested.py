"""the catalogue's claims with the attestations that hold at an instant laid over them"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import Protocol

from proxy.core.attestations import Attestation
from proxy.core.dimensions import GATEWAY_DIMENSIONS
from proxy.core.values import Basis, Candidates, Claim, Json, Posture, Route


class Lookup(Protocol):
    """A catalogue as a decision sees it; one seen through attestations is another."""

    @property
    def routes(self) -> Sequence[Route]: ...

    def candidates(self, reference: str, /) -> Candidates: ...

    def kin(self, reference: str, /) -> Sequence[Route]: ...


class Attested:
    """A catalogue seen through the attestations that hold at an instant.

    Routes are laid over once each and kept, so one view serves many decisions: until
    `until`, the first instant at which an attestation begins or ends (None: never).
    """

    def __init__(self, catalogue: Lookup, attestations: Iterable[Attestation], at: datetime) -> None:
        every = tuple(attestations)
        self._rows = catalogue
        self._valid = tuple(a for a in every if a.holds(at))
        turns = [turn for a in every for turn in (a.verified_at, a.valid_until) if turn > at]
        self.until = min(turns, default=None)
        self._seen: dict[str, Route] = {}
        self._routes: tuple[Route, ...] | None = None

    @property
    def routes(self) -> tuple[Route, ...]:
        """Every route of the catalogue."""
        if self._routes is None:
            self._routes = tuple(self._overlay(route) for route in self._rows.routes)
        return self._routes

    def candidates(self, reference: str) -> Candidates:
        """What a model reference means, with attested postures."""
        found = self._rows.candidates(reference)
        return Candidates(found.reference, tuple(self._overlay(route) for route in found.routes))

    def kin(self, reference: str) -> tuple[Route, ...]:
        """Routes of the same model or its successors, with attested postures."""
        return tuple(self._overlay(route) for route in self._rows.kin(reference))

    def _overlay(self, route: Route) -> Route:
        if not self._valid:
            return route
        if (seen := self._seen.get(route.id)) is None:
            seen = self._seen[route.id] = _overlay(route, self._valid)
        return seen


def _overlay(route: Route, valid: Sequence[Attestation]) -> Route:
    about = [a for a in valid if a.subject.covers(route)]
    if not about:
        return route
    return replace(route, posture=_laid(route.posture, about, ""))


def gateway_posture(facts: Mapping[str, Json], attestations: Sequence[Attestation], at: datetime) -> Posture:
    """Read what the gateway claims: facts from the table, and attestations that hold at an instant.

    Keys are the names of `GATEWAY_DIMENSIONS`.
    """
    stated = {d.name: d.read(facts) for d in GATEWAY_DIMENSIONS}
    return _laid(stated, [a for a in attestations if a.subject.gateway and a.holds(at)], "gateway.")


def _laid(posture: Posture, about: Sequence[Attestation], prefix: str) -> Posture:
    laid = dict(posture)
    # Where two speak on one dimension, the one that holds longer counts; ids break ties.
    for attestation in sorted(about, key=lambda a: (a.valid_until, a.id)):
        for dimension, (word, value) in attestation.asserted.items():
            laid[dimension.removeprefix(prefix)] = _claim(attestation, word, value)
    return MappingProxyType(laid)


def _claim(attestation: Attestation, word: str, value: Json) -> Claim:
    return Claim(
        value=value,
        basis=Basis.ATTESTATION,
        words=f"attested {word}, until {attestation.valid_until:%Y-%m-%d}",
        source=f"attestation:{attestation.id}",
        seen_at=attestation.verified_at,
        valid_until=attestation.valid_until,
    )
