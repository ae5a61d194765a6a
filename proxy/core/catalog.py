"""a model reference -> every route the gateway could take, each with its posture

A catalogue is read whole and replaced whole. What a reference can mean follows Opper's own order:
a pin is one row, a bare name every pooled row of that model, an alias the rows that list it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from proxy.core import catalog_rows
from proxy.core.catalog_diff import CatalogueDiff, Change, compare
from proxy.core.values import Candidates, Digest, Json, Reference, Route, RouteId

__all__ = ["Catalogue", "CatalogueDiff", "Change", "diff", "read_catalogue"]


@dataclass(frozen=True, slots=True)
class _Index:
    """The ways into a catalogue: by exact id, by pool name, by alias."""

    ids: Mapping[str, Route]
    pools: Mapping[str, tuple[Route, ...]]
    aliases: Mapping[str, tuple[Route, ...]]


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Every known route, by id. `dropped` counts rows without a usable id.

    `digest` is over the canonical rows as they came, so it names the facts and not the moment:
    ageing a catalogue does not change it.
    """

    routes: tuple[Route, ...]
    digest: Digest
    source: str
    fetched_at: datetime
    dropped: int
    contradictory: tuple[RouteId, ...]
    index: _Index = field(repr=False, compare=False)

    def route(self, identity: str) -> Route | None:
        """The row of a pinned id, compared exactly: case matters."""
        return self.index.ids.get(identity)

    def candidates(self, reference: str) -> Candidates:
        """What a model reference means, and every route that the gateway could take for it."""
        if not reference.strip():
            return Candidates(Reference.EMPTY, ())
        if reference == "dynamic" or reference.startswith("dynamic/"):
            return Candidates(Reference.DYNAMIC, ())
        if (pinned := self.route(reference)) is not None:
            return Candidates(Reference.PIN, (pinned,))
        pool, alias = self.index.pools.get(reference, ()), self.index.aliases.get(reference, ())
        if pool:
            return Candidates(Reference.POOL, _by_id((*pool, *alias)))
        return Candidates(Reference.ALIAS if alias else Reference.UNKNOWN, alias)

    def kin(self, reference: str) -> tuple[Route, ...]:
        """Routes worth naming instead of a refused one: of the same model, or of its successors.

        Rows that are callable only by id are among them. Sorted by id; the refused row is left out.
        """
        start = self.candidates(reference).routes
        names = {name for row in start for name in (row.model, row.successor) if name}
        seen: set[str] = set()
        found: dict[str, Route] = {}
        while names - seen:
            seen |= (fresh := names - seen)
            members = [row for row in self.routes if row.id in fresh or row.model in fresh]
            found.update((row.id, row) for row in members)
            names |= {row.successor for row in members if row.successor}
        return _by_id(row for row in found.values() if row.id != reference)

    def aged(self, at: datetime, max_age: timedelta) -> Catalogue:
        """What may still be believed at an instant.

        Older than `max_age`, or fetched in the future by more than that: every claim is unknown.
        A row that has been retired by then claims nothing either, for Opper may serve its successor.
        """
        if not -max_age <= at - self.fetched_at <= max_age:
            return self._claiming_nothing(lambda row: "the catalogue is too old to be believed")
        return self._claiming_nothing(
            lambda row: (
                "the route is retired: the gateway may serve its successor"
                if row.retired_at is not None and row.retired_at <= at
                else ""
            )
        )

    def _claiming_nothing(self, why: Callable[[Route], str]) -> Catalogue:
        """A copy in which each row for which `why` has words has lost its claims; self if none has."""
        routes = tuple(_silenced(row, words) if (words := why(row)) else row for row in self.routes)
        if all(new is old for new, old in zip(routes, self.routes, strict=True)):
            return self
        return replace(self, routes=routes, index=_index(routes))


def read_catalogue(payload: Json, *, source: str, fetched_at: datetime) -> Catalogue:
    """Read an answer of `GET /v3/models` (or its bare list of rows); never raises for what it holds.

    Rows that repeat an id are merged: where they contradict each other, nothing is claimed.
    """
    rows = payload.get("models") if isinstance(payload, dict) else payload
    listed = rows if isinstance(rows, list) else []
    read: dict[str, list[Route]] = {}
    for row in listed:
        if not isinstance(row, dict):
            continue
        if (found := catalog_rows.route(row, source=source, fetched_at=fetched_at)) is not None:
            read.setdefault(found.id, []).append(found)
    routes = _by_id(catalog_rows.merge(same) for same in read.values())
    return Catalogue(
        routes=routes,
        digest=_digest(listed),
        source=source,
        fetched_at=fetched_at,
        dropped=len(listed) - sum(map(len, read.values())),
        contradictory=tuple(row.id for row in routes if _contradict(read[row.id])),
        index=_index(routes),
    )


def diff(old: Catalogue, new: Catalogue) -> CatalogueDiff:
    """What changed between two catalogues, dimension by dimension, in the order of DIMENSIONS."""
    return compare(old.index.ids, new.index.ids)


def _silenced(row: Route, why: str) -> Route:
    posture = {name: catalog_rows.unknown(claim, why) for name, claim in row.posture.items()}
    return replace(row, posture=posture)


def _contradict(rows: Sequence[Route]) -> bool:
    return any(row != rows[0] for row in rows)


def _digest(rows: Iterable[Json]) -> Digest:
    hashed = hashlib.sha256()
    for text in sorted(map(catalog_rows.canonical, rows)):
        hashed.update(text.encode("ascii") + b"\n")
    return Digest("sha256:" + hashed.hexdigest())


def _index(routes: Sequence[Route]) -> _Index:
    pools: dict[str, list[Route]] = {}
    aliases: dict[str, list[Route]] = {}
    for row in routes:
        if row.pooled and row.model:
            pools.setdefault(row.model, []).append(row)
        for alias in row.aliases:
            aliases.setdefault(alias, []).append(row)
    return _Index(
        {row.id: row for row in routes},
        {name: tuple(rows) for name, rows in pools.items()},
        {name: tuple(rows) for name, rows in aliases.items()},
    )


def _by_id(routes: Iterable[Route]) -> tuple[Route, ...]:
    return tuple(sorted({row.id: row for row in routes}.values(), key=lambda row: row.id))
