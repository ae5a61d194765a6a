"""the JSON Schema of a policy file, derived from the dimensions and the signals

Editors check and complete policies with it. `ringfence policy check` does not use it: the reader is
stricter and knows the words in more detail.
"""

from __future__ import annotations

from collections.abc import Sequence

from proxy.core.dimensions import DIMENSIONS, GATEWAY_DIMENSIONS, Dimension
from proxy.core.features import DEFAULTS, Treatment
from proxy.core.forms import NAME_PATTERN
from proxy.core.policy import CARVE_OUTS, SCOPE_FIELDS
from proxy.core.values import Json, Signal
from proxy.core.waivers import FIELDS, WAIVABLE


def policy_schema() -> dict[str, Json]:
    """Build the schema (JSON Schema 2020-12)."""
    lists: dict[str, Json] = {"type": "array", "items": {"type": "string"}, "minItems": 1}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Ringfence policy",
        "description": "Which routes, which gateway and which request features are good enough, and why.",
        "type": "object",
        "required": ["policy", "because", "applies_to", "require"],
        "additionalProperties": False,
        "properties": {
            "policy": _text("The policy's name, as records and refusals use it.", pattern=NAME_PATTERN),
            "because": _text("Why, in a sentence; callers read it when they are refused."),
            "applies_to": {
                **_closed(dict.fromkeys(SCOPE_FIELDS, lists)),
                "minProperties": 1,
                "description": "Whom it covers: patterns with *. All fields that are given must match.",
            },
            "require": _tree(DIMENSIONS, "What a route must be like."),
            "gateway": _tree(GATEWAY_DIMENSIONS, "What the gateway itself must be like."),
            "features": _features(),
            "unknown_members": _words(("refuse", "drop"), "What happens to body members nobody has judged."),
            "when_some_routes_comply": _words(
                ("pin", "refuse"), "What happens to a model of whose routes only some comply."
            ),
            "prefer": {**lists, "description": "Routes or patterns, the preferred first."},
            "models": {
                **_closed({"allow": lists, "deny": lists}),
                "description": "Routes or patterns that are let through, and that are not.",
            },
            "carve_outs_accepted": {
                "type": "array",
                "items": {"enum": list(CARVE_OUTS)},
                "uniqueItems": True,
                "description": "What may survive every retention mode; all of it when left out.",
            },
            "waivers": {"type": "array", "items": _waiver(lists)},
            "require_confirmation": {
                "type": "boolean",
                "description": "Relay an answer only when the gateway confirms which route served it.",
            },
            "unsafe_forward_pools": {
                "type": "boolean",
                "description": "Forward a bare model name unpinned when all its routes comply.",
            },
        },
    }


def _features() -> dict[str, Json]:
    treatments: list[Json] = [treatment.value for treatment in Treatment]
    properties: dict[str, Json] = {}
    for signal, default in DEFAULTS.items():
        if signal is Signal.UNKNOWN_MEMBER:
            continue
        note = f"Default: {default.treatment.value}, for {default.why}"
        if default.when:
            note += f" ({default.stricter.value} with {' or '.join(default.when)})"
        properties[signal.value] = {"enum": treatments, "description": f"{note}."}
    return {**_closed(properties), "description": "What happens to requests that use a feature."}


def _tree(dimensions: Sequence[Dimension], description: str) -> dict[str, Json]:
    """Nest dotted names: `retention.cache` stands as `retention: {cache: ...}`."""
    properties: dict[str, Json] = {}
    for dimension in dimensions:
        head, _, tail = dimension.name.partition(".")
        leaf: Json = {**dimension.schema(), "description": dimension.asks}
        if not tail:
            properties[head] = leaf
            continue
        inner = properties.setdefault(head, _closed({}))
        assert isinstance(inner, dict)
        leaves = inner["properties"]
        assert isinstance(leaves, dict)
        leaves[tail] = leaf
    return {**_closed(properties), "description": description}


def _waiver(lists: Json) -> dict[str, Json]:
    properties: dict[str, Json] = {name: {"type": "string"} for name in FIELDS}
    properties |= {"routes": lists, "dimension": {"enum": list(WAIVABLE)}}
    return {**_closed(properties), "required": list(FIELDS)}


def _closed(properties: dict[str, Json]) -> dict[str, Json]:
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _words(words: Sequence[str], description: str) -> dict[str, Json]:
    return {"enum": list(words), "description": description}


def _text(description: str, *, pattern: str = "") -> dict[str, Json]:
    kind: dict[str, Json] = {"type": "string", "description": description}
    return {**kind, "pattern": pattern} if pattern else kind
