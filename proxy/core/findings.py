"""one policy held against one route, the gateway, or a request's features: a finding for each demand

Findings are pure: the same policy, route and instant give the same findings, so they may be kept
for as long as `until` says.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson

from proxy.core.dimensions import Dimension, Judgement, NoDemand, Requirement
from proxy.core.dimensions.base import Within
from proxy.core.features import SEVERITY, Treatment
from proxy.core.json_path import written
from proxy.core.places import fold
from proxy.core.policy import Policy
from proxy.core.values import Basis, Claim, Effect, Finding, Outcome, Posture, Route, Signal
from proxy.core.waivers import Waiver

PASSES = frozenset({Outcome.MET, Outcome.WAIVED})
_NOTHING = Claim(value=None, basis=Basis.UNKNOWN, words="", source="catalogue")
# Carve-outs that concern content in logs; the other two concern metadata and schema text.
_LOG_CARVE_OUTS = ("csam_scan", "legal_hold", "classifier_results")
_ATTESTATION = "attestation:"
_INFERENCE = "inference_location"
_LOGS = "retention.abuse_logs"
# One that stands in a path has no place in the body.
_THE_MODEL = ("$.model", "")


@dataclass(frozen=True, slots=True)
class Held:
    """A finding, and the instant at which it may come out otherwise (None: with a new revision only)."""

    finding: Finding
    until: datetime | None = None

    @property
    def passes(self) -> bool:
        """Tell whether the demand is met or waived."""
        return self.finding.outcome in PASSES


def on_route(policy: Policy, route: Route, at: datetime) -> list[Held]:
    """Hold every requirement of a policy against a route, in the order of the dimensions."""
    held = [
        _held(policy, dimension, requirement, route.posture.get(dimension.name, _NOTHING), route.id, at)
        for dimension, requirement in policy.requirements
    ]
    return [*_by_name(policy, route, at), *held]


def on_gateway(policy: Policy, gateway: Posture, route: str, at: datetime) -> list[Held]:
    """Hold what a policy asks of the gateway against its posture; `route` is what a waiver may name."""
    return [
        _held(policy, dimension, requirement, gateway.get(dimension.name, _NOTHING), route, at, "gateway.")
        for dimension, requirement in policy.gateway
    ]


def complies(policies: Iterable[Policy], route: Route, at: datetime) -> bool:
    """Tell whether a route meets every requirement of every policy, stopping at the first that fails."""
    for policy in policies:
        if not all(held.passes for held in _by_name(policy, route, at)):
            return False
        for dimension, requirement in policy.requirements:
            claim = route.posture.get(dimension.name, _NOTHING)
            judgement = dimension.judge(requirement, claim, at=at)
            # The whole finding is built only where a carve-out or a waiver may turn the outcome.
            plain = judgement.outcome is Outcome.MET and dimension.name != _LOGS
            if not plain and not _held(policy, dimension, requirement, claim, route.id, at).passes:
                return False
    return True


def plausible(policies: Iterable[Policy], route: Route) -> bool:
    """Tell cheaply whether a route may comply: no requirement without a waiver meets an unknown claim."""
    for policy in policies:
        if policy.waivers:
            continue
        for dimension, requirement in policy.requirements:
            claim = route.posture.get(dimension.name, _NOTHING)
            if claim.basis is Basis.UNKNOWN and not isinstance(requirement, NoDemand):
                return False
    return True


def _held(
    policy: Policy,
    dimension: Dimension,
    requirement: Requirement,
    claim: Claim,
    route: str,
    at: datetime,
    prefix: str = "",
) -> Held:
    judgement = dimension.judge(requirement, claim, at=at)
    name = prefix + dimension.name
    outcome, remedy = judgement.outcome, judgement.remedy
    if outcome is Outcome.MET and name == _LOGS:
        outcome, remedy = _carved(policy, requirement)
    waiver = None if outcome in PASSES else _waiver(policy, name, route, at)
    if waiver is not None:
        outcome = Outcome.WAIVED
    finding = Finding(
        policy=policy.id,
        dimension=name,
        outcome=outcome,
        asked=judgement.asked,
        claimed=judgement.claimed,
        basis=claim.basis,
        source=claim.source,
        # A finding about the gateway is about no route.
        route="" if prefix else route,
        remedy="" if outcome in PASSES else remedy,
        attestation=claim.source.removeprefix(_ATTESTATION) if claim.basis is Basis.ATTESTATION else "",
        waiver=waiver.id if waiver else "",
    )
    return Held(finding, waiver.valid_until if waiver else _until(judgement, claim))


def _until(judgement: Judgement, claim: Claim) -> datetime | None:
    ends = [moment for moment in (judgement.until, claim.valid_until) if moment is not None]
    return min(ends, default=None) if judgement.outcome is Outcome.MET else None


def _waiver(policy: Policy, dimension: str, route: str, at: datetime) -> Waiver | None:
    covering = [waiver for waiver in policy.waivers if waiver.covers(dimension, route, at)]
    return max(covering, key=lambda waiver: (waiver.valid_until, waiver.id), default=None)


def _carved(policy: Policy, requirement: Requirement) -> tuple[Outcome, str]:
    """Content that survives every retention mode makes a promise unknown, unless it is accepted."""
    missing = [name for name in _LOG_CARVE_OUTS if name not in policy.carve_outs_accepted]
    if not missing or isinstance(requirement, NoDemand):
        return Outcome.MET, ""
    names = ", ".join(missing)
    return Outcome.UNKNOWN, f"nobody promises to keep nothing for {names}: list it in carve_outs_accepted"


def _by_name(policy: Policy, route: Route, at: datetime) -> list[Held]:
    """Find what a policy's model lists and the route's age say; nothing where there is nothing to say."""
    why = policy.models.refuses(route.id)
    remedy = "use a route that the policy's models list lets through"
    if not why and route.retired_at is not None and route.retired_at <= at:
        why = f"retired on {route.retired_at:%Y-%m-%d}: the gateway may serve its successor"
        remedy = f"use its successor {route.successor}" if route.successor else "use another route"
    if why:
        return [_named(policy, route, why, remedy)]
    if not (policy.models.allow or policy.models.deny):
        return []
    return [_named(policy, route, "on the policy's lists", "", Outcome.MET)]


def quarantined(policy: Policy, route: Route) -> Held:
    """Make the finding of a route that is in quarantine."""
    why = "quarantined: the gateway named another route as the one that served"
    return _named(policy, route, why, "use another route until a sync or an operator clears it")


def _named(policy: Policy, route: Route, why: str, remedy: str, outcome: Outcome = Outcome.UNMET) -> Held:
    finding = Finding(
        policy=policy.id,
        dimension="models",
        outcome=outcome,
        asked="a route that may be used",
        claimed=why,
        basis=Basis.CATALOGUE,
        source="policy",
        route=route.id,
        remedy=remedy,
    )
    return Held(finding)


# -- request features ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Featured:
    """A request feature under all policies: what each says of it, and whether it has to be undone."""

    effect: Effect
    findings: tuple[Finding, ...]
    treatment: Treatment

    @property
    def refused(self) -> bool:
        """Tell whether the feature keeps the request from leaving."""
        return any(finding.outcome not in PASSES for finding in self.findings)


def on_feature(policies: Sequence[Policy], effect: Effect) -> Featured:
    """Hold a request feature against every policy; the strictest treatment of all counts."""
    signals = _judged(effect)
    pairs = [(policy, signal, policy.features[signal]) for policy in policies for signal in signals]
    strictest = max(
        (treatment for _, _, treatment in pairs), key=SEVERITY.__getitem__, default=Treatment.ALLOW
    )
    findings = tuple(_feature(policy, signal, treatment, effect) for policy, signal, treatment in pairs)
    return Featured(effect, findings, strictest)


def _judged(effect: Effect) -> tuple[Signal, ...]:
    # A model that always caches carries both; the cache is what matters, another model only the way out.
    if Signal.CACHE in effect.signals:
        return tuple(signal for signal in effect.signals if signal is not Signal.MODEL_OVERRIDE)
    return effect.signals


def _feature(policy: Policy, signal: Signal, treatment: Treatment, effect: Effect) -> Finding:
    outside = _moves_out(policy, effect)
    rewritten = treatment is Treatment.REWRITE and bool(effect.edits) and not outside and not effect.stays
    met = treatment is Treatment.ALLOW or rewritten or (effect.stays and not outside)
    claimed = f"{effect.feature} at {effect.path}" if effect.path else effect.feature
    return Finding(
        policy=policy.id,
        dimension=f"features.{signal.value}",
        outcome=Outcome.MET if met else Outcome.UNMET,
        asked=treatment.value,
        claimed=f"{claimed}, rewritten" if rewritten else claimed,
        basis=Basis.CATALOGUE,
        source=effect.row,
        route="",
        remedy="" if met else _undo(signal, effect, outside=outside),
    )


def _moves_out(policy: Policy, effect: Effect) -> bool:
    """Tell whether a rewrite, or what stays, names a place outside of what the policy permits."""
    areas = [r.permitted for d, r in policy.requirements if isinstance(r, Within) and d.name == _INFERENCE]
    values = {fold(edit.value) for edit in effect.edits if isinstance(edit.value, str)}
    return any(values & (area.known - area.inside) for area in areas)


def _undo(signal: Signal, effect: Effect, *, outside: bool) -> str:
    if signal is Signal.UNKNOWN_MEMBER:
        return f"leave out {effect.path}, or have the policy set unknown_members: drop"
    if outside:
        # The only value that is known would lead out of what the policy permits.
        return f"use a route whose place no request chooses, or have the policy allow features.{signal.value}"
    change = next((edit for edit in effect.edits if edit.op == "set"), None)
    if change is not None:
        # The feature may be on because the member is missing, so leaving it out would not help.
        where = f"set {written(change.pointer)} to {orjson.dumps(change.value).decode()}"
    elif effect.path in _THE_MODEL:
        where = "name another model"
    else:
        where = f"leave out {effect.path}"
    return f"{where}, or have the policy allow features.{signal.value}"
