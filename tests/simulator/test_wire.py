import asyncio
import gzip
import time
from typing import Any

import aiohttp
import pytest

from proxy.simulator import Fault

CHAT = "/v3/compat/chat/completions"


def ask(text: Any = "hi", *, stream: Any = False) -> Any:
    return {"model": "example-us/atlas-1", "stream": stream, "messages": [{"role": "user", "content": text}]}


async def test_a_reset_comes_after_exactly_the_bytes_ordered(simulator, client):
    simulator.faults.add(Fault("reset", after=10))
    async with client.post(simulator.base_url + CHAT, json=ask()) as reply:
        assert len(await reply.content.readexactly(10)) == 10
        with pytest.raises(aiohttp.ClientPayloadError, match="reset"):
            await reply.content.read()


async def test_a_reset_before_the_head_leaves_nothing_to_read(simulator, client):
    simulator.faults.add(Fault("reset", after=-1))
    with pytest.raises(aiohttp.ClientOSError):
        await client.post(simulator.base_url + CHAT, json=ask())


async def test_an_early_close_of_a_stream_lacks_the_last_chunk(simulator, client):
    simulator.faults.add(Fault("close", after=300))
    async with client.post(simulator.base_url + CHAT, json=ask("[[words:50]]", stream=True)) as reply:
        with pytest.raises(aiohttp.ClientPayloadError):
            await reply.content.read()


async def test_a_cut_beyond_the_end_still_spares_the_end_of_the_framing(simulator, client):
    simulator.faults.add(Fault("close", after=10_000))
    async with client.post(simulator.base_url + CHAT, json=ask(stream=True)) as reply:
        with pytest.raises(aiohttp.ClientPayloadError):
            await reply.content.read()


async def test_a_stall_lasts_until_it_is_released(simulator, client):
    simulator.faults.add(Fault("stall", after=20))
    async with client.post(simulator.base_url + CHAT, json=ask("[[say:x]]")) as reply:
        first = await reply.content.readexactly(20)
        rest = asyncio.ensure_future(reply.content.read())
        done, _ = await asyncio.wait([rest], timeout=0.1)
        assert not done
        simulator.faults.release()
        assert (first + await rest).startswith(b'{"id":"chatcmpl-')


async def test_a_stall_before_the_head_is_over_when_it_is_released(simulator, client):
    simulator.faults.add(Fault("stall", after=-1))
    asking = asyncio.ensure_future(client.post(simulator.base_url + CHAT, json=ask("[[say:x]]")))
    done, _ = await asyncio.wait([asking], timeout=0.1)
    assert not done
    simulator.faults.release()
    async with await asking as reply:
        assert (await asyncio.wait_for(reply.content.read(), 20)).startswith(b'{"id":"chatcmpl-')


async def test_a_delay_comes_before_the_head(simulator, client):
    simulator.faults.add(Fault("delay", delay_ms=80))
    begun = time.monotonic()
    async with client.post(simulator.base_url + CHAT, json=ask()) as reply:
        assert time.monotonic() - begun >= 0.08
        assert reply.status == 200


async def test_a_trickle_carries_the_same_bytes(simulator, client):
    simulator.faults.add(Fault("trickle"))
    async with client.post(simulator.base_url + CHAT, json=ask("[[say:x]]")) as reply:
        assert (await reply.json())["choices"][0]["message"]["content"] == "x"


async def test_served_by_headers_can_lie_and_lack(simulator, client):
    async def served(fault: Any) -> Any:
        simulator.faults.add(fault)
        async with client.post(simulator.base_url + CHAT, json=ask()) as reply:
            return {k[len("x-opper-served-") :]: v for k, v in reply.headers.items() if "-served-" in k}

    lie = await served(Fault("served", model="other", provider="someone"))
    assert lie == {"model": "other", "provider": "someone"}
    assert await served(Fault("served", provider="someone")) == {"provider": "someone"}
    assert await served(Fault("unserved")) == {}


@pytest.mark.parametrize("stream", [False, True])
async def test_a_coded_answer_nobody_asked_for_unpacks_to_the_answer(simulator, client, stream):
    simulator.faults.add(Fault("gzip"))
    async with client.post(simulator.base_url + CHAT, json=ask("[[say:Hej]]", stream=stream)) as reply:
        assert reply.headers["Content-Encoding"] == "gzip"
        assert b"Hej" in gzip.decompress(await reply.read())


async def test_events_come_at_the_pace_ordered(simulator, client):
    begun = time.monotonic()
    async with client.post(
        simulator.base_url + CHAT, json=ask("[[words:5]] [[pace:20]]", stream=True)
    ) as reply:
        body = await reply.read()
    assert time.monotonic() - begun >= 0.02 * (body.count(b"data:") - 1)


@pytest.mark.parametrize(
    ("preset", "start"), [("not_http", b"SSH-2.0"), ("two_lengths", b"HTTP/1.1 200 OK\r\nContent-Type")]
)
async def test_raw_bytes_go_out_as_they_are(simulator, preset, start):
    simulator.faults.add(Fault("raw", preset=preset))
    reader, writer = await asyncio.open_connection("127.0.0.1", simulator.port)
    writer.write(f"POST {CHAT} HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n".encode())
    assert (await reader.read()).startswith(start)
    writer.close()


async def test_an_early_answer_does_not_wait_for_the_body(simulator):
    simulator.faults.add(Fault("early", status=413))
    reader, writer = await asyncio.open_connection("127.0.0.1", simulator.port)
    writer.write(f"POST {CHAT} HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n".encode())
    assert (await reader.readline()) == b"HTTP/1.1 413 Request Entity Too Large\r\n"
    writer.close()
    assert simulator.witness.seen[0].whole_ns is None
