"""fictional routes, all under `example-*`: compliant ones, and ones that a policy must refuse

They exist in the simulator only. Their rows have the shape of Opper's current `GET /v3/models`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Posture:
    """What a fictional provider promises on every route. Days are of abuse-monitoring logs."""

    country: str
    region: str
    keeps: bool
    trains: bool
    log_days: int
    storage: str | None
    review: str
    third_parties: str
    dpa: str
    transfer: str


_US = _Posture("United States", "US", False, False, 0, None, "none", "None", "DPA available", "SCCs")
_EU = _Posture("Sweden", "EU", False, False, 0, None, "none", "None", "DPA available", "adequacy")
_OPEN = _Posture("United States", "US", True, True, 30, "United States", "Abuse-flagged only",
                 "None disclosed", "No DPA", "unknown")  # fmt: skip
_PROVIDERS: dict[str, tuple[str, _Posture | None]] = {
    "example-us": ("Example US", _US),
    "example-us:central": ("Example US Central", _US),
    "example-eu": ("Example EU", _EU),
    "example-open": ("Example Open", _OPEN),
    "example-ww": ("Example Worldwide", None),
}


_ALIASES = {
    "example-us/atlas-1": ("atlas-latest", "example-us/atlas-latest"),
    # Claude Code asks for its small model by a dated name.
    "example-us/claude-haiku-4-5": ("claude-haiku-4-5-20251001",),
    "example-open/claude-haiku-4-5": ("claude-haiku-4-5-20251001",),
}
_LIMITS: dict[str, Row] = {
    "llm": {"context_window": 200_000, "max_output_tokens": 64_000},
    "embedding": {"context_window": 8192},
}


def example_rows(verified_at: str) -> list[Row]:
    """Every fictional row. `verified_at` is an ISO instant: when their posture was last checked."""
    rows = [
        *_llm("atlas-1", ["example-us", "example-eu", "example-open", "example-ww"], 1.0),
        *_llm("atlas-1-mini", ["example-us", "example-open"], 0.2),
        *_llm("borealis-1", ["example-eu"], 1.5),
        *_llm("meadow-1", ["example-open", "example-ww"], 0.1),
        # What coding agents ask for when nobody tells them otherwise.
        *_llm("claude-opus-4-8", ["example-us", "example-eu", "example-open"], 5.0),
        *_llm("claude-sonnet-5", ["example-us", "example-eu", "example-open"], 3.0),
        *_llm("claude-sonnet-4-6", ["example-us"], 3.0),
        *_llm("claude-haiku-4-5", ["example-us", "example-open"], 1.0),
        *_llm("gpt-6.1-sol", ["example-us", "example-eu", "example-open"], 5.0),
        *_llm("gpt-6.1-luna", ["example-us", "example-open"], 0.5),
        *_llm("gpt-5.5", ["example-us"], 5.0),
        *_llm("gemini-3-flash", ["example-us", "example-open"], 0.3),
        _row("example-us:central/nova/Atlas-1-XL", "atlas-1-xl", "llm", pricing=_tokens(2.0)),
        _row("example-us/solo-1", "solo-1", "llm", pricing=_tokens(1.0), pooled=False),
        _row("example-us/vault-1", "vault-1", "llm", pricing=_tokens(1.0), access="restricted"),
        _row("example-us/atlas-0", "atlas-0", "llm", pricing=_tokens(1.0),
             retired_at="2026-01-31T00:00:00Z", successor="atlas-1"),
        *(_row(f"{slug}/quill-embed-1", "quill-embed-1", "embedding", pricing=_tokens(0.02))
          for slug in ("example-us", "example-eu", "example-open")),
        *(_row(f"{slug}/easel-1", "easel-1", "image", pricing={"price_per_generation": 0.01})
          for slug in ("example-us", "example-eu", "example-open")),
        _row("example-us/gpt-image-1", "gpt-image-1", "image", pricing={"price_per_generation": 0.02}),
    ]  # fmt: skip
    for row in rows:
        if aliases := _ALIASES.get(row["id"]):
            row["aliases"] = list(aliases)
        if "route" in row:
            row["route"]["last_verified_at"] = verified_at
    return rows


def _llm(model: str, slugs: list[str], price: float) -> list[Row]:
    return [_row(f"{slug}/{model}", model, "llm", pricing=_tokens(price)) for slug in slugs]


def _tokens(price: float) -> Row:
    return {"input": [price], "output": [price * 4], "cached_input": [price / 10], "billing_unit": "per_mtok"}


def _row(identity: str, model: str, kind: str, **more: Any) -> Row:
    slug, _, own = identity.partition("/")
    display, posture = _PROVIDERS[slug]
    row: Row = {
        "id": identity, "name": f"{model} ({display})", "type": kind, "provider": slug,
        "provider_display_name": display, "model_id": own, "model": model, "maker": "Example",
        "description": "A fictional route of the simulator.", "capabilities": _capabilities(kind),
        "pooled": True, **more,
    }  # fmt: skip
    row |= _LIMITS.get(kind, {})
    if posture is not None:
        row |= {"region": posture.region, "country": posture.country,
                "compliance": _compliance(identity, posture), "route": _evidence(posture)}  # fmt: skip
    return row


def _capabilities(kind: str) -> list[str]:
    return {"llm": ["tools", "vision", "structured_output"], "image": ["image_generation"]}.get(kind, [])


def _zdr(posture: _Posture) -> Row:
    return {"logging": posture.keeps, "moderation": posture.keeps, "caching": posture.keeps,
            "training": posture.trains, "subprocessors": posture.keeps}  # fmt: skip


def _compliance(identity: str, posture: _Posture) -> Row:
    return {
        "route_id": identity, "residency": posture.region, "country": posture.country,
        "inference_location": posture.country, "storage_location": posture.storage,
        "zdr": _zdr(posture), "training": posture.trains, "logging": posture.keeps,
        "moderation": posture.keeps, "caching": posture.keeps, "content_storage": posture.keeps,
        "dpa_available": posture.dpa, "third_party_access": posture.third_parties,
        "transfer_mechanism": posture.transfer,
    }  # fmt: skip


def _evidence(posture: _Posture) -> Row:
    return {
        "data_handling": {
            "training": posture.trains,
            "logging": {"retention_days": posture.log_days},
            "moderation": {"retention_days": posture.log_days},
            "caching": {"retention_days": posture.log_days},
            "storage_location": posture.storage,
            "human_review": posture.review,
            "subprocessors_read_content": posture.keeps,
        },
        "gdpr": {"residency": posture.region, "dpa_available": posture.dpa,
                 "transfer_mechanism": posture.transfer},
        "zdr": _zdr(posture),
        "verification": {"status": "verified"},
    }  # fmt: skip
