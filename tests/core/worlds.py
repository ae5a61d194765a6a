"""Generated worlds to decide in: policies, routes, a gateway, a call; most of their parts comply."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st

from proxy.core.decide import decide
from proxy.core.policy import Policy
from proxy.core.values import (
    Call,
    Caller,
    Candidates,
    Claim,
    Decision,
    Edit,
    Effect,
    Json,
    PolicyId,
    Reference,
    Route,
    Signal,
)
from proxy.core.waivers import WAIVABLE, Waiver
from tests.judging import AT, CALLER, MET, STRICT, UNMET, Shelf, call, claim, policy, route

DIMENSIONS = tuple(MET)
GATEWAY: Mapping[str, tuple[Json, Json]] = {
    "location": ({"places": ["SE"], "beside": []}, {"places": ["US"], "beside": []}),
    "content_retention": ({"kept": "none"}, {"kept": "content", "seconds": 604_800}),
}


@dataclass(frozen=True, repr=False)
class World:
    """Everything that a decision rests on."""

    policies: tuple[Policy, ...]
    routes: tuple[Route, ...]
    gateway: Mapping[str, Claim]
    call: Call
    pooled: bool
    caller: Caller = CALLER

    @property
    def candidates(self) -> Candidates:
        """The main model's candidates: the first route as a pin, or all of them as a pool."""
        if self.pooled:
            return Candidates(Reference.POOL, self.routes)
        return Candidates(Reference.PIN, self.routes[:1])

    def decide(self) -> Decision:
        """Judge the call in this world."""
        shelf = Shelf(*self.routes)
        return decide(
            self.call, self.caller, self.candidates, self.policies, self.gateway, at=AT, catalogue=shelf
        )


def asked(names: Sequence[str]) -> dict[str, Any]:
    """The requirements of STRICT on some dimensions only, nested as a policy writes them."""
    found: dict[str, Any] = {}
    for name in names:
        head, _, tail = name.partition(".")
        block: Any = STRICT[head]
        if tail:
            found.setdefault(head, {})[tail] = block[tail]
        else:
            found[head] = block
    return found


def _claims() -> st.SearchStrategy[dict[str, Json]]:
    failing = st.sets(st.sampled_from(DIMENSIONS), max_size=3)
    return st.tuples(failing, st.booleans()).map(
        lambda pair: {name: UNMET[name] if pair[1] else None for name in sorted(pair[0])}
    )


@st.composite
def routes(draw: st.DrawFn) -> tuple[Route, ...]:
    """One to four routes of one model, of which about half comply with everything."""
    found = []
    for i in range(draw(st.integers(1, 4))):
        changed = draw(st.just({}) | _claims())
        fields: dict[str, Any] = {name.replace(".", "__"): value for name, value in changed.items()}
        price = draw(st.sampled_from([1.0, 2.0, None]))
        found.append(route(f"provider-{i}/m", price=price, **fields))
    return tuple(found)


@st.composite
def waivers(draw: st.DrawFn, policy_id: str) -> Waiver:
    """A waiver, most often one that is in force."""
    begins = AT - timedelta(days=draw(st.integers(-1, 20)))
    return Waiver(
        f"waiver-{draw(st.integers(0, 9))}",
        PolicyId(policy_id),
        draw(st.sampled_from(WAIVABLE)),
        tuple(draw(st.sampled_from([["*"], ["provider-0/*"], ["other/*"]]))),
        "Because.",
        "Somebody",
        begins,
        begins + timedelta(days=30),
    )


@st.composite
def one_policy(draw: st.DrawFn, name: str) -> Policy:
    """A policy that asks for some dimensions and treats some signals in its own way."""
    names = draw(st.lists(st.sampled_from(DIMENSIONS), min_size=1, max_size=3, unique=True))
    signals = draw(st.sets(st.sampled_from(["app_state", "cache", "hosted_tool"]), max_size=1))
    gateway = draw(st.sampled_from([{}, {}, {"content_retention": "none"}, {"location": {"within": ["SE"]}}]))
    extra: dict[str, Any] = {"gateway": gateway} if gateway else {}
    if draw(st.integers(0, 4)) == 0:
        extra["when_some_routes_comply"] = "refuse"
    if draw(st.booleans()):
        extra["prefer"] = draw(st.permutations(["provider-1/*", "provider-2/*", "provider-0/m"]))
    if draw(st.integers(0, 3)) == 0:
        extra["unsafe_forward_pools"] = True
    scope = draw(st.sampled_from([["*"], ["*"], ["*"], ["studio"], ["elsewhere"]]))
    built = policy(
        name=name,
        require=asked(names),
        applies_to={"projects": scope},
        features={
            signal: draw(st.sampled_from(["allow", "rewrite", "refuse"])) for signal in sorted(signals)
        },
        **extra,
    )
    return replace(built, waivers=tuple(draw(st.lists(waivers(name), max_size=2))))


@st.composite
def effects(draw: st.DrawFn) -> tuple[Effect, ...]:
    """At most one request feature, with or without a known way to undo it."""
    if draw(st.integers(0, 3)):
        return ()
    signal = draw(st.sampled_from([Signal.APP_STATE, Signal.CACHE, Signal.IDENTIFIER, Signal.HOSTED_TOOL]))
    edits = (Edit(("store",), "set", False),) if draw(st.booleans()) else ()
    return (Effect(f"row.{signal.value}", (signal,), "store", "a feature", edits),)


@st.composite
def gateways(draw: st.DrawFn) -> dict[str, Claim]:
    """A gateway that most often meets everything."""
    worse = draw(st.integers(0, 5))
    found = {name: claim(met) for name, (met, _) in GATEWAY.items()}
    if worse == 0:
        found["content_retention"] = claim(draw(st.sampled_from([None, GATEWAY["content_retention"][1]])))
    if worse == 1:
        found["location"] = claim(draw(st.sampled_from([None, GATEWAY["location"][1]])))
    return found


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """A whole world."""
    names = [f"policy-{i}" for i in range(draw(st.integers(1, 3)))]
    policies = tuple(draw(one_policy(name)) for name in names)
    found = draw(routes())
    pooled = draw(st.booleans())
    model = "m" if pooled else found[0].id
    fallbacks = (draw(st.sampled_from(found)).id,) if draw(st.integers(0, 4)) == 0 else ()
    asked_for = call(model, effects=draw(effects()), fallbacks=fallbacks)
    return World(policies, found, draw(gateways()), asked_for, pooled)
