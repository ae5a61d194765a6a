"""A tap learns what a reply cost and whether it ended, however the network cuts it, and never raises."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core import tap
from proxy.core.values import Usage


def events(*bodies: Any, names: bool = False, end: bytes = b"\n") -> bytes:
    lines = []
    for body in bodies:
        if names and isinstance(body, dict):
            lines.append(b"event: " + body["type"].encode())
        lines.append(
            b"data: "
            + (body if isinstance(body, bytes) else json.dumps(body, separators=(",", ":")).encode())
        )
        lines.append(b"")
    return end.join(lines) + end


def delta(text: str) -> dict[str, Any]:
    return {"id": "chatcmpl-1", "choices": [{"delta": {"content": text}}], "usage": None}


CHAT = events(
    delta("hel"), delta('"usage": {"cost": 9}, [DONE]'),
    {"id": "chatcmpl-1", "choices": [],
     "usage": {"prompt_tokens": 7, "completion_tokens": 3, "cost": 0.00042}},
    b"[DONE]",
)  # fmt: skip
RESPONSES = events(
    {"type": "response.created", "response": {"id": "resp_1", "usage": None}},
    {"type": "response.output_text.delta", "delta": "response.completed"},
    {
        "type": "response.completed",
        "response": {"id": "resp_1", "usage": {"input_tokens": 7, "output_tokens": 3}},
    },
    names=True,
)
ANTHROPIC = events(
    {"type": "ping"},
    {"type": "message_start", "message": {"id": "msg_1", "usage": {
        "input_tokens": 5, "cache_read_input_tokens": 2, "cache_creation_input_tokens": 0}}},
    {"type": "content_block_delta", "delta": {"text": "message_stop"}},
    {"type": "message_delta", "delta": {}, "usage": {"output_tokens": 3, "cost": 0.00042}},
    {"type": "message_stop"},
    names=True,
)  # fmt: skip
GOOGLE = events(
    {"responseId": "g1", "candidates": [{"content": {"parts": [{"text": "finishReason"}]}}],
     "usageMetadata": {"promptTokenCount": 7}},
    {"responseId": "g1", "candidates": [{"content": {"parts": []}, "finishReason": "STOP"}],
     "usageMetadata": {"promptTokenCount": 7, "candidatesTokenCount": 1, "thoughtsTokenCount": 2}},
    end=b"\r\n",
)  # fmt: skip
INTERACTIONS = events(
    {"event_type": "interaction.created", "interaction": {"id": "i1"}},
    {"event_type": "interaction.completed", "interaction": {
        "id": "i1", "usage": {"total_input_tokens": 7, "total_output_tokens": 3}}},
)  # fmt: skip

STREAMS = {
    "chat": (tap.OPENAI_CHAT, CHAT, Usage(7, 3, 420, "chatcmpl-1")),
    "responses": (tap.OPENAI_RESPONSES, RESPONSES, Usage(7, 3, None, "resp_1")),
    "anthropic": (tap.ANTHROPIC, ANTHROPIC, Usage(7, 3, 420, "msg_1")),
    "google": (tap.GOOGLE, GOOGLE, Usage(7, 3, None, "g1")),
    "interactions": (tap.GOOGLE_INTERACTIONS, INTERACTIONS, Usage(7, 3, None, "i1")),
}


def listen(reader: tap.Tap, chunks) -> Usage:
    for chunk in chunks:
        reader.feed(chunk)
    return reader.finish()


@pytest.mark.parametrize(("markers", "stream", "want"), STREAMS.values(), ids=STREAMS)
@given(data=st.data())
def test_usage_and_end_are_found_wherever_chunks_are_cut(markers, stream, want, data):
    cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)), max_size=30)) | {0, len(stream)})
    reader = tap.event_tap(markers)
    assert listen(reader, [stream[a:b] for a, b in pairwise(cuts)]) == want
    assert reader.complete


@pytest.mark.parametrize(("markers", "stream", "want"), STREAMS.values(), ids=STREAMS)
def test_usage_and_end_are_found_in_single_bytes(markers, stream, want):
    reader = tap.event_tap(markers)
    assert listen(reader, [stream[place : place + 1] for place in range(len(stream))]) == want
    assert reader.complete


@pytest.mark.parametrize(("markers", "stream", "want"), STREAMS.values(), ids=STREAMS)
def test_a_stream_that_breaks_off_before_its_last_event_is_not_complete(markers, stream, want):
    kept = stream.rstrip().rpartition(b"data:")[0]
    reader = tap.event_tap(markers)
    assert listen(reader, [kept]).upstream_id == want.upstream_id
    assert not reader.complete


@pytest.mark.parametrize(("markers", "stream", "want"), STREAMS.values(), ids=STREAMS)
def test_a_last_line_without_a_line_end_counts(markers, stream, want):
    reader = tap.event_tap(markers)
    assert listen(reader, [stream.rstrip()]) == want
    assert reader.complete


def test_an_end_of_megabytes_is_read_by_its_two_ends():
    usage = {"input_tokens": 7, "output_tokens": 3}
    big = {
        "type": "response.completed",
        "response": {"id": "resp_1", "output": ["x" * 3_000_000], "usage": usage},
    }
    stream = events(big)
    for size in (1_000, 65_536, len(stream)):
        reader = tap.event_tap(tap.OPENAI_RESPONSES)
        got = listen(reader, [stream[place : place + size] for place in range(0, len(stream), size)])
        assert got == Usage(7, 3, None, "resp_1")
        assert reader.complete


@pytest.mark.parametrize(
    ("body", "want"),
    [
        ({"id": "chatcmpl-1", "choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3}},
         Usage(7, 3, None, "chatcmpl-1")),
        ({"object": "list", "data": [], "usage": {"prompt_tokens": 7, "total_tokens": 7}}, Usage(7)),
        ({"id": "msg_1", "content": [{"type": "tool_use", "input": {"usage": {"input_tokens": 99}}}],
          "usage": {"input_tokens": 5, "cache_read_input_tokens": 2, "output_tokens": 3}},
         Usage(7, 3, None, "msg_1")),
        ({"responseId": "g1", "usageMetadata": {"promptTokenCount": 7, "candidatesTokenCount": 3}},
         Usage(7, 3, None, "g1")),
        ({"id": "img_1", "data": [{"b64_json": "eA=="}], "usage": {"cost": 0.0421, "images": 1}},
         Usage(None, None, 42_100, "img_1")),
        ({"usage": {"prompt_tokens": -1, "completion_tokens": True, "cost": "much"}, "id": 7}, Usage()),
        ([], Usage()), ("x", Usage()), (None, Usage()),
    ],
)  # fmt: skip
def test_a_whole_reply_says_what_it_cost(body, want):
    text = json.dumps(body).encode()
    for size in (1, 7, len(text)):
        assert (
            listen(tap.body_tap(), [text[place : place + size] for place in range(0, len(text), size)])
            == want
        )


def test_a_reply_with_a_number_that_json_has_not_still_says_what_it_cost():
    text = b'{"id":"chatcmpl-1","logprobs":[NaN,-Infinity],"usage":{"prompt_tokens":7}}'
    assert listen(tap.body_tap(), [text]) == Usage(7, None, None, "chatcmpl-1")


@given(st.lists(st.integers(0, 400_000), max_size=6))
def test_a_whole_reply_is_read_alike_however_the_network_cuts_it(sizes):
    head, usage = b'{"id":"img_1","data":"', b'","usage":{"cost":0.04}}'
    chunks = [head, *(b"A" * size for size in sizes), usage]
    readers = tap.body_tap(), tap.body_tap()
    assert listen(readers[0], chunks) == listen(readers[1], [b"".join(chunks)])
    assert readers[0].complete


def test_a_whole_reply_of_megabytes_is_read_by_its_two_ends():
    body = {"id": "img_1", "data": [{"b64_json": "A" * 5_000_000}], "usage": {"cost": 0.04, "x": {"y": 1}}}
    text = json.dumps(body).encode()
    reader = tap.body_tap()
    assert listen(reader, [text[place : place + 65_536] for place in range(0, len(text), 65_536)]) == Usage(
        cost_microusd=40_000, upstream_id="img_1"
    )
    assert reader.complete


def test_a_stream_answered_as_plain_json_is_read_as_that():
    reader = tap.event_tap(tap.OPENAI_CHAT)
    assert listen(reader, [b'{"id":"chatcmpl-1",\n"usage":{"prompt', b'_tokens":7}}']) == Usage(
        7, None, None, "chatcmpl-1"
    )
    assert reader.complete


@given(
    chunks=st.lists(
        st.binary(max_size=60) | st.sampled_from([b"data: {", b'"usage":{', b'"id":', b"\n", b"[DONE]"])
    ),
    markers=st.sampled_from([row[0] for row in STREAMS.values()]),
)
def test_no_bytes_make_a_tap_raise(chunks, markers):
    for reader in (tap.event_tap(markers), tap.body_tap()):
        assert isinstance(listen(reader, chunks), Usage)


@pytest.mark.parametrize("make", [lambda: tap.event_tap(tap.OPENAI_CHAT), tap.body_tap])
def test_no_reply_makes_a_tap_grow(make):
    reader = make()
    for start in (b"data: ", b"{"):
        reader.feed(start)
        for _ in range(2_000):
            reader.feed(b"x" * 10_000)
    held = sum(
        len(value)
        for name in type(reader).__slots__
        if isinstance(value := getattr(reader, name), bytes | bytearray)
    )
    assert held < 400_000
