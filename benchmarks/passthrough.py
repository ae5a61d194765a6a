"""the yardstick: a bare pass-through as anyone would write it with aiohttp, ratio 1.0 of every figure

An ordinary `web.Application`, one `ClientSession`, bodies streamed both ways; it checks nothing,
records nothing, and drops only hop-by-hop fields. `--uvloop` runs the same on the faster loop.
"""

from __future__ import annotations

import argparse
from collections.abc import AsyncIterator, Iterable

import aiohttp
import uvloop
from aiohttp import web
from multidict import CIMultiDict

from benchmarks import wire

_HOP_BY_HOP = frozenset(
    ("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer",
     "transfer-encoding", "upgrade", "host")
)  # fmt: skip
_ORIGIN = web.AppKey("origin", str)
_SESSION = web.AppKey("session", aiohttp.ClientSession)


def _passed(fields: Iterable[tuple[str, str]]) -> CIMultiDict[str]:
    return CIMultiDict((name, value) for name, value in fields if name.lower() not in _HOP_BY_HOP)


async def _relay(request: web.Request) -> web.StreamResponse:
    target = request.app[_ORIGIN] + request.path_qs.replace(wire.PATH, wire.UPSTREAM_PATH)
    async with request.app[_SESSION].request(
        request.method,
        target,
        headers=_passed(request.headers.items()),
        data=request.content if request.can_read_body else None,
        allow_redirects=False,
    ) as reply:
        answer = web.StreamResponse(status=reply.status, headers=_passed(reply.headers.items()))
        await answer.prepare(request)
        async for chunk in reply.content.iter_any():
            await answer.write(chunk)
        await answer.write_eof()
        return answer


async def _healthy(_: web.Request) -> web.Response:
    return web.Response(text="ok")


async def _session(app: web.Application) -> AsyncIterator[None]:
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as session:
        app[_SESSION] = session
        yield


def application(upstream_port: int) -> web.Application:
    """The pass-through in front of a port on loopback."""
    app = web.Application()
    app[_ORIGIN] = f"http://127.0.0.1:{upstream_port}"
    app.cleanup_ctx.append(_session)
    app.router.add_get("/healthz", _healthy)
    app.router.add_route("*", "/{path:.*}", _relay)
    return app


def main() -> None:
    """`python -m benchmarks.passthrough --port 8080 --upstream 9001`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--upstream", type=int, required=True)
    parser.add_argument("--uvloop", action="store_true")
    given = parser.parse_args()
    web.run_app(
        application(given.upstream),
        host="127.0.0.1",
        port=given.port,
        access_log=None,
        print=None,
        backlog=4096,
        loop=uvloop.new_event_loop() if given.uvloop else None,
    )


if __name__ == "__main__":
    main()
