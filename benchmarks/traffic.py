"""the mixed load of a soak: every endpoint that people use, and everything that goes wrong for them

Each sort of request says what may come back. What the gateway does wrong is ordered by a marker in the
prompt, so that each request has its own fault however many run beside it.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import aiohttp
import orjson

from benchmarks import wire

MODEL = "example-us/atlas-1"
CHAT = "/v1/chat/completions"
RESTING = "example-us/solo-1"
"""The route that is put to rest by mismatches, so that the others go on."""
BROKEN, GONE = 0, -1
"""What a client sees besides a status: an answer that was cut, and nothing because it left itself."""
_OK, _DENIED = frozenset({200}), frozenset({403})
_PATIENCE = 30.0


@dataclass(frozen=True, slots=True)
class Sort:
    """A sort of request: how often, what to send, what may come back, and whether the client leaves.

    `leaves` is "" for one that stays, "early" before the answer, "mid" within it, "torn" within the request.
    """

    name: str
    weight: int
    body: Callable[[str], bytes]
    path: str = CHAT
    expected: frozenset[int] = _OK
    project: str = "open"
    method: str = "POST"
    leaves: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


def _chat(marker: str = "", *, model: str = MODEL, **more: object) -> Callable[[str], bytes]:
    def made(text: str) -> bytes:
        messages = [{"role": "user", "content": marker + text}]
        return orjson.dumps({"model": model, "messages": messages, **more})

    return made


def _stream(words: int, pace_ms: int, marker: str = "") -> Callable[[str], bytes]:
    return _chat(f"{marker}[[words:{words}]][[pace:{pace_ms}]]", stream=True)


def _responses(text: str) -> bytes:
    return orjson.dumps({"model": MODEL, "input": text, "store": False, "stream": True})


def _messages(text: str, *, stream: bool = False) -> bytes:
    turns = [{"role": "user", "content": text}]
    return orjson.dumps({"model": MODEL, "max_tokens": 64, "messages": turns, "stream": stream})


def _google(text: str) -> bytes:
    return orjson.dumps({"contents": [{"role": "user", "parts": [{"text": text}]}]})


def _picture(text: str) -> bytes:
    return orjson.dumps({"model": "example-us/easel-1", "prompt": text, "n": 1, "size": "1024x1024"})


def _agent() -> Callable[[str], bytes]:
    """The 76 KB turn with a last user turn of its own each time."""
    whole = wire.agent().replace(wire.MODEL.encode(), MODEL.encode())
    before, after = whole[: whole.rindex(b'"}]')], b'"}]}'
    return lambda text: before + text.encode() + after


def _seen_image() -> Callable[[str], bytes]:
    url = "data:image/png;base64," + "iVBORw0KGgo" + "A" * 400_001
    picture = {"type": "image_url", "image_url": {"url": url}}

    def made(text: str) -> bytes:
        content = [{"type": "text", "text": text}, picture]
        return orjson.dumps({"model": MODEL, "messages": [{"role": "user", "content": content}]})

    return made


def _fault(name: str, order: str, *expected: int, stream: bool = False, model: str = MODEL) -> Sort:
    marker = f"[[fault:{order}]]"
    body = _stream(20, 1, marker) if stream else _chat(marker, model=model)
    return Sort(f"fault: {name}", 1, body, expected=frozenset(expected))


_ANTHROPIC = {"anthropic-version": "2023-06-01"}
_GOOGLE = f"/v1beta/models/{MODEL}"


def sorts() -> tuple[Sort, ...]:
    """Every sort of request."""
    return (
        Sort("chat", 24, _chat()),
        Sort("chat, streamed", 14, _stream(30, 5)),
        Sort("chat, long stream", 2, _stream(100, 20)),
        Sort("responses, streamed", 5, _responses, "/v1/responses"),
        Sort("messages", 5, _messages, "/v1/messages", headers=_ANTHROPIC),
        Sort("messages, streamed", 5, partial(_messages, stream=True), "/v1/messages", headers=_ANTHROPIC),
        Sort("google", 3, _google, f"{_GOOGLE}:generateContent"),
        Sort("google, streamed", 3, _google, f"{_GOOGLE}:streamGenerateContent?alt=sse"),
        Sort("agent turn of 76 KB", 8, _agent()),
        Sort("picture to look at", 1, _seen_image()),
        Sort("picture to make", 2, _picture, "/v1/images/generations"),
        Sort("models", 2, lambda _: b"", "/v1/models", method="GET"),
        Sort("refused: trains", 4, _chat(model="example-open/atlas-1"), expected=_DENIED),
        Sort("refused: unknown model", 2, _chat(model="nobody/knows"), expected=_DENIED),
        Sort("refused: two readings", 1, lambda t: b'{"model":"%s",' % t.encode() + _chat()(t)[1:],
             expected=frozenset({400})),
        Sort("refused: no such place", 1, _chat(), "/v1/nowhere", frozenset({404})),
        Sort("refused: unknown key", 2, _chat(), expected=frozenset({401}), project=""),
        Sort("leaves early", 3, _stream(10, 30), expected=frozenset({GONE}), leaves="early"),
        Sort("leaves mid-stream", 4, _stream(50, 20), expected=frozenset({GONE}), leaves="mid"),
        Sort("torn request", 2, _agent(), expected=frozenset({GONE}), leaves="torn"),
        _fault("reset before the head", "reset after=-1", 502),
        _fault("reset within the answer", "reset after=60", BROKEN),
        _fault("reset within the stream", "reset after=400", BROKEN, stream=True),
        _fault("closed early", "close after=60", BROKEN),
        _fault("stalled before the head", "stall after=-1", 504),
        _fault("stalled within the stream", "stall after=300", BROKEN, stream=True),
        _fault("429", "status status=429 retry_after=1", 429),
        _fault("529", "status status=529", 529),
        _fault("500", "status status=500", 500),
        _fault("redirect", "redirect", 502),
        _fault("another route served", "served provider=example-open model=meadow-1", 403, model=RESTING),
        _fault("nobody says who served", "unserved", 200),
        _fault("refused by the gateway", "refused", 403),
        _fault("byte by byte", "trickle delay_ms=1", 200),
        _fault("compressed unasked", "gzip", 200),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Saw:
    """What a client saw: a status, BROKEN or GONE, and the proxy's reason or the client's error."""

    status: int
    why: str = ""

    @property
    def words(self) -> str:
        """The same for people."""
        return f"{self.status or 'a cut'} {self.why}".strip()


@dataclass(slots=True)
class Ledger:
    """What came back, by sort; what was not expected, with the first few in words."""

    by_sort: Counter[str] = field(default_factory=Counter)
    strange: Counter[str] = field(default_factory=Counter)
    busy: int = 0

    @property
    def count(self) -> int:
        """All requests that have ended."""
        return self.by_sort.total()

    @property
    def good(self) -> int:
        """Those that ended as they may."""
        return self.count - self.strange.total()

    def complaints(self, most: float) -> list[str]:
        """Sorts that ended otherwise than they may, when more than a share `most` of all did."""
        if self.strange.total() <= most * max(1, self.count):
            return []
        return [f"{count} requests: {words}" for words, count in self.strange.most_common(10)]


class Traffic:
    """Sends requests of every sort to a proxy; `keys` are by project, "" for one that nobody knows."""

    def __init__(self, url: str, keys: dict[str, str], *, seed: int = 3) -> None:
        self.ledger = Ledger()
        self.keys = keys
        self._url = url
        self._random = random.Random(seed)
        self._sorts = sorts()
        self._weights = list(itertools.accumulate(sort.weight for sort in self._sorts))
        self._numbers = itertools.count()
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Traffic:
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=10)
        self._session = aiohttp.ClientSession(connector=connector, auto_decompress=False)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def one(self, name: str = "") -> int:
        """Send one request, of a given sort or of any; what the client saw."""
        fitting = [sort for sort in self._sorts if sort.name == name]
        (sort,) = fitting or self._random.choices(self._sorts, cum_weights=self._weights)
        self.ledger.busy += 1
        try:
            seen = await self._send(sort)
        finally:
            self.ledger.busy -= 1
        self.ledger.by_sort[sort.name] += 1
        if seen.status not in sort.expected:
            self.ledger.strange[f"{sort.name} ended with {seen.words}"] += 1
        return seen.status

    async def _send(self, sort: Sort) -> Saw:
        body = sort.body(f" number {next(self._numbers):012}")
        headers = {
            "content-type": "application/json",
            "authorization": f"Bearer {self.keys.get(sort.project, 'sk-nobody-0123456789abcdef0123')}",
            **sort.headers,
        }
        if sort.leaves == "torn":
            return await self._tear(sort, headers, body)
        try:
            async with asyncio.timeout(0.02 if sort.leaves == "early" else _PATIENCE):
                return await self._ask(sort, headers, body)
        except TimeoutError:
            return Saw(GONE if sort.leaves else BROKEN, "nothing in time")
        except aiohttp.ClientError as error:
            return Saw(BROKEN, type(error).__name__)

    async def _ask(self, sort: Sort, headers: Mapping[str, str], body: bytes) -> Saw:
        assert self._session is not None
        url = self._url + sort.path
        async with self._session.request(sort.method, url, data=body or None, headers=headers) as answer:
            if sort.leaves:
                await answer.content.readany()
                answer.close()
                return Saw(GONE)
            async for _ in answer.content.iter_any():
                pass
            return Saw(answer.status, answer.headers.get("x-ringfence-refusal", ""))

    async def _tear(self, sort: Sort, headers: Mapping[str, str], body: bytes) -> Saw:
        """Send half of a request and be gone."""
        host, _, port = self._url.removeprefix("http://").partition(":")
        _, writer = await asyncio.open_connection(host, int(port))
        fields = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = f"POST {sort.path} HTTP/1.1\r\nhost: {host}\r\n{fields}content-length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body[: len(body) // 2])
        await asyncio.sleep(0.05)
        writer.transport.abort()
        return Saw(GONE)
