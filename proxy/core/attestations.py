"""what only a contract can say: owner, scope, evidence, expiry

An attestation lays claims over those of the catalogue: a signed contract beats a page. One that has
lapsed, or whose day has not come, is no claim at all, and the catalogue's claim shows again
(`attested.py`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from proxy.core.dimensions import DIMENSIONS, GATEWAY_DIMENSIONS
from proxy.core.dimensions.base import Assertable
from proxy.core.forms import Form
from proxy.core.globs import IN_ROUTE, excludes, matches
from proxy.core.nearest import did_you_mean
from proxy.core.places import Countries
from proxy.core.strict_yaml import Document
from proxy.core.values import Json, Route

GATEWAY = "opper"
FIELDS = (
    "id", "claims", "subject", "evidence", "attested_by", "verified_at", "valid_until", "note",
)  # fmt: skip
_SHA256 = re.compile(r"[0-9a-f]{64}")


def _vocabulary() -> Mapping[str, tuple[tuple[str, Assertable], ...]]:
    found: dict[str, list[tuple[str, Assertable]]] = {}
    for dimension in DIMENSIONS:
        for assertable in dimension.attestable:
            found.setdefault(assertable.word, []).append((dimension.name, assertable))
    for dimension in GATEWAY_DIMENSIONS:
        for assertable in dimension.attestable:
            found.setdefault(assertable.word, []).append((f"gateway.{dimension.name}", assertable))
    return MappingProxyType({word: tuple(pairs) for word, pairs in found.items()})


CLAIMS = _vocabulary()
"""The closed vocabulary: what each word says, on which dimensions."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What an attestation is about: the gateway, one route, or a provider's routes.

    `models` and `except_models` are patterns over the route id's part after the provider.
    """

    gateway: bool = False
    route: str = ""
    provider: str = ""
    models: tuple[str, ...] = ()
    except_models: tuple[str, ...] = ()

    def covers(self, route: Route) -> bool:
        """Tell whether it is about a route. The gateway's attestations are about none."""
        if self.gateway:
            return False
        if self.route:
            return route.id == self.route
        tail = route.id.partition("/")[2]
        if route.provider != self.provider and route.id.partition("/")[0] != self.provider:
            return False
        if any(excludes(pattern, tail) for pattern in self.except_models):
            return False
        return not self.models or any(matches(pattern, tail) for pattern in self.models)


@dataclass(frozen=True, slots=True)
class Attestation:
    """Claims that somebody answers for, with evidence and an end. `asserted` is by dimension name."""

    id: str
    subject: Subject
    asserted: Mapping[str, tuple[str, Json]]
    clauses: tuple[str, ...]
    evidence: str
    evidence_sha256: str
    attested_by: str
    verified_at: datetime
    valid_until: datetime

    def holds(self, at: datetime) -> bool:
        """Tell whether it is in force at an instant."""
        return self.verified_at <= at < self.valid_until


def read_attestations(doc: Document, countries: Countries) -> tuple[Attestation, ...]:
    """Read a file of attestations, or raise `Mistakes` with everything wrong in it.

    The file may hold `waivers` too, which this leaves alone.
    """
    form = Form(doc, (), ("attestations", "waivers"))
    found = attestations_within(form, countries)
    form.done()
    return found


def attestations_within(form: Form, countries: Countries) -> tuple[Attestation, ...]:
    """Read the `attestations` list of a form, ordered by id; mistakes are noted on the form."""

    def one(i: int) -> Attestation | None:
        return _attestation(form.within("attestations", i, fields=FIELDS), countries)

    found = form.each("attestations", one)
    seen: set[str] = set()
    for i, attestation in enumerate(found):
        if attestation.id in seen:
            form.wrong(("attestations", i), f"the id {attestation.id!r} stands twice")
        seen.add(attestation.id)
    return tuple(sorted(found, key=lambda attestation: attestation.id))


def _attestation(form: Form, countries: Countries) -> Attestation | None:
    before = len(form.mistakes)
    identity = form.name("id", "records name the attestations they relied on")
    subject = _subject(form)
    verified_at = form.instant("verified_at", "write the day on which the evidence was checked")
    valid_until = form.instant("valid_until", "an attestation ends; write its last day", end_of_day=True)
    if verified_at and valid_until and valid_until <= verified_at:
        form.wrong(("valid_until",), "it ends before it was verified")
    asserted, clauses = _claims(form, subject, verified_at, countries)
    evidence, digest = _evidence(form)
    attested_by = form.text("attested_by", why="write the role or person who answers for it")
    form.text("note", limit=2000)
    if len(form.mistakes) > before or verified_at is None or valid_until is None:
        return None
    return Attestation(
        identity, subject, MappingProxyType(asserted), clauses, evidence, digest,
        attested_by, verified_at, valid_until,
    )  # fmt: skip


def _subject(form: Form) -> Subject:
    if not form.need("subject", f"write {{gateway: {GATEWAY}}}, {{route: an id}} or {{provider: a slug}}"):
        return Subject()
    inner = form.within("subject", fields=("gateway", "route", "provider", "models", "except_models"))
    named = [name for name in ("gateway", "route", "provider") if name in inner.data]
    if len(named) != 1:
        inner.wrong((), "name exactly one of gateway, route and provider")
    if "provider" not in named and ("models" in inner.data or "except_models" in inner.data):
        inner.wrong((), "models and except_models narrow a provider, nothing else")
    if "gateway" in named:
        inner.choice("gateway", (GATEWAY,), GATEWAY)
    route = inner.text("route")
    if route and ("*" in route or "/" not in route):
        inner.wrong(
            ("route",), f"{route!r} is no route id; write provider/model exactly as the catalogue does"
        )
    provider = inner.text("provider")
    return Subject(
        gateway="gateway" in named,
        route=route,
        provider=provider,
        models=_tails(inner, "models", provider),
        except_models=_tails(inner, "except_models", provider),
    )


def _tails(form: Form, name: str, provider: str) -> tuple[str, ...]:
    """Take patterns for what follows the provider; an exception that fits nothing would except nothing."""
    found = form.patterns(name, IN_ROUTE, "fits no route; write it as the catalogue does")
    for i, pattern in enumerate(found):
        if provider and pattern.startswith(f"{provider}/"):
            form.wrong((name, i), f"write {pattern!r} without its provider, which is {provider!r} already")
    return found


def _claims(
    form: Form, subject: Subject, verified_at: datetime | None, countries: Countries
) -> tuple[dict[str, tuple[str, Json]], tuple[str, ...]]:
    if not form.data.get("claims"):
        form.wrong((), "claims is missing: list {claim: ..., clause: ...}, each with the words it rests on")
    asserted: dict[str, tuple[str, Json]] = {}
    clauses: list[str] = []
    day = verified_at.isoformat() if verified_at else None

    def one(i: int) -> None:
        inner = form.within("claims", i, fields=("claim", "clause", "places"))
        word = inner.text("claim", why=f"write one of {', '.join(CLAIMS)}")
        clauses.append(inner.text("clause", why="quote or name the clause that it rests on", limit=2000))
        if word and word not in CLAIMS:
            inner.wrong(("claim",), f"unknown claim {word!r}{did_you_mean(word, CLAIMS)}")
            return
        for dimension, assertable in CLAIMS.get(word, ()):
            if dimension.startswith("gateway.") is not subject.gateway:
                whose = "the gateway" if not subject.gateway else "a route or provider"
                inner.wrong(("claim",), f"{word} is a claim about {whose}, which is not the subject here")
            elif dimension in asserted:
                inner.wrong(
                    ("claim",), f"{word} says again what {asserted[dimension][0]} says on {dimension}"
                )
            else:
                asserted[dimension] = (word, _value(inner, assertable, day, countries))
        if "places" in inner.data and not any(a.takes == "places" for _, a in CLAIMS.get(word, ())):
            inner.wrong(("places",), f"{word} takes no places", at_key=True)

    form.each("claims", one)
    return asserted, tuple(clauses)


def _value(form: Form, assertable: Assertable, day: str | None, countries: Countries) -> Json:
    if assertable.takes == "verified_at":
        return day
    if assertable.takes != "places":
        return assertable.value
    if not form.need("places", "list the countries, for example [SE]"):
        return None
    places = form.texts("places", valid=(*countries.sets, *sorted(countries.codes)))
    if not places:
        form.wrong(("places",), "list the countries, for example [SE]")
    return {"places": list(places), "beside": []}


def _evidence(form: Form) -> tuple[str, str]:
    if not form.need("evidence", "write {ref: where it is kept, sha256: of the document}"):
        return "", ""
    inner = form.within("evidence", fields=("ref", "sha256"))
    ref = inner.text("ref", why="write where the evidence is kept")
    digest = inner.text("sha256", why="write the SHA-256 of the document, 64 hex digits")
    if digest and not _SHA256.fullmatch(digest):
        inner.wrong(("sha256",), "sha256 must be 64 lower-case hex digits")
    return ref, digest
