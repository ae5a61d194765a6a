"""named, expiring exceptions from one requirement of one policy

A waiver is the only way past a requirement that is unmet or unknown. It names its policy, its
dimension and its routes, says why and who approved it, and ends; it relaxes nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from proxy.core.dimensions import DIMENSIONS, GATEWAY_DIMENSIONS
from proxy.core.errors import Mistake
from proxy.core.forms import Form
from proxy.core.globs import matches
from proxy.core.nearest import did_you_mean
from proxy.core.strict_yaml import Document
from proxy.core.values import PolicyId

WAIVABLE = (*(d.name for d in DIMENSIONS), *(f"gateway.{d.name}" for d in GATEWAY_DIMENSIONS))
"""What a waiver may be about: requirements. Request features and model lists are changed in the policy."""

FIELDS = ("id", "dimension", "routes", "because", "approved_by", "approved_at", "valid_until")


@dataclass(frozen=True, slots=True)
class Waiver:
    """One exception. `routes` are ids or patterns with `*`; it holds from `approved_at` to `valid_until`."""

    id: str
    policy: PolicyId
    dimension: str
    routes: tuple[str, ...]
    because: str
    approved_by: str
    approved_at: datetime
    valid_until: datetime

    def covers(self, dimension: str, route: str, at: datetime) -> bool:
        """Tell whether it excuses a requirement on a route at an instant."""
        return (
            dimension == self.dimension
            and self.approved_at <= at < self.valid_until
            and any(matches(pattern, route) for pattern in self.routes)
        )


def read_waivers(doc: Document) -> tuple[Waiver, ...]:
    """Read a file of waivers, each naming its policy; raises `Mistakes`.

    The file may hold `attestations` too, which this leaves alone.
    """
    form = Form(doc, (), ("waivers", "attestations"))
    found = form.each("waivers", lambda i: _own(form, i))
    _distinct(form, found)
    form.done()
    return found


def waivers_within(form: Form, policy: PolicyId) -> tuple[Waiver, ...]:
    """Read the `waivers` block of a policy; mistakes are noted on its form."""

    def one(i: int) -> Waiver | None:
        return _waiver(form.within("waivers", i, fields=FIELDS), policy)

    found = form.each("waivers", one)
    _distinct(form, found)
    return found


def _own(form: Form, i: int) -> Waiver | None:
    inner = form.within("waivers", i, fields=("policy", *FIELDS))
    policy = inner.name("policy", "a waiver relaxes one policy only; write its id")
    return _waiver(inner, PolicyId(policy))


def _waiver(form: Form, policy: PolicyId) -> Waiver | None:
    before = len(form.mistakes)
    dimension = form.text("dimension", why="name the one requirement that is waived")
    if dimension and dimension not in WAIVABLE:
        form.wrong(("dimension",), f"{dimension!r} cannot be waived{did_you_mean(dimension, WAIVABLE)}")
    routes = form.texts("routes")
    if not routes and form.need("routes", 'write the routes it covers, or ["*"]'):
        form.wrong(("routes",), 'write the routes it covers, or ["*"]')
    approved_at = form.instant("approved_at", "write the day on which it was approved")
    valid_until = form.instant("valid_until", "a waiver ends; write its last day", end_of_day=True)
    if approved_at and valid_until and valid_until <= approved_at:
        form.wrong(("valid_until",), "it ends before it was approved")
    identity = form.name("id", "records name the waivers they relied on")
    because = form.text("because", why="say why the requirement is waived")
    approved_by = form.text("approved_by", why="write the role or person who answers for it")
    if len(form.mistakes) > before or approved_at is None or valid_until is None:
        return None
    return Waiver(identity, policy, dimension, routes, because, approved_by, approved_at, valid_until)


def _distinct(form: Form, found: tuple[Waiver, ...]) -> None:
    seen: set[str] = set()
    for i, waiver in enumerate(found):
        if waiver.id in seen:
            form.wrong(("waivers", i), f"the id {waiver.id!r} stands twice")
        seen.add(waiver.id)


def unattached(waivers: tuple[Waiver, ...], policies: frozenset[PolicyId], file: str) -> list[Mistake]:
    """List the waivers that name a policy which is not loaded."""
    return [
        Mistake(
            f"the waiver {waiver.id} names the policy {waiver.policy!r}, which is not loaded"
            f"{did_you_mean(waiver.policy, policies)}",
            file=file,
            line=1,
            column=1,
        )
        for waiver in waivers
        if waiver.policy not in policies
    ]
