"""the witness: the exact bytes of every request received, with monotonic times

Times are nanoseconds of the system's monotonic clock, which all processes of one machine share. A
request is noted when its head is read and again when its body is whole, so that one cut short shows.
"""

from __future__ import annotations

import asyncio
import base64
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import orjson


@dataclass(slots=True)
class Seen:
    """One request as it came. `whole_ns` is None when its body never came whole.

    `gone_ns` is when the client left before the answer's end, `done_ns` when the answer was sent.
    """

    seq: int
    head_ns: int
    method: str
    target: str
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes = b""
    whole_ns: int | None = None
    gone_ns: int | None = None
    done_ns: int | None = None
    events_sent: int = 0
    marks: dict[str, str] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """The target without its query, undecoded."""
        return self.target.partition("?")[0]

    def header(self, name: str) -> str | None:
        """The first value of a header, compared without regard to case."""
        wanted = name.lower().encode()
        return next((value.decode("latin-1") for key, value in self.headers if key.lower() == wanted), None)

    def json(self) -> Any:
        """The body read as JSON."""
        return orjson.loads(self.body)

    def to_dict(self) -> dict[str, Any]:
        """A form for JSON: header bytes as Latin-1 text, the body as base64."""
        return {
            "seq": self.seq, "head_ns": self.head_ns, "whole_ns": self.whole_ns, "gone_ns": self.gone_ns,
            "done_ns": self.done_ns, "method": self.method, "target": self.target,
            "headers": [[key.decode("latin-1"), value.decode("latin-1")] for key, value in self.headers],
            "body_b64": base64.b64encode(self.body).decode(), "events_sent": self.events_sent,
        }  # fmt: skip


def read_seen(data: dict[str, Any]) -> Seen:
    """The inverse of `Seen.to_dict`."""
    return Seen(
        seq=data["seq"], head_ns=data["head_ns"], method=data["method"], target=data["target"],
        headers=tuple((key.encode("latin-1"), value.encode("latin-1")) for key, value in data["headers"]),
        body=base64.b64decode(data["body_b64"]), whole_ns=data["whole_ns"], gone_ns=data["gone_ns"],
        done_ns=data["done_ns"], events_sent=data["events_sent"],
    )  # fmt: skip


class Witness:
    """Keeps the newest `limit` requests, and all of them in a file of JSON lines when one is given."""

    def __init__(self, *, limit: int = 10_000, file: Path | None = None) -> None:
        self._seen: deque[Seen] = deque(maxlen=limit)
        self._next = 1
        self._changed = asyncio.Condition()
        self._file: BinaryIO | None = file.open("ab", buffering=0) if file is not None else None

    @property
    def seen(self) -> tuple[Seen, ...]:
        """The requests kept, oldest first."""
        return tuple(self._seen)

    def since(self, seq: int) -> tuple[Seen, ...]:
        """The requests kept whose number is greater than `seq`."""
        return tuple(each for each in self.seen if each.seq > seq)

    def clear(self) -> None:
        """Forget the requests kept; numbering goes on."""
        self._seen.clear()

    async def head(self, method: str, target: str, headers: Iterable[tuple[bytes, bytes]]) -> Seen:
        """Note a request whose head has just been read."""
        seen = Seen(self._next, time.monotonic_ns(), method, target, tuple(headers))
        self._next += 1
        self._seen.append(seen)
        await self._note("head", seen)
        return seen

    async def whole(self, seen: Seen, body: bytes) -> None:
        """Note that the body has come whole."""
        seen.body, seen.whole_ns = body, time.monotonic_ns()
        await self._note("whole", seen)

    async def gone(self, seen: Seen) -> None:
        """Note that the client left before its answer was sent."""
        seen.gone_ns = time.monotonic_ns()
        await self._note("gone", seen)

    async def done(self, seen: Seen) -> None:
        """Note that the answer was sent to its end."""
        seen.done_ns = time.monotonic_ns()
        await self._note("done", seen)

    async def wait(self, count: int, *, moment: str = "whole_ns") -> tuple[Seen, ...]:
        """Wait until that many requests have reached a moment: one of the `_ns` fields of `Seen`."""

        def reached() -> tuple[Seen, ...]:
            return tuple(each for each in self._seen if getattr(each, moment) is not None)

        async with self._changed:
            await self._changed.wait_for(lambda: len(reached()) >= count)
        return reached()

    def close(self) -> None:
        """Close the file, if there is one."""
        if self._file is not None:
            self._file.close()
            self._file = None

    async def _note(self, moment: str, seen: Seen) -> None:
        if self._file is not None:
            line = {"moment": moment, **seen.to_dict()}
            if moment != "whole":
                del line["body_b64"]
            # One write per line: a reader that looks while we write sees whole lines.
            self._file.write(orjson.dumps(line) + b"\n")
        async with self._changed:
            self._changed.notify_all()


def read_witness(file: Path) -> tuple[dict[str, Any], ...]:
    """The lines of a witness file, each with its `moment`; a torn last line is left out."""
    lines = file.read_bytes().split(b"\n")[:-1]
    return tuple(orjson.loads(line) for line in lines)
