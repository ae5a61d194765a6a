"""the one byte form of a record, and what every record carries

RFC 8785 canonical JSON: with ASCII keys, no floats and integers below 2^53, orjson with sorted keys writes
exactly that. The bytes that are stored are the bytes that are hashed.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple

import orjson

from proxy.core.record_schema import MAX_BYTES, VERSION

Draft = dict[str, object]
"""A record before it has its place in a log: everything but `log`, `seq` and `prev`."""

FIRST_PREV = "0" * 64
"""What stands for the leaf hash before the first record."""

# What is passed through is an error: a dataclass or a datetime here is a slip of ours.
CANONICAL = (
    orjson.OPT_SORT_KEYS
    | orjson.OPT_STRICT_INTEGER
    | orjson.OPT_PASSTHROUGH_DATETIME
    | orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_SUBCLASS
)


_second: list[tuple[datetime, str]] = [(datetime(1970, 1, 1, tzinfo=UTC), "1970-01-01T00:00:00.")]


class Stamp(NamedTuple):
    """The moment of a record: its id (UUID 7), the wall clock in UTC, the monotonic clock, its boot."""

    eid: str
    at: datetime
    mono_ns: int
    boot: str


def seal(draft: Mapping[str, object], log: str, seq: int, prev: str) -> bytes:
    """The canonical bytes of a draft at its place. Raises ValueError when it has none or is too large.

    `prev` is the leaf hash of the record before, in hex. The caller refuses the request on an error.
    """
    try:
        body = orjson.dumps({**draft, "log": log, "seq": seq, "prev": prev}, option=CANONICAL)
    except orjson.JSONEncodeError as error:
        raise ValueError(f"a record without a canonical form: {error}") from error
    if len(body) > MAX_BYTES:
        raise ValueError(f"a record of {len(body)} bytes is larger than {MAX_BYTES}")
    return body


def stamped(kind: str, stamp: Stamp) -> Draft:
    """A draft with what every record has."""
    eid, at, mono, boot = stamp
    return {"v": VERSION, "kind": kind, "eid": eid, "t": moment(at), "mono": mono, "boot": boot}


def moment(at: datetime) -> str:
    """An instant as RFC 3339 in UTC with microseconds."""
    if at.tzinfo is not UTC:
        at = at.astimezone(UTC)
    second, written = _second[0]
    since = at - second
    if since.days or since.seconds:
        second = at.replace(microsecond=0)
        written = f"{second.replace(tzinfo=None).isoformat()}."
        # One item, replaced whole: two threads may write records at once.
        _second[0] = (second, written)
        since = at - second
    return f"{written}{since.microseconds:06d}Z"


def clip(text: str, longest: int) -> str:
    """A text of our tables cut to `longest` bytes, with an ellipsis where it was cut."""
    if text.isascii() and len(text) <= longest:
        return text
    raw = text.encode("utf-8", "replace")
    if len(raw) <= longest:
        return raw.decode()
    return raw[: longest - 3].decode("utf-8", "ignore") + "\u2026"
