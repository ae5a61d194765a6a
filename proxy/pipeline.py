"""the life of a request, numbered steps

The numbers are those of `proxy/__init__.py`. Whatever goes wrong before a byte has left is a refusal.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace

from proxy import ids
from proxy.core import rewrite
from proxy.core.callers import credential, fingerprint
from proxy.core.decide import Approval, approve
from proxy.core.dialects import routing
from proxy.core.dialects.shape import shape_of
from proxy.core.errors import JournalUnavailable, Unreadable
from proxy.core.explain import plain_refusal, refusal
from proxy.core.values import Decision, RawRequest, Refusal, Reply, UpstreamRequest, Usage
from proxy.evidence import Evidence
from proxy.forward import Forward
from proxy.limits import Limited, Limits
from proxy.metrics import NONE, Metrics, status_class
from proxy.relay import Relay
from proxy.revisions import Revisions
from proxy.visit import Visit

_READ_INLINE = 65_536


@dataclass(frozen=True, slots=True)
class Parts:
    """What the pipeline passes a request through; `pepper` is the secret under which keys are hashed."""

    revisions: Revisions
    evidence: Evidence
    forward: Forward
    limits: Limits
    metrics: Metrics
    pepper: bytes


class Pipeline:
    """Takes a request through its steps; one per worker process."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def overload(self) -> str | None:
        """A reason not to take one more request, or None; asked before a body is read."""
        return self._parts.evidence.overload()

    async def serve(self, raw: RawRequest) -> Reply | Relay:
        """Answer one request that was received whole."""
        visit = self._open(raw)
        try:
            return await self._serve(visit)
        except Unreadable as unread:
            return await self._refuse(visit, plain_refusal(unread.code, unread.detail, param=unread.param))
        except JournalUnavailable:
            return self._answer(visit, plain_refusal("audit_unavailable"))
        except Exception as error:
            self._parts.evidence.fault(error)
            return await self._refuse(visit, plain_refusal("proxy_fault"))

    async def _serve(self, visit: Visit) -> Reply | Relay:
        visit.match = match = routing.match(visit.raw)  # (1)
        stopped = self._identify(visit) or self._admit(visit)  # (2)
        if stopped is None and match is None:
            stopped = plain_refusal("unknown_endpoint")
        if stopped is not None:
            return await self._refuse(visit, stopped)
        if match is not None and not match.endpoint.upstream:
            return await self._answer_here(visit)
        if len(visit.raw.body) > _READ_INLINE:
            await asyncio.to_thread(self._read, visit)  # (3)
        else:
            self._read(visit)
        decision, words = self._decide(visit)  # (4) (5)
        if words is not None:
            return await self._refuse(visit, words)
        if stopped := self._begin(visit):
            return await self._refuse(visit, stopped)
        request, approval, model = self._order(visit, decision)
        try:
            receipt = await self._parts.evidence.intent(visit, request, model=model)  # (6)
        except BaseException:
            self._parts.forward.withdraw()
            raise
        return await self._parts.forward.send(visit, approval, receipt, request)  # (7) to (9)

    async def turn_away(self, raw: RawRequest, code: str) -> Reply:
        """Refuse a request whose body was not read; recorded when the key is known."""
        visit = self._open(raw)
        try:
            visit.match = routing.match(raw)
            self._identify(visit)
        except Unreadable:
            visit.match = None
        return await self._refuse(visit, plain_refusal(code))

    def unparsable(self) -> Reply:
        """Answer bytes that are not an HTTP request."""
        self._parts.evidence.reject("bad_request")
        nothing = RawRequest("", "", "", (), b"")
        return shape_of(nothing, None).refuse(plain_refusal("bad_request"))

    def fault(self, error: object) -> Reply:
        """Answer for an error of our own, naming nothing of it but its class to the log."""
        self._parts.evidence.fault(error)
        nothing = RawRequest("", "", "", (), b"")
        return shape_of(nothing, None).refuse(plain_refusal("proxy_fault"))

    # -- (1) (2): what and who -------------------------------------------------------------------

    def _open(self, raw: RawRequest) -> Visit:
        return Visit(ids.uuid7(), raw, self._parts.revisions.current, ids.now(), time.monotonic())

    def _identify(self, visit: Visit) -> Refusal | None:
        """Find the caller; a probe needs none."""
        if visit.match is not None and visit.match.endpoint.operation == "probe":
            return None
        try:
            secret = credential(visit.raw)
        except Unreadable as unread:
            return plain_refusal(unread.code, unread.detail, param=unread.param)
        visit.caller = visit.revision.callers.find(fingerprint(secret, self._parts.pepper))
        return None if visit.caller else plain_refusal("unknown_key")

    def _admit(self, visit: Visit) -> Refusal | None:
        """Take one request out of the caller's allowance."""
        if visit.caller is None:
            return None
        admitted = self._parts.limits.admit(visit.caller, visit.started, f"{visit.at:%Y-%m}")
        if isinstance(admitted, Limited):
            visit.limited = admitted
            return self._limited(admitted)
        visit.lease = admitted
        return None

    def _limited(self, limited: Limited) -> Refusal:
        self._parts.metrics.limited.add(limited.scope.partition(":")[0])
        return plain_refusal("rate_limited", limited.sentence(), retry_after=limited.retry_after)

    async def _answer_here(self, visit: Visit) -> Reply:
        """An endpoint that the proxy answers alone: nothing leaves, so nothing has to be recorded."""
        assert visit.match is not None
        routes = await visit.revision.visible(visit.caller, visit.at) if visit.caller else ()
        reply = routing.dialect_of(visit.match.endpoint).answer(visit.match, routes)
        self._close(visit, reply.status, NONE)
        return reply

    # -- (3) to (6): read, decide, record --------------------------------------------------------

    def _read(self, visit: Visit) -> None:
        """The one reading of the body; off the loop when it is large."""
        assert visit.match is not None
        visit.in_mac = self._parts.evidence.commit_to(visit.raw.body)
        dialect = routing.dialect_of(visit.match.endpoint)
        visit.readable, visit.match = dialect.translate(visit.raw, visit.match)
        visit.call = dialect.read(visit.readable, visit.match, visit.revision.tables)

    def _decide(self, visit: Visit) -> tuple[Decision, Refusal | None]:
        """The verdict, and its words for the sender when it is a denial."""
        assert visit.call is not None and visit.caller is not None
        decision = visit.decision = visit.revision.decide(visit.call, visit.caller, visit.at)
        return decision, None if decision.allowed else refusal(decision, visit.call, decision_id=visit.rid)

    def _begin(self, visit: Visit) -> Refusal | None:
        """What can still stop an allowed request: too many streams, or a gateway that is down."""
        if visit.lease is not None and visit.call is not None and visit.call.stream:
            visit.limited = visit.lease.begin_stream()
            if visit.limited is not None:
                return self._limited(visit.limited)
        return None if self._parts.forward.admits() else plain_refusal("upstream_unreachable")

    def _order(self, visit: Visit, decision: Decision) -> tuple[UpstreamRequest, Approval, str]:
        """The bytes that may leave, as received or rewritten as ordered; and the model they name.

        What was rewritten is read and judged once more: `approve` takes it only as it will leave.
        """
        match, call, ready, tables = visit.match, visit.call, visit.readable, visit.revision.tables
        assert match is not None and call is not None and ready is not None and visit.caller is not None
        dialect = routing.dialect_of(match.endpoint)
        if not decision.rewrites:
            request = dialect.forward(ready, match, call, ready.body, tables)
            return request, approve(decision), call.models[0]
        if decision.route is not None and any(done.startswith("pin=") for done in decision.rewrites):
            match, _ = dialect.pin(match, call, decision.route.id)
        ready = replace(ready, body=rewrite.apply(ready.body, decision.edits))
        call = dialect.read(ready, match, tables)
        again = visit.revision.decide(call, visit.caller, visit.at)
        request = dialect.forward(ready, match, call, ready.body, tables)
        return request, approve(decision, after=again), call.models[0]

    # -- refusals --------------------------------------------------------------------------------

    async def _refuse(self, visit: Visit, words: Refusal) -> Reply:
        """Record a refusal, then give it; without a caller there is nothing but a count to record."""
        if visit.caller is None:
            self._parts.evidence.reject(words.code, peer=visit.raw.peer, size=len(visit.raw.body))
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
        if visit.lease is not None:
            visit.lease.settle(Usage(), f"{visit.at:%Y-%m}")
        endpoint = visit.match.endpoint if visit.match else None
        words = (endpoint.dialect, endpoint.operation) if endpoint else (NONE, NONE)
        effect = "allow" if reason == NONE else "deny"
        self._parts.metrics.requests.add(*words, effect, reason, status_class(status))
