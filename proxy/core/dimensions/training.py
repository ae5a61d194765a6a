"""whether content is used to train or improve models"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from typing_extensions import override

from proxy.core.dimensions.base import (
    NO_DEMAND,
    UNKNOWN_RANK,
    Assertable,
    Dimension,
    Judgement,
    Requirement,
    one_of,
    word_in,
    words_of,
)
from proxy.core.places import Countries
from proxy.core.rows import Row, Said, catalogued, plain, said, spoken, unstated
from proxy.core.values import Claim, Json, Outcome

_ORDER = ("never", "opt_in", "conditional", "allowed")
_NEVER = frozenset(
    [
        "no",
        "never",
        "none",
        "false",
        "off",
        "forbidden",
        "no training",
        "not used for training",
        "no training on customer data",
        "no training on customer content",
        "not trained on customer data",
        "never trains on customer data",
    ]
)
_OPT_IN = frozenset(["opt_in", "opt-in", "opt in", "opt_in_only", "opt-in only"])
_ALLOWED = frozenset(
    ["yes", "true", "on", "allowed", "opt_out", "opt-out", "opt out", "trains on customer data"]
)
_BY_DEFAULT = re.compile(
    r"(no training|not (used for training|trained))( (on|with) [a-z]+( (and|or) [a-z]+)?( (data|content))?)?"
    r",? by default"
)
_BLOCK = "route.data_handling.training"
_PATHS = (
    "compliance.training", "compliance.zdr.training", "route.zdr.training",
    "route.data_handling.training", "route.data_handling.training.default",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Accepts(Requirement):
    """The readings that pass."""

    readings: frozenset[str]


class Training(Dimension):
    """Whether a provider trains on content.

    "No training on customer data" meets `forbidden`. "By default" alone means that somebody may opt
    in, so it meets `opt_in_only` and no more. "Conditional" meets neither.
    """

    name = "training"
    title = "training on content"
    asks = "Whether the provider may train on content."
    examples = ("forbidden", "opt_in_only", "allowed")
    attestable = (Assertable("no_training", "the contract rules out training on our content", "never"),)

    @override
    def parse(self, value: Json, countries: Countries) -> Requirement:
        """Parse `forbidden`, `opt_in_only`, or `allowed` (the same as `any`)."""
        word = one_of(value, ("forbidden", "opt_in_only", "allowed", "any"))
        if word in ("allowed", "any"):
            return NO_DEMAND
        readings = ("never",) if word == "forbidden" else ("never", "opt_in")
        return Accepts(word, frozenset(readings))

    @override
    def schema(self) -> dict[str, Json]:
        """Return the schema of the four words."""
        return {"enum": ["forbidden", "opt_in_only", "allowed", "any"]}

    @override
    def rank(self, claim: Claim) -> int:
        """Rank never, opt-in, conditional, allowed."""
        return _ORDER.index(word_in(claim)) if word_in(claim) in _ORDER else UNKNOWN_RANK

    @override
    def read(self, row: Row) -> Claim:
        """Read every statement: a lax one outweighs all, "by default" outweighs a bare fact."""
        found = tuple(item for item in said(row, *_PATHS) if not _only_a_default(*item))
        if not found:
            return unstated()
        readings = {_reading(path, value) for path, value in found}
        value = _combine(readings, found)
        return catalogued(value, spoken(found), found) if value else unstated(spoken(found))

    @override
    def _hold(self, requirement: Requirement, claim: Claim, at: datetime) -> Judgement:
        assert isinstance(requirement, Accepts)
        if word_in(claim) in requirement.readings:
            return Judgement(Outcome.MET, requirement.asked, words_of(claim), until=claim.valid_until)
        remedy = "use a route whose provider does not train on customer data"
        if claim.value == "opt_in":
            remedy = f"attest no_training with the clause that rules it out, or {remedy}"
        return Judgement(Outcome.UNMET, requirement.asked, words_of(claim), remedy)


def _only_a_default(path: str, value: Json) -> bool:
    """Tell whether a statement is a block with nothing in it but the default, which has a path of its own."""
    beside = {**value} if isinstance(value, dict) else None
    if beside is None:
        return False
    if path == _BLOCK:
        beside.pop("default", None)
    return all(each in (None, "", [], {}) for each in beside.values())


def _combine(readings: set[str | None], found: Said) -> str | None:
    for lax in ("allowed", "conditional"):
        if lax in readings:
            return lax
    if None in readings:
        return None
    if "opt_in" not in readings:
        return "never"
    # Only a promise in words outweighs "by default"; a bare fact may itself be about the default.
    promised = any(isinstance(value, str) and _reading(path, value) == "never" for path, value in found)
    return "never" if promised else "opt_in"


def _reading(path: str, value: Json) -> str | None:
    if path.endswith(".default"):
        text = plain(value) if isinstance(value, str) else value
        return "opt_in" if text is False or text in _NEVER or text in _OPT_IN else _word(value)
    return _word(value)


def _word(value: Json) -> str | None:
    if isinstance(value, bool):
        return "allowed" if value else "never"
    if not isinstance(value, str):
        return None
    text = plain(value)
    if text in _NEVER:
        return "never"
    if text in _OPT_IN or _BY_DEFAULT.fullmatch(text):
        return "opt_in"
    if text in _ALLOWED:
        return "allowed"
    return "conditional" if text.startswith(("conditional", "depends")) else None
