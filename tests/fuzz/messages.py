"""The two readers of HTTP/1.1 that are our own, held against a strict reader and h11."""

from __future__ import annotations

import asyncio
from functools import cache

import h11

from proxy.plain import cut
from tests.bypass.http1 import read_all
from tests.heard import read

HEAD, FIELDS = 65_536, 100


class Differs(Exception):
    """Another reader sees something else."""


@cache
def _loop() -> asyncio.AbstractEventLoop:
    return asyncio.new_event_loop()


def request(data: bytes) -> bool:
    """A request that takes the short way is that one request to every reader."""
    plain = cut(data, longest_head=HEAD, most_fields=FIELDS)
    if plain is None:
        return False
    ours = ("POST", plain.target.encode(), _lower(plain.fields.pairs), plain.body)
    messages, rest = read_all(data, answers=False)
    if rest or [(m.method, m.target.encode(), _lower(m.headers), m.body) for m in messages] != [ours]:
        raise Differs("a strict reader")
    reader = h11.Connection(h11.SERVER)
    reader.receive_data(data)
    head, body = _events(reader)
    if not isinstance(head, h11.Request):
        raise Differs("h11 sees no request")
    seen = (head.method.decode(), head.target, _lower(tuple(head.headers.raw_items())), body)
    if seen != ours or reader.trailing_data[0]:
        raise Differs("h11")
    return True


def answer(data: bytes) -> bool:
    """An answer reads the same however it is cut; where another may follow, every reader sees its end."""
    heard, framing = read(_loop(), data)
    whole = (framing.done, framing.reusable, heard.body if framing.done else b"")
    for at in {1, len(data) // 3, len(data) // 2, len(data) - 1}:
        again, pieced = read(_loop(), data[:at], data[at:])
        if (pieced.done, pieced.reusable, again.body if pieced.done else b"") != whole:
            raise Differs("the same bytes in two pieces")
    if not framing.done or not framing.reusable or framing.head is None:
        return False
    reader = h11.Connection(h11.CLIENT)
    reader.send(h11.Request(method="POST", target="/", headers=[("host", "a"), ("content-length", "0")]))
    reader.send(h11.EndOfMessage())
    reader.receive_data(data)
    head, body = _events(reader)
    if not isinstance(head, h11.Response) or reader.trailing_data[0]:
        raise Differs("h11 sees no such answer")
    if (head.status_code, body) != (framing.head.status, heard.body):
        raise Differs("h11")
    return True


def _events(reader: h11.Connection) -> tuple[object, bytes]:
    """The head and the body of the message that ends the bytes, if one does."""
    head: object = None
    body = b""
    try:
        while True:
            event = reader.next_event()
            if isinstance(event, h11.Request | h11.Response):
                head = event
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                return head, body
            elif not isinstance(event, h11.InformationalResponse):
                return None, body
    except h11.RemoteProtocolError as error:
        raise Differs(f"h11: {error}") from error


def _lower(fields: tuple[tuple[bytes, bytes], ...]) -> list[tuple[bytes, bytes]]:
    return [(name.lower(), value) for name, value in fields]
