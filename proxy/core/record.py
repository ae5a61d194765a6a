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
from proxy.core.record_rows import MODELS_MOST, Names, caller_fields, decision_fields, feature_fields
from proxy.core.record_schema import VERSION
from proxy.core.values import Call, Caller, Decision, Digest, Usage

__all__ = [
    "FIRST_PREV", "Draft", "Ended", "Grounds", "Judged", "Previous", "Pseudonyms", "Recorder", "Seen", "Sent",
    "Stamp", "catalog_load", "clock_step", "closed", "crashed", "erasure", "export", "gap", "heartbeat",
    "key_rotate", "moment", "not_sent", "opened", "policy_load", "prune", "reject", "rejects", "seal",
]  # fmt: skip

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"})
_TRACE = re.compile(r"(?!0{32})[0-9a-f]{32}", re.ASCII)
_SPAN = re.compile(r"(?!0{16})[0-9a-f]{16}", re.ASCII)
_UPSTREAM_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}", re.ASCII)
_MOST_VERDICTS = 1024
_MASKABLE = ("actor", "model_req", "peer")
_TOO_LARGE = 1 << 53
_NO_USAGE = Usage()


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
    """What is about to leave: length and commitment of those very bytes ("" when none), model, authority."""

    out_len: int
    out_mac: str
    model: str
    host: str


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

    It remembers what the records of recent decisions have in common, the large parts already encoded.
    """

    pseudonyms: Pseudonyms
    engine: str
    _grounded: dict[int, _Grounded] = field(default_factory=dict, init=False, repr=False)

    def intent(self, judged: Judged, seen: Seen, *, sent: Sent, stamp: Stamp) -> Draft:
        """An allowed request about to be forwarded; to be durable before the first upstream byte."""
        decision = judged.decision
        if judged.caller is None or judged.call is None or decision is None or not decision.allowed:
            raise ValueError("only an allowed call of a known caller is an intent")
        draft = self._request("intent", judged, seen, stamp)
        draft["effect"] = "allow"
        draft["model_fwd"], draft["host"] = sent.model, sent.host
        draft["out_len"] = sent.out_len
        if sent.out_mac:
            draft["out_mac"] = sent.out_mac
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
        draft = stamped("outcome", stamp)
        draft["rid"], draft["attempt"], draft["end"] = ended.rid, ended.attempt, ended.end
        _number(draft, ended)
        if ended.project:
            draft["project"] = ended.project
        if ended.verdict:
            draft["served"] = ended.verdict
        for name, said in (("model_srv", ended.served_model), ("prov_srv", ended.served_provider)):
            if said:
                draft[name] = said if said in known else self.pseudonyms.sealed(said)
        given = ended.usage.upstream_id
        if given:
            draft["up_id"] = given if _UPSTREAM_ID.fullmatch(given) else self.pseudonyms.sealed(given)
        return draft

    def _request(self, kind: str, judged: Judged, seen: Seen, stamp: Stamp) -> Draft:
        draft = self._constant(judged).copy()
        draft["kind"] = kind
        draft["eid"], draft["t"], draft["mono"] = stamp.eid, moment(stamp.at), stamp.mono_ns
        draft["boot"] = stamp.boot
        _see(draft, seen)
        age = max(0, int((stamp.at - judged.grounds.catalog_fetched).total_seconds()))
        draft["catalog"] = {"digest": judged.grounds.catalog, "age_s": age}
        draft["masked"] = [name for name in _MASKABLE if name in draft and _is_masked(draft[name])]
        return draft

    def _constant(self, judged: Judged) -> Draft:
        """What all records of one decision share; the decision cache hands decisions out again and again."""
        decision = judged.decision
        if decision is None:
            return self._of(judged)
        found = self._grounded.get(id(decision))
        if found is not None and found.is_of(judged):
            return found.draft
        if len(self._grounded) >= _MOST_VERDICTS:
            self._grounded.clear()
        # Holding the decision keeps its id from being given to another one.
        made = self._grounded[id(decision)] = _Grounded(judged, self._of(judged))
        return made.draft

    def _of(self, judged: Judged) -> Draft:
        draft: Draft = {"v": VERSION, "engine": self.engine}
        draft["revision"], draft["tables"] = judged.grounds.revision, judged.grounds.tables
        names = Names(judged.grounds.known, self.pseudonyms)
        if judged.decision is not None:
            draft.update(decision_fields(judged.decision, judged.call, names))
        draft.update(caller_fields(judged.caller))
        if judged.call is not None:
            draft.update(_called(judged.call, names))
        return draft


@dataclass(frozen=True, slots=True)
class _Grounded:
    """What a decision's records share, and what that was made from."""

    judged: Judged
    draft: Draft

    def is_of(self, judged: Judged) -> bool:
        """Whether it was made from the very same; a call is read anew each time, so an equal one counts."""
        mine, call = self.judged, judged.call
        same = mine.decision is judged.decision and mine.caller is judged.caller
        return same and mine.grounds is judged.grounds and (mine.call is call or mine.call == call)


def _called(call: Call, names: Names) -> Draft:
    draft: Draft = {"op": call.operation, "dialect": call.dialect, "stream": call.stream}
    draft["agent"] = call.agent
    if call.models:
        draft["model_req"] = names.chosen(call.models[0])
    if len(call.models) > 1:
        draft["models_also"] = [names.chosen(model) for model in call.models[1 : MODELS_MOST + 1]]
    if len(call.models) > MODELS_MOST + 1:
        draft["models_left"] = len(call.models) - MODELS_MOST - 1
    if call.effects:
        draft.update(feature_fields(call.effects))
    return draft


def _see(draft: Draft, seen: Seen) -> None:
    draft["rid"], draft["route"], draft["in_len"] = seen.rid, seen.route, seen.in_len
    draft["attempt"] = seen.attempt
    draft["method"] = seen.method if seen.method in _METHODS else "other"
    if seen.in_mac:
        draft["in_mac"] = seen.in_mac
    if seen.peer:
        draft["peer"] = seen.peer
    if seen.actor:
        draft["actor"] = seen.actor
    if seen.translation:
        draft["translation"] = seen.translation
    if seen.trace and _TRACE.fullmatch(seen.trace):
        draft["trace"] = seen.trace
        if _SPAN.fullmatch(seen.span):
            draft["span"] = seen.span


def _number(draft: Draft, ended: Ended) -> None:
    usage = ended.usage
    for name, n in (
        ("status", ended.status),
        ("up_status", ended.up_status),
        ("tok_in", usage.tokens_in),
        ("tok_out", usage.tokens_out),
        ("cost_microusd", usage.cost_microusd),
        ("ttfb_us", ended.ttfb_us),
        ("dur_us", ended.dur_us),
        ("bytes", ended.sent_bytes),
    ):
        # A reply may claim any number; what no record can hold is left out rather than lost with the outcome.
        if n is not None and 0 <= n < _TOO_LARGE:
            draft[name] = n


def _is_masked(value: object) -> bool:
    return isinstance(value, dict) or (isinstance(value, str) and value.startswith("h:"))
