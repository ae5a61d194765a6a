"""Spans: named as the conventions name them, joined to the client's trace, and free of content."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from proxy.core.record import Ended
from proxy.core.values import Usage
from proxy.traces import Traces, open_traces
from tests.operations.kit import MODEL, Client
from tests.running import UPSTREAM_KEY, Stage, running

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SECRET = "my deepest CANARY secret"


class Collector(ThreadingHTTPServer):
    """A real receiver of OTLP over HTTP."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Receives)
        self.bodies: list[bytes] = []

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1/traces"

    def spans(self) -> list[Any]:
        found = []
        for body in self.bodies:
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                found += [span for scope in resource.scope_spans for span in scope.spans]
        return found

    def instances(self) -> set[str]:
        every = [ExportTraceServiceRequest.FromString(body).resource_spans for body in self.bodies]
        return {told(one.resource)["service.instance.id"] for group in every for one in group}


class _Receives(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        return


@contextmanager
def collecting() -> Iterator[Collector]:
    collector = Collector()
    thread = Thread(target=collector.serve_forever, daemon=True)
    thread.start()
    try:
        yield collector
    finally:
        collector.shutdown()
        collector.server_close()


def told(span: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in span.attributes}


@pytest.fixture(scope="module")
def traced() -> Iterator[tuple[Stage, Collector]]:
    """A run that is over: answers, a stream and a refusal of two workers, and what was collected."""
    with (
        collecting() as collector,
        running(config={"traces": {"endpoint": collector.endpoint}, "workers": 2}) as stage,
    ):
        first, second = Client(stage), Client(stage)
        assert first.status(SECRET, traceparent=f"00-{TRACE}-{SPAN}-01") == 200
        assert second.ask(SECRET, stream=True).read().endswith(b"[DONE]\n\n")
        assert Client(stage, "mission").status(SECRET) in (200, 403)
        assert Client(stage, "alone").status(SECRET) == 403
        stage.stop()
        yield stage, collector


def test_every_recorded_decision_has_its_span(traced: tuple[Stage, Collector]) -> None:
    stage, collector = traced
    decided = {record["rid"] for record in stage.records() if record["kind"] in ("intent", "refusal")}
    assert {told(span)["ringfence.decision_id"] for span in collector.spans()} == decided
    assert len(collector.spans()) == len(decided) == 4


def test_a_span_says_who_served_what_it_cost_and_how_it_ended(traced: tuple[Stage, Collector]) -> None:
    _, collector = traced
    (span,) = [span for span in collector.spans() if span.trace_id.hex() == TRACE]
    assert span.parent_span_id.hex() == SPAN
    assert span.name == f"chat {MODEL}"
    assert span.end_time_unix_nano > span.start_time_unix_nano > 1_700_000_000 * 10**9
    said = told(span)
    assert said["gen_ai.operation.name"] == "chat"
    assert said["gen_ai.provider.name"] == MODEL.partition("/")[0]
    assert said["gen_ai.request.model"] == MODEL
    assert said["gen_ai.usage.input_tokens"] > 0
    assert said["gen_ai.usage.output_tokens"] > 0
    assert said["http.response.status_code"] == 200
    assert said["ringfence.end"] == "complete"
    assert said["ringfence.confirmation"] == "confirmed"
    assert said["server.address"] == "127.0.0.1"
    assert "error.type" not in said


def test_a_refusal_is_an_error_by_its_reason_code(traced: tuple[Stage, Collector]) -> None:
    _, collector = traced
    (span,) = [span for span in collector.spans() if told(span).get("ringfence.project") == "alone"]
    assert told(span)["error.type"] == told(span)["ringfence.reason"] == "no_matching_policy"
    assert span.status.code == 2


def test_workers_can_be_told_apart(traced: tuple[Stage, Collector]) -> None:
    _, collector = traced
    assert collector.instances() == {"ringfence/r0/w0", "ringfence/r0/w1"}


def test_nothing_of_content_or_keys_leaves_in_a_trace(traced: tuple[Stage, Collector]) -> None:
    stage, collector = traced
    sent = b"".join(collector.bodies)
    for secret in ("CANARY", "simulator", UPSTREAM_KEY, *stage.keys.values()):
        assert secret.encode() not in sent


def test_a_collector_that_is_not_there_costs_no_answer_and_no_record() -> None:
    with running(config={"traces": {"endpoint": "http://127.0.0.1:9/v1/traces"}}) as stage:
        assert Client(stage).status() == 200
        stage.stop()
        assert [record["end"] for record in stage.records() if record["kind"] == "outcome"] == ["complete"]


@dataclass
class Asked:
    endpoint: str | None = "http://127.0.0.1:9/v1/traces"
    share: float = 1.0


def in_memory(share: float = 1.0) -> tuple[Traces, InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    traces = open_traces(
        Asked(share=share), version="ringfence/1.2", instance="a", host="g:1", exporter=exporter
    )
    assert traces is not None
    return traces, exporter


def spans(visit: Any, ended: Ended | str, share: float = 1.0) -> tuple[ReadableSpan, ...]:
    traces, exporter = in_memory(share)
    if isinstance(ended, str):
        traces.refused(visit, ended)
    else:
        traces.forwarded(visit, ended)
    traces.close()
    return exporter.get_finished_spans()


def test_a_name_that_no_catalogue_knows_is_left_out(bare_visit: Any) -> None:
    (span,) = spans(bare_visit(model=SECRET), Ended("r", "complete", status=200, served_model=SECRET))
    assert SECRET not in span.to_json()
    assert span.name == "chat"


def test_half_an_answer_is_an_error_though_its_head_was_well(bare_visit: Any) -> None:
    (span,) = spans(bare_visit(), Ended("r", "upstream_reset", status=200, usage=Usage(tokens_in=3)))
    assert span.attributes is not None
    assert span.attributes["error.type"] == "upstream_reset"
    assert span.attributes["gen_ai.usage.input_tokens"] == 3
    assert "gen_ai.usage.output_tokens" not in span.attributes


def test_of_traces_that_begin_here_only_the_share_is_kept_but_a_client_decides_for_its_own(
    bare_visit: Any,
) -> None:
    assert spans(bare_visit(), "rate_limited", share=0.0) == ()
    header = f"00-{TRACE}-{SPAN}-01".encode()
    (span,) = spans(bare_visit(traceparent=header), "rate_limited", share=0.0)
    assert span.parent is not None
    assert f"{span.parent.span_id:016x}" == SPAN
    assert spans(bare_visit(traceparent=header[:-1] + b"0"), "rate_limited") == ()


@pytest.mark.parametrize("header", [b"", b"00-zz-zz-01", b"\xff" * 30, f"00-{'0' * 32}-{SPAN}-01".encode()])
def test_a_parent_that_cannot_be_read_begins_a_new_trace(bare_visit: Any, header: bytes) -> None:
    (span,) = spans(bare_visit(traceparent=header), "rate_limited")
    assert span.parent is None


@pytest.fixture
def bare_visit() -> Any:
    """Visits as the pipeline makes them, as far as they came when a request named a model."""
    from datetime import UTC, datetime
    from time import monotonic

    from proxy.core.dialects import routing
    from proxy.core.values import Call, RawRequest
    from proxy.visit import Visit

    class Grounds:
        known = frozenset({MODEL})

    class Revision:
        grounds = Grounds()

    def make(model: str = MODEL, traceparent: bytes | None = None) -> Visit:
        headers = () if traceparent is None else ((b"TraceParent", traceparent),)
        raw = RawRequest("POST", "/v1/chat/completions", "", headers, b"{}")
        revision: Any = Revision()
        visit = Visit("r", raw, revision, datetime.now(UTC), monotonic())
        visit.match = routing.match(raw)
        visit.call = Call("chat.completions", "openai", (model,), stream=False, effects=())
        return visit

    return make


def test_while_off_nothing_is_imported_and_nothing_made() -> None:
    code = (
        "import sys, proxy.serving, proxy.traces as t\n"
        "from proxy.settings import TraceSettings\n"
        "assert t.open_traces(TraceSettings(), version='a/1', instance='i', host='h') is None\n"
        "assert not [name for name in sys.modules if name.startswith('opentelemetry.sdk')]\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_the_extra_an_endpoint_is_a_mistake_that_says_what_to_install() -> None:
    code = (
        "import sys\nsys.modules['opentelemetry.sdk'] = None\n"
        "from proxy.traces import open_traces\nfrom proxy.settings import TraceSettings\n"
        "open_traces(TraceSettings(endpoint='http://a/v1/traces'), version='a/1', instance='i', host='h')\n"
    )
    found = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert "pip install 'ringfence[otel]'" in found.stderr
