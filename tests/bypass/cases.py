"""The case file, expanded: every attempt as the exact bytes to send and what must come of it.

The format is written down at the head of `cases.yaml`. Bytes are checked against the length and the
hash that the case states before anything is sent.
"""

from __future__ import annotations

import gzip
import hashlib
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

FILE = Path(__file__).with_name("cases.yaml")
_COMPRESSED = ("gzip", "zlib", "deflate_raw")


@dataclass(frozen=True, slots=True)
class Step:
    """One thing the client does: write bytes (one at a time when `dribble`), wait, or half close."""

    data: bytes = b""
    wait: float = 0.0
    dribble: float = 0.0
    half_close: bool = False


@dataclass(frozen=True, slots=True)
class Expected:
    """What a case must come to; the words are those of the file's header."""

    verdict: str
    status: tuple[int, ...]
    audit: str
    forbidden: tuple[str, ...]
    upstream: int
    response: str


@dataclass(frozen=True, slots=True)
class Case:
    """One attempt. `answer` is what the upstream says, or "" for the default answer."""

    id: str
    family: str
    title: str
    why: str
    note: str
    steps: tuple[Step, ...]
    expected: Expected
    answer: str

    @property
    def data(self) -> bytes:
        """Every byte that the client sends, in order."""
        return b"".join(step.data for step in self.steps)


@dataclass(frozen=True, slots=True)
class Fixture:
    """What the bytes assume about the proxy that they are sent to."""

    client_key: str
    host: str
    allowed: tuple[str, ...]
    denied: tuple[str, ...]
    canary: str


class Wrong(Exception):
    """The case file does not say what it claims to say."""


def _deflate(data: bytes, window: int) -> bytes:
    coder = zlib.compressobj(9, zlib.DEFLATED, window)
    return coder.compress(data) + coder.flush()


def expand(parts: list[dict[str, Any]]) -> bytes:
    """The bytes that a list of parts stands for."""
    return b"".join(_part(*next(iter(part.items()))) for part in parts)


def _part(kind: str, value: Any) -> bytes:
    match kind:
        case "text":
            return str(value).encode("utf-8")
        case "hex":
            return bytes.fromhex(value)
        case "repeat":
            return expand(value["of"]) * int(value["times"])
        case "utf16le" | "utf16be":
            return str(value).encode(f"utf-16-{kind[-2:]}")
        case "chunked":
            whole = expand(value)
            return b"%x\r\n%s\r\n0\r\n\r\n" % (len(whole), whole)
        case "gzip" | "zlib" | "deflate_raw":
            return _compressed(kind, expand(value))
    raise Wrong(f"no part is called {kind}")


def _compressed(kind: str, plain: bytes) -> bytes:
    if kind == "gzip":
        return gzip.compress(plain, 9, mtime=0)
    return _deflate(plain, zlib.MAX_WBITS if kind == "zlib" else -zlib.MAX_WBITS)


def decompressed(data: bytes) -> bytes | None:
    """The first gzip, zlib or raw deflate stream in `data`, or None where there is none."""
    for window in (zlib.MAX_WBITS | 16, zlib.MAX_WBITS, -zlib.MAX_WBITS):
        try:
            return zlib.decompressobj(window).decompress(data, 1 << 20)
        except zlib.error:
            continue
    return None


def _steps(row: dict[str, Any]) -> Iterator[Step]:
    for step in row["send"]:
        yield Step(
            data=expand(step["bytes"]) if "bytes" in step else b"",
            wait=step.get("wait_ms", 0) / 1000,
            dribble=step.get("dribble_ms", 0) / 1000,
            half_close=bool(step.get("half_close")),
        )


def _mentions(node: Any, names: tuple[str, ...]) -> bool:
    if isinstance(node, dict):
        return any(key in names or _mentions(value, names) for key, value in node.items())
    return isinstance(node, list) and any(_mentions(value, names) for value in node)


def _checked(row: dict[str, Any], steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """The steps if they are the bytes that the case states.

    Another build of zlib compresses to other bytes: those are framed anew, and compared after
    decompression, which is what a part was built from.
    """
    data = b"".join(step.data for step in steps)
    if len(data) == row["length"] and hashlib.sha256(data).hexdigest() == row["sha256"]:
        return steps
    if not _mentions(row["send"], _COMPRESSED):
        raise Wrong(f"{row['id']}: the bytes are not those that the case states")
    return _reframed(row["id"], steps, len(data) - row["length"])


def _reframed(identity: str, steps: tuple[Step, ...], grown: int) -> tuple[Step, ...]:
    first, *rest = steps
    head, gap, body = first.data.partition(b"\r\n\r\n")
    stated = re.search(rb"(?i)content-length: (\d+)", head)
    start = max(body.find(b"\x1f\x8b"), 0)
    if rest or stated is None or decompressed(body[start:]) is None:
        raise Wrong(f"{identity}: the compressed bytes do not decompress")
    length = b"%d" % (int(stated[1]) + grown)
    fresh = head[: stated.start(1)] + length + head[stated.end(1) :]
    return (Step(data=fresh + gap + body, wait=first.wait, dribble=first.dribble),)


def _case(row: dict[str, Any]) -> Case:
    expect = row["expect"]
    return Case(
        id=row["id"],
        family=row["family"],
        title=row["title"],
        why=row["why"],
        note=row.get("note", ""),
        steps=_checked(row, tuple(_steps(row))),
        expected=Expected(
            verdict=expect["verdict"],
            status=tuple(expect.get("status", ())),
            audit=expect["audit"],
            forbidden=tuple(expect.get("upstream_forbidden", ())),
            upstream=expect.get("upstream", 1),
            response=expect.get("response", ""),
        ),
        answer=row.get("setup", {}).get("upstream", ""),
    )


@cache
def load() -> tuple[Fixture, tuple[Case, ...]]:
    """The fixture and every case, each checked against its own length and hash."""
    text = yaml.load(FILE.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    cases = tuple(_case(row) for row in text["cases"])
    if len(cases) != text["count"] or len({case.id for case in cases}) != len(cases):
        raise Wrong("the file does not hold the number of cases that it states")
    said = text["fixture"]
    return Fixture(
        client_key=said["client_key"],
        host=said["host"],
        allowed=tuple(said["allowed_models"]),
        denied=tuple(said["denied_models"]),
        canary=said["canary"],
    ), cases
