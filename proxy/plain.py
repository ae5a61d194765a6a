"""messages whose bytes can be cut in one way only, read without a parser

Stricter than RFC 9112: HTTP/1.1 spelled exactly, visible ASCII, no field twice, nothing folded, a plain
length. Whatever is not of this form takes the long way, through aiohttp's parsers, which read what is of this
form alike.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from proxy.core.fields import Fields

# One space after the colon and none before, no bare CR or LF, nothing beyond ASCII, no value that is empty or
# ends in white space; in the target, what our endpoints take.
_FIELDS = rb"((?:[!#$%&'*+.^_`|~0-9A-Za-z-]++: [!-~][\t -~]*+(?<![\t ])\r\n)++)\r\n"
_FIELD = re.compile(rb"([^:]++): ([^\r]++)\r\n")
_HEAD = re.compile(rb"POST (/[A-Za-z0-9._~@:+/?=&%-]*+) HTTP/1\.1\r\n" + _FIELDS)
_ANSWER = re.compile(rb"HTTP/1\.1 ([2-5][0-9]{2}) [\t -~]*+\r\n" + _FIELDS)
_LENGTH = re.compile(rb"[1-9][0-9]{0,8}")
ANSWER_LENGTH = re.compile(rb"[0-9]{1,15}")
_BODILESS = frozenset({b"204", b"304"})
_NEVER = (b"transfer-encoding", b"expect", b"upgrade")


@dataclass(slots=True)
class Plain:
    """A request in its parts."""

    target: str
    fields: Fields
    body: bytes


def cut(data: bytes, *, longest_head: int, most_fields: int) -> Plain | None:
    """The one request that `data` is from its first to its last byte, or None for anything else.

    The connection can carry another request after it. Sizes are bytes.
    """
    found = _HEAD.match(data)
    if found is None or found.end() > longest_head:
        return None
    fields = Fields(tuple(_FIELD.findall(found[2])))
    body = data[found.end() :]
    if fields.repeated or len(fields.pairs) > most_fields or not _framed(fields.first, len(body)):
        return None
    return Plain(found[1].decode("ascii"), fields, body)


@dataclass(slots=True)
class Head:
    """The head of an answer."""

    status: int
    fields: Fields


def cut_answer(data: bytes, *, longest_head: int) -> tuple[Head, int | None, bytes] | None:
    """The head that `data` begins with, its body's length, and what came of it; None for anything else.

    The length is None where the body comes in chunks. The connection can carry another answer after it. Not
    for an answer to HEAD.
    """
    found = _ANSWER.match(data)
    if found is None or found.end() > longest_head or found[1] in _BODILESS:
        return None
    fields = Fields(tuple(_FIELD.findall(found[2])))
    if fields.repeated or b"connection" in fields.first or b"upgrade" in fields.first:
        return None
    length, coding = (fields.first.get(name) for name in (b"content-length", b"transfer-encoding"))
    if (length is None) == (coding is None):
        return None
    if coding is not None:
        return (Head(int(found[1]), fields), None, data[found.end() :]) if coding == b"chunked" else None
    if length is None or not ANSWER_LENGTH.fullmatch(length):
        return None
    return Head(int(found[1]), fields), int(length), data[found.end() :]


def _framed(names: Mapping[bytes, bytes], size: int) -> bool:
    """Whether a length alone tells the body, a host is named, and the connection lives on."""
    length = names.get(b"content-length", b"")
    if not _LENGTH.fullmatch(length) or int(length) != size:
        return False
    if b"host" not in names or any(name in names for name in _NEVER):
        return False
    return names.get(b"connection", b"keep-alive").lower() == b"keep-alive"
