"""An answer goes back as it comes, and however it ends, that is told exactly once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from proxy.core.errors import UpstreamFailure
from proxy.core.scrub import Scrubber
from proxy.core.tap import OPENAI_CHAT, Tap, body_tap, event_tap
from proxy.core.values import Usage
from proxy.gateway import UpstreamReply
from proxy.relay import Ending, Relay
from tests.poured import first_of, poured
from tests.scripted import CLOSE, HOLD, RESET, Scripted, Step, scripted
from tests.test_gateway import client, send

SECRET = b"op-upstream-key"
BODY = b'{"id":"x-1","usage":{"prompt_tokens":3,"completion_tokens":4}}'
EVENT = b'data: {"choices":[]}\n\n'
DONE = b"data: [DONE]\n\n"
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"


def sized(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


def chunked(*chunks: bytes, end: bool = True) -> bytes:
    framed = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    return STREAM + b"Transfer-Encoding: chunked\r\n\r\n" + framed + (b"0\r\n\r\n" if end else b"")


@dataclass
class Told:
    """A relay, the gateway behind it, and each ending that it told."""

    relay: Relay
    upstream: Scripted
    reply: UpstreamReply
    endings: list[Ending] = field(default_factory=list)

    async def whole(self) -> bytes:
        return await poured(self.relay)


@asynccontextmanager
async def relayed(script: Sequence[Step], tap: Tap | None = None, **settings: object) -> AsyncIterator[Told]:
    """The relay of what a scripted gateway answers."""
    async with scripted(script) as upstream, client(upstream.url, **settings) as gateway:
        reply = await send(gateway)
        endings: list[Ending] = []
        relay = Relay(
            reply, ((b"X-A", b"1"),), tap=tap or body_tap(), scrubber=Scrubber(SECRET), on_end=endings.append
        )
        yield Told(relay, upstream, reply, endings)


async def test_an_answer_comes_back_byte_for_byte_and_its_usage_is_told() -> None:
    async with relayed([sized(BODY)]) as told:
        assert (told.relay.status, told.relay.headers) == (200, ((b"X-A", b"1"),))
        assert await told.whole() == BODY
        usage = Usage(3, 4, upstream_id="x-1")
        assert told.endings == [Ending("complete", len(BODY), usage)]


async def test_reading_on_after_the_end_tells_nothing_more() -> None:
    async with relayed([sized(BODY)]) as told:
        await told.whole()
        assert await told.whole() == b""
        told.relay.abandon("client_gone")
        assert [ending.end for ending in told.endings] == ["complete"]


async def test_the_gateways_key_is_masked_wherever_chunks_cut_it_and_the_length_stays_true() -> None:
    async with relayed([chunked(b"see op-ups", b"tream-key", b" and op-")]) as told:
        assert await told.whole() == b"see *************** and op-"
        assert told.endings[0].bytes == len(b"see *************** and op-")


@pytest.mark.parametrize("cut", [RESET, CLOSE])
async def test_an_answer_that_breaks_off_is_never_taken_for_whole(cut: str) -> None:
    async with relayed([chunked(EVENT, end=False), cut]) as told:
        with pytest.raises(UpstreamFailure):
            await told.whole()
        assert [ending.end for ending in told.endings] == ["upstream_reset"]
        told.relay.abandon("client_gone")
        assert len(told.endings) == 1


async def test_a_gateway_that_falls_silent_is_a_timeout() -> None:
    async with relayed([chunked(EVENT, end=False), HOLD], between_events_timeout="50ms") as told:
        with pytest.raises(UpstreamFailure) as raised:
            await told.whole()
        assert raised.value.code == "upstream_timeout"
        assert [ending.end for ending in told.endings] == ["timeout"]


async def test_an_abandoned_answer_stops_the_gateway_at_once() -> None:
    async with relayed([chunked(EVENT, end=False), HOLD]) as told:
        assert await first_of(told.relay) == EVENT
        told.relay.abandon("client_gone")
        await told.upstream.gone.wait()
        assert told.endings == [Ending("client_gone", len(EVENT), Usage())]


async def test_a_client_that_leaves_at_the_protocols_own_end_has_had_all_of_its_answer() -> None:
    """Some SDKs do not wait for the end of the connection's framing."""
    done = EVENT + b"data: [DONE]\n\n"
    async with relayed([chunked(done, end=False), HOLD], event_tap(OPENAI_CHAT)) as told:
        assert await first_of(told.relay) == done
        told.relay.abandon("client_gone")
        await told.upstream.gone.wait()
        assert [(ending.end, ending.bytes) for ending in told.endings] == [("complete", len(done))]


async def test_a_stream_that_only_a_closed_connection_ends_must_have_said_that_it_is_over() -> None:
    """Such an end looks the same whether the gateway had finished or had crashed."""
    async with relayed([STREAM + b"\r\n" + EVENT, CLOSE], event_tap(OPENAI_CHAT)) as told:
        with pytest.raises(UpstreamFailure):
            await told.whole()
        assert [ending.end for ending in told.endings] == ["upstream_reset"]
    for end in (DONE, DONE.rstrip()):
        async with relayed([STREAM + b"\r\n" + EVENT + end, CLOSE], event_tap(OPENAI_CHAT)) as told:
            assert await told.whole() == EVENT + end
            assert [ending.end for ending in told.endings] == ["complete"]


async def test_a_framed_stream_may_end_without_its_last_words() -> None:
    async with relayed([chunked(EVENT)], event_tap(OPENAI_CHAT)) as told:
        assert await told.whole() == EVENT
        assert [ending.end for ending in told.endings] == ["complete"]


class BrokenTap:
    """A tap with a fault of ours in one of its two steps."""

    complete = True

    def __init__(self, step: str) -> None:
        self._step = step

    def feed(self, chunk: bytes) -> None:
        if self._step == "feed":
            raise RuntimeError("kanarie")

    def finish(self) -> Usage:
        raise RuntimeError("kanarie")


async def test_a_fault_in_what_reads_along_cuts_the_answer_and_is_told() -> None:
    async with relayed([chunked(EVENT, end=False), HOLD], BrokenTap("feed")) as told:
        with pytest.raises(RuntimeError):
            await told.whole()
        assert told.endings == [Ending("proxy_fault", len(EVENT), Usage())]
        await told.upstream.gone.wait()


async def test_usage_that_cannot_be_summed_up_costs_no_ending() -> None:
    async with relayed([sized(BODY)], BrokenTap("finish")) as told:
        assert await told.whole() == BODY
        assert told.endings == [Ending("complete", len(BODY), Usage())]


async def test_a_report_that_fails_is_not_made_twice() -> None:
    asked = []

    def report(ending: Ending) -> Any:
        asked.append(ending.end)
        raise RuntimeError("kanarie")

    async with scripted([sized(BODY)]) as upstream, client(upstream.url) as gateway:
        relay = Relay(await send(gateway), (), tap=body_tap(), scrubber=Scrubber(b""), on_end=report)
        with pytest.raises(RuntimeError):
            await poured(relay)
        assert asked == ["complete"]
