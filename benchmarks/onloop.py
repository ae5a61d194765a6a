"""a request's whole way over the event loop, without sockets, disk or a second thread

`python -m benchmarks.onloop`. What `run.py` measures is disturbed by whatever else the machine does; this is
the smallest of many repeats, and steady enough to judge a change of a few microseconds. Client, gateway and
journal are replaced at the last possible place: transports that keep bytes, and a journal that says yes.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import uvloop
from typing_extensions import override

from benchmarks import deployment, wire
from proxy import wiring
from proxy.config import read_settings
from proxy.core.values import Receipt
from proxy.journal import Journal
from proxy.turns import Turns
from proxy.uplink import Uplink

_SCRATCH = Path(__file__).resolve().parent.parent / "var"
_AT_A_TIME, _REPEATS = 64, 60


class Wire(asyncio.Transport):
    """A transport that counts what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.written = 0

    @override
    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += len(data)

    @override
    def is_closing(self) -> bool:
        return False

    @override
    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 50_000) if name == "peername" else default


class Answering(Wire):
    """A gateway: whatever is sent to it is answered at the next turn of the loop."""

    def __init__(self, uplink: Uplink, answer: bytes) -> None:
        super().__init__()
        self._uplink = uplink
        self._answer = answer

    @override
    def write(self, data: bytes | bytearray | memoryview) -> None:
        super().write(data)
        asyncio.get_running_loop().call_soon(self._uplink.data_received, self._answer)


async def yes(self: Journal, draft: Any) -> Receipt:
    """Say that a record is durable, a turn of the loop later."""
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    loop.call_soon(future.set_result, Receipt("bench/r0/w0/000001", 1, "0" * 64))
    receipt: Receipt = await future
    return receipt


def submitted(self: Journal, draft: Any) -> None:
    """Forget a record."""


async def measured(config: Path, kind: str) -> float:
    """CPU microseconds of the loop per request."""
    parts = wiring.assemble(read_settings(config))
    gateway, loop = parts.gateway, asyncio.get_running_loop()
    turns = Turns(loop)
    for _ in range(_AT_A_TIME):
        uplink = Uplink(loop, turns, turns)
        uplink.connection_made(Answering(uplink, wire.answer()))
        gateway._open.add(uplink)
        gateway._idle.append((uplink, loop.time() + 3600))
    clients = [(parts.front(), Wire()) for _ in range(_AT_A_TIME)]
    for connection, client in clients:
        connection.connection_made(client)
    body = wire.bodies()[kind]
    heads = wire.heads(8080, len(body), fresh=True)
    best = float("inf")
    for _ in range(_REPEATS):
        requests = [heads() + body for _ in clients]
        begin = time.thread_time()
        for (connection, _), request in zip(clients, requests, strict=True):
            connection.data_received(request)
        await asyncio.sleep(0)
        await parts.front.rest.wait()
        best = min(best, (time.thread_time() - begin) / len(clients))
    await parts.journal.close()
    assert all(client.written > _REPEATS * wire.ANSWER_BYTES for _, client in clients)
    return best * 1e6


def main() -> None:
    """Deploy into a scratch folder, measure, print."""
    _SCRATCH.mkdir(exist_ok=True)
    Journal.append, Journal.submit = yes, submitted  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory(prefix="onloop-", dir=_SCRATCH) as name:
        folder = Path(name)
        made = deployment.deploy(folder, upstream_port=9)
        deployment.keep_catalogue(folder, upstream_port=9)
        os.environ.update(made.environment)
        for kind in ("chat", "agent"):
            sys.stdout.write(f"{uvloop.run(measured(made.config, kind)):8.1f} us  {kind}\n")


if __name__ == "__main__":
    main()
