"""what every posture dimension is made of: requirement, reading, judgement

A dimension is one axis of privacy posture. It parses what a policy asks (`parse`), reads what a
catalogue row claims (`read`) and holds one against the other (`judge`). Rows come in the gateway's
API shape, in whatever version: what is absent, or cannot be understood, is unknown.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from typing_extensions import override

from proxy.core.errors import RingfenceError
from proxy.core.nearest import did_you_mean
from proxy.core.places import Area, Countries, area, consistent, within
from proxy.core.rows import Row
from proxy.core.spans import SPAN_PATTERN, parse_span
from proxy.core.values import Basis, Claim, Json, Outcome, Pointer

UNKNOWN_RANK = 1_000_000


@dataclass(frozen=True, slots=True)
class Requirement:
    """What a policy asks on one dimension; `asked` is its wording for people."""

    asked: str


@dataclass(frozen=True, slots=True)
class NoDemand(Requirement):
    """A requirement written down as `any`: it is met by whatever a route claims."""


NO_DEMAND = NoDemand("any")


@dataclass(frozen=True, slots=True)
class Judgement:
    """How one requirement came out against one claim. `until` is when it may come out otherwise."""

    outcome: Outcome
    asked: str
    claimed: str
    remedy: str = ""
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Assertable:
    """A claim that an attestation may make on this dimension.

    `value` is the claim value it stands for. With `takes` the attestation brings its own value:
    `places` (a list of countries), or `verified_at` (the day on which the attestor checked).
    """

    word: str
    meaning: str
    value: Json = None
    takes: str = ""


class Misread(RingfenceError):
    """What a policy asks cannot be understood; each entry is a pointer into the value and a message."""

    def __init__(self, *wrongs: tuple[Pointer, str]) -> None:
        super().__init__("; ".join(message for _, message in wrongs))
        self.wrongs = wrongs


class Dimension(ABC):
    """One axis of privacy posture. Instances hold no state."""

    name: ClassVar[str]
    title: ClassVar[str]
    asks: ClassVar[str]
    """One sentence for the documentation: what a requirement on this dimension is about."""
    attestable: ClassVar[tuple[Assertable, ...]] = ()
    examples: ClassVar[tuple[Json, ...]] = ()
    """Requirement values, strict to lax, that documentation shows and tests parse."""

    @abstractmethod
    def parse(self, value: Json, countries: Countries) -> Requirement:
        """Turn a policy's value into a requirement, or raise `Misread` with every mistake in it."""

    @abstractmethod
    def read(self, row: Row) -> Claim:
        """Read what a catalogue row claims; never raises, whatever the row holds."""

    @abstractmethod
    def schema(self) -> dict[str, Json]:
        """The JSON Schema of a requirement's value."""

    @abstractmethod
    def rank(self, claim: Claim) -> int:
        """Place a claim on the axis, 0 strictest; unknown is laxest (`UNKNOWN_RANK`)."""

    @abstractmethod
    def _hold(self, requirement: Requirement, claim: Claim, at: datetime) -> Judgement:
        """Judge a claim that is known and has not lapsed."""

    def judge(self, requirement: Requirement, claim: Claim, *, at: datetime) -> Judgement:
        """Hold a claim against a requirement at an instant: a lapsed claim is no claim."""
        if isinstance(requirement, NoDemand):
            return Judgement(Outcome.MET, requirement.asked, words_of(claim))
        if claim.value is None or claim.basis is Basis.UNKNOWN:
            missing = self._missing(requirement, at)
            return Judgement(Outcome.UNKNOWN, requirement.asked, words_of(claim), missing)
        if claim.valid_until is not None and claim.valid_until <= at:
            lapsed = f"{claim.words} (lapsed {claim.valid_until:%Y-%m-%d})"
            return Judgement(Outcome.UNKNOWN, requirement.asked, lapsed, self._missing(requirement, at))
        return self._hold(requirement, claim, at)

    def _missing(self, requirement: Requirement, at: datetime) -> str:
        """Say what would settle a requirement on which nothing is known: only what would also meet it."""
        helping = [each.word for each in self.attestable if self._helps(each, requirement, at)]
        words = " or ".join(helping)
        return f"have {self.title} attested ({words})" if words else self._unmet(requirement)

    def _helps(self, assertable: Assertable, requirement: Requirement, at: datetime) -> bool:
        if assertable.takes:
            return True
        claim = Claim(assertable.value, Basis.ATTESTATION, assertable.word, "attestation")
        return self._hold(requirement, claim, at).outcome is Outcome.MET

    def _unmet(self, requirement: Requirement) -> str:
        """Say what would meet a requirement that is known to be unmet."""
        return f"use a route with {self.title} {requirement.asked}"


def word_in(claim: Claim) -> str:
    """Take the one word that a claim consists of; "" for a claim of another shape."""
    return claim.value if isinstance(claim.value, str) else ""


def words_of(claim: Claim) -> str:
    """Say in words what a claim says, also when it says nothing."""
    return claim.words or "nothing is stated"


# -- parsing requirements --------------------------------------------------------------------------


def one_of(value: Json, words: Iterable[str]) -> str:
    """Take one word of a closed list, or raise `Misread` that names the nearest."""
    allowed = tuple(words)
    if isinstance(value, str) and value in allowed:
        return value
    shown = value if isinstance(value, str) else type(value).__name__
    raise Misread(((), f"{shown!r} is not one of {', '.join(allowed)}{did_you_mean(value, allowed)}"))


# -- places ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Within(Requirement):
    """Every place must lie within this area."""

    permitted: Area


class PlaceDimension(Dimension):
    """A dimension whose claims are places: `{places: [...], beside: [...]}`.

    `places` is the most precise statement, `beside` the wider words said with it. An empty list of
    places says that there is no such place (nothing is stored).
    """

    examples = ({"within": ["SE"]}, {"within": ["EU"]}, "any")

    @override
    def parse(self, value: Json, countries: Countries) -> Requirement:
        """Parse `{within: [codes and set names]}` or `any`."""
        if value == "any":
            return NO_DEMAND
        if not isinstance(value, dict) or set(value) != {"within"}:
            raise Misread(((), "write {within: [countries or sets of countries]}, or any"))
        names = _place_names(value["within"], countries)
        return Within(f"within {', '.join(names)}", area(names, countries))

    @override
    def schema(self) -> dict[str, Json]:
        """Return the schema of `within`."""
        names: dict[str, Json] = {"type": "array", "items": {"type": "string"}, "minItems": 1}
        within_: dict[str, Json] = {
            "type": "object",
            "properties": {"within": names},
            "required": ["within"],
            "additionalProperties": False,
        }
        return {"oneOf": [within_, {"const": "any"}]}

    @override
    def rank(self, claim: Claim) -> int:
        """Rank one country before a set, and a set before the whole world."""
        places = claim_places(claim, "places")
        if places is None:
            return UNKNOWN_RANK
        if any(place.casefold() == "global" for place in places):
            return UNKNOWN_RANK - 1
        return len(places) + 100 * sum(len(place) == 3 for place in places)

    @override
    def _hold(self, requirement: Requirement, claim: Claim, at: datetime) -> Judgement:
        assert isinstance(requirement, Within)
        outcome = self._place(requirement.permitted, claim)
        if outcome is Outcome.MET:
            return Judgement(outcome, requirement.asked, words_of(claim), until=claim.valid_until)
        remedy = self._missing(requirement, at)
        if outcome is Outcome.UNMET:
            remedy = self._unmet(requirement)
        return Judgement(outcome, requirement.asked, words_of(claim), remedy)

    def _place(self, permitted: Area, claim: Claim) -> Outcome:
        places = claim_places(claim, "places")
        if places is None:
            return Outcome.UNKNOWN
        if not places:
            return Outcome.MET
        first = within(places, permitted)
        return (
            first if first is not Outcome.MET else consistent(claim_places(claim, "beside") or (), permitted)
        )


def claim_places(claim: Claim, key: str) -> tuple[str, ...] | None:
    """Take a list of place names out of a claim; None when it holds none."""
    value = claim.value.get(key) if isinstance(claim.value, dict) else None
    return tuple(str(place) for place in value) if isinstance(value, list) else None


def _place_names(value: Json, countries: Countries) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise Misread((("within",), "write a list of country codes or sets, for example [SE] or [EU]"))
    valid = (*countries.sets, *countries.codes)
    wrongs = [
        (("within", i), f"{name!r} is no country code or set{did_you_mean(name, valid)}{_reading(name)}")
        for i, name in enumerate(value)
        if not isinstance(name, str) or name not in valid
    ]
    if wrongs:
        raise Misread(*wrongs)
    return tuple(sorted({str(name) for name in value}))


def _reading(name: object) -> str:
    return '; quote "NO" when Norway is meant' if name is False else ""


# -- keeping ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Keep(Requirement):
    """What may be kept: the sorts that pass whatever their period, and a longest period for others."""

    sorts: frozenset[str]
    seconds: int = 0
    until_deleted: bool = False


class KeepingDimension(Dimension):
    """A dimension whose claims say what is kept and how long (see `proxy.core.keeping`).

    `words` maps each word that a policy may write to the sorts of keeping that it lets pass.
    """

    words: ClassVar[Mapping[str, frozenset[str]]]
    bought_by: ClassVar[str] = ""
    """The attestation that turns "available by contract" into "none"."""

    @override
    def parse(self, value: Json, countries: Countries) -> Requirement:
        """Parse one of the words, `{at_most: 24h}`, or `any`."""
        if isinstance(value, dict):
            return self._at_most(value)
        word = one_of(value, (*self.words, "any"))
        if word == "any":
            return NO_DEMAND
        return Keep(word, self.words[word], until_deleted=word == "until_deleted")

    def _at_most(self, value: dict[str, Json]) -> Requirement:
        if set(value) != {"at_most"}:
            raise Misread(((), "write {at_most: a duration such as 24h}"))
        text = value["at_most"]
        span = parse_span(text) if isinstance(text, str) else None
        if span is None:
            raise Misread(
                (("at_most",), f"{text!r} is no duration; write a number and s, m, h, d or w, as in 24h")
            )
        return Keep(f"at most {text}", frozenset(["none"]), int(span.total_seconds()))

    @override
    def schema(self) -> dict[str, Json]:
        """Return the schema of the words and of `at_most`."""
        span: dict[str, Json] = {"type": "string", "pattern": SPAN_PATTERN}
        at_most: dict[str, Json] = {
            "type": "object",
            "properties": {"at_most": span},
            "required": ["at_most"],
            "additionalProperties": False,
        }
        return {"oneOf": [{"enum": [*self.words, "any"]}, at_most]}

    @override
    def rank(self, claim: Claim) -> int:
        """Rank by sort, then by period in hours; an unstated period ranks last of its sort."""
        value = claim.value if isinstance(claim.value, dict) else {}
        order = {"none": 0, "volatile": 1, "flagged": 2, "content": 3}
        sort = order.get(str(value.get("kept")))
        if sort is None:
            return UNKNOWN_RANK
        seconds = value.get("seconds")
        hours = min(seconds // 3600, 99_999) if isinstance(seconds, int) else 99_999
        return sort * 100_000 + (hours if sort else 0)

    @override
    def _hold(self, requirement: Requirement, claim: Claim, at: datetime) -> Judgement:
        assert isinstance(requirement, Keep)
        value = claim.value if isinstance(claim.value, dict) else {}
        if self._passes(requirement, value):
            return Judgement(Outcome.MET, requirement.asked, words_of(claim), until=claim.valid_until)
        remedy = self._unmet(requirement)
        if value.get("contract") and self.bought_by:
            remedy = f"attest {self.bought_by} for this route, which needs the gateway's Enterprise contract"
        return Judgement(Outcome.UNMET, requirement.asked, words_of(claim), remedy)

    def _passes(self, requirement: Keep, value: Mapping[str, Json]) -> bool:
        if value.get("kept") in requirement.sorts:
            return True
        if value.get("until_deleted"):
            return requirement.until_deleted
        seconds = value.get("seconds")
        if not isinstance(seconds, int) or isinstance(seconds, bool) or seconds <= 0:
            return False
        return requirement.until_deleted or seconds <= requirement.seconds
