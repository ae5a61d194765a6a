"""the audit records, versioned, and their one byte form

A record holds names from our tables, ids that match a catalogue row, numbers and keyed commitments; whatever
else the other side could choose stands there as length and MAC. Built records fit `record_schema` by
construction. Life-cycle records are functions of `record_life`, named here as well.
"""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import dataclass, field
from datetime import datetime
from itertools import product
from typing import NamedTuple

from proxy.core.pseudonyms import Pseudonyms
from proxy.core.record_form import FIRST_PREV, Draft, Stamp, moment, seal, stamped
from proxy.core.record_life import (
    Previous,
    catalog_load,
    clock_step,
    closed,
    crashed,
    erasure,
    export,
    gap,
    heartbeat,
    key_rotate,
    not_sent,
    opened,
    policy_load,
    prune,
    reject,
    rejects,
)
from proxy.core.record_rows import Names, call_fields, caller_fields, decision_fields, route_fields
from proxy.core.record_schema import VERSION
from proxy.core.values import Call, Caller, Decision, Digest, RouteId, Usage
from proxy.core.weight import LIGHT, weigh

__all__ = [
    "FIRST_PREV", "Draft", "Ended", "Grounds", "Judged", "Previous", "Pseudonyms", "Recorder", "Seen", "Sent",
    "Stamp", "catalog_load", "clock_step", "closed", "crashed", "erasure", "export", "gap", "heartbeat",
    "key_rotate", "moment", "not_sent", "opened", "policy_load", "prune", "reject", "rejects", "seal",
]  # fmt: skip

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"})
_TRACE = re.compile(r"(?!0{32})[0-9a-f]{32}", re.ASCII)
_SPAN = re.compile(r"(?!0{16})[0-9a-f]{16}", re.ASCII)
_UPSTREAM_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}", re.ASCII)
_MOST_KEPT = 512
_MOST_TOLD = 256
_EVERY_TIME: Draft = dict.fromkeys(
    ("kind", "eid", "t", "mono", "boot", "catalog", "rid", "route", "in_len", "attempt", "method", "masked")
)
_NO_USAGE = Usage()
_MOST = 1 << 53
_SEALED = "h:"
_DAY = 86_400
# By whether actor, model_req and peer are masked.
_MASKED = {
    which: [name for name, masked in zip(("actor", "model_req", "peer"), which, strict=True) if masked]
    for which in product((False, True), repeat=3)
}


@dataclass(frozen=True, slots=True)
class Grounds:
    """The revision that a decision rests on; one per revision, shared by its records.

    `known` answers which strings are names of the catalogue (ids, pools, aliases, providers).
    """

    revision: Digest
    tables: Digest
    catalog: Digest
    catalog_fetched: datetime
    known: Container[str] = ()


class Judged(NamedTuple):
    """A request and what was decided; None for what could not be established."""

    grounds: Grounds
    caller: Caller | None = None
    call: Call | None = None
    decision: Decision | None = None


class Seen(NamedTuple):
    """A request as it came, in sizes, commitments and pseudonyms (of `Pseudonyms`).

    `route` is the matched template of our tables, "" when none matched. `trace` and `span` are dropped
    unless they are valid W3C ids. "" leaves any text out.
    """

    rid: str
    method: str
    in_len: int
    in_mac: str = ""
    route: str = ""
    peer: str = ""
    actor: str = ""
    trace: str = ""
    span: str = ""
    translation: str = ""
    attempt: int = 1


class Sent(NamedTuple):
    """What is about to leave: length and commitment of those very bytes ("" when none), model, authority.

    `also` are the approved routes that may serve besides the decision's own.
    """

    out_len: int
    out_mac: str
    model: str
    host: str
    also: tuple[RouteId, ...] = ()


class Ended(NamedTuple):
    """How a forwarded request ended; `end` is one of `record_schema.ENDS`. None and "" are left out.

    `verdict` is confirmed, unconfirmed or mismatch. Durations count microseconds.
    """

    rid: str
    end: str
    attempt: int = 1
    project: str = ""
    status: int | None = None
    up_status: int | None = None
    served_model: str = ""
    served_provider: str = ""
    verdict: str = ""
    usage: Usage = _NO_USAGE
    ttfb_us: int | None = None
    dur_us: int | None = None
    sent_bytes: int | None = None


@dataclass(slots=True)
class Recorder:
    """Builds the drafts that speak of requests; `engine` is the program's version and build.

    It remembers what a record says of a decision, a caller and a call, for the decision cache hands out the
    same ones again and again: a record of these is a copy and the few members that are its own. What it
    remembers rests on one revision and is forgotten with it.
    """

    pseudonyms: Pseudonyms
    engine: str
    _kept: dict[int, tuple[Judged, Draft]] = field(default_factory=dict, init=False, repr=False)
    _grounds: Grounds | None = field(default=None, init=False, repr=False)

    def intent(self, judged: Judged, seen: Seen, *, sent: Sent, stamp: Stamp) -> Draft:
        """An allowed request about to be forwarded; to be durable before the first upstream byte."""
        decision = judged.decision
        if judged.caller is None or judged.call is None or decision is None or not decision.allowed:
            raise ValueError("only an allowed call of a known caller is an intent")
        draft = self._request("intent", judged, seen, stamp)
        draft["effect"] = "allow"
        draft["out_len"], out_mac, draft["model_fwd"], draft["host"], also = sent
        if out_mac:
            draft["out_mac"] = out_mac
        if also:
            draft |= route_fields(also)
        return draft

    def refusal(self, judged: Judged, seen: Seen, *, reason: str, stamp: Stamp) -> Draft:
        """A request that is not forwarded, be it denied or unreadable; to be durable before the answer."""
        draft = self._request("refusal", judged, seen, stamp)
        draft.pop("route_row", None)
        draft.pop("changes", None)
        draft["effect"], draft["reason"] = "deny", reason
        return draft

    def outcome(self, ended: Ended, *, known: Container[str], stamp: Stamp) -> Draft:
        """The end of an intent, exactly one per rid and attempt; `known` as in `Grounds`."""
        rid, end, attempt, project, _, _, model, provider, verdict, usage, _, _, _ = ended
        draft = stamped("outcome", stamp)
        draft["rid"], draft["attempt"], draft["end"] = rid, attempt, end
        _say_served(draft, ended)
        if project:
            draft["project"] = project
        if verdict:
            draft["served"] = verdict
        given = usage.upstream_id
        if model:
            draft["model_srv"] = model if model in known else self._told(model, known)
        if provider:
            draft["prov_srv"] = provider if provider in known else self._told(provider, known)
        if given:
            draft["up_id"] = given if _UPSTREAM_ID.fullmatch(given) else self.pseudonyms.sealed(given)
        return draft

    def _told(self, text: str, known: Container[str]) -> object:
        """What the gateway said, in words when it is nothing but names of ours with commas between."""
        ours = len(text) <= _MOST_TOLD and all(name in known for name in text.split(", "))
        return text if ours else self.pseudonyms.sealed(text)

    def _request(self, kind: str, judged: Judged, seen: Seen, stamp: Stamp) -> Draft:
        grounds = judged.grounds
        draft = self._constant(judged).copy()
        draft["kind"] = kind
        draft["eid"], at, draft["mono"], draft["boot"] = stamp
        draft["t"] = moment(at)
        since = at - grounds.catalog_fetched
        draft["catalog"] = {"digest": grounds.catalog, "age_s": max(0, since.days * _DAY + since.seconds)}
        _say_seen(draft, seen)
        return draft

    def _constant(self, judged: Judged) -> Draft:
        """What all records of the same judgement say alike."""
        kept = self._kept.get(id(judged.decision))
        if kept is not None and kept[0] == judged:
            return kept[1]
        draft = self._judged(judged)
        # The decision cache does not hand a heavy one out again, so there is nothing to be gained.
        if judged.decision is not None and weigh(judged.call, judged.decision) <= LIGHT:
            if judged.grounds is not self._grounds or len(self._kept) >= _MOST_KEPT:
                self._kept.clear()
                self._grounds = judged.grounds
            # Holding the decision keeps its id from being given to another one.
            self._kept[id(judged.decision)] = (judged, draft)
        return draft

    def _judged(self, judged: Judged) -> Draft:
        grounds = judged.grounds
        names = Names(grounds.known, self.pseudonyms)
        # A copy in which every member has its place already does not have to grow.
        draft: Draft = {**_EVERY_TIME, "v": VERSION, "engine": self.engine}
        draft["revision"], draft["tables"] = grounds.revision, grounds.tables
        if judged.decision is not None:
            draft |= decision_fields(judged.decision, judged.call, names)
        draft |= caller_fields(judged.caller)
        if judged.call is not None:
            draft |= call_fields(judged.call, names)
        return draft


def _say_seen(draft: Draft, seen: Seen) -> None:
    # Taking a named tuple apart at once costs a third of asking it for one member after the other.
    rid, method, in_len, in_mac, route, peer, actor, trace, span, translation, attempt = seen
    draft["rid"], draft["route"], draft["in_len"], draft["attempt"] = rid, route, in_len, attempt
    draft["method"] = method if method in _METHODS else "other"
    if in_mac:
        draft["in_mac"] = in_mac
    if peer:
        draft["peer"] = peer
    if actor:
        draft["actor"] = actor
    if translation:
        draft["translation"] = translation
    if trace and _TRACE.fullmatch(trace):
        draft["trace"] = trace
        if _SPAN.fullmatch(span):
            draft["span"] = span
    draft["masked"] = _MASKED[actor[:2] == _SEALED, _is_masked(draft.get("model_req")), peer[:2] == _SEALED]


def _say_served(draft: Draft, ended: Ended) -> None:
    """Its numbers. A reply may claim any; one that no record can hold must not cost the outcome."""
    _, _, _, _, status, up_status, _, _, _, usage, ttfb, dur, size = ended
    if status is not None and 0 <= status < _MOST:
        draft["status"] = status
    if up_status is not None and 0 <= up_status < _MOST:
        draft["up_status"] = up_status
    if (read := usage.tokens_in) is not None and 0 <= read < _MOST:
        draft["tok_in"] = read
    if (written := usage.tokens_out) is not None and 0 <= written < _MOST:
        draft["tok_out"] = written
    if (cost := usage.cost_microusd) is not None and 0 <= cost < _MOST:
        draft["cost_microusd"] = cost
    if ttfb is not None and 0 <= ttfb < _MOST:
        draft["ttfb_us"] = ttfb
    if dur is not None and 0 <= dur < _MOST:
        draft["dur_us"] = dur
    if size is not None and 0 <= size < _MOST:
        draft["bytes"] = size


def _is_masked(value: object) -> bool:
    return value[:2] == _SEALED if isinstance(value, str) else isinstance(value, dict)
