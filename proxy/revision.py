"""everything that decisions rest on, read together: one immutable Revision"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from proxy.core.attestations import Attestation
from proxy.core.attested import Attested, gateway_posture
from proxy.core.callers import CallerTable
from proxy.core.catalog import Catalogue
from proxy.core.decide import decide
from proxy.core.dialects import Tables
from proxy.core.findings import complies, on_gateway
from proxy.core.policy import Policy, applicable
from proxy.core.record import Grounds
from proxy.core.values import Call, Caller, Decision, Digest, Posture, Route, RouteId
from proxy.core.weight import LIGHT, weigh
from proxy.facts import Facts

_VIEW_LASTS = timedelta(seconds=60)
_HEAVIEST = 262_144
_ROUTES_AT_A_TIME = 16


class Verdicts(dict[tuple[Caller, Call], Decision]):
    """What was decided, by caller and call; begun anew when it weighs `_HEAVIEST`, about 80 MB."""

    __slots__ = ("_weight",)

    def __init__(self) -> None:
        super().__init__()
        self._weight = 0

    def keep(self, caller: Caller, call: Call, decision: Decision) -> None:
        """Remember a verdict, unless its sender made it too large to be worth it."""
        if (weight := weigh(call, decision)) > LIGHT:
            return
        self._weight += weight
        if self._weight > _HEAVIEST:
            self.clear()
            self._weight = weight
        self[caller, call] = decision


@dataclass(frozen=True, slots=True)
class View:
    """A revision as it stands at an instant, and until when nothing in it lapses.

    `verdicts` and `lists` remember what was decided under it; they die with it.
    """

    attested: Attested
    gateway: Posture
    stale: bool
    until: datetime
    verdicts: Verdicts = field(default_factory=Verdicts)
    lists: dict[Caller, tuple[Route, ...]] = field(default_factory=dict)


@dataclass(eq=False, slots=True)
class Revision:
    """Everything that decisions rest on, read together. Never changed: a reload makes another one."""

    digest: Digest
    policies: tuple[Policy, ...]
    attestations: tuple[Attestation, ...]
    callers: CallerTable
    catalogue: Catalogue
    quarantined: frozenset[RouteId]
    facts: Facts
    max_age: timedelta
    grounds: Grounds = field(init=False)
    _view: View | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        catalogue = self.catalogue
        names = {name for row in catalogue.routes for name in (row.id, row.model, row.provider, *row.aliases)}
        self.grounds = Grounds(
            self.digest, self.facts.digest, catalogue.digest, catalogue.fetched_at, frozenset(names - {""})
        )

    @property
    def tables(self) -> Tables:
        """The compiled facts that reading a request needs."""
        return self.facts.tables

    def decide(self, call: Call, caller: Caller, at: datetime) -> Decision:
        """Judge a call; the verdict on an equal call is remembered until something in it lapses."""
        view = self.view(at)
        try:
            known = view.verdicts.get((caller, call))
        except TypeError:
            # An edit may carry a list or object, and then the call has no hash.
            return self._judge(view, call, caller, at)
        if known is not None and (known.until is None or at < known.until):
            return known
        decision = self._judge(view, call, caller, at)
        view.verdicts.keep(caller, call, decision)
        return decision

    async def visible(self, caller: Caller, at: datetime) -> tuple[Route, ...]:
        """The routes that the caller's policies allow; in small steps, for a catalogue is long."""
        view = self.view(at)
        found = view.lists.get(caller)
        if found is None:
            passing = []
            for number, route in enumerate(self._passing(view, caller, at)):
                if route is not None:
                    passing.append(route)
                if number % _ROUTES_AT_A_TIME == 0:
                    await asyncio.sleep(0)
            found = view.lists[caller] = tuple(passing)
        return found

    def view(self, at: datetime) -> View:
        """The revision with what is believed and attested at an instant."""
        view = self._view
        if view is None or not view.until - _VIEW_LASTS <= at < view.until:
            view = self._view = self._look(at)
        return view

    def without(self, route: RouteId) -> Revision:
        """The same revision with one more route out of use, under a digest of its own."""
        quarantined = self.quarantined | {route}
        text = f"{self.digest}\nquarantine {','.join(sorted(quarantined))}"
        return replace(self, digest=digest_of(text), quarantined=quarantined)

    def without_keys(self, in_force: CallerTable) -> Revision:
        """The same revision without the keys that are no longer in force; itself when none is."""
        gone = self.callers.entries.keys() - in_force.entries.keys()
        if not gone:
            return self
        left = {mark: caller for mark, caller in self.callers.entries.items() if mark not in gone}
        digest = digest_of(f"{self.digest}\nwithout keys {','.join(sorted(gone))}")
        return replace(self, digest=digest, callers=CallerTable(left))

    def _look(self, at: datetime) -> View:
        fetched, age = self.catalogue.fetched_at, self.max_age
        attested = Attested(self.catalogue.aged(at, age), self.attestations, at)
        gateway = gateway_posture(self.facts.gateway, self.attestations, at)
        return View(attested, gateway, not -age <= at - fetched <= age, self._until(attested, at))

    def _until(self, attested: Attested, at: datetime) -> datetime:
        """The first instant at which something may be believed otherwise than at this one."""
        # At its full age the catalogue still counts.
        turns = [attested.until, self.catalogue.fetched_at + self.max_age + datetime.resolution]
        turns += [route.retired_at for route in self.catalogue.routes]
        ahead = [turn for turn in turns if turn is not None and turn > at]
        return min([at + _VIEW_LASTS, *ahead])

    def _judge(self, view: View, call: Call, caller: Caller, at: datetime) -> Decision:
        candidates = view.attested.candidates(call.models[0] if call.models else "")
        return decide(
            call,
            caller,
            candidates,
            self.policies,
            view.gateway,
            at=at,
            catalogue=view.attested,
            quarantined=self.quarantined,
            stale=view.stale,
        )

    def _passing(self, view: View, caller: Caller, at: datetime) -> Iterator[Route | None]:
        """Each route that complies, None for each that does not."""
        policies = applicable(self.policies, caller)
        bound = {policy.id for policy in policies}.issuperset(caller.policies)
        gate = (held.passes for policy in policies for held in on_gateway(policy, view.gateway, "", at))
        if not policies or not bound or not all(gate):
            return
        for route in view.attested.routes:
            fits = route.id not in self.quarantined and complies(policies, route, at)
            yield route if fits else None


def digest_of(text: str) -> Digest:
    """The name of what a text lists."""
    return Digest("sha256:" + hashlib.sha256(text.encode()).hexdigest())
