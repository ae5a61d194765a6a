"""What an SDK writes on its connection and reads from it, below everything that the SDK does itself."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field

import httpx2


@dataclass(slots=True)
class Exchange:
    """One request as its bytes left the SDK, and the head of its answer."""

    method: str
    target: str
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    status: int = 0
    answer: dict[str, str] = field(default_factory=dict)
    received: bytes = b""

    def header(self, name: str) -> str | None:
        """The first value of a header that was sent."""
        return next((v.decode() for n, v in self.headers if n.lower() == name.encode()), None)


@dataclass
class Wire:
    """Every exchange of a client. `on_event` is told of each server-sent event when its end has come."""

    exchanges: list[Exchange] = field(default_factory=list)
    on_event: Callable[[int], None] | None = None

    @property
    def last(self) -> Exchange:
        """The newest exchange."""
        return self.exchanges[-1]

    def client(self) -> httpx2.Client:
        """A client for a synchronous SDK."""
        return httpx2.Client(transport=_Transport(self), timeout=30)

    def async_client(self) -> httpx2.AsyncClient:
        """A client for an asynchronous SDK."""
        return httpx2.AsyncClient(transport=_AsyncTransport(self), timeout=30)

    def sends(self, request: httpx2.Request, body: bytes) -> Exchange:
        """Note a request that is about to leave."""
        target = request.url.raw_path.decode()
        exchange = Exchange(request.method, target, tuple(request.headers.raw), body)
        self.exchanges.append(exchange)
        return exchange

    def answered(self, exchange: Exchange, response: httpx2.Response) -> None:
        """Note the head of the answer."""
        exchange.status = response.status_code
        exchange.answer = {name.lower(): value for name, value in response.headers.items()}

    def reads(self, exchange: Exchange, chunk: bytes) -> None:
        """Note bytes that came, and tell of the events that they complete."""
        before = exchange.received.count(b"\n\n")
        exchange.received += chunk
        if self.on_event is not None:
            for number in range(before, exchange.received.count(b"\n\n")):
                self.on_event(number + 1)


class _Transport(httpx2.HTTPTransport):
    def __init__(self, wire: Wire) -> None:
        super().__init__()
        self._wire = wire

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        exchange = self._wire.sends(request, request.read())
        response = super().handle_request(request)
        self._wire.answered(exchange, response)
        assert isinstance(response.stream, httpx2.SyncByteStream)
        response.stream = _Reading(response.stream, self._wire, exchange)
        return response


class _Reading(httpx2.SyncByteStream):
    def __init__(self, stream: httpx2.SyncByteStream, wire: Wire, exchange: Exchange) -> None:
        self._stream, self._wire, self._exchange = stream, wire, exchange

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._stream:
            self._wire.reads(self._exchange, chunk)
            yield chunk

    def close(self) -> None:
        self._stream.close()


class _AsyncTransport(httpx2.AsyncHTTPTransport):
    def __init__(self, wire: Wire) -> None:
        super().__init__()
        self._wire = wire

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        exchange = self._wire.sends(request, await request.aread())
        response = await super().handle_async_request(request)
        self._wire.answered(exchange, response)
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        response.stream = _AsyncReading(response.stream, self._wire, exchange)
        return response


class _AsyncReading(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream, wire: Wire, exchange: Exchange) -> None:
        self._stream, self._wire, self._exchange = stream, wire, exchange

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._stream:
            self._wire.reads(self._exchange, chunk)
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()
