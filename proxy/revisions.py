"""policies, attestations, keys, catalogue, tables: load, reload, last good; one immutable Revision"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

from proxy.core.attestations import Attestation, Attested, gateway_posture
from proxy.core.callers import CallerTable
from proxy.core.catalog import Catalogue
from proxy.core.decide import decide
from proxy.core.dialects import Tables
from proxy.core.errors import Mistake, Mistakes
from proxy.core.findings import complies, on_gateway
from proxy.core.policy import Policy, applicable
from proxy.core.record import Grounds
from proxy.core.values import Call, Caller, Decision, Digest, Posture, Route, RouteId
from proxy.facts import Facts
from proxy.sources import Contracts, Quarantine, Source, with_contracts

_VIEW_LASTS = timedelta(seconds=60)
_MOST_VERDICTS = 4096
_ROUTES_AT_A_TIME = 16


@dataclass(frozen=True, slots=True)
class View:
    """A revision as it stands at an instant, and until when nothing in it lapses.

    `verdicts` and `lists` remember what was decided under it; they die with it.
    """

    attested: Attested
    gateway: Posture
    stale: bool
    until: datetime
    verdicts: dict[tuple[Caller, Call], Decision] = field(default_factory=dict)
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
        if len(view.verdicts) >= _MOST_VERDICTS:
            view.verdicts.clear()
        view.verdicts[caller, call] = decision
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
        return replace(self, digest=_digest(text), quarantined=quarantined)

    def without_keys(self, in_force: CallerTable) -> Revision:
        """The same revision without the keys that are no longer in force; itself when none is."""
        gone = self.callers.entries.keys() - in_force.entries.keys()
        if not gone:
            return self
        left = {mark: caller for mark, caller in self.callers.entries.items() if mark not in gone}
        digest = _digest(f"{self.digest}\nwithout keys {','.join(sorted(gone))}")
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


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the parts of a revision come from."""

    policies: Source[tuple[Policy, ...]]
    contracts: Source[Contracts]
    callers: Source[CallerTable]
    catalogue: Source[Catalogue]
    quarantine: Source[frozenset[RouteId]]
    contracts_file: Path
    facts: Facts
    max_age: timedelta

    def stamp(self) -> tuple[Hashable, ...]:
        """Tells one state of all files from another."""
        parts = (self.policies, self.contracts, self.callers, self.catalogue, self.quarantine)
        return tuple(part.stamp() for part in parts)

    def read(self) -> Revision:
        """Read everything as one; raises `Mistakes` or `Mistake` when any part cannot be taken."""
        contracts = self.contracts.value()
        policies = with_contracts(self.policies.value(), contracts, self.contracts_file)
        callers, catalogue = self.callers.value(), self.catalogue.value()
        quarantined = self.quarantine.value()
        parts = (self.policies, self.contracts, self.callers, self.catalogue, self.quarantine)
        text = "\n".join(f"{part.what} {part.digest}" for part in parts) + f"\ntables {self.facts.digest}"
        return Revision(
            digest=_digest(text),
            policies=policies,
            attestations=contracts.attestations,
            callers=callers,
            catalogue=catalogue,
            quarantined=quarantined,
            facts=self.facts,
            max_age=self.max_age,
        )


@dataclass(frozen=True, slots=True)
class Broken:
    """Why no new revision can be had, and the keys in force if at least those could be read."""

    mistakes: tuple[Mistake, ...]
    callers: CallerTable | None


@dataclass(frozen=True, slots=True)
class Reload:
    """What a look at the files came to: the revision in force, and why a newer one is not."""

    revision: Revision
    before: Revision | None
    mistakes: tuple[Mistake, ...] = ()


class Revisions:
    """The revision in force, and the watch over the files that it came from."""

    def __init__(self, sources: Sources, quarantine: Quarantine, report: Callable[[Reload], None]) -> None:
        """Read the first revision; raises `Mistakes` or `Mistake` when that cannot be had."""
        self._sources = sources
        self._quarantine = quarantine
        self._report = report
        self._stamp = sources.stamp()
        self.current = sources.read()
        self.mistakes: tuple[Mistake, ...] = ()
        report(Reload(self.current, None))

    def quarantine(self, route: RouteId) -> None:
        """Take a route out of use in this process at once; the others follow at their next look."""
        self._quarantine.add(route)
        self.look()
        before = self.current
        if route not in before.quarantined:
            # Files that cannot be taken now must not keep the route in use.
            self.current = before.without(route)
            self._report(Reload(self.current, before, self.mistakes))

    def look(self, *, again: bool = False) -> None:
        """Take over what has changed; what cannot be taken leaves the revision in force as it is."""
        stamp = self._sources.stamp()
        if again or stamp != self._stamp:
            self._stamp = stamp
            self._take(self._attempt())

    async def watch(self, every: float) -> None:
        """Look at the files again and again until cancelled."""
        while True:
            await asyncio.sleep(every)
            await self.follow()

    async def follow(self) -> None:
        """Take over what has changed; reading happens off the loop.

        What could not be taken is tried again each time: its reason may pass without a change to a file.
        """
        stamp = await asyncio.to_thread(self._sources.stamp)
        if stamp == self._stamp and not self.mistakes:
            return
        self._stamp = stamp
        found = await asyncio.to_thread(self._attempt)
        # A look in the meantime has taken over something newer; what was read before must not undo it.
        if self._stamp is stamp:
            self._take(found)

    def _attempt(self) -> Revision | Broken:
        try:
            return self._sources.read()
        except Mistakes as group:
            return Broken(group.found, self._callers())
        except Mistake as mistake:
            return Broken((mistake,), self._callers())

    def _callers(self) -> CallerTable | None:
        try:
            return self._sources.callers.value()
        except (Mistake, Mistakes):
            return None

    def _take(self, found: Revision | Broken) -> None:
        before = self.current
        if isinstance(found, Broken):
            # Whoever revokes a key must not have to mend another file first.
            kept = before if found.callers is None else before.without_keys(found.callers)
            told, self.mistakes = self.mistakes, found.mistakes
            if kept is not before or _words(told) != _words(found.mistakes):
                self.current = kept
                self._report(Reload(kept, before, found.mistakes))
            return
        healed, self.mistakes = bool(self.mistakes), ()
        if found.digest != before.digest or healed:
            self.current = found
            self._report(Reload(found, before))


def _words(mistakes: tuple[Mistake, ...]) -> list[str]:
    return [str(mistake) for mistake in mistakes]


def _digest(text: str) -> Digest:
    return Digest("sha256:" + hashlib.sha256(text.encode()).hexdigest())
