"""A row may leave a provider out: what its own routes understand, nobody else's are known to."""

from __future__ import annotations

from proxy.core.values import Edit, Json
from proxy.facts import read_facts


def _found(model: str, geo: Json = "us") -> dict[str, tuple[Edit, ...]]:
    body: Json = {"model": model, "inference_geo": geo}
    effects = read_facts().tables.effects.find("anthropic", "anthropic.messages", body)
    return {effect.row: effect.edits for effect in effects}


def test_a_region_of_inference_is_dropped_for_every_provider_but_the_one_that_knows_it() -> None:
    for model in ("azure/claude-sonnet-5", "example-eu/x", "claude-sonnet-5", ""):
        assert _found(model)["ant.inference_geo.elsewhere"] == (Edit(("inference_geo",), "remove"),)
    assert "ant.inference_geo.elsewhere" not in _found("anthropic/claude-sonnet-5")


def test_a_region_that_the_caller_chooses_is_told_whatever_its_name() -> None:
    kept = (Edit(("inference_geo",), "keep", "us"),)
    assert _found("anthropic/claude-sonnet-5")["ant.inference_geo.us"] == kept
    assert not [row for row in _found("anthropic/claude-sonnet-5") if row.endswith(".other")]
    for geo in ("eu", "US", "us ", "us\n", ""):
        assert _found("anthropic/claude-sonnet-5", geo)["ant.inference_geo.other"] == ()
