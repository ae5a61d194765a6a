"""the nouns that flow

Every value is frozen. Only `RawRequest`, `UpstreamRequest` and `Reply` hold content; `Call` has no
field for a prompt, so nothing after the reading of a request can log one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NewType, TypeAlias

from proxy.core.fields import Fields

RouteId = NewType("RouteId", str)
"""A pinned `provider/model` id, exactly as the catalogue spells it (case matters)."""
PolicyId = NewType("PolicyId", str)
Digest = NewType("Digest", str)
"""`sha256:` and 64 lower-case hex digits."""
Fingerprint = NewType("Fingerprint", str)
"""Keyed hash of a caller's credential, 64 lower-case hex digits."""

Json: TypeAlias = "None | bool | int | float | str | list[Json] | dict[str, Json]"
Pointer: TypeAlias = tuple[str | int, ...]
"""Where a value stands in a body: member names and list indices, outermost first."""
Headers: TypeAlias = tuple[tuple[bytes, bytes], ...]
"""Header fields in the order and case in which they came."""


# -- a request, as received and as read ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RawRequest:
    """A request as it came off the wire: the only inbound value that holds content.

    `path` is the raw request target up to the first `?`, undecoded; `query` the rest without it.
    """

    method: str
    path: str
    query: str
    headers: Headers = field(repr=False)
    body: bytes = field(repr=False)
    peer: str = ""
    _fields: Fields | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def fields(self) -> Fields:
        """The header fields by name; found at the first question, because some requests end before it."""
        found = self._fields
        if found is None:
            found = Fields(self.headers)
            object.__setattr__(self, "_fields", found)
        return found

    def with_body(self, body: bytes) -> RawRequest:
        """The same request around another body; its header fields need not be found again."""
        other = RawRequest(self.method, self.path, self.query, self.headers, body, self.peer)
        return other._with(self._fields)

    @staticmethod
    def of(method: str, path: str, query: str, fields: Fields, body: bytes, peer: str) -> RawRequest:
        """A request whose header fields have been found already."""
        return RawRequest(method, path, query, fields.pairs, body, peer)._with(fields)

    def _with(self, fields: Fields | None) -> RawRequest:
        # Not an argument: `replace` with other headers must not carry over what was found in these.
        object.__setattr__(self, "_fields", fields)
        return self


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One operation of a dialect: what it matches, where it goes, how its body is read.

    `template` is matched against the raw path: literal segments, and at most one `{model}`, which
    takes the rest up to the literal tail. `upstream` is the constant target at the gateway (it may
    name `{model}`), or "" when the proxy answers by itself. `members` names the body's member
    table, or is "" when the endpoint takes no body. `query` lists what the query may hold, each as
    `name=value` or, for any value, `name=`; nothing else may stand there.
    """

    operation: str
    dialect: str
    method: str
    template: str
    upstream: str
    members: str
    media: str = "application/json"
    query: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Match:
    """An endpoint and what its path says: the model id of a Google path, the id of a session path.

    `translation` names the translation that made the body, and is "" for bytes as they came.
    """

    endpoint: Endpoint
    model: str = ""
    session: str = ""
    translation: str = ""


class Signal(StrEnum):
    """What a request feature can do to data: the words that a policy's `features` block uses."""

    APP_STATE = "app_state"
    STATEFUL_REFERENCE = "stateful_reference"
    THIRD_PARTY_EGRESS = "third_party_egress"
    HOSTED_TOOL = "hosted_tool"
    MODEL_OVERRIDE = "model_override"
    RESIDENCY = "residency"
    CACHE = "cache"
    HUMAN_REVIEW = "human_review"
    ABUSE_LOG = "abuse_log"
    TRAINING = "training"
    IDENTIFIER = "identifier"
    CLIENT_TELEMETRY = "client_telemetry"
    SCHEMA_LEAK = "schema_leak"
    BIOMETRIC = "biometric"
    OPAQUE_CONTENT = "opaque_content"
    UNKNOWN_MEMBER = "unknown_member"


@dataclass(frozen=True, slots=True)
class Edit:
    """One change to a body, named by pointer. `remove` ignores `value`; `set` creates or replaces.

    `keep` changes nothing: it names a value that may stay where a policy permits the place it stands for.
    """

    pointer: Pointer
    op: str
    value: Json = None


@dataclass(frozen=True, slots=True)
class Effect:
    """A request feature found in a call: the table row that names it, and where it stands.

    `path` is written with names from our tables only. `edits` undo the feature as its source
    documents; empty when no rewrite is known.
    """

    row: str
    signals: tuple[Signal, ...]
    path: str
    feature: str
    edits: tuple[Edit, ...] = ()

    @property
    def stays(self) -> bool:
        """Tell whether nothing has to change where a policy permits the place that the request names."""
        return bool(self.edits) and all(edit.op == "keep" for edit in self.edits)


@dataclass(frozen=True, slots=True)
class Call:
    """What a request asks for, without its content.

    `models` holds every model reference as the caller wrote it, the main one first, fallbacks after.
    `model_at` is where the main one stands in the body (empty when it stands in the path);
    `repeats` are further places that say the main one again and have to follow when it is pinned.
    `fallbacks_at` are the places of the fallbacks, in their order, where they can be rewritten.
    """

    operation: str
    dialect: str
    models: tuple[str, ...]
    stream: bool
    effects: tuple[Effect, ...]
    model_at: Pointer = ("model",)
    agent: str = "other"
    repeats: tuple[Pointer, ...] = ()
    fallbacks_at: tuple[Pointer, ...] = ()


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is asking: the key's id and scope, and never the key."""

    organisation: str
    project: str
    key_id: str
    policies: tuple[PolicyId, ...] = ()


# -- what a route claims ---------------------------------------------------------------------------


class Basis(StrEnum):
    """What a claim rests on, weakest first."""

    UNKNOWN = "unknown"
    CATALOGUE = "catalogue"
    ATTESTATION = "attestation"


@dataclass(frozen=True, slots=True)
class Claim:
    """What a route says about itself on one dimension.

    `value` is None when nothing usable was said; `words` is the source's own text for people,
    `source` where it was read, `seen_at` when. A claim that lapses carries `valid_until`.
    """

    value: Json
    basis: Basis
    words: str
    source: str
    seen_at: datetime | None = None
    valid_until: datetime | None = None


Posture: TypeAlias = Mapping[str, Claim]
"""A claim per dimension name; a missing name means unknown."""


@dataclass(frozen=True, slots=True)
class Price:
    """USD per million tokens, and per generated image where a route prices that way."""

    input: float | None = None
    output: float | None = None
    image: float | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """One catalogue row: a pinned id, who serves it, and its posture.

    `access` is the catalogue's own word (`restricted`: callable only under a contract), "" when none.
    """

    id: RouteId
    provider: str
    model: str
    kind: str
    posture: Posture
    name: str = ""
    aliases: tuple[str, ...] = ()
    successor: str | None = None
    price: Price = Price()
    context_window: int | None = None
    max_output: int | None = None
    pooled: bool = True
    retired_at: datetime | None = None
    verified_at: datetime | None = None
    access: str = ""


class Reference(StrEnum):
    """What form a model reference has, and so what can be known of it."""

    PIN = "pin"
    POOL = "pool"
    ALIAS = "alias"
    DYNAMIC = "dynamic"
    EMPTY = "empty"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Candidates:
    """Every route that the gateway could take for a model reference."""

    reference: Reference
    routes: tuple[Route, ...]


# -- the verdict -----------------------------------------------------------------------------------


class Outcome(StrEnum):
    """How one requirement came out."""

    MET = "met"
    UNMET = "unmet"
    UNKNOWN = "unknown"
    WAIVED = "waived"


@dataclass(frozen=True, slots=True)
class Finding:
    """One requirement of one policy, held against one route or request feature.

    `dimension` is a dimension's name, `gateway.<name>`, or `features.<signal>`. `remedy` says in
    words what would meet it, empty when it is met.
    """

    policy: PolicyId
    dimension: str
    outcome: Outcome
    asked: str
    claimed: str
    basis: Basis
    source: str
    route: str
    remedy: str = ""
    attestation: str = ""
    waiver: str = ""


@dataclass(frozen=True, slots=True)
class PolicyRef:
    """A policy as a record names it."""

    id: PolicyId
    digest: Digest


@dataclass(frozen=True, slots=True)
class Decision:
    """The verdict on a call with everything that it rests on. `route` is None on a denial.

    `edits` are ordered but not yet applied. `until` is the earliest instant at which a claim,
    attestation or waiver that was relied on lapses. `besides` are the further routes that may
    serve, each of which complies as `route` does: of fallbacks, and of a pool that stays one.
    """

    allowed: bool
    reason: str
    route: Route | None
    findings: tuple[Finding, ...]
    edits: tuple[Edit, ...]
    rewrites: tuple[str, ...]
    policies: tuple[PolicyRef, ...]
    attestations: tuple[str, ...] = ()
    waivers: tuple[str, ...] = ()
    alternatives: tuple[RouteId, ...] = ()
    because: tuple[str, ...] = ()
    require_confirmation: bool = False
    until: datetime | None = None
    besides: tuple[Route, ...] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """A denial for its sender: a reason code, a plain sentence, and what would change the verdict."""

    status: int
    code: str
    message: str
    decision_id: str = ""
    param: str | None = None
    remedies: tuple[str, ...] = ()
    alternatives: tuple[str, ...] = ()
    retry_after: int | None = None


# -- what leaves -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class UpstreamRequest:
    """What goes to the gateway. `headers` has no Host, no credential and no framing header."""

    method: str
    target: str
    headers: Headers = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer made by the proxy."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Usage:
    """What a reply said about its own cost; None where it said nothing."""

    tokens_in: int | None = None
    tokens_out: int | None = None
    cost_microusd: int | None = None
    upstream_id: str | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """Proof that a record is durable: its log, its number, its leaf hash (hex)."""

    log: str
    seq: int
    leaf: str
