"""a verdict on a request that is not sent: the same reading and the same decision as for one that is"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from proxy.config import Settings
from proxy.core.dialects import routing
from proxy.core.errors import Mistake
from proxy.core.explain import sentences, table
from proxy.core.nearest import did_you_mean
from proxy.core.values import Call, Caller, RawRequest
from proxy.revision import Revision
from proxy.sources import Quarantine
from proxy.wiring import read_sources


@dataclass(frozen=True, slots=True)
class Explained:
    """Whether the request would be allowed, and every finding as a table with the verdict in words."""

    allowed: bool
    text: str


def explained(settings: Settings, body: bytes, path: str, *, key_id: str, at: datetime) -> Explained:
    """Judge a body as of an instant. Raises `Unreadable` for the request, `Mistake` for the rest."""
    sources, _ = read_sources(settings, Quarantine(settings.data_dir))
    revision = sources.read()
    caller = _caller(revision, key_id)
    call = _call(revision, body, path)
    decision = revision.decide(call, caller, at)
    return Explained(decision.allowed, "\n".join((table(decision), "", *sentences(decision, call))))


def _caller(revision: Revision, key_id: str) -> Caller:
    known = {caller.key_id: caller for caller in revision.callers.entries.values()}
    if key_id not in known:
        hint = did_you_mean(key_id, known) or "; `ringfence keys list` shows the keys in force"
        raise Mistake(f"there is no key {key_id!r} in force{hint}")
    return known[key_id]


def _call(revision: Revision, body: bytes, path: str) -> Call:
    target, _, query = path.partition("?")
    headers = ((b"content-type", b"application/json"),)
    raw = RawRequest("POST", target, query, headers, body)
    match = routing.match(raw)
    if match is None or not match.endpoint.upstream:
        raise Mistake(f"the proxy forwards nothing from {path!r}; write the path as an SDK would send it")
    dialect = routing.dialect_of(match.endpoint)
    raw, match = dialect.translate(raw, match)
    return dialect.read(raw, match, revision.tables)
