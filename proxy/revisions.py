"""policies, attestations, keys, catalogue, tables: load, reload, last good"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from proxy.core.callers import CallerTable
from proxy.core.catalog import Catalogue
from proxy.core.errors import Mistake, Mistakes
from proxy.core.policy import Policy
from proxy.core.values import RouteId
from proxy.facts import Facts
from proxy.revision import Revision, digest_of
from proxy.sources import Contracts, Quarantine, Source, with_contracts


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

    @property
    def waiting(self) -> bool:
        """Whether a change was seen that may not be whole yet."""
        return self.policies.waiting or self.contracts.waiting

    def hurry(self) -> None:
        """Take every change that is there for a whole one."""
        self.policies.hurry()
        self.contracts.hurry()

    def read(self) -> Revision:
        """Read everything as one; raises `Mistakes` or `Mistake` when any part cannot be taken."""
        contracts = self.contracts.value()
        policies = with_contracts(self.policies.value(), contracts, self.contracts_file)
        callers, catalogue = self.callers.value(), self.catalogue.value()
        quarantined = self.quarantine.value()
        parts = (self.policies, self.contracts, self.callers, self.catalogue, self.quarantine)
        text = "\n".join(f"{part.what} {part.digest}" for part in parts) + f"\ntables {self.facts.digest}"
        return Revision(
            digest=digest_of(text),
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
        """Take over what has changed; what cannot be taken leaves the revision in force as it is.

        `again` is for whoever says that the files are as they should be, as SIGHUP does: nothing waits.
        """
        if again:
            self._sources.hurry()
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
        if stamp == self._stamp and not (self.mistakes or self._sources.waiting):
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
