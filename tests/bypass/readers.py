"""Lenient readers of JSON: the ways in which someone else might read the bytes that we forwarded.

Each takes the first key, the last, ignores case, tolerates a byte order mark, trailing data or a NUL.
None of them is ours and none shares code with the reader under test.
"""

from __future__ import annotations

import json
import re
import unicodedata
import zlib
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

Pairs: TypeAlias = list[tuple[str, Any]]
Reader: TypeAlias = Callable[[bytes], Any]

_INVISIBLE = re.compile("[\u00ad\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\x00-\x1f\x7f]")
_SURROGATE = re.compile("[\ud800-\udfff]")


class Unread(Exception):
    """This reader can make nothing of the bytes."""


def folded(text: str) -> str:
    """A name as the most lenient reader sees it: NFKC, case folded, nothing invisible, no spaces around."""
    plain = unicodedata.normalize("NFKC", _SURROGATE.sub("", text))
    return _INVISIBLE.sub("", plain).strip().casefold()


def _first(pairs: Pairs) -> dict[str, Any]:
    return dict(reversed(pairs))


def _last(pairs: Pairs) -> dict[str, Any]:
    return dict(pairs)


def _ignoring_case(pairs: Pairs) -> dict[str, Any]:
    return {folded(key): value for key, value in pairs}


def _until_nul(pairs: Pairs) -> dict[str, Any]:
    return {key.partition("\0")[0]: value for key, value in pairs}


def _text(data: bytes, codec: str = "utf-8") -> str:
    try:
        return data.decode(codec)
    except (UnicodeDecodeError, LookupError) as error:
        raise Unread from error


def _document(text: str, pairs: Callable[[Pairs], dict[str, Any]], *, trailing: bool = False) -> Any:
    decoder = json.JSONDecoder(object_pairs_hook=pairs, strict=False)
    try:
        value, end = decoder.raw_decode(text.lstrip(" \t\r\n"))
    except (ValueError, RecursionError) as error:
        raise Unread from error
    if not trailing and text.lstrip(" \t\r\n")[end:].strip(" \t\r\n"):
        raise Unread
    return value


def first_key(data: bytes) -> Any:
    """The first of two equal keys counts."""
    return _document(_text(data), _first)


def last_key(data: bytes) -> Any:
    """The last of two equal keys counts, as in JavaScript and Python."""
    return _document(_text(data), _last)


def ignoring_case(data: bytes) -> Any:
    """Keys match without regard to case, the last one counts, as in Go."""
    return _document(_text(data), _ignoring_case)


def with_mark(data: bytes) -> Any:
    """A byte order mark chooses the encoding and is dropped."""
    for mark, codec in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"\xef\xbb\xbf", "utf-8-sig")):
        if data.startswith(mark):
            return _document(_text(data, codec), _last)
    return _document(_text(data), _last)


def with_trailing(data: bytes) -> Any:
    """What follows the first document is ignored."""
    return _document(_text(data), _last, trailing=True)


def until_nul(data: bytes) -> Any:
    """A NUL ends the body and a key, as in C."""
    return _document(_text(data.partition(b"\0")[0]), _until_nul, trailing=True)


SIX: tuple[Reader, ...] = (first_key, last_key, ignoring_case, with_mark, with_trailing, until_nul)
"""The readers of the differential tests."""


def _last_document(data: bytes) -> Any:
    text, value, seen = _text(data), None, False
    while text.strip():
        try:
            value, end = json.JSONDecoder(object_pairs_hook=_last).raw_decode(text := text.lstrip())
        except ValueError:
            break
        text, seen = text[end:], True
    if not seen:
        raise Unread
    return value


def _in_codec(codec: str) -> Reader:
    return lambda data: _document(_text(data, codec), _last)


ALL: tuple[Reader, ...] = (
    *SIX,
    _last_document,
    *map(_in_codec, ("utf-16-le", "utf-16-be", "utf-7", "utf-32-le")),
)
"""Every reading that the bypass oracle tries."""


def unpacked(data: bytes) -> Iterator[bytes]:
    """The bytes as they are, and decompressed once and twice in every way that yields something."""
    layer = [data]
    for _ in range(3):
        yield from layer
        layer = [found for held in layer for found in _inflated(held)]


def _inflated(data: bytes) -> Iterator[bytes]:
    for window in (zlib.MAX_WBITS | 16, zlib.MAX_WBITS):
        whole, rest = b"", data
        while rest:
            coder = zlib.decompressobj(window)
            try:
                whole += coder.decompress(rest, 1 << 22)
            except zlib.error:
                break
            rest = coder.unused_data
        if whole:
            yield whole
            if rest:
                yield whole + rest


def readings(data: bytes) -> Iterator[Any]:
    """Every value that some reader makes of the bytes."""
    for plain in unpacked(data):
        for reader in ALL:
            try:
                yield reader(plain)
            except Unread:
                continue
