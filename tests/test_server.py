"""Clients on real sockets: what cannot be read is refused in our own words, and nothing is held for ever."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from proxy.core.reasons import REASONS
from proxy.core.values import RawRequest
from proxy.server import Front
from proxy.simulator import Fault
from tests.assembled import CHAT, Stand, assembled, chat
from tests.bypass.http1 import Message, read_all
from tests.journal import kit

KIB = 1024
SMALL = "64KiB"
CANARY = b"canary-5f1e"
END = b"\r\n\r\n"


class Line:
    """One connection of a client that writes bytes and reads answers."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._kept = b""

    async def send(self, *parts: bytes) -> None:
        """Write bytes as they are."""
        self._writer.write(b"".join(parts))
        await self._writer.drain()

    async def answer(self) -> Message:
        """The next answer, as soon as it is whole; an end of the connection before that is an error."""
        while True:
            found, _ = read_all(self._kept, answers=True)
            if found and found[0].whole:
                self._kept = self._kept[found[0].size :]
                return found[0]
            more = await self._reader.read(65_536)
            if not more:
                raise ConnectionResetError(f"closed after {self._kept!r}")
            self._kept += more

    async def rest(self) -> bytes:
        """Everything up to the end of the connection."""
        found = self._kept
        with suppress(ConnectionResetError):
            while more := await self._reader.read(65_536):
                found += more
        return found

    async def until(self, text: bytes) -> bytes:
        """What comes up to and with these bytes."""
        return await self._reader.readuntil(text)

    def leave(self) -> None:
        """Be gone, without a goodbye."""
        self._writer.transport.abort()


@dataclass
class Door:
    """A worker's parts behind a listening socket."""

    stand: Stand
    port: int

    @property
    def front(self) -> Front:
        return self.stand.assembly.front

    @asynccontextmanager
    async def line(self) -> AsyncIterator[Line]:
        """A connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            yield Line(reader, writer)
        finally:
            writer.transport.abort()

    async def once(self, *parts: bytes) -> bytes:
        """Write on a connection of its own, and read until the other side closes it."""
        async with self.line() as line:
            await line.send(*parts)
            return await line.rest()

    def head(self, method: str = "POST", target: str = CHAT, *, version: str = "1.1", **fields: str) -> bytes:
        """A head with the open project's key; `fields` are laid over, "" leaves one out."""
        known = {
            "Host": f"127.0.0.1:{self.port}",
            "Authorization": f"Bearer {self.stand.keys['open']}",
            "Content-Type": "application/json",
        }
        laid = known | {name.replace("_", "-"): value for name, value in fields.items()}
        lines = "".join(f"{name}: {value}\r\n" for name, value in laid.items() if value)
        return f"{method} {target} HTTP/{version}\r\n{lines}\r\n".encode()

    def request(self, body: bytes | None = None, **fields: str) -> bytes:
        """A whole chat request."""
        content = json.dumps(chat()).encode() if body is None else body
        return self.head(Content_Length=str(len(content)), **fields) + content

    def rejected(self, code: str) -> float:
        """How many requests by nobody were turned away for this reason."""
        return self.stand.assembly.metrics.rejects.values.get((code,), 0)


@asynccontextmanager
async def opened(folder: Path, **listen: Any) -> AsyncIterator[Door]:
    async with assembled(folder, config={"listen": listen}) as stand:
        server = await asyncio.get_running_loop().create_server(stand.assembly.front, "127.0.0.1", 0)
        try:
            yield Door(stand, server.sockets[0].getsockname()[1])
        finally:
            server.close()
            await stand.assembly.front.shutdown(0.1)


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    async with opened(tmp_path) as made:
        yield made


def only(data: bytes) -> Message:
    """The one answer that a connection carried."""
    found, rest = read_all(data, answers=True, ended=True)
    assert (len(found), rest) == (1, b""), data
    return found[0]


def refused(message: Message, code: str) -> dict[str, Any]:
    """The error of a refusal for this reason, in the proxy's own form."""
    assert message.status == REASONS[code].status
    assert message.all(b"x-ringfence-refusal") == [code.encode()]
    assert message.all(b"content-type") == [b"application/json"]
    assert message.all(b"server") == [b"ringfence"]
    found: dict[str, Any] = json.loads(message.body)
    return found


def closes(message: Message) -> bool:
    """Whether the answer says that its connection ends with it, as HTTP/1.0 does by saying nothing."""
    said = message.all(b"connection")
    return said == ([] if message.first.startswith(b"HTTP/1.0") else [b"close"])


# -- heads that cannot be read ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "head",
    [
        CANARY + END,
        b"\x16\x03\x01\x02\x00\x01" + CANARY + b"\r\n\r\n",
        b"POST /" + CANARY + b" HTTP/1.1\r\nNo colon " + CANARY + END,
        b"POST / HTTP/1.1\r\nHost: a\r\n" + CANARY + b" : x" + END,
        b"POST / HTTP/1.1\r\nX: a\x00" + CANARY + END,
        b"POST / HTTP/1.1\r\nX-" + CANARY + b": a\r\n folded" + END,
        b"POST / HTTP/1.1\r\nContent-Length: +" + CANARY + END,
        b"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\nX: " + CANARY + END,
        b"POST / HTTP/9.9\r\nX: " + CANARY + END,
        b"POST /" + CANARY * 4000 + b" HTTP/1.1" + END,
        b"POST / HTTP/1.1\r\nX: " + CANARY * 4000 + END,
    ],
    ids=[
        "words", "TLS", "no colon", "space before the colon", "NUL", "folded", "length", "two lengths",
        "version", "long target", "long field",
    ],
)  # fmt: skip
async def test_a_head_that_cannot_be_read_is_answered_counted_and_not_quoted(head: bytes, door: Door) -> None:
    answer = await door.once(head)
    message = only(answer)
    refused(message, "bad_request")
    assert closes(message)
    assert CANARY not in answer
    assert door.rejected("bad_request") == 1
    await kit.until(lambda: kit.records(door.stand.folder / "data", "reject"))
    (record,) = kit.records(door.stand.folder / "data", "reject")
    assert (record["reason"], record["count"]) == ("bad_request", 1)
    assert not door.stand.seen


async def test_more_fields_than_are_let_in_are_refused(tmp_path: Path) -> None:
    async with opened(tmp_path, max_headers=20) as door:
        many = "".join(f"X-{n}: 1\r\n" for n in range(30)).encode()
        refused(only(await door.once(door.head("GET", "/v1/models")[:-2], many, b"\r\n")), "bad_request")


async def test_the_proxy_serves_on_after_a_head_that_cannot_be_read(door: Door) -> None:
    async with door.line() as line:
        await line.send(door.request())
        assert (await line.answer()).status == 200
        await line.send(CANARY + END)
        refused(await line.answer(), "bad_request")
        assert await line.rest() == b""
    async with door.line() as line:
        await line.send(door.request())
        assert (await line.answer()).status == 200


async def test_a_head_that_never_ends_is_cut_and_counted(tmp_path: Path) -> None:
    async with opened(tmp_path, header_deadline="200ms") as door:
        assert await door.once(b"POST /v1/chat") == b""
        await kit.until(lambda: door.rejected("bad_request") == 1)
        assert await door.once(b"") == b"", "a connection that says nothing is closed too"
        assert door.rejected("bad_request") == 1, "saying nothing is no request"


async def test_a_client_that_leaves_within_its_head_is_counted(door: Door) -> None:
    async with door.line() as line:
        await line.send(b"POST /v1/chat")
        await kit.until(lambda: door.front.connections)
    await kit.until(lambda: door.rejected("bad_request") == 1)


# -- turned away by the head alone -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "fields", "code"),
    [
        ("POST", {"version": "1.0"}, "http_version"),
        ("CONNECT", {"target": "127.0.0.1:443"}, "method_not_allowed"),
        ("POST", {"Upgrade": "websocket", "Connection": "Upgrade"}, "upgrade_refused"),
        ("GET", {"Upgrade": "h2c", "Connection": "Upgrade, HTTP2-Settings"}, "upgrade_refused"),
        ("POST", {"Host": "elsewhere.test"}, "unknown_host"),
        ("POST", {"Host": "localhost.evil.test"}, "unknown_host"),
        ("POST", {"Content_Length": str(1 << 40)}, "body_too_large"),
        ("POST", {"Content_Length": str(64 * KIB + 1)}, "body_too_large"),
    ],
)
async def test_what_the_head_alone_rules_out_is_refused_unread(
    method: str, fields: dict[str, str], code: str, tmp_path: Path
) -> None:
    """The body never comes, so the answer shows that nobody waited for it."""
    async with opened(tmp_path, hosts=["localhost"], max_body_bytes=SMALL) as door:
        message = only(await door.once(door.head(method, **{"Host": "localhost", **fields})))
        refused(message, code)
        assert closes(message)
        assert door.front.budget.held == 0
        assert not door.stand.seen


async def test_a_refusal_by_the_head_is_recorded_under_its_senders_name(tmp_path: Path) -> None:
    async with opened(tmp_path, hosts=["localhost"]) as door:
        await door.once(door.head(Host="elsewhere.test"))
        record = await door.stand.last("refusal")
        assert (record["reason"], record["project"]) == ("unknown_host", "open")


@pytest.mark.parametrize(("hosts", "asked"), [(["localhost"], "localhost"), ([], "anything.test")])
async def test_a_host_that_is_named_is_served_and_any_is_when_none_is(
    hosts: list[str], asked: str, tmp_path: Path
) -> None:
    async with opened(tmp_path, hosts=hosts) as door, door.line() as line:
        await line.send(door.request(Host=asked))
        assert (await line.answer()).status == 200


# -- bodies ----------------------------------------------------------------------------------------


def chunks(*parts: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)


async def test_a_body_in_chunks_is_judged_whole_and_sent_on_with_its_length(door: Door) -> None:
    body = json.dumps(chat()).encode()
    async with door.line() as line:
        await line.send(door.head(Transfer_Encoding="chunked"), chunks(body[:7], body[7:]))
        await kit.until(lambda: door.front.budget.held == len(body))
        assert not door.stand.seen, "nothing leaves before the end has come"
        await line.send(chunks(b""))
        assert (await line.answer()).status == 200
    (seen,) = door.stand.seen
    assert seen.body == body
    assert door.front.budget.held == 0


async def test_a_body_that_grows_too_large_is_refused_while_it_comes(tmp_path: Path) -> None:
    async with opened(tmp_path, max_body_bytes=SMALL) as door, door.line() as line:
        await line.send(door.head(Transfer_Encoding="chunked"), chunks(b"x" * 40 * KIB))
        await line.send(chunks(b"x" * 40 * KIB))
        message = await line.answer()
        refused(message, "body_too_large")
        assert closes(message)
        assert door.front.budget.held == 0


@pytest.mark.parametrize("part", [b"", b'{"model"'])
async def test_a_body_that_does_not_come_in_time_is_a_408(part: bytes, tmp_path: Path) -> None:
    async with opened(tmp_path, body_deadline="200ms") as door:
        message = only(await door.once(door.head(Content_Length="400"), part))
        refused(message, "body_timeout")
        assert closes(message)
        assert (await door.stand.last("refusal"))["reason"] == "body_timeout"
        assert door.front.budget.held == 0


@pytest.mark.parametrize("framing", [b"zz\r\nx\r\n", b"5\r\nab\r\n0\r\n\r\n", b"-1\r\n\r\n"])
async def test_broken_framing_is_refused_and_no_request(framing: bytes, door: Door) -> None:
    message = only(await door.once(door.head(Transfer_Encoding="chunked"), framing))
    assert message.status == 400
    assert message.all(b"x-ringfence-refusal")[0] in (b"bad_request_body", b"bad_request")
    assert closes(message)
    assert not door.stand.seen


async def test_a_client_that_leaves_within_its_body_is_counted_and_gives_its_room_back(door: Door) -> None:
    async with door.line() as line:
        await line.send(door.head(Content_Length="400"), b'{"model"')
        await kit.until(lambda: door.front.budget.held)
    await kit.until(lambda: door.rejected("bad_request_body") == 1)
    assert door.front.budget.held == 0
    assert not door.stand.seen


async def test_whoever_asks_before_sending_is_told_to_go_on(door: Door) -> None:
    body = json.dumps(chat()).encode()
    async with door.line() as line:
        await line.send(door.head(Content_Length=str(len(body)), Expect="100-Continue"))
        assert await line.until(END) == b"HTTP/1.1 100 Continue\r\n\r\n"
        await line.send(body)
        assert (await line.answer()).status == 200


async def test_whoever_asks_before_sending_what_cannot_be_taken_is_told_so_at_once(tmp_path: Path) -> None:
    async with opened(tmp_path, max_body_bytes=SMALL) as door:
        answer = await door.once(door.head(Content_Length=str(1 << 30), Expect="100-continue"))
        refused(only(answer), "body_too_large")


async def test_bodies_that_do_not_fit_into_memory_together_are_turned_away_and_not_for_ever(
    tmp_path: Path,
) -> None:
    limits = {"max_body_bytes": SMALL, "body_budget_bytes": SMALL}
    first = json.dumps(chat(text="x" * 50 * KIB)).encode()
    second = json.dumps(chat(text="x" * 20 * KIB)).encode()
    async with opened(tmp_path, **limits) as door, door.line() as line:
        await line.send(door.head(Content_Length=str(len(first))), first[:-1])
        await kit.until(lambda: door.front.budget.held == len(first))
        async with door.line() as other:
            await other.send(door.request(second))
            message = await other.answer()
            refused(message, "overloaded")
            assert message.all(b"retry-after") != []
        await line.send(first[-1:])
        assert (await line.answer()).status == 200
        await line.send(door.request(second))
        assert (await line.answer()).status == 200
        assert door.front.budget.held == 0


@pytest.mark.parametrize(("key", "code"), [("Bearer nobody", "unknown_key"), ("", "no_credential")])
async def test_a_body_of_nobody_that_is_known_is_not_waited_for(key: str, code: str, door: Door) -> None:
    message = only(await door.once(door.head(Content_Length="400", Authorization=key), b"{"))
    refused(message, code)
    assert closes(message)
    assert door.rejected(code) == 1
    assert door.front.budget.held == 0


# -- connections -----------------------------------------------------------------------------------


async def test_requests_that_come_at_once_are_answered_in_their_order(door: Door) -> None:
    async with door.line() as line:
        asked = [door.request(json.dumps(chat(text=f"number {n}")).encode()) for n in range(3)]
        await line.send(asked[0], door.head("GET", "/v1/models", Content_Type=""), *asked[1:])
        answers = [await line.answer() for _ in range(4)]
    assert [message.status for message in answers] == [200] * 4
    assert "data" in json.loads(answers[1].body)
    assert [f"number {n}".encode() in seen.body for n, seen in enumerate(door.stand.seen)] == [True] * 3


async def test_what_follows_a_request_that_was_turned_away_is_not_read(door: Door) -> None:
    answer = await door.once(door.head(Content_Length=str(1 << 40)), door.request())
    refused(only(answer), "body_too_large")
    assert not door.stand.seen


@pytest.mark.parametrize("target", ["/", "/v1/models", "/nothing"])
async def test_an_answer_to_head_has_no_body(target: str, door: Door) -> None:
    async with door.line() as line:
        await line.send(door.head("HEAD", target, Content_Type=""))
        head = await line.until(END)
        assert head.startswith(b"HTTP/1.1 ")
        await line.send(door.request())
        assert (await line.answer()).status == 200, "the next answer begins right after that head"


async def test_more_connections_than_may_be_open_are_told_to_come_back(tmp_path: Path) -> None:
    async with opened(tmp_path, max_connections=1) as door, door.line() as first:
        await first.send(door.request())
        assert (await first.answer()).status == 200
        refused(only(await door.once(door.request())), "overloaded")
        await first.send(door.request())
        assert (await first.answer()).status == 200


async def test_a_connection_that_rests_too_long_is_closed(tmp_path: Path) -> None:
    async with opened(tmp_path, header_deadline="200ms") as door, door.line() as line:
        await line.send(door.request())
        assert (await line.answer()).status == 200
        assert await line.rest() == b""


async def test_while_draining_what_was_begun_ends_and_its_connection_with_it(door: Door) -> None:
    body = json.dumps(chat()).encode()
    async with door.line() as line:
        await line.send(door.head(Content_Length=str(len(body))), body[:-1])
        await kit.until(lambda: door.front.budget.held)
        door.front.draining = True
        await line.send(body[-1:])
        message = await line.answer()
        assert (message.status, closes(message)) == (200, True)
        assert await line.rest() == b""


async def test_while_draining_no_request_is_begun(door: Door) -> None:
    async with door.line() as line:
        await line.send(door.request())
        assert (await line.answer()).status == 200
        door.front.draining = True
        await line.send(door.request())
        refused(await line.answer(), "overloaded")
        assert await line.rest() == b""
    assert len(door.stand.seen) == 1


async def test_the_end_closes_connections_that_rest_and_lets_begun_ones_be(door: Door) -> None:
    body = json.dumps(chat()).encode()
    async with door.line() as resting, door.line() as busy:
        await resting.send(door.request())
        assert (await resting.answer()).status == 200
        await busy.send(door.head(Content_Length=str(len(body))), body[:-1])
        await kit.until(lambda: door.front.budget.held)
        door.front.stop_listening_to_idle()
        assert await resting.rest() == b""
        await busy.send(body[-1:])
        assert (await busy.answer()).status == 200


async def test_the_front_knows_when_it_rests(door: Door) -> None:
    async with door.line() as line:
        await line.send(door.head(Content_Length="400"), b"{")
        await kit.until(lambda: door.front.busy == 1)
        assert not door.front.rest.is_set()
    await door.front.rest.wait()
    assert door.front.busy == 0


async def test_whoever_handed_a_connection_over_learns_its_end_once(door: Door) -> None:
    ends: list[int] = []
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: door.front.with_end(lambda: ends.append(1)), "127.0.0.1", 0)
    handed = Door(door.stand, server.sockets[0].getsockname()[1])
    async with handed.line() as line:
        await line.send(door.request())
        assert (await line.answer()).status == 200
        assert ends == []
    await kit.until(lambda: ends)
    server.close()
    assert ends == [1]


# -- answers ---------------------------------------------------------------------------------------


async def test_a_relayed_answer_is_the_gateways_with_our_name_and_decision(door: Door) -> None:
    async with door.line() as line:
        await line.send(door.request())
        message = await line.answer()
    assert message.all(b"server") == [b"ringfence"]
    assert len(message.all(b"date")) == 1
    assert len(message.all(b"x-ringfence-decision-id")) == 1
    assert json.loads(message.body)["object"] == "chat.completion"


def streamed(door: Door) -> bytes:
    return door.request(json.dumps(chat(stream=True)).encode())


@pytest.mark.parametrize("ask", [Door.request, streamed], ids=["whole", "streamed"])
@pytest.mark.parametrize("kind", ["reset", "close"])
async def test_an_answer_that_the_gateway_breaks_off_never_looks_whole(
    ask: Callable[[Door], bytes], kind: str, door: Door
) -> None:
    door.stand.simulator.faults.add(Fault(kind, after=60))
    found, _ = read_all(await door.once(ask(door)), answers=True, ended=True)
    assert not any(message.status == 200 and message.whole for message in found)
    assert (await door.stand.last("outcome"))["end"] == "upstream_reset"


async def test_a_client_that_leaves_its_stream_is_recorded_as_gone(door: Door) -> None:
    door.stand.simulator.faults.add(Fault("stall", after=60))
    async with door.line() as line:
        await line.send(streamed(door))
        await line.until(b"data: ")
    await kit.until(lambda: kit.records(door.stand.folder / "data", "outcome"))
    assert (await door.stand.last("outcome"))["end"] == "client_gone"


async def test_a_fault_of_ours_is_answered_without_its_words(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(_raw: RawRequest) -> None:
        raise ValueError(CANARY.decode())

    monkeypatch.setattr(door.stand.pipeline, "serve", broken)
    answer = await door.once(door.request())
    refused(only(answer), "proxy_fault")
    assert CANARY not in answer


async def test_no_answer_tells_what_the_proxy_is_made_of(tmp_path: Path) -> None:
    async with opened(tmp_path, max_body_bytes=SMALL, body_deadline="200ms") as door:
        door.stand.simulator.faults.add(Fault("status", status=500, asks="atlas", times=1))
        said = [
            await door.once(door.request(Connection="close")),
            await door.once(door.request(Connection="close")),
            await door.once(CANARY + END),
            await door.once(door.head(version="1.0")),
            await door.once(door.head(Content_Length=str(1 << 40))),
            await door.once(door.head(Content_Length="9")),
            await door.once(door.head("GET", "/nothing", Connection="close", Content_Type="")),
            await door.once(door.head("GET", "/v1/models", Connection="close", Content_Type="")),
            await door.once(door.head(Authorization="Bearer nobody", Connection="close")),
        ]
    for answer in said:
        message = only(answer)
        assert message.all(b"server") == [b"ringfence"]
        for word in (b"aiohttp", b"python", aiohttp.__version__.encode()):
            assert word not in answer.lower()
