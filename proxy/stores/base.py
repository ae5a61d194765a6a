"""what stores share: the name of a log, the columns that are searched, what can go wrong"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from typing_extensions import override

SUFFIX = ".sqlite"
_PART = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}", re.ASCII)
_EPOCH = re.compile(r"[0-9]{6,}", re.ASCII)


class StoreFault(Exception):
    """A store failed. `full`: no space left; `corrupt`: what was read is not what was written."""

    def __init__(self, message: str, *, full: bool = False, corrupt: bool = False) -> None:
        super().__init__(message)
        self.full = full
        self.corrupt = corrupt


@dataclass(frozen=True, slots=True, order=True)
class LogId:
    """A log: `<deployment>/<replica>/<worker>` and the epoch, which counts that writer's starts."""

    writer: str
    epoch: int

    @override
    def __str__(self) -> str:
        return f"{self.writer}/{self.epoch:06d}"

    @staticmethod
    def parse(text: str) -> LogId | None:
        """The log that a string names, or None."""
        writer, _, epoch = text.rpartition("/")
        parts = writer.split("/")
        if len(parts) != 3 or not all(map(_PART.fullmatch, parts)) or not _EPOCH.fullmatch(epoch):
            return None
        return LogId(writer, int(epoch))

    def path(self, folder: Path) -> Path:
        """Its file below the audit folder."""
        return folder / f"{self}{SUFFIX}"


def writer_name(deployment: str, replica: str, worker: str) -> str:
    """The identity of one writer; raises ValueError for a part that cannot name a folder."""
    for part in (deployment, replica, worker):
        if not _PART.fullmatch(part):
            raise ValueError(f"{part!r} cannot name a log: use a-z, 0-9, '.', '_', '-', at most 63 of them")
    return f"{deployment}/{replica}/{worker}"


def logs_in(folder: Path) -> list[LogId]:
    """Every log with a file below the audit folder, oldest epoch of each writer first."""
    found = (
        LogId.parse(path.relative_to(folder).as_posix().removesuffix(SUFFIX))
        for path in folder.glob(f"*/*/*/*{SUFFIX}")
    )
    return sorted(log for log in found if log is not None)


class Row(NamedTuple):
    """A record at its place: what is searched, and the bytes that were hashed."""

    seq: int
    t: str
    kind: str
    rid: str | None
    effect: str | None
    reason: str | None
    model: str | None
    project: str | None
    end: str | None
    body: bytes


def row_of(record: Mapping[str, object], seq: int, body: bytes) -> Row:
    """The row of a record whose canonical bytes are `body`."""

    def word(name: str) -> str | None:
        value = record.get(name)
        return value if isinstance(value, str) else None

    return Row(
        seq=seq,
        t=str(record["t"]),
        kind=str(record["kind"]),
        rid=word("rid"),
        effect=word("effect"),
        reason=word("reason"),
        model=word("model_fwd") or word("model_req"),
        project=word("project"),
        end=word("end"),
        body=body,
    )
