"""The story that the product exists for, with an unchanged OpenAI SDK and the example policies."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import openai
import pytest
import yaml

from tests.running import Stage, contract, eventually, running
from tests.sdks.uses import Clients, clients

POLICIES = Path(__file__).parent.parent.parent / "policies"
MODEL = "openai/gpt-image-1"
ZDR, RULE = "zero_data_retention", "gateway_zero_content_retention"


@pytest.fixture
def stage() -> Iterator[Stage]:
    """A proxy under the mission's policy as it is shipped, with no contract on file."""
    name = "us-zdr-no-training"
    with running(policies={name: (POLICIES / f"{name}.yaml").read_text()}) as found:
        change(found, "attestations.yaml", None)
        yield found


def change(stage: Stage, name: str, text: str | None) -> None:
    """Change a file of the operator's, and wait until it is in force."""
    before = stage.ready()["revision"]
    if text is None:
        (stage.folder / name).unlink()
    else:
        (stage.folder / name).write_text(text)
    eventually(lambda: stage.ready()["revision"] != before)


def attest(stage: Stage, *, zdr_days: int, rule_days: int = 30) -> None:
    """Put both contracts on file; a negative number of days is one that has lapsed."""
    today = datetime.now(UTC).date()

    def until(days: int) -> dict[str, Any]:
        end = today + timedelta(days=days)
        return {"verified_at": str(today - timedelta(days=9)), "valid_until": str(end)}

    contracts = [
        contract(ZDR, route=MODEL) | until(zdr_days),
        contract(RULE, gateway="opper") | until(rule_days),
    ]
    change(stage, "attestations.yaml", yaml.safe_dump({"attestations": contracts}))


def draw(sdks: Clients) -> Any:
    return sdks.openai.images.generate(model=MODEL, prompt="A lighthouse at dusk.")


def refused(sdks: Clients) -> Any:
    """What the SDK raises; nothing has left for the gateway."""
    with pytest.raises(openai.PermissionDeniedError) as raised:
        draw(sdks)
    return raised.value


def test_gpt_image_1_waits_for_two_contracts_and_is_refused_again_when_one_lapses(stage: Stage) -> None:
    sdks = clients(stage.url, stage.keys["open"])

    first = refused(sdks)
    assert first.code == "requirement_unmet"
    assert "retention.abuse_logs" in first.message
    with pytest.raises(openai.PermissionDeniedError):
        sdks.openai.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "hi"}])

    attest(stage, zdr_days=90)
    assert draw(sdks).data[0].b64_json
    assert sdks.wire.last.answer["x-ringfence-route"] == MODEL
    assert [(seen.target, seen.json()["store"]) for seen in stage.seen] == [("/v3/images", False)]
    intent = stage.record(sdks.wire.last.answer["x-ringfence-decision-id"], "intent")
    assert "attestation" in str(intent["rules"])

    attest(stage, zdr_days=-1)
    lapsed = refused(sdks)
    assert lapsed.code == "requirement_unmet"
    attest(stage, zdr_days=90, rule_days=-1)
    assert refused(sdks).code in ("requirement_unmet", "requirement_unknown")

    attest(stage, zdr_days=91)
    change(stage, "policies/strict.yaml", (POLICIES / "strict.yaml").read_text())
    strict = refused(sdks)
    failing = {
        rule["about"]
        for rule in stage.record(strict.body["decision_id"], "refusal")["rules"]
        if rule["policy"] == "strict" and rule["outcome"] in ("unmet", "unknown")
    }
    assert failing
    assert all(about in strict.message for about in failing)
    assert len(stage.seen) == 1
