"""what the gateway says served a call, held against the route that was approved

The evidence is `x-opper-served-model` and `x-opper-served-provider`; the `model` in an answer's
body only echoes the request and proves nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from proxy.core.catalog import Catalogue
from proxy.core.values import Route, RouteId


class Verdict(StrEnum):
    """`UNCONFIRMED` means that nothing was said, or nothing that a catalogue row could be told from."""

    CONFIRMED = "confirmed"
    UNCONFIRMED = "unconfirmed"
    MISMATCH = "mismatch"


@dataclass(frozen=True, slots=True)
class Confirmation:
    """The verdict, and the catalogue row that served where one could be told."""

    verdict: Verdict
    served: RouteId | None = None


def confirm(route: Route, catalogue: Catalogue, *, model: str, provider: str) -> Confirmation:
    """Compare what the served-by headers say ("" when absent) with the approved route."""
    if not model and not provider:
        return Confirmation(Verdict.UNCONFIRMED)
    served = _resolve(catalogue, model, provider)
    if served is not None:
        same = served.id == route.id
        return Confirmation(Verdict.CONFIRMED if same else Verdict.MISMATCH, served.id)
    if provider and provider != route.provider and _serves(catalogue, provider):
        return Confirmation(Verdict.MISMATCH)
    if model and _is_known(catalogue, model) and model not in (route.model, _tail(route.id)):
        return Confirmation(Verdict.MISMATCH)
    return Confirmation(Verdict.UNCONFIRMED)


def _resolve(catalogue: Catalogue, model: str, provider: str) -> Route | None:
    """The one row that the two headers name together, else None."""
    exact = catalogue.route(model)
    if exact is not None:
        contradicted = provider not in ("", exact.provider) and _serves(catalogue, provider)
        return None if contradicted else exact
    return catalogue.route(f"{provider}/{model}") if provider and model else None


def _serves(catalogue: Catalogue, provider: str) -> bool:
    return any(row.provider == provider for row in catalogue.routes)


def _is_known(catalogue: Catalogue, model: str) -> bool:
    return any(model in (row.id, row.model, _tail(row.id)) for row in catalogue.routes)


def _tail(route: str) -> str:
    return route.partition("/")[2]
