"""What a call weighs grows with everything that its sender can make larger."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.core.decide import decide
from proxy.core.dialects.reading import LONGEST_MODEL, MOST_MODELS, unknown_members
from proxy.core.values import Call, Effect, Signal
from proxy.core.weight import LIGHT, weigh
from tests.judging import AT, CALLER, call, pin, policy, route


def weight(asked: Call) -> int:
    decision = decide(asked, CALLER, pin(route("example/a")), [policy()], {}, at=AT)
    return weigh(asked, decision)


def effect(path: str) -> Effect:
    return Effect("row", (Signal.CACHE,), path, "a cache")


def test_a_usual_call_is_light_and_so_is_one_that_names_every_model_it_may() -> None:
    assert weight(call("example/a")) < LIGHT // 10
    names = ("m" * LONGEST_MODEL,) * (MOST_MODELS - 1)
    assert weight(call("example/a", fallbacks=names, fallbacks_at=(("fallback_models", 0),))) < LIGHT


@pytest.mark.parametrize(
    "fields",
    [
        {"effects": unknown_members([("input", n, "x") for n in range(LIGHT)])},
        {"effects": unknown_members([("x" * 256 * LIGHT,)])},
        {"effects": (effect("$.variables." + "x" * 256 * LIGHT),)},
        {"repeats": tuple(("requests", n, "model") for n in range(LIGHT))},
        {"fallbacks": ("example/a",) * LIGHT},
        {"fallbacks": ("x" * 256 * LIGHT,)},
    ],
    ids=["unknown members", "a long name", "a long path", "repeats", "fallbacks", "a long fallback"],
)
def test_a_call_that_its_sender_made_large_is_not_light(fields: dict[str, Any]) -> None:
    assert weight(call("example/a", **fields)) > LIGHT
