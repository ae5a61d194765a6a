"""A strict reader of HTTP/1.1 bytes, for both ends of the bypass runner.

It knows nothing of the product: what it cannot read is reported as unread bytes, never repaired.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_FIRST_ANSWER = re.compile(rb"HTTP/1\.[01] (\d\d\d)(?: [^\r\n]*)?")
_FIRST_REQUEST = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) (\S+) HTTP/1\.1")


class Unframed(Exception):
    """Bytes that are not one HTTP/1.1 message after the other."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message. `first` is its request or status line; `whole` says whether its body came to its end."""

    first: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    whole: bool
    size: int

    def all(self, name: bytes) -> list[bytes]:
        """Every value of a header, compared without regard to case."""
        return [value for key, value in self.headers if key.lower() == name]

    @property
    def status(self) -> int:
        """The status of an answer."""
        return int(self.first.split(b" ")[1])

    @property
    def method(self) -> str:
        """The method of a request."""
        return self.first.split(b" ")[0].decode("ascii")

    @property
    def target(self) -> str:
        """The raw target of a request, byte for byte."""
        return self.first.split(b" ")[1].decode("latin-1")


def read(data: bytes, *, answers: bool, ended: bool = False) -> Message | None:
    """The first message in `data`, or None while its head is not there.

    An answer whose body runs to the end of the connection is whole once `ended`.
    """
    head, gap, rest = data.partition(b"\r\n\r\n")
    if not gap:
        return None
    first, *lines = head.split(b"\r\n")
    if not (_FIRST_ANSWER if answers else _FIRST_REQUEST).fullmatch(first):
        raise Unframed(first[:80])
    headers = tuple(map(_field, lines))
    body, used, whole = _body(rest, first, headers, answers=answers, ended=ended)
    return Message(first, headers, body, whole, len(head) + 4 + used)


def read_all(data: bytes, *, answers: bool, ended: bool = False) -> tuple[list[Message], bytes]:
    """Every message, and what was left over: an unfinished head, or bytes that are no message."""
    found: list[Message] = []
    while data:
        try:
            message = read(data, answers=answers, ended=ended)
        except Unframed:
            break
        if message is None:
            break
        found.append(message)
        if not message.whole:
            return found, b""
        data = data[message.size :]
    return found, data


def _field(line: bytes) -> tuple[bytes, bytes]:
    name, colon, value = line.partition(b":")
    if not colon or not _NAME.fullmatch(name) or re.search(rb"[\x00\r\n]", value):
        raise Unframed(line[:80])
    return name, value.strip(b" \t")


def _body(
    rest: bytes, first: bytes, headers: tuple[tuple[bytes, bytes], ...], *, answers: bool, ended: bool
) -> tuple[bytes, int, bool]:
    lengths = [value for name, value in headers if name.lower() == b"content-length"]
    codings = [value for name, value in headers if name.lower() == b"transfer-encoding"]
    if len(lengths) + len(codings) > 1 or any(coding.lower() != b"chunked" for coding in codings):
        raise Unframed(first[:80])
    if codings:
        return _chunked(rest)
    if lengths:
        if not re.fullmatch(rb"[0-9]{1,12}", lengths[0]):
            raise Unframed(first[:80])
        size = int(lengths[0])
        return rest[:size], min(size, len(rest)), len(rest) >= size
    if not answers or first.split(b" ")[1] in (b"204", b"304") or first.split(b" ")[1].startswith(b"1"):
        return b"", 0, True
    return rest, len(rest), ended


def _chunked(data: bytes) -> tuple[bytes, int, bool]:
    body, at = b"", 0
    while True:
        line, gap, _ = data[at:].partition(b"\r\n")
        if not gap:
            return body, len(data), False
        if not re.fullmatch(rb"[0-9A-Fa-f]{1,8}", line):
            raise Unframed(line[:80])
        size, at = int(line, 16), at + len(line) + 2
        if size == 0:
            end = data.find(b"\r\n", at)
            return body, end + 2 if end == at else len(data), end == at
        if len(data) < at + size + 2:
            return body + data[at : at + size], len(data), False
        if data[at + size : at + size + 2] != b"\r\n":
            raise Unframed(line[:80])
        body, at = body + data[at : at + size], at + size + 2
