"""the admin port: health, readiness, metrics; never reachable through the client port"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import orjson
from aiohttp import web

Report = Mapping[str, object]
# Whoever does not read its answer must not hold up the end.
_LAST_WORDS = 1.0


class Admin:
    """Answers `/healthz` (the process lives), `/readyz` (it serves, or why not) and `/metrics`."""

    def __init__(
        self, readiness: Callable[[], Awaitable[Report]], metrics: Callable[[], Awaitable[bytes]]
    ) -> None:
        self._readiness = readiness
        self._metrics = metrics
        self._runner: web.AppRunner | None = None
        self.port = 0

    async def start(self, host: str, port: int) -> None:
        """Listen; `port` 0 takes any free one, which `self.port` then names."""
        app = web.Application()
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._show_metrics)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=_LAST_WORDS)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _healthz(self, _request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _readyz(self, _request: web.Request) -> web.Response:
        report = await self._readiness()
        body = orjson.dumps(report, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
        return web.Response(
            status=200 if report.get("ready") else 503, body=body, content_type="application/json"
        )

    async def _show_metrics(self, _request: web.Request) -> web.Response:
        return web.Response(
            body=await self._metrics(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
        )
