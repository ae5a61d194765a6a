"""A bare proxy as many are written: it looks the model up in the parsed body and forwards what it got.

It is here to prove that the runner can see: what leaks through this one must be found. Never use it.
"""

from __future__ import annotations

import aiohttp
from aiohttp import web
from yarl import URL

from tests.bypass.cases import Fixture
from tests.bypass.runner import Trace

_HOP = frozenset(
    {"host", "connection", "content-length", "transfer-encoding", "authorization", "keep-alive", "upgrade"}
)


class PassThrough:
    """The subject: an aiohttp server in front of an aiohttp client. It keeps no records."""

    upstream_key = "op-upstream-0123456789abcdef0123456789abcdef"
    intents = 0

    def __init__(self, fixture: Fixture, upstream_port: int) -> None:
        self.port = 0
        self._fixture = fixture
        self._target = f"http://127.0.0.1:{upstream_port}"
        self._runner: web.AppRunner | None = None
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Listen on a free loopback port."""
        application = web.Application(client_max_size=64 << 20)
        application.router.add_route("*", "/{tail:.*}", self._forward)
        self._session = aiohttp.ClientSession(auto_decompress=False)
        self._runner = web.AppRunner(application, access_log=None, keepalive_timeout=2, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Stop both halves."""
        assert self._session is not None
        assert self._runner is not None
        await self._session.close()
        await self._runner.cleanup()

    async def mark(self) -> object:
        """It writes nothing that could be bracketed."""
        return None

    async def since(self, mark: object) -> Trace:
        """It keeps no records."""
        return Trace(records=None, counted=0, said=b"")

    async def _forward(self, request: web.Request) -> web.StreamResponse:
        assert self._session is not None
        body = await request.read()
        if self._denied(await self._model(request)):
            return web.json_response({"error": {"message": "this model is not allowed"}}, status=403)
        kept = [(name, value) for name, value in request.headers.items() if name.lower() not in _HOP]
        url = URL(self._target + request.path_qs)
        headers = [*kept, ("Authorization", f"Bearer {self.upstream_key}")]
        async with self._session.request(request.method, url, headers=headers, data=body or None) as reply:
            answer = web.StreamResponse(status=reply.status, headers={"Content-Type": reply.content_type})
            await answer.prepare(request)
            async for chunk in reply.content.iter_any():
                await answer.write(chunk)
            return answer

    async def _model(self, request: web.Request) -> object:
        try:
            body = await request.json()
        except ValueError:
            return None
        return body.get("model") if isinstance(body, dict) else None

    def _denied(self, model: object) -> bool:
        return model in self._fixture.denied
