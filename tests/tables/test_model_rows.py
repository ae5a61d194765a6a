"""A rule about a model holds wherever that model can be named, and for every model that may serve."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.values import Effect, Pointer, Signal
from proxy.facts import read_facts
from tests.tables.reading import EFFECTS, files

TABLE = read_facts().tables.effects
ENDPOINTS = sorted(files(EFFECTS)["endpoints"]["endpoints"])
NOBODY = "example/atlas-1"
PROVIDERS = ["anthropic", "aws", "bedrock", "azure", "azure-zdr", "openai", "fireworks", "xai", "example"]
NAMES = [
    "claude-fable-5", "claude-mythos-5-1", "us.anthropic.claude-fable-5-v1:0", "claude-opus-4-6",
    "claude-opus-4-12", "claude-sonnet-5", "claude-haiku-4-5", "gpt-5", "gpt-5.1-mini", "gpt-4.1-nano",
    "gpt-5.5", "gpt-5.6", "gpt-6", "gpt-4o-search-preview", "gpt-5-search-api", "atlas-1",
]  # fmt: skip
PINS = ["/".join(pair) for pair in product(PROVIDERS, NAMES)]

ELSEWHERE: Mapping[tuple[Signal, str], str] = {
    (Signal.RESIDENCY, "anthropic.count_tokens"): "counting runs no inference that could be placed",
    (Signal.CACHE, "anthropic.count_tokens"): "counting runs no inference whose prompt could be cached",
}
"""Where a rule about a model does not hold although the model can be named there, and why."""


def find(endpoint: str, body: Any, model: str, *others: str) -> tuple[Effect, ...]:
    placed: list[tuple[str, Pointer]] = [(one, ("fallback_models", at)) for at, one in enumerate(others)]
    return TABLE.find(endpoint.partition(".")[0], endpoint, body, model=model, others=placed)


def brought_by(endpoint: str, pin: str) -> set[Signal]:
    """What a request that says nothing but its model does to data because of that model."""
    with_it, without = (
        {signal for effect in find(endpoint, {}, model) for signal in effect.signals}
        for model in (pin, NOBODY)
    )
    return with_it - without


@pytest.mark.parametrize("pin", PINS)
def test_what_naming_a_model_does_to_data_it_does_at_every_endpoint(pin: str) -> None:
    everywhere = {endpoint: brought_by(endpoint, pin) for endpoint in ENDPOINTS}
    for signal in set().union(*everywhere.values()):
        silent = {endpoint for endpoint, signals in everywhere.items() if signal not in signals}
        assert {endpoint for endpoint in silent if (signal, endpoint) not in ELSEWHERE} == set()


@pytest.mark.parametrize(("signal", "endpoint"), sorted(ELSEWHERE))
def test_every_exception_is_one(signal: Signal, endpoint: str) -> None:
    pins = [pin for pin in PINS if any(signal in brought_by(other, pin) for other in ENDPOINTS)]
    assert pins
    assert not any(signal in brought_by(endpoint, pin) for pin in pins)


ALWAYS = {
    "ant.model.covered": "anthropic/claude-fable-5",
    "br.model_covered": "aws/claude-mythos-5",
    "oai.cache.gpt55": "openai/gpt-5.5",
    "oai.chat.search_model": "openai/gpt-4o-search-preview",
}
EVERYWHERE = [
    (row, endpoint)
    for row, endpoint in product(ALWAYS, ENDPOINTS)
    if (TABLE.rows[row].signals[0], endpoint) not in ELSEWHERE
]


@pytest.mark.parametrize(("row", "endpoint"), EVERYWHERE)
def test_what_a_model_always_does_it_does_wherever_its_name_stands(row: str, endpoint: str) -> None:
    model = ALWAYS[row]
    in_the_body = {e.row: e.path for e in find(endpoint, {"model": model}, "")}
    in_the_path = {e.row: e.path for e in find(endpoint, {}, model)}
    beside = find(endpoint, {"model": NOBODY}, NOBODY, "a/b", model)
    assert in_the_body[row] == "$.model"
    assert in_the_path[row] == ""
    assert {e.row: (e.path, e.edits) for e in beside}[row] == ("$.fallback_models[1]", ())


def test_a_path_that_is_said_again_in_the_body_does_not_hide_its_provider() -> None:
    pin = "aws/claude-fable-5"
    said = find("google.embed_content", {"model": f"models/{pin}"}, pin)
    assert "br.model_covered" in {effect.row for effect in said}


# -- several models --------------------------------------------------------------------------------

members = st.fixed_dictionaries(
    {},
    optional={
        "store": st.booleans(),
        "inference_geo": st.sampled_from(["us", "global"]),
        "prompt_cache_retention": st.sampled_from(["24h", "in_memory"]),
        "prompt_cache_options": st.just({"mode": "explicit"}),
        "background": st.booleans(),
        "tools": st.just([{"type": "code_interpreter"}]),
    },
)
models = st.sampled_from([*PINS, *NAMES])


@settings(database=None, derandomize=True, deadline=None, max_examples=500)
@given(st.sampled_from(ENDPOINTS), members, models, st.lists(models, max_size=3))
def test_a_request_has_the_features_that_it_has_with_any_of_its_models(
    endpoint: str, body: Any, main: str, others: list[str]
) -> None:
    together = {effect.row for effect in find(endpoint, body, main, *others)}
    alone = [{effect.row for effect in find(endpoint, body, model)} for model in (main, *others)]
    assert together == set().union(*alone)


@settings(database=None, derandomize=True, deadline=None, max_examples=500)
@given(st.sampled_from(ENDPOINTS), members, st.sampled_from(PINS), st.lists(models, min_size=1, max_size=3))
def test_another_model_adds_no_change_to_what_the_main_one_is_asked(
    endpoint: str, body: Any, main: str, others: list[str]
) -> None:
    own = {effect.row: effect for effect in find(endpoint, body, main)}
    done = [edit for effect in own.values() for edit in effect.edits]
    for effect in find(endpoint, body, main, *others):
        assert effect == own.get(effect.row, effect)
        assert all(edit in done for edit in effect.edits)
