"""one catalogue row -> a Route, whatever the row is made of

Rows come from Opper's `GET /v3/models`. A member of the wrong type counts as absent, and absence
always means unknown; only a row without a usable id is dropped.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeVar

from proxy.core.dimensions import DIMENSIONS
from proxy.core.values import Basis, Claim, Json, Posture, Price, Route, RouteId

Row = Mapping[str, Json]
_T = TypeVar("_T")

# Ids travel in JSON, in headers and in Google's paths: only what means itself in all three.
_ID = re.compile(r"[A-Za-z0-9._:@+~,=!*()$&'-]+(?:/[A-Za-z0-9._:@+~,=!*()$&'-]+)+")
_MAX_ID = 256
_MAX_NAMES = 64


def route(row: Row, *, source: str, fetched_at: datetime) -> Route | None:
    """Read one row; None when it has no usable id. Prices are USD per million tokens."""
    identity = route_id(row.get("id"))
    if identity is None:
        return None
    return Route(
        id=identity,
        provider=_text(row, "provider") or identity.partition("/")[0],
        model=_text(row, "model") or _text(row, "model_id"),
        kind=_text(row, "type"),
        posture=_posture(row, source, fetched_at),
        name=_text(row, "name"),
        aliases=_names(row.get("aliases")),
        successor=_text(row, "successor") or None,
        price=_price(row.get("pricing")),
        context_window=_count(row.get("context_window")),
        max_output=_count(row.get("max_output_tokens")),
        pooled=row.get("pooled") is not False,
        retired_at=_retired_at(row.get("retired_at"), fetched_at),
        verified_at=_verified_at(row),
        access=_text(row, "access"),
    )


def route_id(value: Json) -> RouteId | None:
    """A pinned id as the catalogue spells it, or None for what cannot be one."""
    if not isinstance(value, str) or len(value) > _MAX_ID or not _ID.fullmatch(value):
        return None
    segments = value.split("/")
    if "." in segments or ".." in segments or segments[0].casefold() == "dynamic":
        return None
    return RouteId(value)


def merge(rows: Sequence[Route]) -> Route:
    """One route out of rows that share an id: what they do not all say alike is unknown."""
    first = rows[0]
    if len(rows) == 1:
        return first
    retired = [row.retired_at for row in rows if row.retired_at is not None]
    return replace(
        first,
        provider=_agreed((row.provider for row in rows), ""),
        model=_agreed((row.model for row in rows), ""),
        kind=_agreed((row.kind for row in rows), ""),
        name=_agreed((row.name for row in rows), ""),
        posture={name: _agreed_claim(name, rows) for name in first.posture},
        aliases=tuple(sorted({alias for row in rows for alias in row.aliases})),
        successor=_agreed((row.successor for row in rows), None),
        price=_agreed((row.price for row in rows), Price()),
        context_window=_agreed((row.context_window for row in rows), None),
        max_output=_agreed((row.max_output for row in rows), None),
        pooled=any(row.pooled for row in rows),
        retired_at=min(retired, default=None),
        verified_at=_agreed((row.verified_at for row in rows), None),
        access=_agreed((row.access for row in rows), ""),
    )


def unknown(claim: Claim, why: str) -> Claim:
    """The same claim with nothing left in it but where it was read, and why it no longer counts."""
    return Claim(None, Basis.UNKNOWN, why, claim.source, claim.seen_at)


def canonical(value: Json) -> str:
    """One text per JSON value: sorted members, ASCII, no spaces. Tells 1 from true."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def _posture(row: Row, source: str, fetched_at: datetime) -> Posture:
    read = {dimension.name: dimension.read(row) for dimension in DIMENSIONS}
    return {
        name: replace(claim, source=claim.source or source, seen_at=claim.seen_at or fetched_at)
        for name, claim in read.items()
    }


def _agreed_claim(name: str, rows: Sequence[Route]) -> Claim:
    claims = [row.posture[name] for row in rows]
    if len({(canonical(claim.value), claim.basis) for claim in claims}) == 1:
        return claims[0]
    return unknown(claims[0], "the catalogue lists this id more than once, with different statements")


def _agreed(values: Iterable[_T], otherwise: _T) -> _T:
    found = list(values)
    return found[0] if all(each == found[0] for each in found) else otherwise


def _text(row: Row, name: str) -> str:
    value = row.get(name)
    return value.strip() if isinstance(value, str) else ""


def _names(value: Json) -> tuple[str, ...]:
    if not isinstance(value, list):
        return ()
    return tuple(sorted({each for each in value if isinstance(each, str) and each.strip()}))[:_MAX_NAMES]


def _count(value: Json) -> int | None:
    number = _number(value)
    return int(number) if number is not None and number > 0 and number == int(number) else None


def _number(value: Json) -> float | None:
    """A finite number that is not negative; no bool, no text, no integer beyond a float's range."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if not 0 <= value < 1e15 or not math.isfinite(value):
        return None
    return value


def _price(value: Json) -> Price:
    """The first band: an array holds one price per band of input length, the base price first."""
    if not isinstance(value, dict):
        return Price()
    image = _number(value.get("price_per_generation"))
    return Price(
        input=_first_band(value.get("input")),
        output=_first_band(value.get("output")),
        image=image if image is not None else min(_leaves(value.get("image_prices"), 3), default=None),
    )


def _first_band(value: Json) -> float | None:
    return _number(value[0]) if isinstance(value, list) and value else _number(value)


def _leaves(value: Json, depth: int) -> list[float]:
    if isinstance(value, dict) and depth:
        return [price for each in value.values() for price in _leaves(each, depth - 1)]
    number = _number(value)
    return [] if number is None else [number]


def _retired_at(value: Json, fetched_at: datetime) -> datetime | None:
    """When a row ended. A mark that cannot be dated counts as past: it was set for a reason."""
    if value is None or value is False or value == "" or value == 0:
        return None
    return _instant(value) or fetched_at


def _verified_at(row: Row) -> datetime | None:
    """The day of Opper's own last check: only in the evidence record of `include=route`."""
    evidence = row.get("route")
    if not isinstance(evidence, dict):
        return None
    verification = evidence.get("verification")
    nested = verification.get("last_verified_at") if isinstance(verification, dict) else None
    return _instant(evidence.get("last_verified_at")) or _instant(nested)


def _instant(value: Json) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        read = datetime.fromisoformat(value.strip())
    except ValueError:
        return None
    return read.replace(tzinfo=UTC) if read.tzinfo is None else _utc(read)


def _utc(value: datetime) -> datetime | None:
    try:
        return value.astimezone(UTC)
    except OverflowError:
        return None
