"""what the gateway says served a call, held against the routes that were approved

The evidence is `x-opper-served-model` and `x-opper-served-provider`; the `model` in an answer's
body only echoes the request and proves nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Final, NamedTuple

from proxy.core.catalog import Catalogue
from proxy.core.fields import Fields
from proxy.core.values import Route, RouteId

_MODEL: Final = b"x-opper-served-model"
_PROVIDER: Final = b"x-opper-served-provider"


class Told(NamedTuple):
    """What the head of an answer says of who served, "" where it says nothing.

    It is not `clear` when a field stands there more than once and says different things: then all of
    them are given, with commas between, which is what several lines mean (RFC 9110 section 5.3).
    """

    model: str
    provider: str
    clear: bool = True


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


def told(fields: Fields) -> Told:
    """Read the served-by fields of an answer."""
    first, repeated = fields.first, fields.repeated
    if repeated and (_MODEL in repeated or _PROVIDER in repeated):
        models, providers = _values(fields, _MODEL), _values(fields, _PROVIDER)
        return Told(", ".join(models), ", ".join(providers), clear=len(models) < 2 and len(providers) < 2)
    model, provider = first.get(_MODEL, b""), first.get(_PROVIDER, b"")
    return Told(model.decode("latin-1").strip(), provider.decode("latin-1").strip())


def _values(fields: Fields, name: bytes) -> list[str]:
    """The different things that a field says, in their order."""
    lines = fields.repeated.get(name) or (fields.first.get(name, b""),)
    values = (line.decode("latin-1").strip() for line in lines)
    return list(dict.fromkeys(value for value in values if value))


def confirm(routes: Sequence[Route], catalogue: Catalogue, heard: Told) -> Confirmation:
    """Compare what an answer tells of who served with the approved routes."""
    model, provider, clear = heard
    if not clear:
        # Which of its words is true cannot be known, and at least one of them names somebody else.
        return Confirmation(Verdict.MISMATCH)
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
