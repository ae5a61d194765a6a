"""what an audit record may hold, by version and kind: the closed schema that readers and verifiers check

Writers build records that fit by construction; this table is for whoever reads them. A field that is not
listed is a fault, as are floats, integers from 2^53 and anything that could be content. Versions are never
removed: a record written once stays readable. Version 1 is that of release 0.1.0; once that is out, a new
kind or field needs a new version, since a verifier refuses what it does not know.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

VERSION = 1
MAX_BYTES = 16 * 1024
MAX_INT = (1 << 53) - 1

Check = Callable[[object], bool]
Fields = Mapping[str, Check]


def _text(longest: int) -> Check:
    return lambda value: isinstance(value, str) and len(value) <= longest


def _like(pattern: str) -> Check:
    whole = re.compile(pattern, re.ASCII)
    return lambda value: isinstance(value, str) and whole.fullmatch(value) is not None


def _one_of(*words: str) -> Check:
    return lambda value: isinstance(value, str) and value in words


def _number(least: int = 0) -> Check:
    return lambda value: type(value) is int and least <= value <= MAX_INT


def _flag(value: object) -> bool:
    return type(value) is bool


def _many(each: Check, most: int = 128) -> Check:
    return lambda value: isinstance(value, list) and len(value) <= most and all(map(each, value))


def _members(required: Fields, optional: Fields | None = None) -> Check:
    def check(value: object) -> bool:
        return isinstance(value, dict) and not faults_of(value, required, optional or {})

    return check


def _keyed(key: Check, each: Check, most: int = 64) -> Check:
    def check(value: object) -> bool:
        return (
            isinstance(value, dict)
            and len(value) <= most
            and all(key(name) and each(held) for name, held in value.items())
        )

    return check


def _either(*checks: Check) -> Check:
    return lambda value: any(check(value) for check in checks)


def faults_of(held: Mapping[str, object], required: Fields, optional: Fields) -> list[str]:
    """One sentence for every field that is missing, not listed, or not of its form."""
    faults = [f"{name} is missing" for name in required if name not in held]
    for name, value in held.items():
        check = required.get(name) or optional.get(name)
        if check is None:
            faults.append(f"{name!r} is not a field of this kind")
        elif not check(value):
            faults.append(f"{name} is not of its form")
    return faults


TOKEN = _like(r"[a-z][a-z0-9_.]{0,63}")
NAME = _text(256)
HEX32 = _like(r"[0-9a-f]{64}")
DIGEST = _like(r"sha256:[0-9a-f]{64}")
UUID = _like(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
TIME = _like(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
LOG = _like(r"(?:[a-z0-9][a-z0-9._-]{0,62}/){3}\d{6,12}")
PSEUDONYM = _like(r"h:\d{1,6}:[0-9a-f]{32}")
SEALED = _members({"len": _number(), "mac": PSEUDONYM})
CHOSEN = _either(NAME, SEALED)
"""A string that the other side may choose: in words only when it is one of ours, else length and MAC."""

COMMON: Fields = {
    "v": lambda value: value == VERSION and type(value) is int,
    "kind": TOKEN,
    "log": LOG,
    "seq": _number(),
    "prev": HEX32,
    "eid": UUID,
    "t": TIME,
    "mono": _number(),
    "boot": _like(r"[0-9a-f-]{1,40}"),
}

_CLAIM = _members({"basis": TOKEN, "value": _text(200)}, {"until": TIME})
_RULE = _members(
    {
        "policy": NAME,
        "about": _text(128),
        "outcome": _one_of("met", "unmet", "unknown", "waived"),
        "asked": _text(200),
        "claimed": _either(_text(200), SEALED),
        "basis": TOKEN,
    },
    {"source": _text(200), "route": CHOSEN, "attestation": NAME, "waiver": NAME},
)
_POLICY = _members({"id": NAME, "digest": DIGEST})
_CATALOG = _members({"digest": DIGEST, "age_s": _number()})
_ROUTE_ROW = _members({"id": NAME, "provider": NAME, "posture": _keyed(TOKEN, _CLAIM)}, {"verified": TIME})

_REQUEST: Fields = {
    "rid": UUID,
    "method": _like("[A-Z]{3,7}|other"),
    "route": _text(256),
    "in_len": _number(),
    "effect": _one_of("allow", "deny"),
    "reason": TOKEN,
    "engine": _text(64),
    "masked": _many(_text(64)),
}
_REQUEST_MAY: Fields = {
    "tenant": NAME,
    "project": NAME,
    "key_id": NAME,
    "actor": PSEUDONYM,
    "peer": PSEUDONYM,
    "agent": _text(64),
    "trace": _like(r"[0-9a-f]{32}"),
    "span": _like(r"[0-9a-f]{16}"),
    "attempt": _number(1),
    "op": _text(64),
    "dialect": TOKEN,
    "stream": _flag,
    "translation": TOKEN,
    "in_mac": PSEUDONYM,
    "out_mac": PSEUDONYM,
    "model_req": CHOSEN,
    "models_also": _many(CHOSEN),
    "models_left": _number(1),
    "features": _many(_members({"id": _text(128), "at": _text(200)})),
    "features_left": _number(1),
    "policy": _many(_POLICY),
    "policy_left": _number(1),
    "catalog": _CATALOG,
    "revision": DIGEST,
    "tables": DIGEST,
    "attestations": _many(NAME),
    "waivers": _many(NAME),
    "rules": _many(_RULE, 512),
    "rules_left": _number(1),
}
_INTENT: Fields = {
    **{name: _REQUEST_MAY[name] for name in ("project", "key_id", "op", "dialect", "attempt")},
    **{name: _REQUEST_MAY[name] for name in ("model_req", "policy", "catalog", "rules")},
    "effect": _one_of("allow"),
    "model_fwd": NAME,
    "out_len": _number(),
    "route_row": _ROUTE_ROW,
    "changes": _many(_text(200)),
    "host": _text(256),
}
ENDS = (
    "complete",
    "client_gone",
    "upstream_reset",
    "timeout",
    "refused_by_upstream",
    "served_mismatch",
    "not_confirmed",
    "not_sent",
    "shutdown",
    "proxy_fault",
    "unknown_crash",
)
_INTENT_MAY: Fields = {"routes_also": _many(NAME), "routes_left": _number(1)}
_OUTCOME: Fields = {"rid": UUID, "attempt": _number(1), "end": _one_of(*ENDS)}
_OUTCOME_MAY: Fields = {
    "project": NAME,
    "status": _number(),
    "up_status": _number(),
    "model_srv": CHOSEN,
    "prov_srv": CHOSEN,
    "served": _one_of("confirmed", "unconfirmed", "mismatch"),
    "up_id": CHOSEN,
    "tok_in": _number(),
    "tok_out": _number(),
    "cost_microusd": _number(),
    "ttfb_us": _number(),
    "dur_us": _number(),
    "bytes": _number(),
    "intent_log": LOG,
    "intent_seq": _number(),
}

_COUNTS = _keyed(TOKEN, _number(1))
_LOAD_MAY: Fields = {"reason": TOKEN, "mistakes": _number(), "revision": DIGEST}

KINDS: Mapping[str, tuple[Fields, Fields]] = {
    "intent": ({**_REQUEST, **_INTENT}, {**_REQUEST_MAY, **_INTENT_MAY}),
    "refusal": ({**_REQUEST, "effect": _one_of("deny")}, _REQUEST_MAY),
    "reject": (
        {"reason": TOKEN, "count": _number(1), "first": TIME, "last": TIME},
        {"peer": PSEUDONYM, "in_len": _number()},
    ),
    "outcome": (_OUTCOME, _OUTCOME_MAY),
    "policy_load": ({"ok": _flag, "policy": _many(_POLICY, 64)}, {"policy_left": _number(1), **_LOAD_MAY}),
    "catalog_load": (
        {"ok": _flag, "routes": _number()},
        {"catalog": _CATALOG, "changes": _COUNTS, **_LOAD_MAY},
    ),
    "open": (
        {"engine": _text(64), "reason": TOKEN, "recovered": _number()},
        {
            "prev_log": LOG,
            "prev_size": _number(),
            "prev_root": HEX32,
            "damaged_at": _number(),
            "damage": _text(200),
            "unsafe": _many(TOKEN),
        },
    ),
    "close": ({"reason": TOKEN}, {}),
    "heartbeat": ({}, {}),
    "gap": ({"from": TIME, "to": TIME, "counts": _COUNTS, "reason": TOKEN}, {}),
    "clock_step": ({"step_us": _number(-MAX_INT)}, {}),
    "key_rotate": ({"key": NAME, "old": NAME, "new": NAME}, {}),
    "erasure": ({"key": NAME, "scope": NAME, "authority": NAME}, {}),
    "prune": (
        {
            "pruned": LOG,
            "size": _number(1),
            "root": HEX32,
            "last": TIME,
            "covered": _number(),
            "keep_s": _number(),
        },
        {},
    ),
    "export": ({"format": TOKEN, "from_seq": _number(), "to_seq": _number()}, {"authority": NAME}),
}
"""Kind -> fields that it must have, fields that it may have; `COMMON` comes on top."""


def faults(record: object) -> list[str]:
    """Every way in which a decoded record departs from the schema of its version; empty when it fits."""
    if not isinstance(record, dict):
        return ["it is not an object"]
    if record.get("v") != VERSION:
        return ["its version is not one that this verifier knows; use a newer one"]
    kind = KINDS.get(str(record.get("kind")))
    if kind is None:
        return ["its kind is not one of this version"]
    required, optional = kind
    return faults_of(record, {**COMMON, **required}, optional)
