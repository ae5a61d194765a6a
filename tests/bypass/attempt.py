"""The client of the suite: writes a case's exact bytes to a socket and reads what comes back."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass

from tests.bypass.cases import Step
from tests.bypass.http1 import Message, read_all

_QUIET = 0.25
_PATIENCE = 8.0


@dataclass(frozen=True, slots=True)
class Answered:
    """What a client saw: final answers in order, unread bytes after them, and how it ended.

    `ended` is "closed", "reset" or "open" (the proxy neither answered nor closed in time).
    """

    answers: tuple[Message, ...]
    rest: bytes
    raw: bytes
    ended: str


async def attempt(
    port: int, steps: tuple[Step, ...], *, patience: float = _PATIENCE, quiet: float = _QUIET
) -> Answered:
    """Send the steps as they are and read until the connection ends or has nothing more to say."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    received = bytearray()
    reading = asyncio.create_task(_drain(reader, received))
    try:
        with contextlib.suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(patience):
                await _send(writer, steps)
        ended = await _settle(reading, received, patience=patience, quiet=quiet)
    finally:
        reading.cancel()
        writer.transport.abort()
        with contextlib.suppress(asyncio.CancelledError):
            await reading
    messages, rest = read_all(bytes(received), answers=True, ended=ended != "open")
    final = tuple(message for message in messages if message.status >= 200)
    return Answered(final, rest, bytes(received), ended)


async def _send(writer: asyncio.StreamWriter, steps: tuple[Step, ...]) -> None:
    for step in steps:
        if step.dribble:
            for byte in step.data:
                writer.write(bytes((byte,)))
                await asyncio.sleep(step.dribble)
        elif step.data:
            writer.write(step.data)
            await writer.drain()
        if step.wait:
            await asyncio.sleep(step.wait)
        if step.half_close:
            writer.write_eof()


async def _drain(reader: asyncio.StreamReader, received: bytearray) -> str:
    try:
        while chunk := await reader.read(65_536):
            received += chunk
    except ConnectionError:
        return "reset"
    return "closed"


async def _settle(reading: asyncio.Task[str], received: bytearray, *, patience: float, quiet: float) -> str:
    """Wait for the end, or for silence after at least one whole answer."""
    deadline = asyncio.get_running_loop().time() + patience
    seen = -1
    while asyncio.get_running_loop().time() < deadline:
        done, _ = await asyncio.wait({reading}, timeout=quiet)
        if done:
            return reading.result()
        answers, _ = read_all(bytes(received), answers=True)
        said_all = any(answer.status >= 200 for answer in answers) and all(a.whole for a in answers)
        if said_all and len(received) == seen:
            break
        seen = len(received)
    return "open"
