"""decide(call, caller, candidates, policies, at) -> Decision

Every policy that covers the caller must be met, on every requirement, by the route that will be
asked for, by the gateway, and by every feature of the request. No policy, no route and no claim are
each a denial. The same inputs give the same decision on any machine.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from proxy.core.attested import Lookup
from proxy.core.features import Treatment
from proxy.core.findings import (
    PASSES,
    Featured,
    Held,
    complies,
    on_feature,
    on_gateway,
    on_route,
    plausible,
    quarantined,
)
from proxy.core.policy import Policy, applicable
from proxy.core.values import (
    Call,
    Caller,
    Candidates,
    Decision,
    Edit,
    Finding,
    Outcome,
    Pointer,
    PolicyRef,
    Posture,
    Reference,
    Route,
    RouteId,
)

MOST_ALTERNATIVES = 5
# Naming alternatives is a courtesy: it must not hold up the requests that wait behind this one.
_MOST_JUDGED = 40


@dataclass(frozen=True, slots=True)
class _World:
    """What one decision rests on. `policies` are those that cover the caller, by id."""

    policies: tuple[Policy, ...]
    gateway: Posture
    at: datetime
    catalogue: Lookup | None
    quarantined: Collection[str]


@dataclass(frozen=True, slots=True)
class _Choice:
    """What became of one model reference: the route to ask for, or the reason why there is none.

    `kept` are the members of a pool that every policy lets pass unpinned: the reference stays as it
    is written, and each of them may serve.
    """

    held: tuple[Held, ...]
    route: Route | None = None
    reason: str = ""
    kept: tuple[Route, ...] = ()


def decide(
    call: Call,
    caller: Caller,
    candidates: Candidates,
    policies: Iterable[Policy],
    gateway: Posture,
    *,
    at: datetime,
    catalogue: Lookup | None = None,
    quarantined: Collection[str] = (),
    stale: bool = False,
) -> Decision:
    """Judge a call. `candidates` are those of its main model, with attestations laid over.

    `catalogue` resolves fallbacks and names alternatives; without it a fallback is refused. `stale`
    says that claims are unknown because the catalogue is too old, which only changes the reason.
    """
    matching = applicable(policies, caller)
    loaded = {policy.id for policy in matching}
    if not matching or not loaded.issuperset(caller.policies):
        return _denial("no_matching_policy", matching, (), ())
    world = _World(matching, gateway, at, catalogue, quarantined)
    choices = [_choose(candidates, world), *(_fallback(call, i, world) for i in range(len(call.models) - 1))]
    features = tuple(on_feature(matching, effect) for effect in call.effects)
    at_gateway = tuple(dict.fromkeys(_on_gateway(choices, world)))
    held = (*(h for choice in choices for h in choice.held), *at_gateway)
    findings = (*(h.finding for h in held), *(f for feature in features for f in feature.findings))
    reason = _reason(choices, at_gateway, features)
    main = choices[0].route
    if reason or main is None:
        reason = "catalogue_stale" if stale and reason in _UNKNOWN_WHEN_STALE else reason
        # Another route helps only where the route is what falls short, and not the gateway itself.
        helps = choices[0].reason and all(h.passes for h in at_gateway)
        alternatives = _alternatives(call, candidates, world) if helps else ()
        return _denial(reason or "no_compliant_route", matching, findings, alternatives)
    return _allowance(call, choices, features, held, world)


_UNKNOWN_WHEN_STALE = frozenset(["requirement_unknown", "no_compliant_route"])


# -- choosing a route ------------------------------------------------------------------------------

_UNKNOWABLE = {
    Reference.EMPTY: "model_not_pinned",
    Reference.DYNAMIC: "model_not_pinned",
    Reference.UNKNOWN: "unknown_model",
}


def _choose(candidates: Candidates, world: _World) -> _Choice:
    """Judge every route that a reference may mean, and take the preferred one of those that comply."""
    if candidates.reference in _UNKNOWABLE:
        return _Choice((), reason=_UNKNOWABLE[candidates.reference])
    if not candidates.routes:
        pinned = candidates.reference is Reference.PIN
        return _Choice((), reason="unknown_model" if pinned else "model_not_pinned")
    routes = sorted(candidates.routes, key=lambda route: route.id)
    judged = [(route, tuple(_on_route(route, world))) for route in routes]
    passing = [(route, held) for route, held in judged if all(h.passes for h in held)]
    every = tuple(h for _, held in judged for h in held)
    if not passing:
        return _Choice(every, reason=_why_none(candidates, judged, world))
    if len(passing) < len(judged) and not all(policy.pin_when_some_comply for policy in world.policies):
        return _Choice(every, reason="model_not_pinned")
    route, held = min(passing, key=lambda pair: _order(pair[0], world.policies))
    unpinned = candidates.reference is Reference.POOL and len(passing) == len(judged)
    if unpinned and all(policy.unsafe_forward_pools for policy in world.policies):
        return _Choice(every, route, kept=tuple(member for member, _ in passing))
    return _Choice(held, route)


def _on_route(route: Route, world: _World) -> Iterator[Held]:
    for policy in world.policies:
        if route.id in world.quarantined:
            yield quarantined(policy, route)
        yield from on_route(policy, route, world.at)


def _on_gateway(choices: Sequence[_Choice], world: _World) -> Iterator[Held]:
    """Judge the gateway for every route that may serve, for a waiver excuses only those that it names."""
    routes = dict.fromkeys(route.id for choice in choices for route in _may_serve(choice))
    for policy in world.policies:
        for route in routes or ("",):
            yield from on_gateway(policy, world.gateway, route, world.at)


def _may_serve(choice: _Choice) -> tuple[Route, ...]:
    return choice.kept or ((choice.route,) if choice.route is not None else ())


def _why_none(candidates: Candidates, judged: Sequence[tuple[Route, tuple[Held, ...]]], world: _World) -> str:
    if all(route.id in world.quarantined for route, _ in judged):
        return "route_quarantined"
    if candidates.reference is not Reference.PIN and len(judged) > 1:
        return "no_compliant_route"
    return _worst(h.finding for _, held in judged for h in held)


def _worst(findings: Iterable[Finding]) -> str:
    outcomes = {finding.outcome for finding in findings}
    if Outcome.UNMET in outcomes:
        return "requirement_unmet"
    return "requirement_unknown" if Outcome.UNKNOWN in outcomes else ""


def _order(route: Route, policies: Sequence[Policy]) -> tuple[tuple[int, ...], float, str]:
    """Order compliant routes: policy preference, then price, then id. An unknown price comes last."""
    preference = tuple(policy.preference(route.id) for policy in policies if policy.prefer)
    return preference, _price(route), route.id


def _price(route: Route) -> float:
    tokens = [price for price in (route.price.input, route.price.output) if price is not None]
    if tokens:
        return sum(tokens)
    return route.price.image if route.price.image is not None else float("inf")


def _fallback(call: Call, i: int, world: _World) -> _Choice:
    """Judge a fallback like the main reference; one that cannot be pinned where it stands is refused."""
    reference = call.models[i + 1]
    if world.catalogue is None:
        return _Choice((), reason="model_not_pinned")
    choice = _choose(world.catalogue.candidates(reference), world)
    if choice.route is None or choice.route.id == reference or i < len(call.fallbacks_at):
        return choice
    return _Choice(choice.held, reason="model_not_pinned")


# -- the verdict -----------------------------------------------------------------------------------


def _reason(choices: Sequence[_Choice], gateway: Sequence[Held], features: Sequence[Featured]) -> str:
    """Name the one reason of a denial, the most telling first; "" when nothing speaks against."""
    worst = _worst(held.finding for held in gateway)
    chosen = next((choice.reason for choice in choices if choice.reason), "")
    if chosen == "requirement_unknown" and worst:
        return worst
    if chosen:
        return chosen
    if worst:
        return worst
    refused = [feature for feature in features if feature.refused]
    if refused and all(_unknown_member(feature) for feature in refused):
        return "unknown_member"
    return "feature_refused" if refused else ""


def _unknown_member(feature: Featured) -> bool:
    unmet = {finding.dimension for finding in feature.findings if finding.outcome not in PASSES}
    return unmet == {"features.unknown_member"}


def _denial(
    reason: str, policies: Sequence[Policy], findings: tuple[Finding, ...], alternatives: tuple[RouteId, ...]
) -> Decision:
    failing = {finding.policy for finding in findings if finding.outcome not in PASSES}
    return Decision(
        allowed=False,
        reason=reason,
        route=None,
        findings=findings,
        edits=(),
        rewrites=(),
        policies=_refs(policies),
        alternatives=alternatives,
        because=tuple(policy.because for policy in policies if policy.id in failing),
    )


def _allowance(
    call: Call,
    choices: Sequence[_Choice],
    features: Sequence[Featured],
    held: Sequence[Held],
    world: _World,
) -> Decision:
    edits, rewrites = _edits(call, choices, features)
    ends = [h.until for h in held if h.until is not None]
    findings = (*(h.finding for h in held), *(f for feature in features for f in feature.findings))
    return Decision(
        allowed=True,
        reason="allowed",
        route=choices[0].route,
        findings=findings,
        edits=edits,
        rewrites=rewrites,
        policies=_refs(world.policies),
        attestations=_distinct(finding.attestation for finding in findings),
        waivers=_distinct(finding.waiver for finding in findings),
        because=tuple(policy.because for policy in world.policies),
        require_confirmation=any(policy.require_confirmation for policy in world.policies),
        until=min(ends, default=None),
        besides=_besides(choices),
    )


def _besides(choices: Sequence[_Choice]) -> tuple[Route, ...]:
    """Every route but the main one that may serve the call; each was chosen, so each complies."""
    may = (route for choice in choices for route in _may_serve(choice))
    main = choices[0].route
    found = {route.id: route for route in may if main is not None and route.id != main.id}
    return tuple(found.values())


def _edits(
    call: Call, choices: Sequence[_Choice], features: Sequence[Featured]
) -> tuple[tuple[Edit, ...], tuple[str, ...]]:
    # By place: a body may hold thousands of edits, and of two at one place the later counts anyway.
    edits: dict[Pointer, Edit] = {}
    rewrites: list[str] = []
    places: list[tuple[Pointer, ...]] = [(call.model_at, *call.repeats)]
    places += [(place,) for place in call.fallbacks_at]
    for i, (reference, choice) in enumerate(zip(call.models, choices, strict=False)):
        if choice.route is None or choice.kept or choice.route.id == reference:
            continue
        # A model that stands in the path has no place in the body; the dialect writes the pin there.
        edits |= {place: Edit(place, "set", choice.route.id) for place in places[i] if place}
        rewrites.append(f"pin={choice.route.id}")
    for feature in features:
        if feature.treatment is Treatment.REWRITE and not feature.effect.stays:
            edits |= {edit.pointer: edit for edit in feature.effect.edits}
            rewrites.append(f"undo={feature.effect.row}")
    return tuple(edits.values()), _distinct(rewrites)


def _refs(policies: Sequence[Policy]) -> tuple[PolicyRef, ...]:
    return tuple(policy.ref for policy in policies)


def _distinct(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in names if name))


def _alternatives(call: Call, candidates: Candidates, world: _World) -> tuple[RouteId, ...]:
    """Name compliant routes of the same model or its successors, else of the same kind."""
    if world.catalogue is None:
        return ()
    main = call.models[0] if call.models else ""
    near = _compliant((*candidates.routes, *world.catalogue.kin(main)), world)
    kinds = {route.kind for route in candidates.routes}
    found = near or _compliant((r for r in world.catalogue.routes if r.kind in kinds), world)
    return tuple(route.id for route in found)


def _compliant(routes: Iterable[Route], world: _World) -> list[Route]:
    """Take the first few compliant routes in order, judging no more than a long catalogue's likeliest."""
    distinct = {route.id: route for route in routes if route.id not in world.quarantined}
    likely = [route for route in distinct.values() if plausible(world.policies, route)]
    ordered = sorted(likely, key=lambda route: _order(route, world.policies))[:_MOST_JUDGED]
    complying = (route for route in ordered if complies(world.policies, route, world.at))
    return list(islice(complying, MOST_ALTERNATIVES))
