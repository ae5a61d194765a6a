"""parsed YAML -> Policy; which apply; how they combine (they only narrow)

A policy says what a route, the gateway and a request must be like, for whom, and why. All policies
that cover a caller apply together; there is no order among them and no exception but a waiver.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import orjson

from proxy.core.dimensions import DIMENSIONS, GATEWAY_DIMENSIONS, Dimension, Misread, NoDemand, Requirement
from proxy.core.errors import Mistake, Mistakes
from proxy.core.features import Treatment, treatments
from proxy.core.forms import Form, kind_of
from proxy.core.globs import HOLDER, ROUTE, excludes, matches
from proxy.core.nearest import did_you_mean
from proxy.core.places import Countries
from proxy.core.strict_yaml import Document
from proxy.core.values import Caller, Digest, Json, PolicyId, PolicyRef, Signal
from proxy.core.waivers import Waiver, unattached, waivers_within

FIELDS = (
    "policy", "because", "applies_to", "require", "gateway", "features", "unknown_members",
    "when_some_routes_comply", "prefer", "models", "carve_outs_accepted", "waivers",
    "require_confirmation", "unsafe_forward_pools",
)  # fmt: skip
SCOPE_FIELDS = ("organisations", "projects", "keys")
CARVE_OUTS = ("csam_scan", "legal_hold", "classifier_results", "system_data", "schema_text")
"""What survives every retention mode; a policy that lists some accepts only those."""

Required: TypeAlias = "tuple[tuple[Dimension, Requirement], ...]"


@dataclass(frozen=True, slots=True)
class Scope:
    """Whom a policy covers. Fields are patterns with `*`; all fields that are given must match."""

    organisations: tuple[str, ...] = ()
    projects: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()

    def covers(self, caller: Caller) -> bool:
        """Tell whether a caller is within the scope."""
        pairs = (
            (self.organisations, caller.organisation),
            (self.projects, caller.project),
            (self.keys, caller.key_id),
        )
        return all(not patterns or any(matches(p, name) for p in patterns) for patterns, name in pairs)


@dataclass(frozen=True, slots=True)
class Models:
    """Which routes a policy lets through by name: patterns with `*`. Empty `allow` allows all."""

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()

    def refuses(self, route: str) -> str:
        """Return the reason for which a route is out, or ""."""
        if any(excludes(pattern, route) for pattern in self.deny):
            return "on the policy's deny list"
        if self.allow and not any(matches(pattern, route) for pattern in self.allow):
            return "not on the policy's allow list"
        return ""


@dataclass(frozen=True, slots=True)
class Policy:
    """One policy as it applies. `features` has a treatment for every signal."""

    id: PolicyId
    digest: Digest
    because: str
    applies_to: Scope
    requirements: Required
    gateway: Required
    features: Mapping[Signal, Treatment]
    carve_outs_accepted: tuple[str, ...] = CARVE_OUTS
    models: Models = Models()
    prefer: tuple[str, ...] = ()
    waivers: tuple[Waiver, ...] = ()
    pin_when_some_comply: bool = True
    require_confirmation: bool = False
    unsafe_forward_pools: bool = False
    file: str = ""

    @property
    def ref(self) -> PolicyRef:
        """The policy as records name it."""
        return PolicyRef(self.id, self.digest)

    def preference(self, route: str) -> int:
        """Place a route in the policy's order of preference; unlisted ones come last."""
        hits = (i for i, pattern in enumerate(self.prefer) if matches(pattern, route))
        return next(hits, len(self.prefer))


def applicable(policies: Iterable[Policy], caller: Caller) -> tuple[Policy, ...]:
    """Select every policy that covers a caller or is bound to its key, ordered by id."""
    found = {p.id: p for p in policies if p.applies_to.covers(caller) or p.id in caller.policies}
    return tuple(found[key] for key in sorted(found))


def read_policy(doc: Document, countries: Countries) -> Policy:
    """Read one policy, or raise `Mistakes` with everything wrong in it, each at its place."""
    form = Form(doc, (), FIELDS)
    identity = PolicyId(form.name("policy", "name the policy; records and refusals use the name"))
    because = form.text("because", why="say in a sentence why; callers read it when they are refused")
    accepted = form.texts("carve_outs_accepted", valid=CARVE_OUTS)
    carve_outs = accepted if "carve_outs_accepted" in form.data else CARVE_OUTS
    requirements = _required(form, "require", DIMENSIONS, countries)
    policy = Policy(
        id=identity,
        digest=_digest(doc.data),
        because=because,
        applies_to=_scope(form),
        requirements=requirements,
        gateway=_required(form, "gateway", GATEWAY_DIMENSIONS, countries),
        features=_features(form, requirements, frozenset(CARVE_OUTS).difference(carve_outs)),
        carve_outs_accepted=carve_outs,
        models=_models(form),
        prefer=form.texts("prefer"),
        waivers=waivers_within(form, identity),
        pin_when_some_comply=form.choice("when_some_routes_comply", ("pin", "refuse"), "pin") == "pin",
        require_confirmation=form.flag("require_confirmation", default=False),
        unsafe_forward_pools=form.flag("unsafe_forward_pools", default=False),
        file=doc.name,
    )
    if not requirements and not policy.models.allow and not form.mistakes:
        form.wrong((), "require is missing: say what a route must be like, for example {training: forbidden}")
    form.done()
    return policy


def read_policies(docs: Sequence[Document], countries: Countries) -> tuple[Policy, ...]:
    """Read a set of policies, or raise `Mistakes` with everything wrong in all of them."""
    found: dict[PolicyId, Policy] = {}
    mistakes: list[Mistake] = []
    for doc in docs:
        try:
            policy = read_policy(doc, countries)
        except Mistakes as group:
            mistakes.extend(group.found)
            continue
        if policy.id in found:
            mistakes.append(doc.mistake(("policy",), f"{policy.id!r} is also in {found[policy.id].file}"))
        found[policy.id] = policy
    if mistakes:
        raise Mistakes(mistakes)
    return tuple(found[key] for key in sorted(found))


def with_waivers(policies: Sequence[Policy], waivers: tuple[Waiver, ...], file: str) -> tuple[Policy, ...]:
    """Attach the waivers of a file to their policies; one that names no loaded policy is a mistake."""
    if mistakes := unattached(waivers, frozenset(p.id for p in policies), file):
        raise Mistakes(mistakes)
    return tuple(
        replace(p, waivers=(*p.waivers, *(w for w in waivers if w.policy == p.id))) for p in policies
    )


# -- parts -----------------------------------------------------------------------------------------


def _scope(form: Form) -> Scope:
    if not form.need("applies_to", 'say whom it covers, for example {projects: ["*"]}'):
        return Scope()
    inner = form.within("applies_to", fields=SCOPE_FIELDS)
    why = "fits nobody; names are letters, digits, '.', '_' and '-', and * stands for any of them"
    scope = Scope(*(inner.patterns(field, HOLDER, why) for field in SCOPE_FIELDS))
    empty = [field for field in SCOPE_FIELDS if inner.data.get(field) == []]
    for field in empty:
        inner.wrong((field,), 'an empty list covers nobody; write ["*"] for all, or leave the field out')
    if not inner.data:
        inner.wrong((), f'name at least one of {", ".join(SCOPE_FIELDS)}, for example {{projects: ["*"]}}')
    return scope


def _models(form: Form) -> Models:
    if "models" not in form.data:
        return Models()
    inner = form.within("models", fields=("allow", "deny"))
    if inner.data.get("allow") == []:
        inner.wrong(("allow",), "an empty list would allow nothing; name routes, or leave the field out")
    why = "fits no route; write provider/model as the catalogue does, or * for what may be anything"
    return Models(inner.patterns("allow", ROUTE, why), inner.patterns("deny", ROUTE, why))


def _required(form: Form, block: str, dimensions: Sequence[Dimension], countries: Countries) -> Required:
    if block not in form.data:
        return ()
    heads = dict.fromkeys(d.name.split(".")[0] for d in dimensions)
    inner = form.within(block, fields=heads)
    for head in heads:
        tails = [d.name.split(".", 1)[1] for d in dimensions if d.name.startswith(f"{head}.")]
        if tails and head in inner.data:
            _not_empty(inner.within(head, fields=tails))
    _not_empty(inner)
    found = ((d, _requirement(inner, d, countries)) for d in dimensions)
    return tuple((d, requirement) for d, requirement in found if requirement is not None)


def _not_empty(form: Form) -> None:
    if form.data == {} and not form.mistakes:
        form.wrong((), f"this asks for nothing; name a requirement, or leave out {form.pointer[-1]}")


def _requirement(form: Form, dimension: Dimension, countries: Countries) -> Requirement | None:
    at = tuple(dimension.name.split("."))
    value: Json = dict(form.data)
    for step in at:
        if not isinstance(value, dict) or step not in value:
            return None
        value = value[step]
    try:
        return dimension.parse(value, countries)
    except Misread as error:
        for pointer, message in error.wrongs:
            form.wrong((*at, *pointer), f"{dimension.name}: {message}")
        return None


def _features(form: Form, requirements: Required, missing: frozenset[str]) -> Mapping[Signal, Treatment]:
    written: dict[Signal, Treatment] = {}
    names = [signal.value for signal in Signal if signal is not Signal.UNKNOWN_MEMBER]
    if "features" in form.data:
        inner = form.within("features", fields=names)
        for name in names:
            if name in inner.data:
                written[Signal(name)] = _treatment(inner, name)
    unknown = form.choice("unknown_members", ("refuse", "drop"), "refuse")
    written[Signal.UNKNOWN_MEMBER] = Treatment.REWRITE if unknown == "drop" else Treatment.REFUSE
    limits = [(d.name, r.asked) for d, r in requirements if not isinstance(r, NoDemand)]
    required = frozenset(name for name, _ in limits) | {f"{name}={asked}" for name, asked in limits}
    return treatments(written, required, missing)


def _treatment(form: Form, name: str) -> Treatment:
    value = form.data[name]
    words = [treatment.value for treatment in Treatment]
    if isinstance(value, str) and value in words:
        return Treatment(value)
    shown = repr(value) if isinstance(value, str) else kind_of(value)
    form.wrong((name,), f"{shown} is not one of {', '.join(words)}{did_you_mean(value, words)}")
    return Treatment.REFUSE


def _digest(data: Json) -> Digest:
    canonical = orjson.dumps(data, option=orjson.OPT_SORT_KEYS)
    return Digest("sha256:" + hashlib.sha256(canonical).hexdigest())
