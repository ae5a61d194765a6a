"""checks of the gateway: reachable with TLS verified, keys accepted, and clocks that agree

Asked is only `GET /v3/models`, which sends no content; a key goes out only after the gateway has proved
whom it is, or to this machine.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime

import aiohttp
import orjson

from proxy.config import Settings, read_gateway_keys
from proxy.core.errors import Mistake, Mistakes
from proxy.doctor.finding import Finding, fail, ok, warn
from proxy.gateway import tls_context

_SECONDS = 15.0
_LONGEST = 1 << 22
_SKEW_WARNS, _SKEW_FAILS = 30.0, 300.0


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, the gateway's `Date`, and whether rows say what only a key may see."""

    status: int
    date: str
    keyed: bool


async def upstream_findings(settings: Settings, environ: Mapping[str, str], *, at: datetime) -> list[Finding]:
    """What the gateway answers, without a key first."""
    base_url = settings.gateway.base_url
    try:
        tls = tls_context(settings.gateway.ca_file)
    except OSError as error:
        return [fail("gateway", f"{settings.gateway.ca_file}: {error.strerror}", "Correct gateway.ca_file.")]
    connector = aiohttp.TCPConnector(ssl=tls)
    timeout = aiohttp.ClientTimeout(total=_SECONDS)
    async with aiohttp.ClientSession(
        connector=connector, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False
    ) as session:
        try:
            answer = await _ask(session, base_url)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return [_unreachable(base_url, error)]
        if answer.status != 200:
            return [fail("gateway", f"{base_url} answers {answer.status} to GET /v3/models",
                         "Check gateway.base_url.")]  # fmt: skip
        found = [
            ok("gateway", f"{base_url} answers{', TLS verified' if base_url.startswith('https:') else ''}")
        ]
        found += _clock(answer, at)
        return found + [
            await _accepted(session, base_url, whose, key) for whose, key in _keys(settings, environ)
        ]


def _keys(settings: Settings, environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    try:
        keys = read_gateway_keys(settings.gateway, environ)
    except (Mistake, Mistakes):
        return  # the check of the files has said so
    if keys.default is not None:
        yield "the common key", keys.default
    for project, key in sorted(keys.projects.items()):
        yield f"the key of {project}", key


async def _ask(session: aiohttp.ClientSession, base_url: str, key: str = "") -> Answer:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    url = f"{base_url}/v3/models?limit=1" + ("&include=route,policy" if key else "")
    async with session.get(url, headers=headers, allow_redirects=False) as reply:
        body = await reply.content.read(_LONGEST)
        return Answer(reply.status, reply.headers.get("Date", ""), _keyed(body))


def _keyed(body: bytes) -> bool:
    try:
        rows = orjson.loads(body)["models"]
        return any({"route", "policy"} & row.keys() for row in rows)
    except (ValueError, KeyError, TypeError, AttributeError):
        return False


async def _accepted(session: aiohttp.ClientSession, base_url: str, whose: str, key: str) -> Finding:
    try:
        answer = await _ask(session, base_url, key)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        return _unreachable(base_url, error)
    if answer.status in (401, 403):
        return fail(
            "key accepted", f"the gateway refuses {whose}", "Put a key into its place that is active."
        )
    if answer.status != 200 or not answer.keyed:
        return warn("key accepted", f"the gateway does not say whether it accepts {whose} ({answer.status})",
                    "Send one request through, and look at its outcome.")  # fmt: skip
    return ok("key accepted", whose)


def _unreachable(base_url: str, error: BaseException) -> Finding:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        why = _said(error.certificate_error)
        do = "If a company's proxy stands between, name its authority in gateway.ca_file."
        return fail("gateway", f"the certificate of {base_url} does not hold: {why}", do)
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return fail("gateway", f"the name in {base_url} is not known", "Check gateway.base_url and the DNS.")
    if isinstance(error, asyncio.TimeoutError):
        return fail("gateway", f"{base_url} keeps silent", "Check routes and firewalls.")
    return fail("gateway", f"{base_url} cannot be reached ({type(error).__name__})",
                "Check gateway.base_url, routes and firewalls.")  # fmt: skip


def _said(error: Exception) -> str:
    return str(getattr(error, "verify_message", "")) or type(error).__name__


def _clock(answer: Answer, at: datetime) -> Iterator[Finding]:
    """This clock against the gateway's, whose seconds are whole."""
    try:
        apart = abs((parsedate_to_datetime(answer.date) - at).total_seconds())
    except (ValueError, TypeError):
        return
    says = f"{apart:.0f} s apart from the gateway's"
    do = "Synchronise this machine's clock (chrony, systemd-timesyncd)."
    if apart > _SKEW_FAILS:
        yield fail("clock", f"{says}: attestations and the catalogue's age are judged wrongly", do)
    elif apart > _SKEW_WARNS:
        yield warn("clock", says, do)
    else:
        yield ok("clock", says)
