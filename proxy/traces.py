"""OpenTelemetry spans of forwarded and refused requests, without content; an extra, and off by default

Names follow the semantic conventions for generative AI. A span is made when its request has ended, from
what the audit record says of it, so a trace can never say more than the record. Nothing here is imported
while traces are off.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from proxy.core.errors import Mistake
from proxy.core.record import Ended
from proxy.visit import Visit

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Tracer
    from opentelemetry.util.types import AttributeValue

_PATIENCE = 5.0
_NANO = 1_000_000_000
_OPERATIONS = {
    "batchEmbedContents": "embeddings",
    "chat.completions": "chat",
    "embedContent": "embeddings",
    "embeddings": "embeddings",
    "messages": "chat",
    "messages.create": "chat",
    "responses": "chat",
}
"""Our operations by the conventions' names; the others make content and are no chat."""
_GOOD = ("complete",)
_TRACE_HEADERS = (b"traceparent", b"tracestate")


class TraceSettings(Protocol):
    """Where spans go, and the share of traces that begin here which are kept."""

    endpoint: str | None
    share: float


class Traces:
    """Sends a span per request to an OTLP collector, from a thread of its own."""

    def __init__(self, provider: TracerProvider, *, host: str) -> None:
        """`host` is the gateway's authority."""
        self._provider = provider
        self._tracer: Tracer = provider.get_tracer("ringfence")
        self._server: dict[str, AttributeValue] = {"server.address": host.partition(":")[0]}

    def forwarded(self, visit: Visit, ended: Ended) -> None:
        """The span of a request that the gateway was asked."""
        usage = ended.usage
        told: dict[str, AttributeValue | None] = {
            "gen_ai.response.model": _known(visit, ended.served_model),
            "gen_ai.usage.input_tokens": usage.tokens_in,
            "gen_ai.usage.output_tokens": usage.tokens_out,
            "http.response.status_code": ended.status,
            "ringfence.end": ended.end,
            "ringfence.confirmation": ended.verdict or None,
            "error.type": None if ended.end in _GOOD and (ended.status or 0) < 400 else ended.end,
        }
        if visit.first_byte:
            told["gen_ai.response.time_to_first_chunk"] = round(visit.first_byte - visit.started, 6)
        self._end(visit, {**self._server, **_present(told)})

    def refused(self, visit: Visit, code: str) -> None:
        """The span of a request that was refused before it left."""
        self._end(visit, {"ringfence.reason": code, "error.type": code})

    def _end(self, visit: Visit, told: Mapping[str, AttributeValue]) -> None:
        from opentelemetry.trace import SpanKind, StatusCode

        asked = _asked(visit)
        began = int(visit.at.timestamp() * _NANO)
        name = " ".join(
            str(asked[key]) for key in ("gen_ai.operation.name", "gen_ai.request.model") if key in asked
        )
        span = self._tracer.start_span(
            name, _parent(visit), SpanKind.CLIENT, attributes={**asked, **told}, start_time=began
        )
        if "error.type" in told:
            span.set_status(StatusCode.ERROR)
        span.end(began + int((time.monotonic() - visit.started) * _NANO))

    def close(self) -> None:
        """Send what is left, as long as the exporter's own time-out allows."""
        self._provider.shutdown()


def open_traces(
    settings: TraceSettings, *, version: str, instance: str, host: str, exporter: SpanExporter | None = None
) -> Traces | None:
    """The traces of one worker, or None while they are off. Raises `Mistake` when the extra is missing.

    `instance` tells workers apart. `exporter` takes the place of OTLP over HTTP.
    """
    if settings.endpoint is None:
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
    except ImportError:
        raise Mistake(
            "traces.endpoint is set, but OpenTelemetry is not installed: pip install 'ringfence[otel]'"
        ) from None
    name, _, number = version.partition("/")
    resource = Resource.create(
        {"service.name": name, "service.version": number, "service.instance.id": instance}
    )
    provider = TracerProvider(
        ParentBased(TraceIdRatioBased(settings.share)), resource, shutdown_on_exit=False
    )
    provider.add_span_processor(
        BatchSpanProcessor(exporter or OTLPSpanExporter(settings.endpoint, timeout=_PATIENCE))
    )
    return Traces(provider, host=host)


def _asked(visit: Visit) -> dict[str, AttributeValue]:
    """What was asked of whom, and by which rules it was judged: names of ours, never what a client wrote."""
    endpoint, decision, caller = (visit.match.endpoint if visit.match else None), visit.decision, visit.caller
    route = decision.route if decision else None
    operation = endpoint.operation if endpoint else ""
    model = visit.call.models[0] if visit.call and visit.call.models else ""
    return _present(
        {
            "gen_ai.operation.name": _OPERATIONS.get(operation, "generate_content"),
            "gen_ai.provider.name": route.provider if route else "opper",
            "gen_ai.request.model": route.id if route else _known(visit, model),
            "gen_ai.request.stream": visit.call.stream if visit.call else None,
            "ringfence.decision_id": visit.rid,
            "ringfence.dialect": endpoint.dialect if endpoint else None,
            "ringfence.operation": operation or None,
            "ringfence.policies": [ref.id for ref in decision.policies] if decision else None,
            "ringfence.rewrites": list(decision.rewrites) if decision and decision.rewrites else None,
            "ringfence.project": caller.project if caller else None,
            "ringfence.key_id": caller.key_id if caller else None,
        }
    )


def _known(visit: Visit, name: str) -> str | None:
    """A name that stands in the catalogue; any other may be content."""
    return name if name in visit.revision.grounds.known else None


def _present(told: Mapping[str, AttributeValue | None]) -> dict[str, AttributeValue]:
    return {name: value for name, value in told.items() if value is not None}


def _parent(visit: Visit) -> Context:
    from opentelemetry.context import Context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier = {
        name.lower().decode("latin-1"): value.decode("latin-1")
        for name, value in visit.raw.headers
        if name.lower() in _TRACE_HEADERS
    }
    return TraceContextTextMapPropagator().extract(carrier, Context())
