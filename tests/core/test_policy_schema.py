"""The schema follows from the dimensions and signals, and the file that ships is the current one."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from proxy.core.dimensions import DIMENSIONS, GATEWAY_DIMENSIONS
from proxy.core.policy import FIELDS
from proxy.core.policy_schema import policy_schema
from proxy.core.values import Signal
from tests.judging import ROOT

SCHEMA: Any = policy_schema()


def test_every_field_of_a_policy_is_in_the_schema() -> None:
    assert set(SCHEMA["properties"]) == set(FIELDS)


@pytest.mark.parametrize("block", ["require", "gateway"])
def test_every_dimension_is_in_the_schema_with_its_own_fragment(block: str) -> None:
    for dimension in DIMENSIONS if block == "require" else GATEWAY_DIMENSIONS:
        node = SCHEMA["properties"][block]
        for step in dimension.name.split("."):
            assert node["additionalProperties"] is False
            node = node["properties"][step]
        assert node == {**dimension.schema(), "description": dimension.asks}


def test_every_signal_is_in_the_schema_with_its_default() -> None:
    signals = SCHEMA["properties"]["features"]["properties"]
    assert set(signals) == {signal.value for signal in Signal if signal is not Signal.UNKNOWN_MEMBER}
    assert all("Default: " in signal["description"] for signal in signals.values())


def test_the_shipped_file_is_generated_anew_without_a_difference() -> None:
    shipped = orjson.loads((ROOT / "policies/policy.schema.json").read_bytes())
    assert shipped == SCHEMA, "run: ringfence policy schema --out policies/policy.schema.json"
