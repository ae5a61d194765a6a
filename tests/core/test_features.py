"""Every signal has a treatment, also where a policy does not name it."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.core.features import DEFAULTS, Treatment
from proxy.core.values import Signal
from tests.judging import policy

ALLOW, REWRITE, REFUSE = Treatment.ALLOW, Treatment.REWRITE, Treatment.REFUSE


def test_every_signal_has_a_documented_default() -> None:
    assert set(DEFAULTS) == set(Signal)
    assert all(default.why for default in DEFAULTS.values())


@pytest.mark.parametrize(
    ("signal", "require", "treatment"),
    [
        (Signal.CACHE, {"training": "forbidden"}, ALLOW),
        (Signal.CLIENT_TELEMETRY, {"dpa": "signed"}, REWRITE),
        (Signal.CACHE, {"retention": {"cache": "none"}}, REWRITE),
        (Signal.CACHE, {"retention": {"cache": "any"}}, ALLOW),
        (Signal.HUMAN_REVIEW, {"human_review": "safety_hits_only"}, ALLOW),
        (Signal.HUMAN_REVIEW, {"human_review": "forbidden"}, REFUSE),
        (Signal.RESIDENCY, {"inference_location": {"within": ["EU"]}}, REWRITE),
        (Signal.RESIDENCY, {"training": "forbidden"}, ALLOW),
        (Signal.TRAINING, {"training": "forbidden"}, REWRITE),
        (Signal.TRAINING, {"dpa": "signed"}, ALLOW),
        (Signal.APP_STATE, {"dpa": "signed"}, REWRITE),
        (Signal.STATEFUL_REFERENCE, {"dpa": "signed"}, REFUSE),
        (Signal.MODEL_OVERRIDE, {"dpa": "signed"}, REWRITE),
    ],
)
def test_a_default_may_depend_on_what_else_is_required(
    signal: Signal, require: dict[str, Any], treatment: Treatment
) -> None:
    written = {name: value for name, value in require.items() if value != {"cache": "any"}}
    extra = {} if written else {"training": "allowed"}
    assert policy(require={**require, **extra}).features[signal] is treatment


def test_what_is_written_outweighs_every_default() -> None:
    one = policy(
        require={"retention": {"cache": "none"}}, features={"cache": "allow", "identifier": "refuse"}
    )
    assert one.features[Signal.CACHE] is ALLOW
    assert one.features[Signal.IDENTIFIER] is REFUSE


def test_a_carve_out_that_is_not_accepted_tightens_its_signal() -> None:
    assert policy().features[Signal.SCHEMA_LEAK] is ALLOW
    assert policy(carve_outs_accepted=["system_data"]).features[Signal.SCHEMA_LEAK] is REWRITE
