"""the Opper client: send, stream, fetch the catalogue

A pool of connections (`uplink.py`) to one origin, and one way to write a head. No redirects, no
cookies, no environment proxies, no retries, no decoding.
"""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Protocol

from yarl import URL

from proxy.core.approval import Approval
from proxy.core.errors import UpstreamFailure
from proxy.core.values import Receipt, UpstreamRequest
from proxy.plain import Head
from proxy.spellings import is_local_name
from proxy.turns import MOST_CHUNKS, Turns
from proxy.uplink import Take, Uplink

_POOL_IDLE_SECONDS = 15.0
_LONGEST_SWEEP = 1.0


class GatewaySettings(Protocol):
    """What the client needs to know; times are seconds. `config.GatewaySettings` satisfies it."""

    base_url: str
    connect_timeout: float
    first_byte_timeout: float
    between_events_timeout: float
    ca_file: str | None
    max_connections: int
    allow_private_addresses: bool


class UpstreamReply:
    """An answer whose head has come and whose body has not; read it to the end or close it."""

    __slots__ = ("_gateway", "_uplink", "ends_by_closing", "fields", "status")

    def __init__(self, gateway: Gateway, uplink: Uplink, head: Head) -> None:
        self._gateway = gateway
        self._uplink: Uplink | None = uplink
        self.status = head.status
        self.fields = head.fields
        self.ends_by_closing = uplink.ends_by_closing

    @property
    def length(self) -> bytes | None:
        """The length that the gateway gave for the body, None when it gave none."""
        length = self.fields.first.get(b"content-length", b"")
        return length if length.isdigit() else None

    def header(self, name: bytes) -> str:
        """The first value of a header, "" when there is none; `name` is lower case."""
        value = self.fields.first.get(name)
        return value.decode("latin-1").strip() if value else ""

    @property
    def whole(self) -> bool:
        """Whether every byte of the body has come, read or not."""
        return self._uplink is None or self._uplink.whole

    def at_end(self) -> bool:
        """Whether no further byte of the body will come."""
        return self._uplink is None or self._uplink.read_up

    async def read(self) -> bytes:
        """The next bytes as they came, b"" at the end; `UpstreamFailure` when the body broke off."""
        if self._uplink is None:
            return b""
        try:
            chunk = await self._uplink.read()
        except UpstreamFailure:
            # A connection that broke still counts among the open ones until it is let go.
            self.close()
            raise
        if not chunk:
            self.close()
        return chunk

    async def pour(self, take: Take, drained: Callable[[], Awaitable[None]]) -> None:
        """Give every chunk to `take` as it comes, to the end of the body; as `Uplink.pour`."""
        if self._uplink is not None:
            try:
                await self._uplink.pour(take, drained)
            finally:
                self.close()

    def close(self) -> None:
        """Let go of the connection; one with unread bytes is cut, so that the gateway stops at once."""
        uplink, self._uplink = self._uplink, None
        if uplink is not None:
            self._gateway.give_back(uplink)


class Gateway:
    """A pooled HTTP/1.1 client for one origin."""

    def __init__(self, settings: GatewaySettings, *, tls: ssl.SSLContext | None = None) -> None:
        self._settings = settings
        url = URL(settings.base_url)
        if url.host is None or url.port is None or url.scheme not in ("http", "https"):
            raise ValueError("gateway.base_url must be an http or https URL with a host")
        self._host, self._port = url.host, url.port
        self._turns: tuple[Turns, Turns] | None = None
        self._prefix = url.raw_path.rstrip("/").encode("ascii")
        self._tls = (tls or tls_context(settings.ca_file)) if url.scheme == "https" else None
        self._authority = url.raw_authority.rpartition("@")[2].encode("ascii")
        self._idle: deque[tuple[Uplink, float]] = deque()
        self._open: set[Uplink] = set()
        shortest = min(settings.first_byte_timeout, settings.between_events_timeout)
        self._sweep_every = min(_LONGEST_SWEEP, shortest / 4)
        self._sweeper: asyncio.TimerHandle | None = None

    @property
    def authority(self) -> str:
        """Host and port as the records name them."""
        return self._authority.decode("ascii")

    async def send(
        self, approval: Approval, receipt: Receipt, request: UpstreamRequest, *, key: bytes
    ) -> UpstreamReply:
        """Send one approved and recorded request; `UpstreamFailure` when no head came back.

        `approval` can only come from `decide`, `receipt` only from the journal: together they are
        the right to send.
        """
        _must_be_entitled(approval, receipt)
        head = self._head(request, key)
        settings = self._settings
        uplink = self._take_idle() or await self._dial()
        try:
            uplink.send(
                head,
                request.body,
                bodiless=request.method == "HEAD",
                first_byte=settings.first_byte_timeout,
                between=settings.between_events_timeout,
            )
            answer = await uplink.head()
        except BaseException:
            self.discard(uplink)
            raise
        return UpstreamReply(self, uplink, answer)

    def _head(self, request: UpstreamRequest, key: bytes) -> bytes:
        lines = [
            b"%s %s%s HTTP/1.1"
            % (request.method.encode("ascii"), self._prefix, request.target.encode("ascii")),
            b"Host: " + self._authority,
            b"Authorization: Bearer " + key,
        ]
        lines += [b"%s: %s" % pair for pair in request.headers]
        lines += (b"User-Agent: ringfence", b"Accept-Encoding: identity")
        if request.body or request.method != "GET":
            lines.append(b"Content-Length: %d" % len(request.body))
        head = b"\r\n".join(lines)
        if head.count(b"\n") != len(lines) - 1 or head.count(b"\r") != len(lines) - 1 or b"\0" in head:
            raise UpstreamFailure("proxy_fault")
        return head + b"\r\n\r\n"

    # -- the pool ------------------------------------------------------------------------------

    def _take_idle(self) -> Uplink | None:
        now = asyncio.get_running_loop().time()
        while self._idle:
            uplink, since = self._idle.pop()
            if uplink.usable and now - since < _POOL_IDLE_SECONDS:
                return uplink
            self.discard(uplink)
        return None

    async def _dial(self) -> Uplink:
        if len(self._open) >= self._settings.max_connections:
            raise UpstreamFailure("overloaded")
        loop = asyncio.get_running_loop()
        turns = self._turns = self._turns or (Turns(loop), Turns(loop, MOST_CHUNKS))
        connecting = loop.create_connection(
            lambda: Uplink(loop, *turns),
            self._host,
            self._port,
            ssl=self._tls,
            server_hostname=self._host if self._tls else None,
        )
        try:
            async with asyncio.timeout(self._settings.connect_timeout):
                transport, uplink = await connecting
        except TimeoutError:
            raise UpstreamFailure("upstream_timeout") from None
        except OSError:
            raise UpstreamFailure("upstream_unreachable") from None
        self._open.add(uplink)
        if self._sweeper is None:
            self._sweeper = loop.call_later(self._sweep_every, self._sweep)
        self._check_address(transport, uplink)
        return uplink

    def _check_address(self, transport: asyncio.BaseTransport, uplink: Uplink) -> None:
        """Cut a connection that a name led to an address inside the network (DNS rebinding)."""
        peer = transport.get_extra_info("peername")
        if self._settings.allow_private_addresses or is_local_name(self._host) or not peer:
            return
        if not ipaddress.ip_address(peer[0].partition("%")[0]).is_global:
            self.discard(uplink)
            raise UpstreamFailure("upstream_unreachable")

    def give_back(self, uplink: Uplink) -> None:
        """Take a connection back into the pool, or cut it when it cannot carry another exchange."""
        if uplink.rest():
            self._idle.append((uplink, asyncio.get_running_loop().time()))
        else:
            self.discard(uplink)

    def discard(self, uplink: Uplink) -> None:
        """Cut a connection."""
        self._open.discard(uplink)
        uplink.abort()

    def _sweep(self) -> None:
        """One timer for all connections: end those that are silent, close those that nobody uses."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        for uplink in self._open:
            uplink.expire(now)
        while self._idle and now - self._idle[0][1] > _POOL_IDLE_SECONDS:
            self.discard(self._idle.popleft()[0])
        self._sweeper = loop.call_later(self._sweep_every, self._sweep) if self._open else None

    @property
    def open_connections(self) -> int:
        """Connections that are open, idle ones included."""
        return len(self._open)

    def close(self) -> None:
        """Cut every connection."""
        self._idle.clear()
        for uplink in tuple(self._open):
            self.discard(uplink)
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None


def tls_context(ca_file: str | None) -> ssl.SSLContext:
    """Certificates and host names verified, TLS 1.2 or later, HTTP/1.1 only."""
    context = ssl.create_default_context(cafile=ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def _must_be_entitled(approval: object, receipt: object) -> None:
    """Types are no wall at run time: look once more that both rights are what they claim to be."""
    if not (isinstance(approval, Approval) and isinstance(receipt, Receipt)):
        raise TypeError("nothing is sent without an approval and a receipt")
