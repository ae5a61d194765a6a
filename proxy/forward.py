"""an approved and recorded request on its way: send, confirm who served, relay"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache, partial

from proxy.breaker import Breaker
from proxy.core.approval import Approval
from proxy.core.confirm import Verdict, confirm, told
from proxy.core.dialects import routing
from proxy.core.dialects.replies import DECISION_HEADER
from proxy.core.dialects.shape import shape_of
from proxy.core.errors import UpstreamFailure
from proxy.core.explain import plain_refusal
from proxy.core.scrub import Scrubber
from proxy.core.tap import Tap, body_tap
from proxy.core.usage import microusd
from proxy.core.values import (
    Decision,
    Headers,
    PolicyRef,
    Receipt,
    Refusal,
    Reply,
    RouteId,
    UpstreamRequest,
    Usage,
)
from proxy.evidence import Evidence, Served
from proxy.gateway import Gateway, UpstreamReply
from proxy.metrics import NONE, Metrics, status_class
from proxy.months import month_of
from proxy.relay import Ending, Relay
from proxy.visit import Visit

POLICY_HEADER = b"x-ringfence-policy"
ROUTE_HEADER = b"x-ringfence-route"
REWRITES_HEADER = b"x-ringfence-rewrites"
_DECISION_HEADER = DECISION_HEADER.encode("ascii")


@dataclass(frozen=True, slots=True)
class Upstream:
    """The gateway and what guards it. `keys` are by project, "" for those that have none of their own."""

    gateway: Gateway
    breaker: Breaker
    keys: Mapping[str, bytes]
    quarantine: Callable[[RouteId], None]


class Forward:
    """Carries requests to the gateway and their answers back; steps (7) to (9)."""

    def __init__(self, upstream: Upstream, evidence: Evidence, metrics: Metrics) -> None:
        self._upstream = upstream
        self._evidence = evidence
        self._metrics = metrics

    def admits(self, visit: Visit) -> bool:
        """Whether the breaker lets this request through now."""
        breaker = self._upstream.breaker
        visit.probes = breaker.is_open
        return breaker.admits(time.monotonic())

    def withdraw(self, visit: Visit) -> None:
        """Tell the breaker that an admitted request was not sent."""
        if visit.probes:
            self._upstream.breaker.withdrawn()

    async def send(
        self, visit: Visit, approval: Approval, receipt: Receipt, request: UpstreamRequest
    ) -> Reply | Relay:
        """Forward one request; every way out of here writes exactly one outcome."""
        key = self._key(visit)
        visit.sent_at = time.monotonic()
        try:
            reply = await self._upstream.gateway.send(approval, receipt, request, key=key)  # (7)
            self._upstream.breaker.succeeded()
            visit.first_byte = time.monotonic()
            return self._relay(visit, reply, approval, key)
        except UpstreamFailure as failure:
            self._note(visit, failure)
            return self._refuse(visit, plain_refusal(failure.code), Served(_end(failure)))
        except Exception as error:
            self._evidence.fault(error)
            return self._refuse(visit, plain_refusal("proxy_fault"), Served("proxy_fault"))
        except BaseException:
            self._finish(visit, Served("client_gone"))
            raise

    def _note(self, visit: Visit, failure: UpstreamFailure) -> None:
        """Tell the breaker. That all connections are in use is our limit, and says nothing of the gateway."""
        if failure.code == "overloaded":
            self.withdraw(visit)
        else:
            self._upstream.breaker.failed(time.monotonic())

    def _relay(self, visit: Visit, reply: UpstreamReply, approval: Approval, key: bytes) -> Reply | Relay:
        """Hold the head against what was approved, then let the body through."""
        served = self._confirm(visit, reply, approval)  # (8)
        if served.end:
            reply.close()
            code = "upstream_broke_off" if served.end == "upstream_reset" else served.end
            return self._refuse(visit, plain_refusal(code), served)
        return Relay(
            reply,
            self._headers(visit, reply, approval.decision, key, route=_named(approval, served)),
            tap=_tap(visit),
            scrubber=Scrubber(key),
            on_end=partial(self._ended, visit, reply, served),  # (9)
        )

    def _ended(self, visit: Visit, reply: UpstreamReply, served: Served, ending: Ending) -> None:
        """The answer is over: complete what is known of it."""
        usage = ending.usage
        if usage.cost_microusd is None and (cost := microusd(reply.header(b"x-opper-cost"))) is not None:
            usage = Usage(usage.tokens_in, usage.tokens_out, cost, usage.upstream_id)
        refused = reply.status == 403 and ending.end == "complete"
        served.end = "refused_by_upstream" if refused else ending.end
        served.usage, served.bytes = usage, ending.bytes
        self._finish(visit, served)

    def _confirm(self, visit: Visit, reply: UpstreamReply, approval: Approval) -> Served:
        """What the head says; `end` is set when the body must not be relayed."""
        heard = told(reply.fields)
        found = confirm(approval.routes, visit.revision.catalogue, heard)
        served = Served("", reply.status, reply.status, heard.model, heard.provider, confirmation=found)
        proven = found.verdict is Verdict.CONFIRMED or reply.status >= 400
        if found.verdict is Verdict.MISMATCH:
            self._upstream.quarantine(approval.route.id)
            served.end, served.status = "served_mismatch", 403
        elif 300 <= reply.status < 400:
            served.end, served.status = "upstream_reset", 502
        elif approval.decision.require_confirmation and not proven:
            served.end, served.status = "not_confirmed", 403
        return served

    def _headers(
        self, visit: Visit, reply: UpstreamReply, decision: Decision, key: bytes, *, route: RouteId
    ) -> Headers:
        """The listed fields of the answer, and what the proxy has to say of it."""
        passed = visit.revision.tables.headers.downstream(reply.fields.pairs)
        kept = [pair for pair in passed if not key or key not in pair[1]]
        if (length := reply.length) is not None:
            # A length that the gateway gave stays; without one the body is chunked anew.
            kept.append((b"Content-Length", length))
        kept.append((_DECISION_HEADER, visit.rid.encode("ascii")))
        kept += _said(decision.policies, decision.rewrites, route)
        return tuple(kept)

    def _refuse(self, visit: Visit, words: Refusal, served: Served) -> Reply:
        served.status = words.status
        self._finish(visit, served)
        return shape_of(visit.raw, visit.match).refuse(replace(words, decision_id=visit.rid))

    def _finish(self, visit: Visit, served: Served) -> None:
        """Write the outcome, charge the caller, count."""
        self._evidence.outcome(visit, served)
        if visit.lease is not None:
            for scope in visit.lease.settle(served.usage, month_of(visit.at)):
                self._evidence.spend_alert(scope)
                self._metrics.spend_alerts.add(scope.partition(":")[0])
        verdict = served.confirmation.verdict if served.confirmation else NONE
        self._metrics.outcomes.add(served.end, verdict)
        self._metrics.usage(served.usage)
        if visit.match is not None:
            self._count(
                visit, visit.match.endpoint.dialect, visit.match.endpoint.operation, served.status or 502
            )

    def _count(self, visit: Visit, dialect: str, operation: str, status: int) -> None:
        now = time.monotonic()
        self._metrics.requests.add(dialect, operation, "allow", NONE, status_class(status))
        self._metrics.answer_seconds.observe(now - visit.started, dialect)
        if visit.sent_at and visit.first_byte:
            self._metrics.added_seconds.observe(visit.sent_at - visit.started, dialect)
            self._metrics.first_byte_seconds.observe(visit.first_byte - visit.sent_at, dialect)

    def _key(self, visit: Visit) -> bytes:
        """The one credential that goes upstream: the project's own, or the common one."""
        project = visit.caller.project if visit.caller else ""
        return self._upstream.keys.get(project) or self._upstream.keys.get("", b"")


def _named(approval: Approval, served: Served) -> RouteId:
    """The route that an answer names: of all that were approved the one that served, if that was told."""
    found = served.confirmation
    if found is not None and found.verdict is Verdict.CONFIRMED and found.served is not None:
        return found.served
    return approval.route.id


def _tap(visit: Visit) -> Tap:
    if visit.match is None or visit.call is None:
        return body_tap()
    return routing.dialect_of(visit.match.endpoint).tap(visit.call.operation, visit.call.stream)


def _end(failure: UpstreamFailure) -> str:
    if failure.code == "upstream_timeout":
        return "timeout"
    return "upstream_reset" if failure.sent else "not_sent"


@lru_cache(maxsize=1024)
def _said(policies: tuple[PolicyRef, ...], rewrites: tuple[str, ...], route: RouteId) -> Headers:
    """What was decided, in the fields of every answer; there are few of them, and many answers."""
    said = [(POLICY_HEADER, ",".join(ref.id for ref in policies))]
    if rewrites:
        said.append((REWRITES_HEADER, ",".join(rewrites)))
    said.append((ROUTE_HEADER, route))
    return tuple((name, value.encode("latin-1")) for name, value in said)
