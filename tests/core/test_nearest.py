"""A wrong name is answered with the nearest right one, and only when one is near."""

from __future__ import annotations

from proxy.core.nearest import did_you_mean, nearest


def test_a_slip_finds_its_name_whatever_the_case() -> None:
    assert nearest("inference_locaton", ["inference_location", "training"]) == "inference_location"
    assert nearest("us", ["US", "SE"]) == "US"


def test_what_is_near_to_nothing_finds_nothing() -> None:
    assert nearest("zebra", ["training"]) == ""
    assert nearest(None, ["training"]) == ""
    assert did_you_mean(7, ["training"]) == ""


def test_the_hint_is_a_question() -> None:
    assert did_you_mean("trainin", ["training"]) == "; did you mean 'training'?"
