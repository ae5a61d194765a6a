"""an approved and recorded request on its way: send, confirm who served, relay"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from proxy.breaker import Breaker
from proxy.core.confirm import Verdict, confirm
from proxy.core.decide import Approval
from proxy.core.dialects import routing
from proxy.core.dialects.replies import DECISION_HEADER
from proxy.core.dialects.shape import shape_of
from proxy.core.errors import UpstreamFailure
from proxy.core.explain import plain_refusal
from proxy.core.scrub import Scrubber
from proxy.core.tap import Tap, body_tap, microusd
from proxy.core.values import Receipt, Refusal, Reply, RouteId, UpstreamRequest
from proxy.evidence import Evidence, Served
from proxy.gateway import Gateway, UpstreamReply
from proxy.metrics import NONE, Metrics, status_class
from proxy.relay import Ending, Relay
from proxy.visit import Visit

POLICY_HEADER = "x-ringfence-policy"
ROUTE_HEADER = "x-ringfence-route"
REWRITES_HEADER = "x-ringfence-rewrites"


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

    def admits(self) -> bool:
        """Whether the breaker lets a request through now."""
        return self._upstream.breaker.admits(time.monotonic())

    def withdraw(self) -> None:
        """Tell the breaker that an admitted request was not sent."""
        self._upstream.breaker.withdrawn()

    async def send(
        self, visit: Visit, approval: Approval, receipt: Receipt, request: UpstreamRequest
    ) -> Reply | Relay:
        """Forward one request; every way out of here writes exactly one outcome."""
        try:
            reply = await self._send(visit, approval, receipt, request)  # (7)
            return self._relay(visit, reply, approval)
        except UpstreamFailure as failure:
            return self._refuse(visit, plain_refusal(failure.code), Served(_end(failure)))
        except Exception as error:
            self._evidence.fault(error)
            return self._refuse(visit, plain_refusal("proxy_fault"), Served("proxy_fault"))
        except BaseException:
            self._finish(visit, Served("client_gone"))
            raise

    async def _send(
        self, visit: Visit, approval: Approval, receipt: Receipt, request: UpstreamRequest
    ) -> UpstreamReply:
        breaker = self._upstream.breaker
        visit.sent_at = time.monotonic()
        try:
            reply = await self._upstream.gateway.send(approval, receipt, request, key=self._key(visit))
        except UpstreamFailure as failure:
            if failure.code == "overloaded":
                # All connections are in use: that is our limit, and says nothing of the gateway.
                breaker.withdrawn()
            else:
                breaker.failed(time.monotonic())
            raise
        except BaseException:
            breaker.withdrawn()
            raise
        breaker.succeeded()
        visit.first_byte = time.monotonic()
        return reply

    def _relay(self, visit: Visit, reply: UpstreamReply, approval: Approval) -> Reply | Relay:
        """Hold the head against what was approved, then let the body through."""
        served = self._confirm(visit, reply, approval)  # (8)
        if served.end:
            reply.close()
            code = "upstream_broke_off" if served.end == "upstream_reset" else served.end
            return self._refuse(visit, plain_refusal(code), served)
        key = self._key(visit)

        def ended(ending: Ending) -> None:  # (9)
            usage = ending.usage
            if usage.cost_microusd is None:
                usage = replace(usage, cost_microusd=microusd(_text(reply, b"x-opper-cost")))
            end = "refused_by_upstream" if reply.status == 403 and ending.end == "complete" else ending.end
            self._finish(visit, replace(served, end=end, usage=usage, bytes=ending.bytes))

        return Relay(
            reply,
            self._headers(visit, reply, approval),
            tap=_tap(visit),
            scrubber=Scrubber(key),
            on_end=ended,
        )

    def _confirm(self, visit: Visit, reply: UpstreamReply, approval: Approval) -> Served:
        """What the head says; `end` is set when the body must not be relayed."""
        model, provider = _text(reply, b"x-opper-served-model"), _text(reply, b"x-opper-served-provider")
        found = confirm(approval.route, visit.revision.catalogue, model=model, provider=provider)
        served = Served("", reply.status, reply.status, model, provider, confirmation=found)
        if found.verdict is Verdict.MISMATCH:
            self._upstream.quarantine(approval.route.id)
            return replace(served, end="served_mismatch", status=403)
        if 300 <= reply.status < 400:
            return replace(served, end="upstream_reset", status=502)
        unproven = found.verdict is not Verdict.CONFIRMED and reply.status < 400
        if approval.decision.require_confirmation and unproven:
            return replace(served, end="not_confirmed", status=403)
        return served

    def _headers(self, visit: Visit, reply: UpstreamReply, approval: Approval) -> tuple[tuple[str, str], ...]:
        """The listed fields of the answer, and what the proxy has to say of it."""
        decision = approval.decision
        passed = visit.revision.tables.headers.downstream(reply.headers)
        secret = self._key(visit)
        ours = [
            (DECISION_HEADER, visit.rid),
            (POLICY_HEADER, ",".join(ref.id for ref in decision.policies)),
        ]
        if decision.rewrites:
            ours.append((REWRITES_HEADER, ",".join(decision.rewrites)))
        ours.append((ROUTE_HEADER, approval.route.id))
        kept = [
            (n.decode("latin-1"), v.decode("latin-1")) for n, v in passed if not secret or secret not in v
        ]
        return (*kept, *_framing(reply), *ours)

    def _refuse(self, visit: Visit, words: Refusal, served: Served) -> Reply:
        self._finish(visit, replace(served, status=words.status))
        return shape_of(visit.raw, visit.match).refuse(replace(words, decision_id=visit.rid))

    def _finish(self, visit: Visit, served: Served) -> None:
        """Write the outcome, charge the caller, count."""
        self._evidence.outcome(visit, served)
        if visit.lease is not None:
            for scope in visit.lease.settle(served.usage, f"{visit.at:%Y-%m}"):
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


def _tap(visit: Visit) -> Tap:
    if visit.match is None or visit.call is None:
        return body_tap()
    return routing.dialect_of(visit.match.endpoint).tap(visit.call.operation, visit.call.stream)


def _end(failure: UpstreamFailure) -> str:
    if failure.code == "upstream_timeout":
        return "timeout"
    return "upstream_reset" if failure.sent else "not_sent"


def _text(reply: UpstreamReply, name: bytes) -> str:
    return (reply.header(name) or b"").decode("latin-1").strip()


def _framing(reply: UpstreamReply) -> tuple[tuple[str, str], ...]:
    """A length that the gateway gave stays; without one the body is chunked anew."""
    length = _text(reply, b"content-length")
    return (("Content-Length", length),) if length.isdecimal() else ()
