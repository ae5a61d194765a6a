"""a whole Ringfence deployment in a scratch folder: configuration, policy, attestation, catalogue, one key

Nothing is switched off that a production set-up has on: the key check, the policy that ships as the
mission's example, and the audit log with its fsync before each forward.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import orjson

from benchmarks import wire
from benchmarks.contestants import free_port

_NEIGHBOURS = 300
_KEY_VARIABLE = "BENCH_OPPER_KEY"

_POLICY = """\
policy: bench-us-zdr-no-training
because: Content may be processed in the US, is kept by nobody, and is never trained on.
applies_to: {projects: ["*"]}
require:
  inference_location: {within: [US]}
  training: forbidden
  retention: {application_state: none, abuse_logs: none}
gateway:
  location: {within: [SE]}
  content_retention: none
features:
  app_state: rewrite
  stateful_reference: refuse
  third_party_egress: refuse
  hosted_tool: refuse
"""

_ATTESTATIONS = """\
attestations:
  - id: bench-gateway
    subject: {gateway: opper}
    claims:
      - {claim: gateway_zero_content_retention, clause: The mock keeps no content.}
      - {claim: gateway_location, places: [SE], clause: Said for the benchmark only.}
    attested_by: benchmarks
    evidence: {ref: benchmarks/deployment.py, sha256: "%s"}
    verified_at: 2026-01-01
    valid_until: 2099-12-31
""" % ("0" * 64)


@dataclass(frozen=True, slots=True)
class Deployment:
    """Where the set-up lies, on which ports it listens, and the environment that it needs."""

    config: Path
    port: int
    admin_port: int
    environment: Mapping[str, str]


def models() -> bytes:
    """The mock gateway's catalogue: one route that complies, and neighbours that do not."""
    rows = [_row(wire.MODEL, training="No training on customer data.", logging="None")]
    rows += [
        _row(f"other/model-{number}", training="Opt-out", logging="Abuse monitoring (30-day retention)")
        for number in range(_NEIGHBOURS)
    ]
    return orjson.dumps({"models": rows, "total": len(rows)})


def _row(route: str, *, training: str, logging: str) -> dict[str, object]:
    provider, model = route.split("/")
    clean = logging == "None"
    zdr = "always" if clean else "enterprise"
    return {
        "id": route,
        "type": "chat",
        "provider": provider,
        "model_id": model,
        "model": model,
        "region": "US",
        "country": "United States",
        "pricing": {"input": 0.15, "output": 0.6},
        "context_window": 128_000,
        "compliance": {
            "country": "United States",
            "inference_location": "United States",
            "training": training,
            "logging": logging,
            "third_party_access": "None disclosed",
            "dpa_available": "DPA available",
            "transfer_mechanism": "SCCs",
            "zdr": {"status": zdr, "logging": not clean, "moderation": not clean},
        },
        "route": {"last_verified_at": "2026-11-01T00:00:00Z"},
    }


def deploy(folder: Path, upstream_port: int) -> Deployment:
    """Write the set-up into a folder and register the load client's key."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "policies").mkdir(exist_ok=True)
    (folder / "policies" / "bench.yaml").write_text(_POLICY)
    (folder / "attestations.yaml").write_text(_ATTESTATIONS)
    made = Deployment(
        folder / "config.yaml", free_port(), free_port(), {_KEY_VARIABLE: "op-bench-0123456789"}
    )
    made.config.write_bytes(orjson.dumps(_settings(folder, made, upstream_port), option=orjson.OPT_INDENT_2))
    _adopt(made)
    return made


def keep_catalogue(folder: Path, upstream_port: int) -> None:
    """Leave the catalogue where a proxy that cannot reach the gateway finds its last good one."""
    kept = {
        "source": f"http://127.0.0.1:{upstream_port}/v3/models",
        "fetched_at": datetime.now(UTC).isoformat(),
        "payload": orjson.loads(models()),
    }
    (folder / "data" / "catalogue").mkdir(parents=True, exist_ok=True)
    (folder / "data" / "catalogue" / "current.json").write_bytes(orjson.dumps(kept))


def _settings(folder: Path, made: Deployment, upstream_port: int) -> dict[str, object]:
    """The configuration; JSON is YAML."""
    return {
        "data_dir": str(folder / "data"),
        "listen": {"port": made.port},
        "admin": {"port": made.admin_port},
        "gateway": {
            "base_url": f"http://127.0.0.1:{upstream_port}",
            "api_key_env": _KEY_VARIABLE,
            "max_connections": 4096,
        },
        "policies": {"paths": [str(folder / "policies")]},
        "attestations": {"file": str(folder / "attestations.yaml")},
        "logs": {"level": "warning"},
    }


def _adopt(made: Deployment) -> None:
    arguments = ["keys", "adopt", "--project", "bench", "--config", str(made.config)]
    done = subprocess.run(
        [sys.executable, "-m", "proxy", *arguments],
        input=wire.CALLER_KEY.encode() + b"\n",
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the key could not be registered: {done.stderr.decode(errors='replace')}")
