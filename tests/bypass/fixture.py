"""What the case bytes assume of the proxy, as files: policy, attestations, catalogue, configuration.

Dates are counted from now, so that the suite does not age.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.bypass.cases import Fixture

POLICY = """\
policy: eu-zdr-no-training
because: Content stays in the EU, is kept by nobody, and is never trained on.
applies_to: {projects: ["*"]}
require:
  inference_location: {within: [EU]}
  storage_location: {within: [EU]}
  training: forbidden
  retention: {application_state: none, abuse_logs: none, cache: none}
gateway:
  location: {within: [SE]}
  content_retention: none
features:
  app_state: rewrite
  stateful_reference: refuse
  third_party_egress: refuse
  hosted_tool: refuse
  model_override: refuse
  identifier: refuse
unknown_members: refuse
"""

ATTESTATIONS = """\
attestations:
  - id: opper-zero-retention
    subject: {{gateway: opper}}
    claims: [{{claim: gateway_zero_content_retention, clause: "retention rule"}}]
    evidence: {{ref: "screenshot of the rule", sha256: "{digest}"}}
    attested_by: Data protection officer
    verified_at: {start}
    valid_until: {end}
"""

CONFIG = """\
data_dir: data
listen:
  host: 127.0.0.1
  port: 0
  hosts: [{host}]
  header_deadline: 2s
  body_deadline: 2s
admin: {{host: 127.0.0.1, port: 0}}
gateway:
  base_url: http://127.0.0.1:{upstream}
  api_key_env: BYPASS_UPSTREAM_KEY
policies: {{paths: [policies]}}
attestations: {{file: attestations.yaml}}
"""

EU = {"country": "Sweden", "region": "EU", "keeps": False}
US = {"country": "United States", "region": "US", "keeps": True}


def write(folder: Path, *, upstream: int, host: str) -> Path:
    """Write every file below `folder` and return the configuration's path."""
    today = datetime.now(UTC).date()
    start, end = today - timedelta(days=1), today + timedelta(days=30)
    (folder / "policies").mkdir()
    (folder / "policies" / "eu.yaml").write_text(POLICY, encoding="utf-8")
    attested = ATTESTATIONS.format(digest="0" * 64, start=start, end=end)
    (folder / "attestations.yaml").write_text(attested, encoding="utf-8")
    config = folder / "config.yaml"
    config.write_text(CONFIG.format(upstream=upstream, host=host), encoding="utf-8")
    return config


def catalogue() -> bytes:
    """The answer of `GET /v3/models`: two compliant routes, two that are not, on both sides of the line."""
    rows = [
        row("azure/gpt-5.5", "gpt-5.5-eu", EU),
        row("openai/gpt-5.5", "gpt-5.5", US),
        row("example-eu/gemini-eu-fixture", "gemini-eu-fixture", EU),
        row("example-us/gemini-us-fixture", "gemini-us-fixture", US),
        row("openai/gpt-image-1", "gpt-image-1", US, kind="image"),
    ]
    return json.dumps({"models": rows, "total": len(rows)}).encode()


def with_pins(fixture: Fixture) -> Fixture:
    """The fixture with the pins that its bare names stand for: only pins travel."""
    return replace(fixture, allowed=(*fixture.allowed, "example-eu/gemini-eu-fixture"))


def row(identity: str, model: str, place: dict[str, Any], *, kind: str = "llm") -> dict[str, Any]:
    keeps, country, region = place["keeps"], place["country"], place["region"]
    zdr = dict.fromkeys(("logging", "moderation", "caching", "training", "subprocessors"), keeps)
    days = {"retention_days": 30 if keeps else 0}
    return {
        "id": identity, "name": identity, "type": kind, "provider": identity.partition("/")[0],
        "model": model, "model_id": identity.partition("/")[2], "pooled": True, "region": region,
        "context_window": 200_000,
        "country": country, "pricing": {"input": [1.0], "output": [4.0], "billing_unit": "per_mtok"},
        "compliance": {
            "route_id": identity, "residency": region, "country": country, "inference_location": country,
            "storage_location": country if keeps else None, "zdr": zdr, "training": keeps, "logging": keeps,
            "moderation": keeps, "caching": keeps, "content_storage": keeps, "dpa_available": "DPA available",
            "third_party_access": "None", "transfer_mechanism": "adequacy",
        },
        "route": {
            "data_handling": {
                "training": keeps, "logging": days, "moderation": days, "caching": days,
                "storage_location": country if keeps else None, "human_review": "none",
                "subprocessors_read_content": keeps,
            },
            "gdpr": {"residency": region, "dpa_available": "DPA available", "transfer_mechanism": "adequacy"},
            "zdr": zdr,
            "verification": {"status": "verified"},
        },
    }  # fmt: skip
