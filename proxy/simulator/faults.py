"""faults on demand: what goes wrong, for which request, how often

Set through the Python API, the control API, or by a marker in the prompt
(`[[fault:reset after=100]]`), so that concurrent requests can each have their own.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, fields
from typing import Any

KINDS = {
    "reset": "TCP reset after `after` bytes of the body (-1: before the head)",
    "close": "orderly close after `after` bytes, short of the body's end (-1: before the head)",
    "stall": "nothing more after `after` bytes (-1: not even a head) until released or the client leaves",
    "delay": "wait `delay_ms` before the head",
    "trickle": "the body byte by byte, `delay_ms` between bytes",
    "served": "served-by headers say `model` and `provider` (each only when given)",
    "unserved": "no served-by headers",
    "redirect": "status `status` (default 307) to `location`",
    "echo": "status `status` (default 400) with the request's credential and body in the error",
    "status": "status `status` with the dialect's error body, and `retry_after` when given",
    "refused": "Opper's own 403: refused by its model access",
    "gzip": "the body with Content-Encoding: gzip although nobody asked",
    "gzip_bomb": "a small gzip body that unpacks to 256 MiB",
    "early": "status `status` (default 413) without reading the request's body",
    "raw": "the bytes of preset `preset`, or of `data` (Latin-1), instead of an answer",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing to go wrong. `path`, `asks` and `text` choose requests by part of path, model and body.

    `times` counts down; -1 is for ever. The other fields matter to some kinds only, see KINDS.
    """

    kind: str
    times: int = 1
    path: str = ""
    asks: str = ""
    text: str = ""
    after: int = 0
    status: int = 0
    retry_after: str = ""
    location: str = "/elsewhere"
    model: str = ""
    provider: str = ""
    delay_ms: int = 0
    preset: str = ""
    data: str = ""
    end: str = "close"

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown fault {self.kind!r}; known: {', '.join(KINDS)}")
        if self.preset and self.preset not in PRESETS:
            raise ValueError(f"unknown preset {self.preset!r}; known: {', '.join(PRESETS)}")


def read_fault(data: dict[str, Any]) -> Fault:
    """Read a fault from JSON or marker words; raises ValueError naming what is not understood."""
    whole = {"times", "after", "status", "delay_ms"}
    known = {each.name for each in fields(Fault)}
    if unknown := data.keys() - known:
        raise ValueError(f"unknown members {', '.join(sorted(unknown))}; known: {', '.join(sorted(known))}")
    values: dict[str, Any] = {n: int(v) if n in whole else str(v) for n, v in data.items()}
    return Fault(**values)


def read_marker(argument: str) -> Fault:
    """Read `KIND name=value ...` of a `[[fault:...]]` marker."""
    kind, *rest = argument.split()
    return read_fault({"kind": kind, **dict(word.split("=", 1) for word in rest if "=" in word)})


class Faults:
    """The faults in force, first match first."""

    def __init__(self) -> None:
        self._plan: list[tuple[Fault, int]] = []
        self._released = asyncio.Event()

    @property
    def planned(self) -> tuple[Fault, ...]:
        """The faults that still wait for a request."""
        return tuple(fault for fault, left in self._plan if left)

    def add(self, fault: Fault) -> None:
        """Put a fault behind those in force."""
        self._plan.append((fault, fault.times))

    def clear(self) -> None:
        """Drop every fault and release every stalled answer."""
        self._plan.clear()
        self.release()

    def release(self) -> None:
        """Let every answer that is stalled now go on."""
        self._released.set()
        self._released = asyncio.Event()

    async def stalled(self) -> None:
        """Wait until released."""
        await self._released.wait()

    def take(self, path: str, model: str, body: bytes, *, early: bool) -> Fault | None:
        """The fault for this request, counted down. `early` asks for those that come before the body."""
        for place, (fault, left) in enumerate(self._plan):
            fits = fault.path in path and fault.asks in model and fault.text.encode() in body
            if left and fits and (fault.kind == "early") is early:
                self._plan[place] = (fault, left - 1 if left > 0 else left)
                return fault
        return None


_OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
_JSON = b'{"object":"chat.completion"}'

PRESETS: dict[str, bytes] = {
    "length_too_long": _OK + b"Content-Length: 4096\r\n\r\n" + _JSON,
    "length_too_short": _OK + b"Content-Length: 4\r\n\r\n" + _JSON,
    "two_lengths": _OK + b"Content-Length: 28\r\nContent-Length: 4\r\n\r\n" + _JSON,
    "length_and_chunked": _OK + b"Content-Length: 28\r\nTransfer-Encoding: chunked\r\n\r\n" + _JSON,
    "length_not_a_number": _OK + b"Content-Length: +28\r\n\r\n" + _JSON,
    "bad_chunk_size": _OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n" + _JSON + b"\r\n0\r\n\r\n",
    "chunk_without_end": _OK + b"Transfer-Encoding: chunked\r\n\r\n1c\r\n" + _JSON + b"\r\n",
    "huge_chunk_size": _OK + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n" + _JSON,
    "long_header": _OK + b"X-Long: " + b"a" * 1_000_000 + b"\r\nContent-Length: 0\r\n\r\n",
    "many_headers": _OK + b"X-Many: 1\r\n" * 100_000 + b"Content-Length: 0\r\n\r\n",
    "header_without_end": _OK + b"X-Unfinished: " + b"a" * 1000,
    "folded_header": _OK + b"X-Folded: a\r\n b\r\nContent-Length: 0\r\n\r\n",
    "header_with_nul": _OK + b"X-Nul: a\x00b\r\nContent-Length: 0\r\n\r\n",
    "not_http": b"SSH-2.0-OpenSSH_9.2\r\n",
    "empty": b"",
    "informational_flood": b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000,
    "switching": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n" + _JSON,
    "no_content_with_body": b"HTTP/1.1 204 No Content\r\nContent-Length: 28\r\n\r\n" + _JSON,
    "second_answer": (_OK + b"Content-Length: 28\r\n\r\n" + _JSON) * 2,
    "bare_line_feeds": _OK.replace(b"\r\n", b"\n") + b"Content-Length: 28\n\n" + _JSON,
}
