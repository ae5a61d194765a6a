"""a policy test file, read strictly: fixtures, cases, and what each is expected to give"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from proxy.core.attestations import Attestation, attestations_within
from proxy.core.forms import Form
from proxy.core.places import Countries
from proxy.core.reasons import REASONS
from proxy.core.strict_yaml import Document
from proxy.core.values import Call, Caller, Edit, Effect, Json, Outcome, Pointer, PolicyId, Signal

_FIELDS = ("suite", "policies", "at", "caller", "gateway", "catalogue", "attestations", "cases")
_CASE = (
    "name", "model", "fallbacks", "operation", "dialect", "stream", "effects", "attested",
    "at", "caller", "gateway", "expect",
)  # fmt: skip
_EXPECT = ("effect", "reason", "route", "findings", "failing", "edits", "alternatives")
_CALLER = ("organisation", "project", "key_id", "policies")
_EFFECT = ("row", "signals", "path", "feature", "edits")


@dataclass(frozen=True, slots=True)
class Expect:
    """What a case should give; empty and None fields are not compared."""

    effect: str
    reason: str
    route: str
    findings: Mapping[str, frozenset[Outcome]]
    failing: tuple[str, ...] | None
    edits: tuple[str, ...] | None
    alternatives: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Case:
    """One call by one caller at one instant. `attested` names the attestations that are on file."""

    name: str
    call: Call
    caller: Caller
    at: datetime
    attested: frozenset[str]
    gateway: Mapping[str, Json]
    expect: Expect


@dataclass(frozen=True, slots=True)
class Suite:
    """A test file. `rows` are catalogue rows in the gateway's own shape."""

    name: str
    file: str
    policies: tuple[PolicyId, ...]
    rows: tuple[Json, ...]
    attestations: tuple[Attestation, ...]
    cases: tuple[Case, ...]


def read_suite(doc: Document, countries: Countries, gateway: Mapping[str, Json]) -> Suite:
    """Read a test file, or raise `Mistakes`. `gateway` holds the facts where the file states none."""
    form = Form(doc, (), _FIELDS)
    attestations = attestations_within(form, countries)
    rows = form.data.get("catalogue")
    if not isinstance(rows, list) or not rows:
        form.wrong(("catalogue",), "list catalogue rows, in the shape in which the gateway gives them")
    reader = _Cases(form, frozenset(a.id for a in attestations), _facts(form, gateway))
    suite = Suite(
        name=form.text("suite", why="name the suite"),
        file=doc.name,
        policies=tuple(PolicyId(name) for name in form.texts("policies")),
        rows=tuple(rows) if isinstance(rows, list) else (),
        attestations=attestations,
        cases=form.each("cases", reader.read),
    )
    if not suite.policies:
        form.wrong((), "policies is missing: name the policies that apply")
    if not suite.cases:
        form.wrong((), "cases is missing: a suite without cases tests nothing")
    form.done()
    return suite


class _Cases:
    """Reads cases, falling back on what the suite states for all of them."""

    def __init__(self, form: Form, attestations: frozenset[str], gateway: Mapping[str, Json]) -> None:
        self._form = form
        self._attestations = attestations
        self._gateway = gateway
        self._at = form.instant("at", "state the time; a suite never depends on today")
        self._caller = _caller(form, Caller("acme", "default", "key-1"))

    def read(self, i: int) -> Case | None:
        """Read one case; None when it cannot be understood."""
        form = self._form.within("cases", i, fields=_CASE)
        name = form.text("name", why="say in a sentence what the case shows", limit=200)
        at = form.instant("at", "") if "at" in form.data else self._at
        expect = _expect(form)
        call = _call(form)
        if at is None or expect is None:
            return None
        return Case(
            name,
            call,
            _caller(form, self._caller),
            at,
            self._attested(form),
            _facts(form, self._gateway),
            expect,
        )

    def _attested(self, form: Form) -> frozenset[str]:
        if form.data.get("attested") == "all":
            return self._attestations
        return frozenset(form.texts("attested", valid=self._attestations))


def _facts(form: Form, otherwise: Mapping[str, Json]) -> Mapping[str, Json]:
    if "gateway" not in form.data:
        return otherwise
    return {**otherwise, **form.within("gateway", fields=("location", "content_retention")).data}


def _caller(form: Form, otherwise: Caller) -> Caller:
    if "caller" not in form.data:
        return otherwise
    inner = form.within("caller", fields=_CALLER)
    return Caller(
        inner.text("organisation") or otherwise.organisation,
        inner.text("project") or otherwise.project,
        inner.text("key_id") or otherwise.key_id,
        tuple(PolicyId(name) for name in inner.texts("policies")),
    )


def _call(form: Form) -> Call:
    model = form.data.get("model")
    if not isinstance(model, str):
        form.wrong(("model",), 'write the model as a caller would; "" for none')
    fallbacks = form.texts("fallbacks")
    return Call(
        operation=form.text("operation") or "chat.completions",
        dialect=form.text("dialect") or "openai",
        models=(model if isinstance(model, str) else "", *fallbacks),
        stream=form.flag("stream", default=False),
        effects=form.each("effects", lambda i: _effect(form, i)),
        fallbacks_at=tuple(("fallback_models", i) for i in range(len(fallbacks))),
    )


def _effect(form: Form, i: int) -> Effect:
    inner = form.within("effects", i, fields=_EFFECT)
    signals = inner.texts("signals", valid=[signal.value for signal in Signal])
    return Effect(
        row=inner.text("row") or f"case.effect.{i}",
        signals=tuple(Signal(name) for name in signals),
        path=inner.text("path"),
        feature=inner.text("feature", why="say what the request asks for"),
        edits=inner.each("edits", lambda k: _edit(inner, k)),
    )


def _edit(form: Form, k: int) -> Edit:
    inner = form.within("edits", k, fields=("op", "pointer", "value"))
    raw = inner.data.get("pointer")
    pointer: Pointer = (
        tuple(step for step in raw if isinstance(step, (str, int))) if isinstance(raw, list) else ()
    )
    if not pointer:
        inner.wrong(("pointer",), "list member names and indices, outermost first")
    return Edit(pointer, inner.choice("op", ("set", "remove"), "set"), inner.data.get("value"))


def _expect(form: Form) -> Expect | None:
    if not form.need("expect", "say what the case should give, at least {effect: allow} or {effect: deny}"):
        return None
    inner = form.within("expect", fields=_EXPECT)
    inner.need("effect", "write allow or deny")
    reason = inner.text("reason")
    if reason and reason not in REASONS and reason != "allowed":
        inner.wrong(("reason",), f"{reason!r} is no reason code")
    optional = {
        name: inner.texts(name) if name in inner.data else None
        for name in ("failing", "edits", "alternatives")
    }
    return Expect(
        effect=inner.choice("effect", ("allow", "deny"), "deny"),
        reason=reason,
        route=inner.text("route"),
        findings=_findings(inner),
        **optional,
    )


def _findings(form: Form) -> Mapping[str, frozenset[Outcome]]:
    raw = form.data.get("findings", {})
    if not isinstance(raw, dict):
        form.wrong(("findings",), "write a mapping from dimension to outcome, for example {training: met}")
        return {}
    found: dict[str, frozenset[Outcome]] = {}
    words = [outcome.value for outcome in Outcome]
    for dimension, value in raw.items():
        listed = value if isinstance(value, list) else [value]
        if listed and all(isinstance(word, str) and word in words for word in listed):
            found[dimension] = frozenset(Outcome(str(word)) for word in listed)
        else:
            form.wrong(("findings", dimension), f"write one of {', '.join(words)}, or a list of them")
    return found
