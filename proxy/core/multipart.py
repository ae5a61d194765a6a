"""one reading of a multipart form or none

Form readers differ on nearly everything: equal names, line ends, what stands before the first and
after the last delimiter, nested forms, transfer encodings, encoded names. A form that uses any of it
is refused; what the vendors' SDKs send uses none. RFC 7578 and RFC 2046 section 5.1 are the grammar.
"""

from __future__ import annotations

import re
from collections.abc import Set
from dataclasses import dataclass, field

from proxy.core.errors import Unreadable

MAX_PARTS = 64
_MAX_HEAD = 2048
_CONTENT_TYPE = re.compile(
    rb'multipart/form-data; ?boundary=(?:"([0-9A-Za-z\'()+_,./:=?-]{1,70})"|([0-9A-Za-z\'+_.-]{1,70}))',
    re.IGNORECASE,
)
_DISPOSITION = re.compile(rb'form-data; name="([^"\\\r\n]{1,64})"(?:; filename="([^"\\\r\n]{0,255})")?')
_MEDIA = re.compile(
    rb"([0-9A-Za-z!#$&^_.+-]{1,64}/[0-9A-Za-z!#$&^_.+-]{1,64})(?:; ?charset=utf-8)?", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Part:
    """One field of a form. `media` is lower-case and "" when the part names none."""

    name: str
    is_file: bool
    media: str
    content: bytes = field(repr=False)


def is_form(content_type: bytes) -> bool:
    """Whether a content type claims to be a form, however badly."""
    return content_type.lower().startswith(b"multipart/")


def read_form(body: bytes, content_type: bytes, *, lists: Set[str]) -> tuple[Part, ...]:
    """Read a form held in memory; only the names in `lists` may stand more than once.

    Raises `Unreadable`: `unsupported_media_type`, `bad_request_body`, `duplicate_key`.
    """
    found = _CONTENT_TYPE.fullmatch(content_type)
    if found is None:
        raise Unreadable(
            "unsupported_media_type", "Send multipart/form-data with one boundary and nothing else."
        )
    parts = [_part(head, content) for head, content in _split(body, b"--" + (found[1] or found[2]))]
    names: set[str] = set()
    for part in parts:
        if part.name in names and part.name not in lists:
            raise Unreadable("duplicate_key", f'The form has the field "{part.name}" twice.', param=part.name)
        names.add(part.name)
    return tuple(parts)


def _split(body: bytes, delimiter: bytes) -> list[tuple[bytes, bytes]]:
    """The head and content of every part."""
    if not body.startswith(delimiter + b"\r\n"):
        raise _broken("it does not begin with its boundary")
    pieces: list[tuple[bytes, bytes]] = []
    place = len(delimiter) + 2
    while True:
        head_end = body.find(b"\r\n\r\n", place, place + _MAX_HEAD)
        content_end = body.find(b"\r\n" + delimiter, head_end + 2)
        if head_end < 0 or content_end < 0:
            raise _broken("a part has no end")
        content = body[head_end + 4 : content_end]
        # A reader that takes bare line feeds would see a further part here.
        if delimiter in content or len(pieces) == MAX_PARTS:
            raise _broken(
                "its boundary stands inside a part" if delimiter in content else "it has too many parts"
            )
        pieces.append((body[place:head_end], content))
        place = content_end + 2 + len(delimiter)
        after = body[place : place + 2]
        if after == b"--":
            if body[place + 2 :] not in (b"", b"\r\n"):
                raise _broken("something follows its end")
            return pieces
        if after != b"\r\n":
            raise _broken("a boundary is not alone on its line")
        place += 2


def _part(head: bytes, content: bytes) -> Part:
    disposition = media = None
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        key, value = name.lower(), value.strip(b" ")
        if key == b"content-disposition" and disposition is None:
            disposition = _DISPOSITION.fullmatch(value)
            if disposition is None:
                raise _broken('a part is not named in the form name="..."')
        elif key == b"content-type" and media is None:
            media = _MEDIA.fullmatch(value)
            if media is None or value.lower().startswith(b"multipart/"):
                raise _broken("a part has a content type that is not plain")
        else:
            raise _broken("a part has a header other than one Content-Disposition and one Content-Type")
    if disposition is None:
        raise _broken("a part has no name")
    return Part(
        name=disposition[1].decode("latin-1"),
        is_file=disposition[2] is not None,
        media=media[1].decode("ascii").lower() if media else "",
        content=content,
    )


def _broken(what: str) -> Unreadable:
    return Unreadable("bad_request_body", f"The form cannot be read in exactly one way: {what}.")
