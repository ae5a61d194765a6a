"""how an answer goes out: event by event at its pace, and with the fault that was ordered"""

from __future__ import annotations

import asyncio
import gzip
import socket
import struct
from dataclasses import dataclass, replace
from functools import cache

from aiohttp import web

from proxy.simulator.answers import Answer
from proxy.simulator.faults import PRESETS, Fault, Faults
from proxy.simulator.lockstep import Lockstep
from proxy.simulator.witness import Seen

_CUTS = ("reset", "close", "stall")
_SERVED_BY = "x-opper-served-"


@dataclass(frozen=True, slots=True)
class Pacing:
    """Milliseconds between events, and the lockstep stream ("" with `lockstep` for the unnamed one)."""

    pace_ms: float = 0
    lockstep: bool = False
    stream: str = ""


class Cut(Exception):
    """The connection has been ended on purpose."""


class Wire:
    """Sends one answer to one request."""

    def __init__(self, request: web.BaseRequest, seen: Seen, fault: Fault | None, faults: Faults) -> None:
        self._request = request
        self._seen = seen
        self._fault = fault
        self._faults = faults
        self._written = 0

    async def send(self, answer: Answer, pacing: Pacing, lockstep: Lockstep) -> web.StreamResponse:
        """Send it to its end, or as far as the fault lets it go (then raises `Cut`)."""
        fault = self._fault
        if fault is not None and fault.kind == "delay":
            await asyncio.sleep(fault.delay_ms / 1000)
        if fault is not None and fault.kind == "raw":
            await self._raw(fault)
        if fault is not None and fault.kind in _CUTS and fault.after < 0:
            await self._cut(fault)
            self._fault = None
        answer = _altered(answer, fault)
        response = web.StreamResponse(status=answer.status, headers=dict(answer.headers))
        response.content_type = answer.media
        if answer.events is None:
            response.content_length = len(answer.body)
        await response.prepare(self._request)
        if answer.events is None:
            await self._write(response, answer.body)
        else:
            await self._write_events(response, answer.events, pacing, lockstep)
        # A cut at or past the end of the body still comes before the end of the framing.
        if self._fault is not None and self._fault.kind in _CUTS:
            await self._cut(self._fault)
        await response.write_eof()
        return response

    async def _write_events(
        self, response: web.StreamResponse, events: tuple[bytes, ...], pacing: Pacing, lockstep: Lockstep
    ) -> None:
        if pacing.lockstep:
            lockstep.open(pacing.stream)
        for number, event in enumerate(events, 1):
            if number > 1 and pacing.lockstep:
                await lockstep.wait(number - 1, pacing.stream)
            elif number > 1 and pacing.pace_ms:
                await asyncio.sleep(pacing.pace_ms / 1000)
            await self._write(response, event)
            self._seen.events_sent = number
            if pacing.lockstep:
                await lockstep.wrote(number, pacing.stream)

    async def _write(self, response: web.StreamResponse, chunk: bytes) -> None:
        fault = self._fault
        if fault is not None and fault.kind == "trickle":
            for place in range(len(chunk)):
                await response.write(chunk[place : place + 1])
                await asyncio.sleep(fault.delay_ms / 1000)
        elif fault is not None and fault.kind in _CUTS and self._written + len(chunk) > fault.after:
            before, after = chunk[: fault.after - self._written], chunk[fault.after - self._written :]
            if before:
                await response.write(before)
            await self._cut(fault)
            self._fault = None
            await response.write(after)
        else:
            await response.write(chunk)
        self._written += len(chunk)

    async def _cut(self, fault: Fault) -> None:
        """Reset, close, or wait; returns only from a stall that was released."""
        if fault.kind == "stall":
            await self._faults.stalled()
            return
        self._end(fault.kind)
        raise Cut

    async def _raw(self, fault: Fault) -> None:
        transport = self._request.transport
        if transport is not None:
            transport.write(PRESETS[fault.preset] if fault.preset else fault.data.encode("latin-1"))
        if fault.end == "hang":
            await self._faults.stalled()
        self._end(fault.end)
        raise Cut

    def _end(self, how: str) -> None:
        transport = self._request.transport
        if transport is None:
            return
        if how == "reset":
            sock = transport.get_extra_info("socket")
            # Lingering for zero seconds makes the kernel send RST instead of FIN.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()
        else:
            transport.close()


def _altered(answer: Answer, fault: Fault | None) -> Answer:
    if fault is None:
        return answer
    others = tuple((name, value) for name, value in answer.headers if not name.startswith(_SERVED_BY))
    if fault.kind == "unserved":
        return replace(answer, headers=others)
    if fault.kind == "served":
        said = (("x-opper-served-model", fault.model), ("x-opper-served-provider", fault.provider))
        return replace(answer, headers=(*others, *((name, value) for name, value in said if value)))
    if fault.kind == "gzip":
        return _zipped(answer)
    if fault.kind == "gzip_bomb":
        return replace(answer, headers=(*others, ("Content-Encoding", "gzip")), body=_bomb(), events=None)
    return answer


def _zipped(answer: Answer) -> Answer:
    coded = (*answer.headers, ("Content-Encoding", "gzip"))
    if answer.events is None:
        return replace(answer, headers=coded, body=gzip.compress(answer.body))
    # One member per event: legal gzip, and each event can still go out at its own time.
    return replace(answer, headers=coded, events=tuple(gzip.compress(each) for each in answer.events))


@cache
def _bomb() -> bytes:
    return gzip.compress(b" " * (256 * 1024 * 1024), compresslevel=1)
