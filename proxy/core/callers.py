"""a credential's fingerprint -> a Caller

A credential may stand in any carrier that the SDKs use, and must be the same in all of them: a second,
different one would let the proxy judge one caller while something behind it reads another.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from proxy.core.errors import Unreadable
from proxy.core.values import Caller, Fingerprint, RawRequest

LONGEST = 1024
"""Bytes of the longest credential that is looked at; the longest that a vendor issues has about 200."""

_VISIBLE = bytes(range(0x21, 0x7F))
_PLAIN_CARRIERS = (b"x-api-key", b"x-goog-api-key")
_HINT = "Send the key that Ringfence issued or adopted as `Authorization: Bearer <key>`."


@dataclass(frozen=True, slots=True)
class CallerTable:
    """Every key that is in force, by fingerprint."""

    entries: Mapping[Fingerprint, Caller]

    def find(self, fingerprint: Fingerprint) -> Caller | None:
        """The caller whose key has this fingerprint, or None for a key that is unknown or revoked."""
        return self.entries.get(fingerprint)


def fingerprint(secret: bytes, pepper: bytes) -> Fingerprint:
    """HMAC-SHA-256 of a credential, keyed with the pepper, as 64 lower-case hex digits.

    Look-up by this value needs no comparison in constant time: who cannot compute it learns nothing
    from how long a look-up takes.
    """
    own = _keyed(pepper).copy()
    own.update(secret)
    return Fingerprint(own.hexdigest())


@lru_cache(maxsize=4)
def _keyed(pepper: bytes) -> hmac.HMAC:
    """The state after keying: a copy of it does not let go of the interpreter lock, as hmac.digest does."""
    return hmac.new(pepper, digestmod="sha256")


def credential(raw: RawRequest) -> bytes:
    """The one credential of a request, as the bytes that its sender holds.

    Raises `Unreadable`: `no_credential` when there is none that could be a key, and
    `conflicting_credentials` when two carriers differ or one carrier comes twice.
    """
    return _sole(raw) or _weighed(raw)


def _sole(raw: RawRequest) -> bytes:
    """A usable bearer token that nothing else stands beside, as nearly every request has it; else b""."""
    fields, query = raw.fields, raw.query
    bearer = fields.first.get(b"authorization", b"")
    alone = not fields.repeated and fields.first.keys().isdisjoint(_PLAIN_CARRIERS)
    if not alone or not bearer.startswith(b"Bearer ") or (query and ("key" in query or "%" in query)):
        return b""
    token = bearer[7:]
    return token if _usable(token) else b""


def _weighed(raw: RawRequest) -> bytes:
    """Every carrier looked at, each compared with those before it."""
    found = b""
    seen: set[str] = set()
    for carrier, value in _carried(raw):
        if carrier in seen:
            raise Unreadable("conflicting_credentials", f"{carrier} came twice. Send it once.", param=carrier)
        seen.add(carrier)
        if not _usable(value):
            raise Unreadable("no_credential", f"{carrier} holds no usable key. {_HINT}", param=carrier)
        if found and value != found:
            raise Unreadable(
                "conflicting_credentials",
                f"The keys in {' and '.join(sorted(seen))} differ. Send one key.",
                param=carrier,
            )
        found = value
    if not found:
        raise Unreadable("no_credential", f"The request has no key. {_HINT}")
    return found


def _carried(raw: RawRequest) -> Iterator[tuple[str, bytes]]:
    for name, value in raw.headers:
        lowered = name.lower()
        if lowered == b"authorization":
            yield "Authorization", _bearer(value)
        elif lowered in _PLAIN_CARRIERS:
            yield lowered.decode("ascii"), value
    if "key" in raw.query or "%" in raw.query:
        yield from _in_query(raw.query)


def _bearer(value: bytes) -> bytes:
    scheme, space, token = value.partition(b" ")
    # RFC 9110 section 11.1: the scheme is case-insensitive. Section 11.4: one space, then the token.
    if scheme.lower() != b"bearer" or not space:
        return b""
    return token


def _in_query(query: str) -> Iterator[tuple[str, bytes]]:
    for pair in query.encode("utf-8", "surrogatepass").split(b"&"):
        name, _, value = pair.partition(b"=")
        if unquote_to_bytes(name) == b"key":
            yield "?key=", unquote_to_bytes(value)


def _usable(value: bytes) -> bool:
    return 0 < len(value) <= LONGEST and not value.translate(None, _VISIBLE)
