"""the catalogue's way in: fetch it whole, keep the last good one, say what changed

An answer replaces the catalogue only when it is whole and believable. Everything else leaves the
last good one in force, where age makes its claims unknown.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import resources
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import aiohttp
import jiter
import orjson
from aiohttp.abc import ResolveResult
from aiohttp.resolver import ThreadedResolver
from typing_extensions import override

from proxy.core.catalog import Catalogue, CatalogueDiff, diff, read_catalogue
from proxy.spellings import is_local_name

SNAPSHOT = "catalogue.json"
_MAX_BYTES = 64 * 1024 * 1024
_HALF = 0.5

_MEANINGS = {
    "replaced": "The catalogue was fetched and is in force.",
    "unreachable": "The gateway's catalogue could not be reached; check base URL, network and certificates.",
    "refused": "The gateway refused to give its catalogue; check the upstream key.",
    "status": "The gateway answered the catalogue request with an error status.",
    "redirect": "The catalogue request was redirected, which is not followed; check the base URL.",
    "too_large": "The catalogue answer is larger than the limit.",
    "unparsable": "The catalogue answer is not the JSON that the API documents.",
    "incomplete": "The catalogue answer holds fewer rows than it announces.",
    "empty": "The catalogue answer holds no usable row.",
    "shrunk": "The catalogue answer holds less than half the routes of the one before; "
    "`ringfence catalog sync --accept-smaller` takes it.",
    "not_saved": "The catalogue is in force but could not be written to the data directory.",
}


@dataclass(frozen=True, slots=True)
class SyncSettings:
    """Where the catalogue comes from and is kept. `key` adds `include=route,policy`; times are seconds."""

    base_url: str
    data_dir: Path
    key: str = field(default="", repr=False)
    timeout: float = 60.0
    max_bytes: int = _MAX_BYTES
    ca_file: Path | None = None
    allow_private_addresses: bool = False


class _PublicOnly(ThreadedResolver):
    """Finds public addresses only: a name that turns inwards must not be sent the key."""

    @override
    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await super().resolve(host, port, family)
        if not is_local_name(host) and not all(ip_address(each["host"]).is_global for each in found):
            raise OSError(f"{host} has an address inside the network")
        return found


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What a refresh came to. `code` is one of a fixed set; `catalogue` is what is in force after it."""

    replaced: bool
    code: str
    message: str
    catalogue: Catalogue
    changes: CatalogueDiff | None = None
    status: int | None = None


class _Refused(Exception):
    """The answer cannot replace the catalogue."""

    def __init__(self, code: str, status: int | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.status = status


def _now() -> datetime:
    return datetime.now(UTC)


class CatalogueSync:
    """Loads, refreshes and keeps the catalogue of one gateway."""

    def __init__(self, settings: SyncSettings, *, clock: Callable[[], datetime] = _now) -> None:
        self._settings = settings
        self._clock = clock
        self._folder = settings.data_dir / "catalogue"
        self._source = settings.base_url.rstrip("/") + "/v3/models"
        self._current: Catalogue | None = None

    @property
    def catalogue(self) -> Catalogue:
        """The catalogue in force; loads it on first use."""
        return self._current or self.load()

    def load(self) -> Catalogue:
        """The last good catalogue of this gateway from disk, else the bundled snapshot."""
        kept = read_kept(self._folder / "current.json")
        same = kept is not None and kept.source == self._source
        self._current = kept if kept is not None and same else bundled()
        return self._current

    async def refresh(self, *, accept_smaller: bool = False) -> SyncReport:
        """Fetch once and replace the catalogue whole, or keep the one in force and say why."""
        before = self.catalogue
        try:
            body = await self._fetch()
            # Reading a thousand rows and making them durable would hold up every stream on the loop.
            new = await asyncio.to_thread(self._read, body, before, accept_smaller)
        except _Refused as refusal:
            return SyncReport(False, refusal.code, _MEANINGS[refusal.code], before, status=refusal.status)
        self._current = new
        code = "replaced" if await asyncio.to_thread(self._keep, body, new, before) else "not_saved"
        return SyncReport(True, code, _MEANINGS[code], new, diff(before, new))

    def _read(self, body: bytes, before: Catalogue, accept_smaller: bool) -> Catalogue:
        """Refuse what is not JSON with one reading, empty, only a page, or suddenly much smaller."""
        payload = _parse(body)
        try:
            new = read_catalogue(payload, source=self._source, fetched_at=self._clock())
        except (ArithmeticError, LookupError, RecursionError, TypeError, ValueError):
            # Reading takes whatever a row is made of; a mistake of ours in it must not end the proxy.
            raise _Refused("unparsable") from None
        total = payload.get("total")
        if isinstance(total, int) and total > len(payload["models"]):
            raise _Refused("incomplete")
        if not new.routes:
            raise _Refused("empty")
        comparable = before.source == new.source and not accept_smaller
        if comparable and len(new.routes) < len(before.routes) * _HALF:
            raise _Refused("shrunk")
        return new

    async def _fetch(self) -> bytes:
        """The answer's bytes: no redirect, cookie, proxy variable or content coding; bounded."""
        settings = self._settings
        query = "?limit=0" + ("&include=route,policy" if settings.key else "")
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        if settings.key:
            headers["Authorization"] = f"Bearer {settings.key}"
        try:
            async with (
                self._session() as session,
                session.get(self._source + query, headers=headers, allow_redirects=False) as reply,
            ):
                _check_head(reply)
                return await _bounded(reply, settings.max_bytes)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            raise _Refused("unreachable") from None

    def _session(self) -> aiohttp.ClientSession:
        trust = ssl.create_default_context(cafile=self._settings.ca_file)
        resolver = ThreadedResolver() if self._settings.allow_private_addresses else _PublicOnly()
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=trust, resolver=resolver),
            timeout=aiohttp.ClientTimeout(total=self._settings.timeout),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
        )

    def _keep(self, body: bytes, new: Catalogue, before: Catalogue) -> bool:
        """Write the new catalogue so that a crash leaves either the old or the new; keep the one before."""
        current = self._folder / "current.json"
        head = orjson.dumps({"source": new.source, "fetched_at": new.fetched_at.isoformat()})
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if before.digest != new.digest and current.exists():
                _replace(self._folder / "previous.json", current.read_bytes())
            _replace(current, head[:-1] + b',"payload":' + body + b"}")
        except OSError:
            return False
        return True


def bundled() -> Catalogue:
    """The snapshot that ships with the product: only facts found in public material, dated."""
    data = jiter.from_json((resources.files("proxy.tables") / SNAPSHOT).read_bytes())
    return read_catalogue(
        data,
        source="the bundled snapshot",
        fetched_at=datetime.fromisoformat(data["compiled"]).replace(tzinfo=UTC),
    )


def kept(data_dir: Path) -> tuple[Catalogue | None, Catalogue | None]:
    """The catalogue on disk and the different one before it; None for what is absent or broken."""
    folder = data_dir / "catalogue"
    return read_kept(folder / "current.json"), read_kept(folder / "previous.json")


def read_kept(path: Path) -> Catalogue | None:
    """A catalogue as `CatalogueSync` wrote it, or None when the file is absent or not whole."""
    try:
        data = jiter.from_json(path.read_bytes(), catch_duplicate_keys=True)
        fetched_at = datetime.fromisoformat(data["fetched_at"]).astimezone(UTC)
        read = read_catalogue(data["payload"], source=str(data["source"]), fetched_at=fetched_at)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return read if read.routes else None


def _check_head(reply: aiohttp.ClientResponse) -> None:
    if 300 <= reply.status < 400:
        raise _Refused("redirect", reply.status)
    if reply.status in (401, 403):
        raise _Refused("refused", reply.status)
    if reply.status != 200:
        raise _Refused("status", reply.status)
    if reply.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise _Refused("unparsable", reply.status)


async def _bounded(reply: aiohttp.ClientResponse, limit: int) -> bytes:
    body = bytearray()
    async for chunk in reply.content.iter_any():
        body += chunk
        if len(body) > limit:
            raise _Refused("too_large", reply.status)
    return bytes(body)


def _parse(body: bytes) -> dict[str, Any]:
    """The answer as JSON with one reading: a repeated key could hide a worse posture."""
    try:
        payload = jiter.from_json(body, catch_duplicate_keys=True, allow_inf_nan=False)
    except ValueError:
        raise _Refused("unparsable") from None
    if not isinstance(payload, dict) or not isinstance(payload.get("models"), list):
        raise _Refused("unparsable")
    return payload


def _replace(path: Path, body: bytes) -> None:
    """Put a file in place whole: written beside, made durable, then renamed over."""
    descriptor, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except OSError:
        Path(beside).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
