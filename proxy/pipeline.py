"""the life of a request, numbered steps

The numbers are those of `proxy/__init__.py`. Whatever goes wrong before a byte has left is a refusal.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from proxy import ids
from proxy.core import rewrite
from proxy.core.approval import approve
from proxy.core.callers import credential, fingerprint
from proxy.core.dialects import routing
from proxy.core.dialects.shape import shape_of
from proxy.core.errors import JournalUnavailable, Unreadable
from proxy.core.explain import plain_refusal, refusal
from proxy.core.values import (
    Call,
    Caller,
    Decision,
    Match,
    RawRequest,
    Refusal,
    Reply,
    Route,
    UpstreamRequest,
    Usage,
)
from proxy.evidence import Evidence
from proxy.forward import Forward
from proxy.limits import Limited, Limits
from proxy.metrics import NONE, Metrics, status_class
from proxy.months import month_of
from proxy.relay import Relay
from proxy.revisions import Revisions
from proxy.unattributed import Unattributed
from proxy.visit import Visit

READ_INLINE = 131_072
"""Bytes of a body that are read on the loop, under a millisecond; a thread would add a good part of that."""
EDITED_INLINE = 64
"""Edits of a body that are made on the loop; thousands of small ones cost more than the reading."""
_PROBE = "probe"
_MOST_REWRITES = 4


@dataclass(frozen=True, slots=True)
class Parts:
    """What the pipeline passes a request through; `pepper` is the secret under which keys are hashed."""

    revisions: Revisions
    evidence: Evidence
    forward: Forward
    limits: Limits
    metrics: Metrics
    pepper: bytes


@dataclass(frozen=True, slots=True)
class Asked:
    """A request in the gateway's own form, where it goes, and what it asks for."""

    raw: RawRequest
    match: Match
    call: Call


class Pipeline:
    """Takes a request through its steps; one per worker process."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.waiting = 0
        """Requests that were received whole and are neither sent nor answered."""
        self.unattributed = Unattributed(parts.evidence, parts.metrics)

    def overload(self) -> str | None:
        """A reason not to take one more request, or None; asked before a body is read."""
        return self._parts.evidence.overload()

    async def serve(self, raw: RawRequest) -> Reply | Relay:
        """Answer one request that was received whole."""
        visit = self._open(raw)
        visit.waiting = True
        self.waiting += 1
        try:
            return await self._serve(visit)
        except Unreadable as unread:
            self._attribute(visit)
            return await self._refuse(visit, plain_refusal(unread.code, unread.detail, param=unread.param))
        except JournalUnavailable:
            return self._answer(visit, plain_refusal("audit_unavailable"))
        except Exception as error:
            self._parts.evidence.fault(error)
            self._attribute(visit)
            return await self._refuse(visit, plain_refusal("proxy_fault"))
        except BaseException:
            self._give_back(visit)
            raise
        finally:
            self._wait_no_more(visit)

    def _wait_no_more(self, visit: Visit) -> None:
        if visit.waiting:
            visit.waiting = False
            self.waiting -= 1

    async def _serve(self, visit: Visit) -> Reply | Relay:
        match = visit.match = routing.match(visit.raw)  # (1)
        if match is not None and match.endpoint.operation == _PROBE:
            return self._answer_here(visit, match, ())
        stopped = self._identify(visit) or self._admit(visit)  # (2)
        if stopped is None and match is None:
            stopped = plain_refusal("unknown_endpoint")
        if stopped is not None or match is None or visit.caller is None:
            return await self._refuse(visit, stopped or plain_refusal("unknown_key"))
        if not match.endpoint.upstream:
            return self._answer_here(visit, match, await visit.revision.visible(visit.caller, visit.at))
        return await self._judge(visit, match, visit.caller)

    async def _judge(self, visit: Visit, match: Match, caller: Caller) -> Reply | Relay:
        large = len(visit.raw.body) > READ_INLINE
        asked, decision = (
            await asyncio.to_thread(self._weigh, visit, match, caller)
            if large
            else self._weigh(visit, match, caller)
        )  # (3) (4) (5)
        if not decision.allowed:
            return await self._refuse(visit, refusal(decision, asked.call, decision_id=visit.rid))
        leaving, after = (
            await asyncio.to_thread(self._order, visit, asked, caller, decision)
            if large or len(decision.edits) > EDITED_INLINE
            else self._order(visit, asked, caller, decision)
        )
        if after is not None and not after.allowed:
            # The rewrite did not clear every finding: what it left behind is what is refused.
            visit.decision = after
            return await self._refuse(visit, refusal(after, leaving.call, decision_id=visit.rid))
        if stopped := self._begin(visit, asked.call):
            return await self._refuse(visit, stopped)
        try:
            approval = approve(visit.decision or decision, after=after)
            request = _forwarded(leaving, visit)
            before = time.monotonic()
            model, also = leaving.call.models[0], approval.also
            receipt = await self._parts.evidence.intent(visit, request, model=model, also=also)  # (6)
            self._parts.metrics.append_seconds.observe(time.monotonic() - before)
        except BaseException:
            self._parts.forward.withdraw(visit)
            raise
        self._wait_no_more(visit)
        return await self._parts.forward.send(visit, approval, receipt, request)  # (7) to (9)

    def stranger(self, raw: RawRequest) -> str | None:
        """The reason code by which a request is nobody's that we know, or None; reads the head only."""
        refused = self._identify(self._open(raw))
        return None if refused is None else refused.code

    async def turn_away(self, raw: RawRequest, code: str) -> Reply:
        """Refuse a request whose body was not read; recorded when the key is known."""
        visit = self._open(raw)
        try:
            visit.match = routing.match(raw)
        except Unreadable:
            visit.match = None
        self._identify(visit)
        return await self._refuse(visit, plain_refusal(code))

    # -- (1) (2): what and who -------------------------------------------------------------------

    def _open(self, raw: RawRequest) -> Visit:
        return Visit(ids.uuid7(), raw, self._parts.revisions.current, ids.now(), time.monotonic())

    def _identify(self, visit: Visit) -> Refusal | None:
        """Find the caller."""
        try:
            secret = credential(visit.raw)
        except Unreadable as unread:
            return plain_refusal(unread.code, unread.detail, param=unread.param)
        visit.caller = visit.revision.callers.find(fingerprint(secret, self._parts.pepper))
        return None if visit.caller else plain_refusal("unknown_key")

    def _attribute(self, visit: Visit) -> None:
        """Find the caller late: what failed before that step is still somebody's, for the record."""
        if visit.caller is None:
            try:
                self._identify(visit)
            except Exception as error:
                self._parts.evidence.fault(error)

    def _admit(self, visit: Visit) -> Refusal | None:
        """Take one request out of the caller's allowance."""
        if visit.caller is None:
            return None
        admitted = self._parts.limits.admit(visit.caller, visit.started, month_of(visit.at))
        if isinstance(admitted, Limited):
            visit.limited = admitted
            return self._limited(admitted)
        visit.lease = admitted
        return None

    def _limited(self, limited: Limited) -> Refusal:
        self._parts.metrics.limited.add(limited.scope.partition(":")[0])
        return plain_refusal("rate_limited", limited.sentence(), retry_after=limited.retry_after)

    def _answer_here(self, visit: Visit, match: Match, routes: Sequence[Route]) -> Reply:
        """An endpoint that the proxy answers alone: nothing leaves, so there is nothing to record."""
        reply = routing.dialect_of(match.endpoint).answer(match, routes)
        self._close(visit, reply.status, NONE)
        return reply

    # -- (3) to (6): read, decide, record --------------------------------------------------------

    def _weigh(self, visit: Visit, match: Match, caller: Caller) -> tuple[Asked, Decision]:
        """Read and decide; off the loop when the body is large, for then there may be much to decide on."""
        asked = self._read(visit, match)
        decision = visit.decision = visit.revision.decide(asked.call, caller, visit.at)
        return asked, decision

    def _order(
        self, visit: Visit, asked: Asked, caller: Caller, decision: Decision
    ) -> tuple[Asked, Decision | None]:
        """What may leave, and the commitment to it where it is not what came."""
        leaving, after = order(visit, asked, caller, decision)
        if leaving.raw.body is not visit.raw.body:
            visit.out_mac = self._parts.evidence.commit_to(leaving.raw.body)
        return leaving, after

    def _read(self, visit: Visit, match: Match) -> Asked:
        """The one reading of the body."""
        visit.in_mac = self._parts.evidence.commit_to(visit.raw.body)
        dialect = routing.dialect_of(match.endpoint)
        raw, match = dialect.translate(visit.raw, match)
        visit.match = match
        visit.call = dialect.read(raw, match, visit.revision.tables)
        return Asked(raw, match, visit.call)

    def _begin(self, visit: Visit, call: Call) -> Refusal | None:
        """What can still stop an allowed request: too many streams, or a gateway that is down."""
        if visit.lease is not None and call.stream:
            visit.limited = visit.lease.begin_stream()
            if visit.limited is not None:
                return self._limited(visit.limited)
        return None if self._parts.forward.admits(visit) else plain_refusal("upstream_unreachable")

    # -- refusals --------------------------------------------------------------------------------

    async def _refuse(self, visit: Visit, words: Refusal) -> Reply:
        """Record a refusal, then give it; without a caller there is nothing but a count to record."""
        if visit.caller is None:
            self.unattributed.reject(words.code, peer=visit.raw.peer, size=len(visit.raw.body))
            return self._answer(visit, words)
        try:
            await self._parts.evidence.refusal(visit, words.code)
        except JournalUnavailable:
            words = plain_refusal("audit_unavailable")
        return self._answer(visit, words)

    def _answer(self, visit: Visit, words: Refusal) -> Reply:
        """The refusal in the shape of the caller's SDK."""
        self._close(visit, words.status, words.code)
        reply = shape_of(visit.raw, visit.match).refuse(replace(words, decision_id=visit.rid))
        if visit.limited is not None:
            reply = replace(reply, headers=(*reply.headers, *visit.limited.headers()))
        return reply

    def _close(self, visit: Visit, status: int, reason: str) -> None:
        """Give back what the request held and count it."""
        self._give_back(visit)
        endpoint = visit.match.endpoint if visit.match else None
        words = (endpoint.dialect, endpoint.operation) if endpoint else (NONE, NONE)
        effect = "allow" if reason == NONE else "deny"
        self._parts.metrics.requests.add(*words, effect, reason, status_class(status))

    def _give_back(self, visit: Visit) -> None:
        """Free the caller's place for another request; a second time changes nothing."""
        if visit.lease is not None:
            visit.lease.settle(Usage(), month_of(visit.at))


def order(visit: Visit, asked: Asked, caller: Caller, decision: Decision) -> tuple[Asked, Decision | None]:
    """What may leave: the request as received, or as rewritten, read and judged once more.

    A pin brings in what is known of its provider alone, so one rewrite may call for another.
    """
    after: Decision | None = None
    for _ in range(_MOST_REWRITES):
        ordered = after or decision
        if not ordered.rewrites or not ordered.allowed:
            break
        if after is not None:
            visit.decision = _and_then(visit.decision or decision, after)
        asked = _rewritten(visit, asked, ordered)
        after = visit.revision.decide(asked.call, caller, visit.at)
    return asked, after


def _rewritten(visit: Visit, asked: Asked, ordered: Decision) -> Asked:
    """The request after the edits that a decision orders, read anew."""
    match, edits, dialect = asked.match, ordered.edits, routing.dialect_of(asked.match.endpoint)
    if ordered.route is not None and any(done.startswith("pin=") for done in ordered.rewrites):
        match, spelled = dialect.pin(match, asked.call, ordered.route.id)
        edits = (*edits, *spelled)
    raw = asked.raw.with_body(rewrite.apply(asked.raw.body, edits))
    return Asked(raw, match, dialect.read(raw, match, visit.revision.tables))


def _and_then(first: Decision, second: Decision) -> Decision:
    """One decision with what two ordered, the second upon what the first had left."""
    return replace(first, edits=(*first.edits, *second.edits), rewrites=(*first.rewrites, *second.rewrites))


def _forwarded(leaving: Asked, visit: Visit) -> UpstreamRequest:
    dialect = routing.dialect_of(leaving.match.endpoint)
    raw, tables = leaving.raw, visit.revision.tables
    return dialect.forward(raw, leaving.match, leaving.call, raw.body, tables)
