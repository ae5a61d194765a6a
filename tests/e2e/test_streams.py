"""Streams pass event by event: the gateway withholds each until the client has the one before."""

from __future__ import annotations

import httpx2
import pytest

from tests.running import Stage
from tests.sdks.uses import SAID, STREAMS, Use, clients, user

EVERY = pytest.mark.parametrize("use", [use.param() for use in STREAMS])


@EVERY
def test_a_stream_in_lockstep_completes(use: Use, stage: Stage) -> None:
    sdks = clients(stage.url, stage.keys["open"])
    confirmed: list[int] = []

    def have(event: int) -> None:
        confirmed.append(event)
        assert stage.sent() <= event
        stage.confirm(event)

    sdks.wire.on_event = have
    with stage.lockstep():
        assert use.said(use.ask(sdks, use.allowed)) == SAID
    assert confirmed == list(range(1, stage.seen[0].events_sent + 1))
    assert len(confirmed) >= 3
    rid = sdks.wire.last.answer["x-ringfence-decision-id"]
    assert stage.record(rid, "outcome")["end"] == "complete"


def test_a_stream_in_lockstep_completes_on_a_rewritten_request_too(stage: Stage) -> None:
    sdks = clients(stage.url, stage.keys["mission"])
    sdks.wire.on_event = stage.confirm
    with stage.lockstep():
        stream = sdks.openai.responses.create(model="atlas-1", input="[[words:20]]", stream=True)
        kinds = [event.type for event in stream]
    assert kinds.count("response.output_text.delta") == 20
    assert kinds[-1] == "response.completed"


def test_twenty_streams_at_once_do_not_wait_for_each_other(stage: Stage) -> None:
    """Each stream is carried on by one event in turn, so none may need another to end first."""
    with httpx2.Client(base_url=stage.url, headers={"authorization": f"Bearer {stage.keys['open']}"}) as http:
        open_streams = []
        for number in range(20):
            body = {"model": "example-us/atlas-1", "stream": True}
            asked = http.build_request(
                "POST",
                "/v1/chat/completions",
                json={**body, "messages": user(f"[[words:3]] [[lockstep:s{number}]]")},
            )
            open_streams.append((f"s{number}", http.send(asked, stream=True)))
        readers = [(name, reply, reply.iter_raw()) for name, reply in open_streams]
        for event in range(1, 7):
            for name, _, chunks in readers:
                assert next(chunks).count(b"\n\n") == 1
                stage.confirm(event, name)
        for _, reply, chunks in readers:
            assert list(chunks) == []
            reply.close()


def test_a_reply_comes_back_byte_for_byte_whatever_it_is_made_of(stage: Stage) -> None:
    body = b'{"id":"x", \t "choices" : [ ],\r\n "model":"\\u0041", "n":1e3, "n":2, "x":"\xff\xfe\x00"}\n\n'
    head = (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nx-opper-served-model: atlas-1\r\n"
        b"x-opper-served-provider: example-us\r\nContent-Length: %d\r\n\r\n" % len(body)
    )
    stage.fault("raw", data=(head + body).decode("latin-1"))
    sdks = clients(stage.url, stage.keys["open"])
    reply = sdks.plain.post("/v1/chat/completions", json={"model": "example-us/atlas-1", "messages": user()})
    assert reply.status_code == 200
    assert reply.content == body
    assert int(reply.headers["content-length"]) == len(body)


def test_a_reply_that_comes_compressed_unasked_is_relayed_as_it_is(stage: Stage) -> None:
    stage.fault("gzip")
    sdks = clients(stage.url, stage.keys["open"])
    got = sdks.openai.chat.completions.create(model="example-us/atlas-1", messages=user())
    assert got.choices[0].message.content == SAID
    assert sdks.wire.last.answer["content-encoding"] == "gzip"
    assert sdks.wire.last.received[:2] == b"\x1f\x8b"
