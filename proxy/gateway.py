"""the Opper client: send, stream, fetch the catalogue

Protocol code is aiohttp's own `ResponseHandler` (its C response parser, its back-pressure, its
time-out between reads); this module adds a pool, one head, and the checks that a lenient client
parser leaves out. No redirects, no cookies, no environment proxies, no retries, no decoding.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import ssl
from collections import deque
from typing import Protocol

import aiohttp
from aiohttp import hdrs
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import HttpProcessingError, RawResponseMessage
from aiohttp.streams import StreamReader
from yarl import URL

from proxy.core.decide import Approval
from proxy.core.errors import UpstreamFailure
from proxy.core.values import Headers, Receipt, UpstreamRequest

_READ_SIZE = 65_536
_MAX_INTERIM = 8
_POOL_IDLE_SECONDS = 15.0
_SINGLE = (b"content-length", b"transfer-encoding")
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_BROKEN = (aiohttp.ClientError, HttpProcessingError, OSError)


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

    __slots__ = ("_connection", "_gateway", "_payload", "_reusable", "headers", "status")

    def __init__(
        self,
        gateway: Gateway,
        connection: ResponseHandler,
        message: RawResponseMessage,
        payload: StreamReader,
    ) -> None:
        self._gateway = gateway
        self._connection: ResponseHandler | None = connection
        self._payload = payload
        self._reusable = not message.should_close
        self.status = message.code
        self.headers: Headers = message.raw_headers

    def header(self, name: bytes) -> bytes | None:
        """The first value of a header, compared without regard to case."""
        return next((value for key, value in self.headers if key.lower() == name), None)

    def at_end(self) -> bool:
        """Whether no further byte of the body will come."""
        return self._payload.at_eof()

    async def read(self) -> bytes:
        """The next bytes as they came, b"" at the end; `UpstreamFailure` when the body broke off."""
        try:
            chunk = await self._payload.readany()
        except _BROKEN as error:
            raise _failure(error) from None
        if not chunk:
            self._release()
        return chunk

    def close(self) -> None:
        """Let go of the connection; one with unread bytes is cut, so that the gateway stops at once."""
        if self._connection is not None:
            self._release() if self._payload.at_eof() else self._drop()

    def _release(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._gateway.give_back(connection, reusable=self._reusable)

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._gateway.discard(connection)


class Gateway:
    """A pooled HTTP/1.1 client for one origin."""

    def __init__(self, settings: GatewaySettings, *, tls: ssl.SSLContext | None = None) -> None:
        self._settings = settings
        url = URL(settings.base_url)
        if url.host is None or url.port is None or url.scheme not in ("http", "https"):
            raise ValueError("gateway.base_url must be an http or https URL with a host")
        self._host, self._port = url.host, url.port
        self._prefix = url.raw_path.rstrip("/").encode("ascii")
        self._tls = (tls or tls_context(settings.ca_file)) if url.scheme == "https" else None
        self._authority = url.raw_authority.rpartition("@")[2].encode("ascii")
        self._idle: deque[tuple[ResponseHandler, float]] = deque()
        self._open: set[ResponseHandler] = set()

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
        return await self._exchange(request, self._head(request, key))

    async def _exchange(self, request: UpstreamRequest, head: bytes) -> UpstreamReply:
        connection = self._take_idle()
        # aiohttp's protocol is a queue too, and an empty one is false.
        if connection is None:
            connection = await self._dial()
        try:
            self._write(connection, request, head)
            message, payload = await self._reply_head(connection)
            _refuse_ambiguous(message)
        except BaseException:
            self.discard(connection)
            raise
        connection.read_timeout = self._settings.between_events_timeout
        return UpstreamReply(self, connection, message, payload)

    def _head(self, request: UpstreamRequest, key: bytes) -> bytes:
        lines = [
            b"%s %s%s HTTP/1.1"
            % (request.method.encode("ascii"), self._prefix, request.target.encode("ascii")),
            b"Host: " + self._authority,
            b"Authorization: Bearer " + key,
        ]
        lines.extend(b"%s: %s" % pair for pair in request.headers)
        lines += (b"User-Agent: ringfence", b"Accept-Encoding: identity")
        if request.body or request.method != "GET":
            lines.append(b"Content-Length: %d" % len(request.body))
        head = b"\r\n".join(lines)
        if head.count(b"\n") != len(lines) - 1 or head.count(b"\r") != len(lines) - 1 or b"\0" in head:
            raise UpstreamFailure("proxy_fault")
        return head + b"\r\n\r\n"

    def _write(self, connection: ResponseHandler, request: UpstreamRequest, head: bytes) -> None:
        connection.set_response_params(
            skip_payload=request.method == hdrs.METH_HEAD,
            read_until_eof=True,
            auto_decompress=False,
            read_timeout=self._settings.first_byte_timeout,
            read_bufsize=_READ_SIZE,
        )
        transport = connection.transport
        if transport is None or transport.is_closing():
            raise UpstreamFailure("upstream_unreachable")
        if len(request.body) <= _READ_SIZE:
            transport.write(head + request.body)
        else:
            transport.writelines((head, request.body))
        connection.start_timeout()

    async def _reply_head(self, connection: ResponseHandler) -> tuple[RawResponseMessage, StreamReader]:
        for _ in range(_MAX_INTERIM):
            try:
                message, payload = await connection.read()
            except _BROKEN as error:
                raise _failure(error) from None
            if message.code >= 200:
                return message, payload
            if message.code == 101:
                break
        raise UpstreamFailure("upstream_broke_off", sent=True)

    # -- the pool ------------------------------------------------------------------------------

    def _take_idle(self) -> ResponseHandler | None:
        now = asyncio.get_running_loop().time()
        while self._idle:
            connection, since = self._idle.pop()
            if connection.is_connected() and not connection.should_close and now - since < _POOL_IDLE_SECONDS:
                return connection
            self.discard(connection)
        return None

    async def _dial(self) -> ResponseHandler:
        if len(self._open) >= self._settings.max_connections:
            raise UpstreamFailure("overloaded")
        loop = asyncio.get_running_loop()
        connecting = loop.create_connection(
            lambda: ResponseHandler(loop),
            self._host,
            self._port,
            ssl=self._tls,
            server_hostname=self._host if self._tls else None,
        )
        try:
            async with asyncio.timeout(self._settings.connect_timeout):
                transport, connection = await connecting
        except TimeoutError:
            raise UpstreamFailure("upstream_timeout") from None
        except OSError:
            raise UpstreamFailure("upstream_unreachable") from None
        self._open.add(connection)
        self._check_address(transport, connection)
        return connection

    def _check_address(self, transport: asyncio.BaseTransport, connection: ResponseHandler) -> None:
        """Cut a connection that a name led to an address inside the network (DNS rebinding)."""
        peer = transport.get_extra_info("peername")
        if self._settings.allow_private_addresses or _is_local_name(self._host) or not peer:
            return
        if not ipaddress.ip_address(peer[0].partition("%")[0]).is_global:
            self.discard(connection)
            raise UpstreamFailure("upstream_unreachable")

    def give_back(self, connection: ResponseHandler, *, reusable: bool) -> None:
        """Take back a connection whose reply was read to the end."""
        if not reusable or connection.should_close or not connection.is_connected():
            self.discard(connection)
            return
        connection.read_timeout = None
        self._idle.append((connection, asyncio.get_running_loop().time()))

    def discard(self, connection: ResponseHandler) -> None:
        """Cut a connection."""
        self._open.discard(connection)
        connection.abort()

    @property
    def open_connections(self) -> int:
        """Connections that are open, idle ones included."""
        return len(self._open)

    def close(self) -> None:
        """Cut every connection."""
        self._idle.clear()
        for connection in tuple(self._open):
            self.discard(connection)


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


def _is_local_name(host: str) -> bool:
    """An operator who writes an address or `localhost` has chosen it."""
    if host == "localhost":
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _refuse_ambiguous(message: RawResponseMessage) -> None:
    """Refuse a head that two readers could frame differently (RFC 9112, section 6.3)."""
    names = [name.lower() for name, _ in message.raw_headers]
    framing = [names.count(name) for name in _SINGLE]
    control = _CONTROL.search(b"".join(value for _, value in message.raw_headers))
    if max(framing) > 1 or sum(framing) > 1 or control or message.upgrade:
        raise UpstreamFailure("upstream_broke_off", sent=True)


def _failure(error: Exception) -> UpstreamFailure:
    """One exception with a reason code for every way in which a peer can fail."""
    timed_out = isinstance(error, TimeoutError)
    return UpstreamFailure("upstream_timeout" if timed_out else "upstream_broke_off", sent=True)
