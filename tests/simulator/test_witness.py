import asyncio
import time

import pytest

from proxy.simulator import Options, Simulator, Witness, read_witness
from proxy.simulator.witness import read_seen

CHAT = "/v3/compat/chat/completions"


async def send(simulator: Simulator, raw: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", simulator.port)
    writer.write(raw)
    await writer.drain()
    return reader, writer


async def test_it_keeps_the_request_byte_for_byte(simulator):
    body = b'{ "model":"x",\t"model":"y", "\xc3\xa9": "\\u00e9" }\r\n'
    head = f"POST {CHAT}?beta=%74rue&a HTTP/1.1\r\nHOST: h\r\nx-ODD:  v\xe9 \r\nX-Odd: two\r\n"
    raw = head.encode("latin-1") + b"Content-Length: %d\r\n\r\n" % len(body) + body
    before = time.monotonic_ns()
    _, writer = await send(simulator, raw)
    (seen,) = await simulator.witness.wait(1)
    writer.close()
    assert (seen.method, seen.target, seen.path) == ("POST", f"{CHAT}?beta=%74rue&a", CHAT)
    assert seen.headers[:3] == ((b"HOST", b"h"), (b"x-ODD", b"v\xe9"), (b"X-Odd", b"two"))
    assert seen.body == body
    assert seen.whole_ns is not None
    assert before < seen.head_ns <= seen.whole_ns < time.monotonic_ns()


async def test_a_coded_body_is_kept_as_it_came(simulator, client):
    coded = b"\x1f\x8b not really gzip"
    headers = {"Content-Encoding": "gzip"}
    async with client.post(simulator.base_url + CHAT, data=coded, headers=headers) as reply:
        assert reply.status == 400
    assert simulator.witness.seen[0].body == coded


async def test_a_body_cut_short_shows_as_a_head_without_a_whole(simulator):
    _, writer = await send(
        simulator, f"POST {CHAT} HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n123".encode()
    )
    await simulator.witness.wait(1, moment="head_ns")
    writer.close()
    (seen,) = await simulator.witness.wait(1, moment="gone_ns")
    assert (seen.whole_ns, seen.body) == (None, b"")


async def test_a_client_that_leaves_mid_stream_is_noticed(simulator, client):
    body = {"model": "example-us/atlas-1", "stream": True}
    body["messages"] = [{"role": "user", "content": "[[words:5]] [[lockstep:left]]"}]
    reply = await client.post(simulator.base_url + CHAT, json=body)
    await reply.content.readany()
    reply.close()
    (seen,) = await simulator.witness.wait(1, moment="gone_ns")
    assert (seen.done_ns, seen.events_sent) == (None, 1)


async def test_the_file_tells_each_moment_in_order(tmp_path, client):
    file = tmp_path / "witness.jsonl"
    async with Simulator(Options(witness_file=file)) as simulator:
        async with client.post(simulator.base_url + CHAT, data=b"{}") as reply:
            await reply.read()
        await simulator.witness.wait(1, moment="done_ns")
        # It can be read while the simulator runs.
        lines = read_witness(file)
    assert [line["moment"] for line in lines] == ["head", "whole", "done"]
    assert read_seen(lines[1]).body == b"{}"


def test_a_torn_last_line_of_the_file_is_left_out(tmp_path):
    file = tmp_path / "witness.jsonl"
    file.write_bytes(b'{"moment":"head"}\n{"moment":"wh')
    assert read_witness(file) == ({"moment": "head"},)


async def test_only_the_newest_are_kept_in_memory():
    witness = Witness(limit=2)
    for number in range(3):
        await witness.head("GET", f"/{number}", ())
    assert [each.target for each in witness.seen] == ["/1", "/2"]
    assert [each.seq for each in witness.since(2)] == [3]
    witness.clear()
    assert witness.seen == ()


@pytest.mark.parametrize("name", ["authorization", "AUTHORIZATION"])
async def test_headers_are_found_without_regard_to_case(name):
    seen = await Witness().head("GET", "/", [(b"Authorization", b"Bearer x")])
    assert (seen.header(name), seen.header("x")) == ("Bearer x", None)
