"""What a receiver is told of an answer that comes in pieces."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from proxy.framing import Framing


@dataclass
class Heard:
    """A receiver that counts."""

    heads: int = 0
    body: bytes = b""
    ends: int = 0
    breaks: int = 0

    def headed(self) -> None:
        self.heads += 1

    def add(self, content: bytes) -> None:
        self.body += content

    def ended(self) -> None:
        self.ends += 1

    def broken(self) -> None:
        self.breaks += 1


def read(
    loop: asyncio.AbstractEventLoop, *pieces: bytes, close: bool | None = None
) -> tuple[Heard, Framing]:
    """Feed one answer; `close` tells whether the connection then ends, and whether cleanly."""
    heard = Heard()
    framing = Framing(loop, heard)
    framing.expect(bodiless=False)
    for piece in pieces:
        if piece and not heard.breaks:
            framing.feed(piece)
    if close is not None:
        framing.close(cleanly=close)
    return heard, framing
