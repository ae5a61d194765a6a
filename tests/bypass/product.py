"""The product as a subject: a real process started by its own command, watched from outside.

Records are read from the store's files by plain SQL, log lines from standard error, counters from
the admin port: nothing here shares code with the product.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sqlite3
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from tests.bypass.cases import Fixture
from tests.bypass.fixture import write
from tests.bypass.runner import Trace
from tests.bypass.upstream import Upstream

_START_SECONDS = 30.0
_SETTLE_SECONDS = 5.0
_REJECTS = re.compile(r"^ringfence_rejects_total(?:\{[^}]*\})? ([0-9.e+]+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Mark:
    """Where records, log lines and counters stand."""

    records: int
    said: int
    rejects: float


class Ringfence:
    """`ringfence serve` in a process of its own, in a folder of its own."""

    upstream_key = "op-upstream-0123456789abcdef0123456789abcdef"

    def __init__(self, folder: Path, fixture: Fixture, upstream: Upstream) -> None:
        self.port = self.admin = 0
        self.folder = folder
        self._fixture = fixture
        self._environment = {
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(folder),
            "BYPASS_UPSTREAM_KEY": self.upstream_key,
        }
        self._config = write(folder, upstream=upstream.port, host=fixture.host)
        self._ports = folder / "ports.json"
        self._log = folder / "stderr"
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Adopt the client's key, start, and wait until the admin port says ready."""
        adopting = await self._run("keys", "adopt", "--project", "bypass", said=self._fixture.client_key)
        if await adopting.wait() != 0:
            raise RuntimeError(self._log.read_text())
        self._process = await self._run("serve", "--ports-file", str(self._ports))
        async with asyncio.timeout(_START_SECONDS):
            while not await self._ready():
                if self._process.returncode is not None:
                    raise RuntimeError(self._log.read_text())
                await asyncio.sleep(0.1)

    async def _run(self, *words: str, said: str | None = None) -> asyncio.subprocess.Process:
        with self._log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                Path(sys.executable).with_name("ringfence"), *words, "--config", str(self._config),
                stdin=asyncio.subprocess.PIPE if said else asyncio.subprocess.DEVNULL,
                stdout=log, stderr=log, env=self._environment, cwd=self.folder,
            )  # fmt: skip
        if said is not None and process.stdin is not None:
            process.stdin.write(said.encode())
            process.stdin.close()
        return process

    async def stop(self) -> int:
        """Ask it to end, and return its exit code."""
        assert self._process is not None
        if self._process.returncode is None:
            self._process.terminate()
        return await asyncio.wait_for(self._process.wait(), 30)

    async def _ready(self) -> bool:
        if not self._ports.exists():
            return False
        ports = json.loads(self._ports.read_bytes())
        self.port, self.admin = ports["port"], ports["admin_port"]
        try:
            return (await self._get("/readyz"))[0] == 200
        except aiohttp.ClientError:
            return False

    async def _get(self, path: str) -> tuple[int, str]:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{self.admin}{path}") as reply,
        ):
            return reply.status, await reply.text()

    # -- what it wrote ---------------------------------------------------------------------------

    def records(self) -> list[dict[str, Any]]:
        """Every durable record, in the order of its log."""
        return [json.loads(body) for body in self._select("SELECT body FROM record ORDER BY seq")]

    @property
    def intents(self) -> int:
        """How many intents are durable now: another connection sees a commit only after its sync."""
        return sum(record["kind"] == "intent" for record in self.records())

    def _select(self, sql: str) -> list[Any]:
        found: list[Any] = []
        for path in sorted(self.folder.glob("data/**/*.sqlite")):
            db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
            try:
                found += [row[0] for row in db.execute(sql)]
            finally:
                db.close()
        return found

    def written(self) -> bytes:
        """Every byte of every file that it wrote, but for the catalogue, keys and pepper."""
        files = [self._log, *sorted(self.folder.glob("data/**/*.sqlite*"))]
        return b"".join(path.read_bytes() for path in files if path.exists())

    async def rejects(self) -> float:
        return sum(float(value) for value in _REJECTS.findall((await self._get("/metrics"))[1]))

    async def mark(self) -> Mark:
        """Where everything stands."""
        return Mark(len(self.records()), self._log.stat().st_size, await self.rejects())

    async def since(self, mark: object) -> Trace:
        """What was written since, once every intent has its outcome."""
        assert isinstance(mark, Mark)
        deadline = asyncio.get_running_loop().time() + _SETTLE_SECONDS
        while True:
            records = self.records()[mark.records :]
            kinds = Counter(record["kind"] for record in records)
            if kinds["intent"] == kinds["outcome"] or asyncio.get_running_loop().time() > deadline:
                break
            await asyncio.sleep(0.02)
        said = self._log.read_bytes()[mark.said :] + json.dumps(records).encode()
        counted = int(await self.rejects() - mark.rejects)
        return Trace(records=tuple(records), counted=counted, said=said)
