"""what must be true of the interpreter and its libraries before anything is served"""

from __future__ import annotations

import importlib.metadata

from aiohttp.http_parser import HttpRequestParser, HttpResponseParser

from proxy.core.errors import Mistake

LEAST_AIOHTTP = (3, 14, 3)
"""The oldest release without a known advisory on parsing (CVE-2026-69243, CVE-2026-69244)."""


def require_sound_runtime() -> None:
    """Refuse to start on a lenient parser, a vulnerable aiohttp, or without assertions.

    The pure Python parser of aiohttp accepts heads that the C one refuses; `python -O` removes checks
    that aiohttp and the proxy rely on.
    """
    for parser in (HttpRequestParser, HttpResponseParser):
        if parser.__module__ != "aiohttp._http_parser":
            raise Mistake(
                "aiohttp's C parser is not loaded; unset AIOHTTP_NO_EXTENSIONS and install a wheel of aiohttp"
            )
    version = importlib.metadata.version("aiohttp")
    if tuple(int(part) for part in version.split(".")[:3] if part.isdecimal()) < LEAST_AIOHTTP:
        least = ".".join(map(str, LEAST_AIOHTTP))
        raise Mistake(f"aiohttp {version} has known vulnerabilities; install {least} or later")
    if not __debug__:
        raise Mistake("python -O removes checks that the proxy relies on; start it without -O")
