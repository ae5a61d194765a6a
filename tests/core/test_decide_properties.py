"""The promises, as properties; each is shown to catch a variant of the code that breaks it.

A property that hardly ever sees an allowed request would prove little, so every run counts: at least
a fifth of the generated cases allow.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import proxy.core.decide as decide_module
import proxy.core.findings as findings_module
from proxy.core.dimensions import NoDemand
from proxy.core.policy import Policy, applicable
from proxy.core.values import Decision, Outcome
from proxy.core.waivers import Waiver
from tests.core.worlds import GATEWAY, World, one_policy, waivers, worlds
from tests.judging import AT, ROOT, claim, policy

Property = Callable[[World, st.DataObject], bool]
"""Raises AssertionError when it is broken; returns whether the case allowed."""

PROPERTIES: dict[str, Property] = {}
MUTANTS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {}


def held(check: Property, examples: int = 150) -> float:
    """Run a property; return the share of cases that allowed."""
    seen: Counter[bool] = Counter()

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(worlds(), st.data())
    def run(world: World, data: st.DataObject) -> None:
        seen[check(world, data)] += 1

    run()
    return seen[True] / seen.total()


def promise(check: Property) -> Property:
    PROPERTIES[check.__name__] = check
    return check


def mutant(
    name: str,
) -> Callable[[Callable[[pytest.MonkeyPatch], None]], Callable[[pytest.MonkeyPatch], None]]:
    def register(breaking: Callable[[pytest.MonkeyPatch], None]) -> Callable[[pytest.MonkeyPatch], None]:
        MUTANTS[name] = breaking
        return breaking

    return register


# -- the promises ----------------------------------------------------------------------------------


@promise
def adding_a_policy_never_turns_deny_into_allow(world: World, data: st.DataObject) -> bool:
    before = world.decide()
    more = data.draw(one_policy("zz-added"), label="added")
    after = replace(world, policies=(*world.policies, more)).decide()
    covered = applicable(world.policies, world.caller)
    # To a set that does not cover the caller a first policy may be added: that is how access is given.
    assert before.allowed or not covered or not after.allowed
    return after.allowed


@promise
def an_unknown_claim_never_turns_deny_into_allow(world: World, data: st.DataObject) -> bool:
    before = world.decide()
    if data.draw(st.booleans(), label="on the gateway"):
        name = data.draw(st.sampled_from(sorted(GATEWAY)))
        darker = replace(world, gateway={**world.gateway, name: claim(None)})
    else:
        i = data.draw(st.integers(0, len(world.routes) - 1))
        one = world.routes[i]
        name = data.draw(st.sampled_from(sorted(one.posture)))
        dark = replace(one, posture={**one.posture, name: claim(None)})
        darker = replace(world, routes=(*world.routes[:i], dark, *world.routes[i + 1 :]))
    assert before.allowed or not darker.decide().allowed
    return before.allowed


@promise
def order_changes_nothing(world: World, data: st.DataObject) -> bool:
    decision = world.decide()
    policies = tuple(data.draw(st.permutations(world.policies)))
    shuffled = tuple(data.draw(st.permutations(world.routes))) if world.pooled else world.routes
    assert replace(world, policies=policies, routes=shuffled).decide() == decision
    return decision.allowed


@promise
def the_same_inputs_give_the_same_decision(world: World, data: st.DataObject) -> bool:
    first = world.decide()
    assert all(world.decide() == first for _ in range(3))
    return first.allowed


@promise
def without_a_matching_policy_nothing_is_allowed(world: World, data: st.DataObject) -> bool:
    elsewhere = replace(world.caller, project="nowhere")
    scoped = tuple(p for p in world.policies if not p.applies_to.covers(elsewhere))
    decision = replace(world, policies=scoped, caller=elsewhere).decide()
    assert (decision.allowed, decision.reason) == (False, "no_matching_policy")
    return world.decide().allowed


@promise
def a_waiver_relaxes_its_own_policy_only(world: World, data: st.DataObject) -> bool:
    i = data.draw(st.integers(0, len(world.policies) - 1))
    own = world.policies[i]
    waived = replace(own, waivers=(*own.waivers, data.draw(waivers(own.id))))
    policies = (*world.policies[:i], waived, *world.policies[i + 1 :])
    for pinned in world.routes:
        alone = replace(world, routes=(pinned,), pooled=False, call=replace(world.call, models=(pinned.id,)))
        before = [f for f in alone.decide().findings if f.policy != own.id]
        after = [f for f in replace(alone, policies=policies).decide().findings if f.policy != own.id]
        assert before == after
    return replace(world, policies=policies).decide().allowed


@promise
def what_is_allowed_meets_every_demand_of_every_policy(world: World, data: st.DataObject) -> bool:
    decision = world.decide()
    if decision.allowed:
        for one in world.policies:
            if one.applies_to.covers(world.caller):
                assert list(gaps(one, world, decision)) == []
    return decision.allowed


def gaps(one: Policy, world: World, decision: Decision) -> Any:
    """Judge each route that may serve, and the gateway, again without the code under test around it."""
    assert decision.route is not None
    main = decision.route
    demands = [
        (d.name, d, r, route.posture, route.id)
        for route in (main, *decision.besides)
        for d, r in one.requirements
    ]
    demands += [(f"gateway.{d.name}", d, r, world.gateway, main.id) for d, r in one.gateway]
    for name, dimension, requirement, posture, route in demands:
        met = dimension.judge(requirement, posture[dimension.name], at=AT).outcome is Outcome.MET
        waived = any(w.policy == one.id and w.covers(name, route, AT) for w in one.waivers)
        if not (met or waived or isinstance(requirement, NoDemand)):
            yield name


@promise
def whatever_may_serve_would_be_allowed_if_it_were_asked_for_alone(world: World, data: st.DataObject) -> bool:
    decision = world.decide()
    if not decision.allowed or decision.route is None:
        assert decision.besides == ()
        return decision.allowed
    kept = world.pooled and "model" not in {place[0] for place in (edit.pointer for edit in decision.edits)}
    named = set(world.call.models[1:]) | ({route.id for route in world.routes} if kept else set())
    assert {route.id for route in decision.besides} == named - {decision.route.id}
    for route in decision.besides:
        alone = replace(world.call, models=(route.id,))
        assert replace(world, routes=(route,), pooled=False, call=alone).decide().allowed
    return decision.allowed


# -- variants of the code that break them ----------------------------------------------------------


@mutant("adding_a_policy_never_turns_deny_into_allow")
def only_the_last_policy_counts(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(decide_module, "applicable", lambda policies, caller: applicable(policies, caller)[-1:])


@mutant("an_unknown_claim_never_turns_deny_into_allow")
def unknown_passes(patch: pytest.MonkeyPatch) -> None:
    lenient = frozenset({*findings_module.PASSES, Outcome.UNKNOWN})
    patch.setattr(findings_module, "PASSES", lenient)
    patch.setattr(decide_module, "PASSES", lenient)
    real = decide_module._worst
    patch.setattr(decide_module, "_worst", lambda found: real(f for f in found if f.outcome not in lenient))


@mutant("order_changes_nothing")
def the_first_candidate_wins(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(decide_module, "sorted", lambda items, key: list(items), raising=False)
    patch.setattr(decide_module, "_order", lambda route, policies: 0)


@mutant("the_same_inputs_give_the_same_decision")
def the_choice_has_a_memory(patch: pytest.MonkeyPatch) -> None:
    turns = itertools.count()
    patch.setattr(decide_module, "_order", lambda route, policies: -next(turns) % 3)


@mutant("without_a_matching_policy_nothing_is_allowed")
def every_policy_covers_everybody(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        decide_module, "applicable", lambda policies, caller: tuple(policies) or (policy(name="any"),)
    )


@mutant("a_waiver_relaxes_its_own_policy_only")
def a_waiver_counts_for_all(patch: pytest.MonkeyPatch) -> None:
    real_choose = decide_module._choose
    pot: list[Waiver] = []
    real_waiver = findings_module._waiver

    def choose(candidates: Any, world: Any) -> Any:
        pot[:] = [waiver for one in world.policies for waiver in one.waivers]
        return real_choose(candidates, world)

    def waiver_of(one: Policy, *rest: Any) -> Any:
        return real_waiver(replace(one, waivers=tuple(pot)), *rest)

    patch.setattr(decide_module, "_choose", choose)
    patch.setattr(findings_module, "_waiver", waiver_of)


@mutant("what_is_allowed_meets_every_demand_of_every_policy")
def a_demand_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    real = findings_module.on_route

    def forgetful(one: Policy, route: Any, at: Any) -> Any:
        found = real(one, route, at)
        return found[:1]

    patch.setattr(decide_module, "on_route", forgetful)


@mutant("whatever_may_serve_would_be_allowed_if_it_were_asked_for_alone")
def a_fallback_is_not_judged(patch: pytest.MonkeyPatch) -> None:
    def unjudged(called: Any, i: int, world: Any) -> Any:
        return decide_module._Choice((), world.catalogue.candidates(called.models[i + 1]).routes[0])

    patch.setattr(decide_module, "_fallback", unjudged)


# -- the runs --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PROPERTIES)
def test_the_promise_holds_and_enough_cases_allow(name: str) -> None:
    assert held(PROPERTIES[name]) >= 0.2


@pytest.mark.filterwarnings("ignore:Generating overly large repr")
@pytest.mark.parametrize("name", PROPERTIES)
def test_a_variant_that_breaks_the_promise_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    MUTANTS[name](monkeypatch)
    with pytest.raises(AssertionError):
        held(PROPERTIES[name], examples=1500)


_ACROSS = """
import hashlib
from hypothesis import HealthCheck, Phase, given, settings
from tests.core.worlds import worlds
told = hashlib.sha256()

@settings(max_examples=60, deadline=None, database=None, derandomize=True, phases=[Phase.generate],
          suppress_health_check=list(HealthCheck))
@given(worlds())
def run(world):
    told.update(repr(world.decide()).encode())

run()
print(told.hexdigest())
"""


def test_another_process_with_another_hash_seed_decides_alike() -> None:
    told = set()
    for seed in ("0", "1", "4242"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, "-c", _ACROSS],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        told.add(done.stdout.strip())
    assert len(told) == 1
