"""what a full proxy answers, from the bytes of a request alone

Saying no must cost a small part of serving, or a crowd that is turned away takes the place of those that
are served. So a request that came whole, and whose bytes can be cut in one way only, is answered without
being parsed; every other one is turned away on the long way. What is refused needs no fields, so they are
not even cut apart (`plain.py` does that for what is served).
"""

from __future__ import annotations

import re
from functools import lru_cache

from proxy.core.dialects import routing
from proxy.core.dialects.shape import shape_of
from proxy.core.errors import Unreadable
from proxy.core.explain import plain_refusal
from proxy.core.values import RawRequest, Reply

SHED = "overloaded"
_CALM = 1.0
# Stricter than RFC 9112: no bare CR or LF, no folding, no space before a colon, nothing beyond ASCII.
_HEAD = re.compile(
    rb"POST (/[!-~]{0,512}+) HTTP/1\.1\r\n(?:[!#$%&'*+.^_`|~0-9A-Za-z-]++:[\t -~]*+\r\n)++\r\n"
)
# The fields that decide where a request ends, whether the connection lives on, and whose SDK has sent it.
_TELLING = re.compile(
    rb"\r\n(content-length|transfer-encoding|connection|expect|upgrade|anthropic-version|x-goog-api-key):"
    rb"[ \t]*([^\r]*)"
)
_NEVER = frozenset((b"transfer-encoding", b"expect", b"upgrade"))
_KEPT = b"keep-alive"


class Crowd:
    """How many requests may wait: `most` for a moment, a quarter as long as more keep coming.

    A burst is served, if a little late. An overload that lasts would make every request wait for the
    longest queue there is, so then the queue is kept short.
    """

    __slots__ = ("_few", "_most", "_until")

    def __init__(self, most: int) -> None:
        self._most = most
        self._few = max(1, most // 4)
        self._until = 0.0

    def full(self, waiting: int, now: float) -> bool:
        """Whether one more is too many; it is then taken for refused. `now` is monotonic, in seconds."""
        if waiting < self._few or (waiting < self._most and now >= self._until):
            return False
        self._until = now + _CALM
        return True


def shed(data: bytes) -> bytes | None:
    """The refusal for one request that is `data` from first to last byte, or None for anything else.

    The connection can be used again after it.
    """
    found = _HEAD.match(data)
    if found is None:
        return None
    telling = _TELLING.findall(found[0].lower())
    fields = dict(telling)
    length = fields.get(b"content-length", b"")
    if len(fields) != len(telling) or not length.isdigit() or not _NEVER.isdisjoint(fields):
        return None
    if fields.get(b"connection", _KEPT) != _KEPT or len(data) != found.end() + int(length):
        return None
    return _written(found[1].partition(b"?")[0], b"anthropic-version" in fields, b"x-goog-api-key" in fields)


def refusal_to(raw: RawRequest) -> Reply:
    """The same refusal for a request whose head was parsed."""
    try:
        match = routing.match(raw)
    except Unreadable:
        match = None
    return shape_of(raw, match).refuse(plain_refusal(SHED))


@lru_cache(maxsize=64)
def _written(path: bytes, anthropic: bool, google: bool) -> bytes:
    signs = ((b"anthropic-version", anthropic), (b"x-goog-api-key", google))
    headers = tuple((name, b"") for name, there in signs if there)
    reply = refusal_to(RawRequest("POST", path.decode("ascii"), "", headers, b""))
    fields = (*reply.headers, ("server", "ringfence"), ("content-length", str(len(reply.body))))
    head = "".join(f"{name}: {value}\r\n" for name, value in fields)
    return f"HTTP/1.1 {reply.status} Service Unavailable\r\n{head}\r\n".encode("ascii") + reply.body
