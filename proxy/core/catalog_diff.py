"""what changed between two catalogues, and for whom it matters

Each dimension places a claim on its axis; a claim that moved towards lax (or to unknown) is worse.
Claims that differ without being stricter or laxer, such as one country for another, are `moved`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from proxy.core.dimensions import DIMENSIONS
from proxy.core.values import Basis, Claim, Json, Route, RouteId

_UNSAID = Claim(None, Basis.UNKNOWN, "", "")


@dataclass(frozen=True, slots=True)
class Change:
    """One claim of one route that is not what it was; both sides in words."""

    route: RouteId
    dimension: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class CatalogueDiff:
    """Routes that came and went, and claims that changed, by route and then in dimension order."""

    worse: tuple[Change, ...] = ()
    better: tuple[Change, ...] = ()
    moved: tuple[Change, ...] = ()
    gone: tuple[RouteId, ...] = ()
    new: tuple[RouteId, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.worse or self.better or self.moved or self.gone or self.new)


def compare(old: Mapping[str, Route], new: Mapping[str, Route]) -> CatalogueDiff:
    """Hold two catalogues, given by id, against each other."""
    sides: dict[str, list[Change]] = {"worse": [], "better": [], "moved": []}
    for identity in sorted(old.keys() & new.keys()):
        for side, change in _changes(old[identity], new[identity]):
            sides[side].append(change)
    return CatalogueDiff(
        worse=tuple(sides["worse"]),
        better=tuple(sides["better"]),
        moved=tuple(sides["moved"]),
        gone=tuple(sorted(RouteId(each) for each in old.keys() - new.keys())),
        new=tuple(sorted(RouteId(each) for each in new.keys() - old.keys())),
    )


def _changes(old: Route, new: Route) -> Iterator[tuple[str, Change]]:
    for dimension in DIMENSIONS:
        before = old.posture.get(dimension.name, _UNSAID)
        after = new.posture.get(dimension.name, _UNSAID)
        if _same(before.value, after.value):
            continue
        ranks = dimension.rank(before), dimension.rank(after)
        side = "moved" if ranks[0] == ranks[1] else "worse" if ranks[1] > ranks[0] else "better"
        yield side, Change(new.id, dimension.name, _said(before), _said(after))


def _same(before: Json, after: Json) -> bool:
    # 1 == True in Python, and not in a catalogue.
    return before == after and type(before) is type(after)


def _said(claim: Claim) -> str:
    return claim.words or "unknown"
