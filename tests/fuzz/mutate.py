"""Seeded mutations of bodies, heads and paths: each aims at a place where two readers may disagree.

Every function takes a `random.Random` and bytes and gives bytes back; the same seed gives the same
bytes on every machine.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from random import Random
from typing import TypeAlias

Mutation: TypeAlias = Callable[[Random, bytes], bytes]

DENIED = b"openai/gpt-5.5"
_KEYS = (
    b"model", b"stream", b"store", b"messages", b"input", b"tools", b"models", b"fallback_models",
    b"provider", b"role", b"content", b"type", b"metadata", b"route", b"extra_body", b"x_new",
    b"contents", b"cachedContent",
)  # fmt: skip
_VALUES = (
    b'"openai/gpt-5.5"', b"true", b"null", b"1", b"{}", b"[]", b'["openai/gpt-5.5"]',
    b'{"model":"openai/gpt-5.5"}', b"1e999", b"NaN", b"-0", b'"\\ud800"', b'""', b'" azure/gpt-5.5"',
    b"99999999999999999999", b'"\\u0000"',
)  # fmt: skip
_SPLICES = (
    b"\x00", b"\xef\xbb\xbf", b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xe2\x80\x8b", b"/*", b"*/",
    b"//\n", b"\\u0000", b"\\ud800", b"\\", b'"', b",", b"{", b"}", b"[", b"]", b":", b"'", b"\n",
    b"\r\n", b"\t", b"#", b"+ACI-", b"\x1f\x8b",
)  # fmt: skip
_MEMBER = re.compile(rb'"((?:[^"\\]|\\.)*)"(\s*):')


def duplicate_member(random: Random, body: bytes) -> bytes:
    """Say a known member once more, at the start or the end of some object."""
    member = b'"%s":%s' % (_spelling(random, random.choice(_KEYS)), random.choice(_VALUES))
    places = [at for at, byte in enumerate(body) if byte in b"{}"]
    if not places:
        return member
    at = random.choice(places)
    if body[at : at + 1] == b"{":
        return body[: at + 1] + member + b"," + body[at + 1 :]
    return body[:at] + b"," + member + body[at:]


def respell_member(random: Random, body: bytes) -> bytes:
    """Write the name of some member in another way."""
    members = list(_MEMBER.finditer(body))
    if not members:
        return body
    chosen = random.choice(members)
    return body[: chosen.start(1)] + _spelling(random, chosen[1]) + body[chosen.end(1) :]


def _spelling(random: Random, name: bytes) -> bytes:
    """The same name, or one that some reader takes for it."""
    if not name:
        return name
    at = random.randrange(len(name))
    letter = name[at : at + 1]
    if letter == b"\\" or not name.isascii():
        return name
    other = random.choice((
        letter,
        letter.swapcase(),
        b"\\u%04x" % letter[0],
        chr(0xFEE0 + letter[0]).encode() if 0x21 <= letter[0] <= 0x7E else letter,
        {b"s": "\u017f", b"k": "\u212a"}.get(letter, "\u200b" + letter.decode()).encode(),
        letter + b"\\u0000",
        letter + b"\\ud800",
        letter + b" ",
        letter + "\u0301".encode(),
        b"",
    ))  # fmt: skip
    return name[:at] + other + name[at + 1 :]


def replace_value(random: Random, body: bytes) -> bytes:
    """Put something else where a member's value begins."""
    members = list(_MEMBER.finditer(body))
    if not members:
        return random.choice(_VALUES)
    chosen = random.choice(members)
    end = re.compile(rb'\s*("(?:[^"\\]|\\.)*"|[^,}\]{\[]*)').match(body, chosen.end())
    return body[: chosen.end()] + random.choice(_VALUES) + body[end.end() if end else chosen.end() :]


def splice(random: Random, body: bytes) -> bytes:
    """Insert a few telling bytes somewhere."""
    at = random.choice((0, len(body), random.randint(0, len(body))))
    return body[:at] + random.choice(_SPLICES) + body[at:]


def flip(random: Random, body: bytes) -> bytes:
    """Change one byte."""
    if not body:
        return b"\x00"
    at = random.randrange(len(body))
    return body[:at] + bytes((random.randrange(256),)) + body[at + 1 :]


def cut(random: Random, body: bytes) -> bytes:
    """Leave a span out."""
    start = random.randint(0, len(body))
    return body[:start] + body[random.randint(start, min(len(body), start + 8)) :]


def append_document(random: Random, body: bytes) -> bytes:
    """Let a second document follow, or come first."""
    second = b'{"model":"%s","messages":[]}' % DENIED
    between = random.choice((b"", b"\n", b"\x00", b"\x1e", b" ", b"\r\n\r\n"))
    return second + between + body if random.random() < 0.3 else body + between + second


def transcode(random: Random, body: bytes) -> bytes:
    """The same text in another encoding, or packed."""
    text = body.decode("utf-8", "replace")
    codec = random.choice(("utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32-le", "utf-7", "gzip"))
    return gzip.compress(body, mtime=0) if codec == "gzip" else text.encode(codec)


def nest(random: Random, body: bytes) -> bytes:
    """Wrap the body deeper than some readers go."""
    times = random.choice((1, 62, 63, 64, 65, 200, 5000))
    return b'{"model":"azure/gpt-5.5","metadata":' * times + body + b"}" * times


def respace(random: Random, body: bytes) -> bytes:
    """Spaces where JSON allows them, which changes nothing for any reader."""
    places = [at for at, byte in enumerate(body) if byte in b"{}"]
    at = random.choice(places) if places else 0
    return body[:at] + random.choice((b" ", b"\t", b"\n", b"\r\n  ")) + body[at:]


def escape(random: Random, body: bytes) -> bytes:
    """Write one letter of some text as an escape, which changes nothing for any reader."""
    texts = list(re.finditer(rb'"[a-z]+"', body))
    if not texts:
        return body
    at = random.choice(texts).start() + 1
    return body[:at] + b"\\u%04x" % body[at] + body[at + 1 :]


HARMLESS: tuple[Mutation, ...] = (respace, escape)
BODY: tuple[Mutation, ...] = (
    duplicate_member, duplicate_member, duplicate_member, respell_member, respell_member, replace_value,
    splice, flip, cut, append_document, transcode, nest,
)  # fmt: skip


def body(random: Random, seed: bytes) -> bytes:
    """One to three mutations of a body."""
    for _ in range(random.choice((1, 1, 1, 2, 2, 3))):
        seed = random.choice(BODY)(random, seed)
    return seed


_PATH_BITS = (
    "..", ".", "%2e%2e", "%2f", "%5c", "\\", "//", ";x=1", "%00", "%0d%0a", "#", "?", "%3f", "%23", "*",
    ":", "%252e", "\u212a", " ", "models", "v1", "v3", "compat", "openai%2Fgpt-5.5", "gemini-us-fixture",
    "&key=x", "?model=openai/gpt-5.5", "?key=other", "?alt=sse", "?beta=true", ":generateContent", "/",
    "@", "http://x",
)  # fmt: skip


def path(random: Random, seed: str) -> str:
    """One to three mutations of a request target."""
    for _ in range(random.choice((1, 1, 2, 3))):
        at = random.randint(0, len(seed))
        match random.randrange(5):
            case 0:
                seed = seed[:at] + random.choice(_PATH_BITS) + seed[at:]
            case 1:
                seed = seed[:at] + seed[at + 1 :]
            case 2:
                seed = seed[:at] + seed[at : at + 1].swapcase() + seed[at + 1 :]
            case 3 if at < len(seed):
                seed = seed[:at] + f"%{ord(seed[at]):02x}" + seed[at + 1 :]
            case _:
                pieces = seed.split("/")
                random.shuffle(pieces)
                seed = "/".join(pieces)
    return seed


_FIELDS = (
    b"Content-Length: 5", b"Content-Length: +78", b"Content-Length: 78, 78",
    b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity", b"transfer-encoding:\x0bchunked",
    b"Content-Encoding: gzip", b"Host: other.test", b"Content-Type: text/plain",
    b"Content-Type: application/json; charset=utf-7", b"Upgrade: h2c", b"Expect: x",
    b"Authorization: Bearer other", b"x-api-key: other", b"X-Opper-Api-Key: op-attacker",
    b"TE: trailers", b"Connection: Content-Length", b"X-HTTP-Method-Override: GET",
    b"anthropic-version: 2023-06-01", b"x-goog-api-key: rk-test-0123456789abcdef0123456789abcdef",
    b"Trailer: Host", b" folded: yes", b"X\x00: y", b"X-A: b\rc", b"X-A: b\nHost: c",
    b"Proxy-Connection: keep-alive", b"anthropic-beta: mcp-client-2025-11-20",
)  # fmt: skip


def head(random: Random, seed: bytes) -> bytes:
    """One to three mutations of a request head (without its closing empty line)."""
    for _ in range(random.choice((1, 1, 2, 3))):
        first, *fields = seed.split(b"\r\n")
        match random.randrange(7):
            case 0 | 1:
                fields.insert(random.randint(0, len(fields)), random.choice(_FIELDS))
            case 2 if fields:
                fields.insert(random.randint(0, len(fields)), random.choice(fields))
            case 3 if fields:
                del fields[random.randrange(len(fields))]
            case 4 if fields:
                at = random.randrange(len(fields))
                fields[at] = random.choice((flip, splice, cut))(random, fields[at])
            case 5:
                first = random.choice((flip, splice, cut))(random, first)
            case _:
                seed = seed.replace(b"\r\n", random.choice((b"\n", b"\r", b"\r\n\r\n", b"\r\n ")), 1)
                continue
        seed = b"\r\n".join((first, *fields))
    return seed


def message(random: Random, seed: bytes) -> bytes:
    """Mutations of a whole message: of its head, of its body, or anywhere."""
    start, gap, rest = seed.partition(b"\r\n\r\n")
    match random.randrange(3):
        case 0:
            return head(random, start) + gap + rest
        case 1:
            return start + gap + _bytes(random, rest)
        case _:
            return _bytes(random, seed)


def _bytes(random: Random, seed: bytes) -> bytes:
    for _ in range(random.choice((1, 1, 2, 3))):
        seed = random.choice((flip, splice, cut))(random, seed)
    return seed


def input_of(target: str, random: Random, seed: bytes) -> bytes:
    """Mutations of an input in the form that a target takes."""
    if target == "path":
        method, _, written = seed.decode("latin-1").partition(" ")
        return f"{method} {path(random, written)}".encode("latin-1", "ignore")
    if target in ("answer", "request"):
        return message(random, seed)
    if target in ("members", "forward"):
        return seed[:1] + body(random, seed[1:])
    return body(random, seed)
