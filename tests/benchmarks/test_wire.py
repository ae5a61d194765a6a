"""what the benchmarks send has the sizes that their tables name, and is what it is called"""

from __future__ import annotations

import orjson
import pytest

from benchmarks import wire
from proxy.core import strict_json


def test_bodies_have_the_sizes_that_the_tables_name():
    sizes = {kind: len(body) for kind, body in wire.bodies().items()}
    assert sizes["chat"] == sizes["stream"] == wire.CHAT_BYTES
    assert sizes["agent"] == wire.AGENT_BYTES
    assert 0 <= wire.IMAGE_BYTES - sizes["image"] < 4


@pytest.mark.parametrize("kind", ["chat", "agent", "image", "stream"])
def test_the_proxy_reads_every_body_in_one_way(kind):
    body = strict_json.parse(wire.bodies()[kind])
    assert isinstance(body, dict)
    assert body["model"] == wire.MODEL


def test_the_mock_sees_the_stream_flag_where_it_looks():
    assert b'"stream":true' in wire.bodies()["stream"][:512]
    assert not any(b'"stream":true' in wire.bodies()[kind] for kind in ("chat", "agent", "image"))


def test_a_fresh_head_differs_from_the_one_before_in_its_trace_id_only():
    source = wire.heads(8080, 5, fresh=True)
    one, other = (source().split(b"\r\n") for _ in range(2))
    changed = [line for line, before in zip(one, other, strict=True) if line != before]
    assert [line.split(b":")[0] for line in changed] == [b"traceparent"]


def test_a_repeated_head_never_changes():
    source = wire.heads(8080, 5, fresh=False)
    assert source() == source()


def test_the_answer_is_whole_and_reports_its_usage():
    head, _, body = wire.answer().partition(b"\r\n\r\n")
    assert len(body) == wire.ANSWER_BYTES
    assert f"content-length: {wire.ANSWER_BYTES}".encode() in head
    assert orjson.loads(body)["usage"]["total_tokens"] == 236


def test_a_chunk_carries_the_clock_and_the_last_one_ends_the_stream():
    size, _, event = wire.chunk(123, last=False).partition(b"\r\n")
    assert int(size, 16) == len(event) - 2
    assert orjson.loads(event.removeprefix(b"data: "))["system_fingerprint"] == "0" * 16 + "123"
    assert wire.chunk(123, last=True).endswith(b"data: [DONE]\n\n\r\n")
