"""The core's whole way from bytes to bytes, under the policy and catalogue of the bypass fixture.

No process, no socket: match, translate, read, decide, rewrite, read again, forward, as the pipeline
orders them. What comes out is what would leave.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache

from jiter import from_json

from proxy.core import rewrite, strict_yaml
from proxy.core.approval import approve
from proxy.core.attestations import read_attestations
from proxy.core.callers import CallerTable
from proxy.core.catalog import read_catalogue
from proxy.core.dialects import routing
from proxy.core.policy import read_policy
from proxy.core.values import Caller, Digest, RawRequest, UpstreamRequest
from proxy.facts import read_facts
from proxy.revision import Revision
from tests.bypass.fixture import ATTESTATIONS, POLICY, catalogue

AT = datetime(2026, 11, 22, 12, tzinfo=UTC)
CALLER = Caller("default", "bypass", "k1")


@cache
def revision() -> Revision:
    """The fixture as one revision, on a day that never changes."""
    facts = read_facts()
    start, end = AT.date() - timedelta(days=1), AT.date() + timedelta(days=30)
    attested = ATTESTATIONS.format(digest="0" * 64, start=start, end=end)
    return Revision(
        digest=Digest("sha256:" + "0" * 64),
        policies=(read_policy(strict_yaml.load(POLICY, "eu.yaml"), facts.countries),),
        attestations=read_attestations(strict_yaml.load(attested, "attestations.yaml"), facts.countries),
        callers=CallerTable({}),
        catalogue=read_catalogue(from_json(catalogue()), source="fixture", fetched_at=AT),
        quarantined=frozenset(),
        facts=facts,
        max_age=timedelta(days=1),
    )


def forward(raw: RawRequest) -> tuple[str, UpstreamRequest] | None:
    """The member table of the request and what would leave, or None when it is refused by verdict.

    Raises `Unreadable` as the readers do.
    """
    match = routing.match(raw)
    if match is None or not match.endpoint.upstream:
        return None
    dialect, now = routing.dialect_of(match.endpoint), revision()
    raw, match = dialect.translate(raw, match)
    call = dialect.read(raw, match, now.tables)
    decision = now.decide(call, CALLER, AT)
    if not decision.allowed or decision.route is None:
        return None
    after, ordered = None, decision
    while ordered.rewrites:
        assert ordered.route is not None
        match, edits = dialect.pin(match, call, ordered.route.id)
        raw = replace(raw, body=rewrite.apply(raw.body, (*ordered.edits, *edits)))
        call = dialect.read(raw, match, now.tables)
        after = ordered = now.decide(call, CALLER, AT)
        if not after.allowed:
            return None
    approve(decision, after=after)
    return match.endpoint.members, dialect.forward(raw, match, call, raw.body, now.tables)
