"""Reading a relay as a client does that takes whatever comes."""

from __future__ import annotations

from proxy.relay import Relay


async def poured(relay: Relay) -> bytes:
    """All that a relay has for its client, to the end."""
    parts: list[bytes] = []
    await into(parts, relay)
    return b"".join(parts)


async def into(parts: list[bytes], relay: Relay) -> None:
    """The same, with what came before a failure."""

    def take(content: bytes) -> bool:
        parts.append(content)
        return True

    await relay.pour(take, _at_once)


async def first_of(relay: Relay) -> bytes:
    """The first chunk, after which the client leaves."""
    parts: list[bytes] = []

    def take(content: bytes) -> bool:
        parts.append(content)
        raise ConnectionResetError

    try:
        await relay.pour(take, _at_once)
    except ConnectionResetError:
        return parts[0]
    raise AssertionError("the answer had no body")


async def _at_once() -> None:
    """This client always has room."""
