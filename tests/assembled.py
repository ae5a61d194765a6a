"""Ringfence put together in this process: the parts that `ringfence serve` runs, without its port.

`async with assembled(folder) as stand:` wires a worker before a simulator, both in this loop. A request
goes in as `RawRequest` and comes out as `Answer`; `stand.seen` is what reached the gateway.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proxy.config import Settings, read_settings
from proxy.core.errors import JournalUnavailable, UpstreamFailure
from proxy.core.values import RawRequest
from proxy.pipeline import Pipeline
from proxy.relay import Relay
from proxy.simulator import Options, Seen, Simulator
from proxy.wiring import Assembly, assemble
from tests.journal import kit
from tests.poured import into
from tests.running import POLICIES, UPSTREAM_KEY, _adopt, _write

CHAT = "/v1/chat/completions"
ATLAS = "example-us/atlas-1"
TRAINS = "example-open/atlas-1"
"""A route of the same model whose provider trains on what it is sent."""
MISSION_KEY = "op-mission-0123456789abcdef0123456789abcdef"


@dataclass(frozen=True)
class Answer:
    """What a client would have got. `broken` says that the body did not come to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    relayed: bool
    broken: bool = False

    @property
    def code(self) -> str:
        """The reason code of a refusal, "" for the gateway's own answers."""
        return self.headers.get("x-ringfence-refusal", "")

    @property
    def rid(self) -> str:
        """The decision id."""
        return self.headers.get("x-ringfence-decision-id", "")


@dataclass
class Stand:
    """A worker's parts, the gateway that they know, and the files that they read."""

    folder: Path
    simulator: Simulator
    assembly: Assembly
    keys: Mapping[str, str]

    @property
    def pipeline(self) -> Pipeline:
        return self.assembly.front.pipeline

    @property
    def seen(self) -> tuple[Seen, ...]:
        """What the gateway has received, the catalogue's own fetches left out."""
        return tuple(each for each in self.simulator.witness.seen if each.path != "/v3/models")

    # -- requests --------------------------------------------------------------------------------

    def raw(
        self, body: Mapping[str, Any] | bytes | None = None, *, project: str = "open", path: str = CHAT,
        method: str = "POST", headers: Mapping[str, str] | None = None,
    ) -> RawRequest:  # fmt: skip
        """A request as the server would hand it over; a project of "" sends no key."""
        content = body if isinstance(body, bytes) else json.dumps(body or chat()).encode()
        fields = {"content-type": "application/json", **(headers or {})}
        if project:
            fields.setdefault("authorization", f"Bearer {self.keys.get(project, project)}")
        named = tuple((name.encode(), value.encode()) for name, value in fields.items())
        target, _, query = path.partition("?")
        return RawRequest(method, target, query, named, b"" if method == "GET" else content, "127.0.0.1")

    async def ask(self, body: Mapping[str, Any] | bytes | None = None, **asked: Any) -> Answer:
        """Send a request and read its answer to the end."""
        return await self.serve(self.raw(body, **asked))

    async def serve(self, raw: RawRequest) -> Answer:
        """Pass a request through the pipeline and read what comes out of it to the end."""
        answer = await self.pipeline.serve(raw)
        if not isinstance(answer, Relay):
            headers = {name.lower(): value for name, value in answer.headers}
            return Answer(answer.status, headers, answer.body, relayed=False)
        headers = {name.decode().lower(): value.decode("latin-1") for name, value in answer.headers}
        parts: list[bytes] = []
        try:
            await into(parts, answer)
        except UpstreamFailure:
            return Answer(answer.status, headers, b"".join(parts), relayed=True, broken=True)
        return Answer(answer.status, headers, b"".join(parts), relayed=True)

    # -- what was written ------------------------------------------------------------------------

    async def records(self, *kinds: str) -> list[dict[str, Any]]:
        """Every record of these kinds, once all that was handed over is durable."""
        await kit.until(lambda: self.assembly.journal.pending == 0)
        return kit.records(self.folder / "data", *kinds)

    async def about(self, answer: Answer) -> list[str]:
        """The kinds of the records about one request, in their order."""
        return [record["kind"] for record in await self.records() if record.get("rid") == answer.rid]

    async def last(self, kind: str) -> dict[str, Any]:
        """The newest record of a kind."""
        return (await self.records(kind))[-1]

    # -- files -----------------------------------------------------------------------------------

    def write(self, name: str, text: str | None) -> None:
        """Write or remove an operator's file, and have the proxy look."""
        file = self.folder / name
        if text is None:
            file.unlink()
        else:
            file.write_text(text, encoding="utf-8")
        self.assembly.revisions.look(again=True)

    async def sync(self) -> None:
        """Fetch the catalogue as the worker does."""
        report = await self.assembly.sync.refresh()
        assert report.replaced, report
        self.assembly.quarantine.clear()
        self.assembly.revisions.look(again=True)


def chat(model: str = ATLAS, text: str = "hello", **more: Any) -> dict[str, Any]:
    """A chat request."""
    return {"model": model, "messages": [{"role": "user", "content": text}], **more}


def settings_in(
    folder: Path,
    gateway: str,
    *,
    policies: Mapping[str, str] = POLICIES,
    config: Mapping[str, Any] | None = None,
) -> Settings:
    """The settings of a folder that is filled with an operator's files; the gateway's keys lie in files."""
    ours: dict[str, Any] = {"gateway": {"api_key_file": "gateway.key"}, "audit": kit.QUICK}
    for group, values in (config or {}).items():
        ours[group] = {**ours.get(group, {}), **values} if isinstance(values, dict) else values
    _write(folder, gateway, policies, ours)
    for name, key in (("gateway.key", UPSTREAM_KEY), ("mission.key", MISSION_KEY)):
        (folder / name).write_text(key)
        (folder / name).chmod(0o600)
    return read_settings(folder / "config.yaml", {})


@asynccontextmanager
async def assembled(
    folder: Path, *, policies: Mapping[str, str] = POLICIES, config: Mapping[str, Any] | None = None
) -> AsyncIterator[Stand]:
    """Everything wired, the catalogue fetched; `config` is laid over the settings."""
    known = frozenset({UPSTREAM_KEY, MISSION_KEY})
    async with Simulator(Options(keys=known, only_these_keys=True)) as simulator:
        settings = settings_in(folder, simulator.base_url, policies=policies, config=config)
        stand = Stand(folder, simulator, assemble(settings), _adopt(folder))
        try:
            stand.assembly.revisions.look(again=True)
            await stand.sync()
            yield stand
        finally:
            stand.assembly.gateway.close()
            await _closed(stand.assembly)


async def _closed(assembly: Assembly) -> None:
    try:
        await assembly.journal.close()
    except JournalUnavailable:
        # A test that breaks the disk has asserted what follows from it already.
        await asyncio.sleep(0)
