"""the mock gateway that keeps books: answers as `benchmarks.upstream` does, and notes every body

`python -m benchmarks.witness --port 9001 --models models.json --audit DATA/audit --sightings FILE`.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from pathlib import Path

import uvloop
from typing_extensions import override

from benchmarks.books import Observer
from benchmarks.upstream import Script, Upstream


class Witness(Upstream):
    """One connection; bodies of at most 4 KB are noted whole."""

    def __init__(self, script: Script, observer: Observer) -> None:
        super().__init__(script)
        self._observer = observer
        self._at_ns = 0

    @override
    def _begin(self, head: bytes, body: bytes) -> None:
        self._at_ns = time.monotonic_ns()
        super()._begin(head, body)

    @override
    def _answer(self) -> None:
        self._observer.saw(self._beginning, self._at_ns)
        super()._answer()


async def serve(port: int, script: Script, observer: Observer) -> None:
    """Listen on loopback until the program is ended."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Witness(script, observer), "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--models", type=Path, required=True, help="the answer to GET /v3/models")
    parser.add_argument("--audit", type=Path, required=True, help="the folder of the proxy's logs")
    parser.add_argument("--sightings", type=Path, required=True, help="where to note what arrives")
    given = parser.parse_args()
    with given.sightings.open("ab", buffering=0) as file:
        uvloop.run(serve(given.port, Script(given.models.read_bytes()), Observer(given.audit, file)))


if __name__ == "__main__":
    main()
