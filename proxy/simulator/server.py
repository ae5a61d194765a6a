"""the simulator's listener: reads a request to the last byte, witnesses it, answers it"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from urllib.parse import parse_qsl, unquote

import orjson
from aiohttp import web

from proxy.simulator.answers import Answer, Refused, refusal
from proxy.simulator.api import Api, Arrived
from proxy.simulator.control import PREFIX, Control
from proxy.simulator.faults import Fault, Faults, read_marker
from proxy.simulator.lockstep import Lockstep
from proxy.simulator.rows import Rows
from proxy.simulator.scenario import Scenario
from proxy.simulator.turns import Ask, marker
from proxy.simulator.wire import Cut, Pacing, Wire
from proxy.simulator.witness import Seen, Witness

_LARGE = 1 << 20
_Serve = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Options:
    """How a simulator listens and whom it knows. Port 0 means any free one.

    Any key that starts with `op-` is good, and every one of `keys`; only `keys` when
    `only_these_keys`. Opper documents Bearer as the one scheme; `sdk_key_forms` also takes
    `x-api-key`, `x-goog-api-key` and `?key=`, for SDKs that talk to the simulator directly.
    """

    host: str = "127.0.0.1"
    port: int = 0
    control_port: int | None = None
    control_path: bool = False
    keys: frozenset[str] = frozenset()
    only_these_keys: bool = False
    sdk_key_forms: bool = False
    pace_ms: float = 0
    witness_file: Path | None = None
    witness_limit: int = 10_000


class Simulator:
    """A server that behaves like the documented Opper API; `async with Simulator() as simulator`."""

    def __init__(self, options: Options | None = None, *, rows: Rows | None = None) -> None:
        self.options = options or Options()
        self.rows = rows or Rows()
        self.faults = Faults()
        self.lockstep = Lockstep()
        self.witness = Witness(limit=self.options.witness_limit, file=self.options.witness_file)
        self.pace_ms = self.options.pace_ms
        self.port = 0
        self.control_port = 0
        self._api = Api(self.rows)
        self._control = Control(self)
        self._runners: list[web.ServerRunner] = []

    @property
    def base_url(self) -> str:
        """Scheme, host and port: what stands for `https://api.opper.ai`."""
        return f"http://{self.options.host}:{self.port}"

    @property
    def control_url(self) -> str:
        """Where the control API is, without a trailing slash."""
        return f"http://{self.options.host}:{self.control_port or self.port}{PREFIX.rstrip('/')}"

    @property
    def scenarios(self) -> list[Scenario]:
        """The scenarios in force; the first that fits a request answers it."""
        return self._api.scenarios

    async def start(self) -> None:
        """Listen."""
        self.port = await self._listen(self._serve, self.options.port)
        if self.options.control_port is not None:
            self.control_port = await self._listen(self._serve_control, self.options.control_port)

    async def stop(self) -> None:
        """Stop listening and end every connection, stalled ones too."""
        self.faults.clear()
        for runner in self._runners:
            await runner.cleanup()
        self._runners.clear()
        self.witness.close()

    async def __aenter__(self) -> Simulator:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def _listen(self, serve: _Serve, port: int) -> int:
        server = web.Server(
            serve, access_log=None, handler_cancellation=True, auto_decompress=False,
            max_line_size=_LARGE, max_field_size=_LARGE,
        )  # fmt: skip
        runner = web.ServerRunner(server, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, self.options.host, port, backlog=4096).start()
        self._runners.append(runner)
        return int(runner.addresses[0][1])

    async def _serve_control(self, request: web.BaseRequest) -> web.StreamResponse:
        path, query = _split(request.raw_path)
        answer = await self._control.answer(request.method, path, query, await request.content.read())
        return web.Response(status=answer.status, body=answer.body, content_type=answer.media)

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        if self.options.control_path and request.raw_path.startswith(PREFIX):
            return await self._serve_control(request)
        seen = await self.witness.head(request.method, request.raw_path, request.raw_headers)
        try:
            response = await self._answer(request, seen)
        except Cut:
            await self.witness.done(seen)
            return web.Response()
        except (asyncio.CancelledError, ConnectionError, web.RequestPayloadError):
            await self.witness.gone(seen)
            raise
        await self.witness.done(seen)
        return response

    async def _answer(self, request: web.BaseRequest, seen: Seen) -> web.StreamResponse:
        path, query = _split(request.raw_path)
        fault = self.faults.take(path, "", b"", early=True)
        ask: Ask | None = None
        if fault is not None:
            answer = refusal(_family(path), Refused(fault.status or 413, "the simulator did not read this"))
        else:
            body = await request.content.read()
            await self.witness.whole(seen, body)
            answer, ask = self._api.answer(Arrived(request.method, path, query, body, self._key(seen, query)))
            fault = self._fault(path, ask, body)
            answer = _ordered(answer, fault, seen, _family(path))
        trace = (("x-opper-trace-id", secrets.token_hex(16)),)
        wire = Wire(request, seen, fault, self.faults)
        return await wire.send(
            Answer(answer.status, (*answer.headers, *trace), answer.body, answer.events, answer.media),
            self._pacing(ask), self.lockstep,
        )  # fmt: skip

    def _fault(self, path: str, ask: Ask | None, body: bytes) -> Fault | None:
        """The fault that the prompt orders for itself, else the next planned one."""
        if ask is not None and (ordered := marker(ask.text, "fault")):
            return read_marker(ordered)
        return self.faults.take(path, ask.model if ask is not None else "", body, early=False)

    def _pacing(self, ask: Ask | None) -> Pacing:
        text = ask.text if ask is not None else ""
        pace, stream = marker(text, "pace"), marker(text, "lockstep")
        return Pacing(
            pace_ms=float(pace) if pace and pace.isdigit() else self.pace_ms,
            lockstep=self.lockstep.on or stream is not None, stream=stream or "",
        )  # fmt: skip

    def _key(self, seen: Seen, query: dict[str, str]) -> bool | None:
        """Whether the request's key is good; None when there is none."""
        bearer = (seen.header("authorization") or "").partition(" ")
        found = [bearer[2].strip()] if bearer[0].lower() == "bearer" else []
        if self.options.sdk_key_forms:
            found += [seen.header("x-api-key") or "", seen.header("x-goog-api-key") or ""]
            found.append(query.get("key", ""))
        key = next((each for each in found if each), None)
        if key is None:
            return None
        runtime = key.startswith("op-") and not key.startswith("op-mak-")
        return key in self.options.keys or (runtime and not self.options.only_these_keys)


def _split(target: str) -> tuple[str, dict[str, str]]:
    path, _, query = target.partition("?")
    return unquote(path), dict(parse_qsl(query, keep_blank_values=True))


def _family(path: str) -> str:
    if "/v1/messages" in path:
        return "anthropic"
    if ":" in path.rpartition("/")[2] or path.endswith("/interactions"):
        return "google"
    return "native" if path.startswith("/v3/images") else "openai"


def _ordered(answer: Answer, fault: Fault | None, seen: Seen, family: str) -> Answer:
    """The answer that a fault puts in place of the real one."""
    if fault is None:
        return answer
    if fault.kind == "redirect":
        return Answer(fault.status or 307, (("Location", fault.location),))
    if fault.kind == "refused":
        model = _model_of(seen)
        return refusal(
            family, Refused(403, f'model "{model}" has no allowed members under the current model allowlist')
        )
    if fault.kind == "status":
        retry = (("Retry-After", fault.retry_after),) if fault.retry_after else ()
        return refusal(family, Refused(fault.status or 500, "the simulator was told to fail", headers=retry))
    if fault.kind == "echo":
        message = f"rejected {seen.header('authorization')} with {seen.body.decode('utf-8', 'replace')}"
        return refusal(family, Refused(fault.status or 400, message))
    return answer


def _model_of(seen: Seen) -> str:
    try:
        return str(orjson.loads(seen.body)["model"])
    except (ValueError, KeyError, TypeError):
        return seen.path.rpartition("/")[2].partition(":")[0]
