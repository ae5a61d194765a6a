"""Builders for tests that judge: countries, policies from text, routes with given claims."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from proxy.core.places import Countries, read_countries
from proxy.core.policy import Policy, read_policy
from proxy.core.strict_yaml import load
from proxy.core.values import (
    Basis,
    Call,
    Caller,
    Candidates,
    Claim,
    Effect,
    Json,
    Price,
    Reference,
    Route,
    RouteId,
)

ROOT = Path(__file__).resolve().parent.parent
AT = datetime(2026, 11, 22, 12, tzinfo=UTC)
CALLER = Caller("acme", "studio", "key-1")


def _countries() -> Countries:
    return read_countries(load((ROOT / "proxy/tables/countries.yaml").read_bytes(), "countries.yaml").data)


COUNTRIES = _countries()

MET: Mapping[str, Json] = {
    "inference_location": {"places": ["US"], "beside": []},
    "storage_location": {"places": [], "beside": []},
    "training": "never",
    "retention.application_state": {"kept": "none"},
    "retention.abuse_logs": {"kept": "none"},
    "retention.cache": {"kept": "none"},
    "human_review": "none",
    "third_parties": [],
    "dpa": "signed",
    "transfer_basis": ["scc"],
    "evidence": (AT - timedelta(days=10)).isoformat(),
}
"""A claim value per dimension that meets STRICT."""

UNMET: Mapping[str, Json] = {
    "inference_location": {"places": ["SE"], "beside": []},
    "storage_location": {"places": ["GLOBAL"], "beside": []},
    "training": "allowed",
    "retention.application_state": {"kept": "content", "until_deleted": True},
    "retention.abuse_logs": {"kept": "content", "seconds": 2_592_000},
    "retention.cache": {"kept": "content"},
    "human_review": "allowed",
    "third_parties": "unnamed",
    "dpa": "none",
    "transfer_basis": ["dpf"],
    "evidence": "2020-01-01T00:00:00+00:00",
}
"""A claim value per dimension that fails STRICT."""

STRICT: Mapping[str, Json] = {
    "inference_location": {"within": ["US"]},
    "storage_location": {"within": ["US"]},
    "training": "forbidden",
    "retention": {"application_state": "none", "abuse_logs": "none", "cache": {"at_most": "24h"}},
    "human_review": "safety_hits_only",
    "third_parties": "none",
    "dpa": "signed",
    "transfer_basis": {"any_of": ["scc", "adequacy"]},
    "evidence": {"not_older_than": "90d"},
}


def claim(value: Json, *, until: datetime | None = None, source: str = "catalogue:test") -> Claim:
    """A claim with a value, unknown when it is None; attested when the source says so."""
    basis = Basis.ATTESTATION if source.startswith("attestation:") else Basis.CATALOGUE
    return Claim(value, Basis.UNKNOWN if value is None else basis, str(value), source, valid_until=until)


def route(
    identity: str = "example/a", *, price: float | None = 1.0, kind: str = "llm", **claims: Any
) -> Route:
    """A route that meets STRICT, but for the claims given (`retention__cache=...`; None: unknown)."""
    values = {**MET, **{name.replace("__", "."): value for name, value in claims.items()}}
    posture = {name: claim(value) for name, value in values.items()}
    provider, _, model = identity.partition("/")
    return Route(RouteId(identity), provider, model, kind, posture, price=Price(input=price, output=price))


def policy(text: str = "", *, name: str = "p", **fields: Any) -> Policy:
    """A policy from YAML text, or from fields laid over a minimal one."""
    written = text or yaml.safe_dump(
        {
            "policy": name,
            "because": f"The reason of {name}.",
            "applies_to": {"projects": ["*"]},
            "require": {"training": "forbidden"},
            **fields,
        },
        sort_keys=False,
        default_style=None,
    )
    return read_policy(load(written, f"{name}.yaml"), COUNTRIES)


def call(model: str = "example/a", *, effects: Iterable[Effect] = (), **fields: Any) -> Call:
    """A chat completion for a model."""
    models = (model, *fields.pop("fallbacks", ()))
    return Call("chat.completions", "openai", models, False, tuple(effects), **fields)


def pin(one: Route) -> Candidates:
    """The candidates of a pinned id."""
    return Candidates(Reference.PIN, (one,))


def pool(*routes: Route) -> Candidates:
    """The candidates of a bare name."""
    return Candidates(Reference.POOL, routes)


class Shelf:
    """A catalogue of given routes: pins by id, pools by the part after the provider."""

    def __init__(self, *routes: Route) -> None:
        self.routes = routes

    def candidates(self, reference: str) -> Candidates:
        pinned = tuple(one for one in self.routes if one.id == reference)
        if pinned:
            return Candidates(Reference.PIN, pinned)
        pooled = tuple(one for one in self.routes if one.model == reference)
        return Candidates(Reference.POOL if pooled else Reference.UNKNOWN, pooled)

    def kin(self, reference: str) -> tuple[Route, ...]:
        model = reference.partition("/")[2] or reference
        return tuple(one for one in self.routes if one.model == model and one.id != reference)
