"""a body in chunks (RFC 9112, section 7.1), read in one way only

aiohttp's parser reads answers leniently: it takes a bare LF after a chunk's extension, where a strict reader
sees no end of the line.
"""

from __future__ import annotations

import re

_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8}+)(?:;[\t -~]*+)?\r\n")
_SIZE_BEGUN = re.compile(rb"(?:[0-9A-Fa-f]{1,8}+(?:;[\t -~]*+)?\r?)?")
_FIELD = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]++:[\t -~\x80-\xff]*+\r\n"
_TRAILER = re.compile(rb"(?:%s)*+\r\n" % _FIELD)
_TRAILER_BEGUN = re.compile(
    rb"(?:%s)*+(?:[!#$%%&'*+.^_`|~0-9A-Za-z-]++(?::[\t -~\x80-\xff]*+\r?)?|\r)?" % _FIELD
)
# RFC 9110, section 6.5.1: what frames a message cannot stand in its trailers.
_FRAMING = re.compile(rb"(?:\A|\n)(?:content-length|transfer-encoding):", re.IGNORECASE)
_LONGEST_LINE = 8192
_CRLF = b"\r\n"
_SIZE_NEXT = -1


class Unframed(Exception):
    """These bytes are not chunks."""


class Chunks:
    """Takes a body off its chunks: `feed` until `done`.

    `surplus` tells that more was fed than the body.
    """

    __slots__ = ("_held", "_last", "_left", "done", "surplus")

    def __init__(self) -> None:
        self._held = b""
        self._left = _SIZE_NEXT
        self._last = False
        self.done = False
        self.surplus = False

    def feed(self, data: bytes) -> bytes:
        """The content that `data` brings, perhaps none; `Unframed` when it cannot be read in one way."""
        if self._held:
            data, self._held = self._held + data, b""
        pieces: list[bytes] = []
        at = 0
        while not self._last:
            if self._left == _SIZE_NEXT:
                line = _SIZE.match(data, at)
                if line is None:
                    self._hold(data[at:], _SIZE_BEGUN)
                    break
                at, self._left = line.end(), int(line[1], 16)
                if not self._left:
                    self._last = True
                    break
            content = data[at : at + self._left]
            pieces.append(content)
            at, self._left = at + len(content), self._left - len(content)
            if self._left or not self._closed(data[at : at + 2]):
                break
            at += 2
        if self._last:
            self._end(data[at:])
        return b"".join(pieces)

    def _closed(self, mark: bytes) -> bool:
        """Whether the line's end behind a chunk is there; half of it is held."""
        if mark == _CRLF:
            self._left = _SIZE_NEXT
            return True
        if not _CRLF.startswith(mark):
            raise Unframed
        self._held = mark
        return False

    def _hold(self, data: bytes, begun: re.Pattern[bytes]) -> None:
        if len(data) > _LONGEST_LINE or not begun.fullmatch(data):
            raise Unframed
        self._held = data

    def _end(self, data: bytes) -> None:
        """What stands behind the last chunk: an empty line, perhaps after trailers, which are dropped."""
        trailer = _TRAILER.match(data)
        if trailer is None:
            self._hold(data, _TRAILER_BEGUN)
        elif _FRAMING.search(trailer[0]):
            raise Unframed
        else:
            self.done, self.surplus = True, trailer.end() < len(data)
