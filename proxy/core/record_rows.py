"""what a record says of a decision: the rules, the route as it was evaluated, the changes

Lists are cut to a budget of bytes so that no record grows past its limit; what was left out is counted in
the record, the findings that decided come first.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass

import orjson

from proxy.core.pseudonyms import Pseudonyms
from proxy.core.record_form import CANONICAL, Draft, clip, moment
from proxy.core.values import (
    Call,
    Caller,
    Decision,
    Edit,
    Effect,
    Finding,
    Outcome,
    PolicyRef,
    Route,
    RouteId,
    Signal,
)

RULES_BYTES = 6500
FEATURES_BYTES = 2500
ROUTES_BYTES = 1200
POLICIES_MOST = 16
MODELS_MOST = 8
CHANGES_MOST = 24
_DECIDING = {Outcome.UNMET: 0, Outcome.UNKNOWN: 1, Outcome.WAIVED: 2, Outcome.MET: 3}
# What a policy says of a member that we do not know can only quote the sender.
_QUOTES_SENDER = f"features.{Signal.UNKNOWN_MEMBER.value}"


@dataclass(frozen=True, slots=True)
class Names:
    """Which strings are ours to write in words, and how to write the others."""

    known: Container[str]
    pseudonyms: Pseudonyms

    def chosen(self, text: str) -> object:
        """The text when it is one of our tables' names, else its length and commitment."""
        return text if text in self.known else self.pseudonyms.sealed(text)


def decision_fields(decision: Decision, call: Call | None, names: Names) -> Draft:
    """Everything that depends on the decision alone, the large parts already encoded."""
    draft: Draft = {"reason": decision.reason, **policy_fields(decision.policies)}
    rules, left = _fitting((_rule(f, decision, names) for f in _deciding_first(decision)), RULES_BYTES)
    draft["rules"] = orjson.Fragment(b"[" + b",".join(rules) + b"]")
    if left:
        draft["rules_left"] = left
    if decision.attestations:
        draft["attestations"] = list(decision.attestations)
    if decision.waivers:
        draft["waivers"] = list(decision.waivers)
    if decision.allowed and decision.route is not None:
        draft["route_row"] = orjson.Fragment(orjson.dumps(_route_row(decision.route), option=CANONICAL))
        draft["changes"] = _changes(decision.edits, call, names)
    return draft


def policy_fields(policies: Sequence[PolicyRef]) -> Draft:
    """The policies by id and digest, at most 16 of them."""
    rows = [{"id": str(ref.id), "digest": str(ref.digest)} for ref in policies[:POLICIES_MOST]]
    left = len(policies) - POLICIES_MOST
    return {"policy": rows, "policy_left": left} if left > 0 else {"policy": rows}


def route_fields(also: Sequence[RouteId]) -> Draft:
    """The routes that may serve besides the one asked for; nothing when there is none."""
    if not also:
        return {}
    kept, left = _fitting(also, ROUTES_BYTES)
    draft: Draft = {"routes_also": orjson.Fragment(b"[" + b",".join(kept) + b"]")}
    return {**draft, "routes_left": left} if left else draft


def feature_fields(effects: Sequence[Effect]) -> Draft:
    """The request features that were found, each by its table row and where it stands."""
    rows: Iterable[Draft] = ({"id": clip(e.row, 128), "at": clip(e.path, 160)} for e in effects)
    kept, left = _fitting(rows, FEATURES_BYTES)
    draft: Draft = {"features": orjson.Fragment(b"[" + b",".join(kept) + b"]")}
    return {**draft, "features_left": left} if left else draft


def caller_fields(caller: Caller | None) -> Draft:
    """Whose request it was; nothing for a caller that was not established."""
    if caller is None:
        return {}
    return {"tenant": caller.organisation, "project": caller.project, "key_id": caller.key_id}


def call_fields(call: Call, names: Names) -> Draft:
    """What was asked for, with models that are not ours sealed."""
    draft: Draft = {"op": call.operation, "dialect": call.dialect, "stream": call.stream, "agent": call.agent}
    if call.models:
        draft["model_req"] = names.chosen(call.models[0])
    if len(call.models) > 1:
        draft["models_also"] = [names.chosen(model) for model in call.models[1 : MODELS_MOST + 1]]
    if len(call.models) > MODELS_MOST + 1:
        draft["models_left"] = len(call.models) - MODELS_MOST - 1
    return {**draft, **feature_fields(call.effects)} if call.effects else draft


def _deciding_first(decision: Decision) -> list[Finding]:
    """Those of the chosen route first, then by how much they decided; the given order within."""
    route = str(decision.route.id) if decision.route is not None else ""

    def rank(finding: Finding) -> tuple[bool, int]:
        return (finding.route not in ("", route), _DECIDING[finding.outcome])

    return sorted(decision.findings, key=rank)


def _rule(finding: Finding, decision: Decision, names: Names) -> Draft:
    row: Draft = {
        "policy": str(finding.policy),
        "about": clip(finding.dimension, 128),
        "outcome": finding.outcome.value,
        "asked": clip(finding.asked, 160),
        "claimed": clip(finding.claimed, 160),
        "basis": finding.basis.value,
    }
    if finding.dimension == _QUOTES_SENDER:
        row["claimed"] = names.pseudonyms.sealed(finding.claimed)
    if finding.source:
        row["source"] = clip(finding.source, 120)
    # The chosen route stands in `route_row`; repeating it in each rule would be a third of the record.
    if finding.route and (decision.route is None or finding.route != decision.route.id):
        row["route"] = names.chosen(finding.route)
    if finding.attestation:
        row["attestation"] = finding.attestation
    if finding.waiver:
        row["waiver"] = finding.waiver
    return row


def _route_row(route: Route) -> Draft:
    posture: dict[str, object] = {}
    for dimension, claim in route.posture.items():
        # A claim's value may be any JSON; as text it stays free of floats and of open structure.
        said: Draft = {"basis": claim.basis.value, "value": clip(orjson.dumps(claim.value).decode(), 80)}
        if claim.valid_until is not None:
            said["until"] = moment(claim.valid_until)
        posture[dimension] = said
    row: Draft = {"id": str(route.id), "provider": route.provider, "posture": posture}
    if route.verified_at is not None:
        row["verified"] = moment(route.verified_at)
    return row


def _changes(edits: Sequence[Edit], call: Call | None, names: Names) -> list[str]:
    """Each edit as `set /pointer` or `remove /pointer`, never with the value."""
    ours = _our_places(call) if call is not None else set()
    rows = [f"{edit.op} {_pointer(edit, ours, names)}" for edit in edits[:CHANGES_MOST]]
    left = len(edits) - CHANGES_MOST
    return [*rows, f"and {left} more"] if left > 0 else rows


def _our_places(call: Call) -> set[tuple[str | int, ...]]:
    """Pointers that come from our tables. A member that we do not know has its sender's name."""
    known = [e for e in call.effects if Signal.UNKNOWN_MEMBER not in e.signals]
    return {call.model_at, *call.repeats, *(edit.pointer for effect in known for edit in effect.edits)}


def _pointer(edit: Edit, ours: set[tuple[str | int, ...]], names: Names) -> str:
    parts = edit.pointer if edit.pointer in ours else [_sealed_part(part, names) for part in edit.pointer]
    return clip("".join(f"/{part}" for part in parts), 180)


def _sealed_part(part: str | int, names: Names) -> str | int:
    return part if isinstance(part, int) else str(names.pseudonyms.sealed(part)["mac"])


def _fitting(rows: Iterable[Draft | str], budget: int) -> tuple[list[bytes], int]:
    """The first rows, encoded, that fit the budget of bytes, and how many did not."""
    kept: list[bytes] = []
    left = 0
    for row in rows:
        encoded = orjson.dumps(row, option=CANONICAL)
        budget -= len(encoded) + 1
        if budget >= 0 and not left:
            kept.append(encoded)
        else:
            left += 1
    return kept, left
