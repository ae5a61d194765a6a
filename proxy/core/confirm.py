"""what the gateway says served a call, held against the routes that were approved

The evidence is `x-opper-served-model` and `x-opper-served-provider`; the `model` in an answer's
body only echoes the request and proves nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from proxy.core.catalog import Catalogue
from proxy.core.values import Route, RouteId


class Verdict(StrEnum):
    """`UNCONFIRMED` means that nothing was said, or nothing that a catalogue row could be told from."""

    CONFIRMED = "confirmed"
    UNCONFIRMED = "unconfirmed"
    MISMATCH = "mismatch"


class Confirmation(NamedTuple):
    """The verdict, and the catalogue row that served where one could be told."""

    verdict: Verdict
    served: RouteId | None = None


class _Names(NamedTuple):
    """Every name that the rows of a catalogue have for a provider and for a model."""

    catalogue: Catalogue
    providers: frozenset[str]
    models: frozenset[str]


# The names of the last catalogue that was asked: a gateway that uses other names than the catalogue would
# make each answer go through all rows. One item, replaced whole.
_last: list[_Names] = []


def confirm(routes: Sequence[Route], catalogue: Catalogue, *, model: str, provider: str) -> Confirmation:
    """Compare what the served-by headers say ("" when absent) with the approved routes."""
    if not model and not provider:
        return Confirmation(Verdict.UNCONFIRMED)
    served = _resolve(catalogue, model, provider)
    if served is not None:
        for route in routes:
            if route.id == served.id:
                return Confirmation(Verdict.CONFIRMED, served.id)
        return Confirmation(Verdict.MISMATCH, served.id)
    names = _names(catalogue)
    # Held against each by itself: the provider of one and the model of another name neither.
    if all(_excluded(route, names, model, provider) for route in routes):
        return Confirmation(Verdict.MISMATCH)
    return Confirmation(Verdict.UNCONFIRMED)


def _excluded(route: Route, names: _Names, model: str, provider: str) -> bool:
    """Whether the headers, though they name no row, say a known name that this route does not have."""
    if provider and provider != route.provider and provider in names.providers:
        return True
    return bool(model) and model not in (route.model, _tail(route.id)) and model in names.models


def _resolve(catalogue: Catalogue, model: str, provider: str) -> Route | None:
    """The one row that the two headers name together, else None."""
    exact = catalogue.route(model)
    if exact is not None:
        contradicted = provider not in ("", exact.provider) and provider in _names(catalogue).providers
        return None if contradicted else exact
    return catalogue.route(f"{provider}/{model}") if provider and model else None


def _names(catalogue: Catalogue) -> _Names:
    found = _last[0] if _last else None
    if found is None or found.catalogue is not catalogue:
        rows = catalogue.routes
        models = frozenset(name for row in rows for name in (row.id, row.model, _tail(row.id)))
        found = _Names(catalogue, frozenset(row.provider for row in rows), models)
        _last[:] = [found]
    return found


def _tail(route: str) -> str:
    return route.partition("/")[2]
