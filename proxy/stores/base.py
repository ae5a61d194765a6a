"""what stores share: the name of a log, the row of a record, what can go wrong"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import orjson
from typing_extensions import override

from proxy.core.values import Json

SUFFIX = ".sqlite"
_PART = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}", re.ASCII)
_EPOCH = re.compile(r"[0-9]{6,12}", re.ASCII)


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


Row = tuple[int, bytes]
"""A record at its place: its number, and the bytes that were hashed."""


def decoded(body: bytes) -> dict[str, Json]:
    """The record of these bytes; an empty one where they are none, which is for the verifier to say."""
    try:
        record = orjson.loads(body)
    except ValueError:
        return {}
    return record if isinstance(record, dict) else {}
