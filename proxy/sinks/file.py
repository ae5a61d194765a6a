"""records in a JSON Lines file, synced before they count as delivered"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from proxy.settings import Section
from proxy.sinks.base import Delivery, SinkFailed
from proxy.spellings import FilePath


class FileSettings(Section):
    """Records in a file, one line of JSON each."""

    path: FilePath = Field(
        Path("audit.jsonl"), validate_default=True, description="File to append to; rotate it by renaming it."
    )


class FileSink:
    """Appends the very bytes that were hashed. A renamed file is left behind and a new one begun."""

    name: ClassVar[str] = "file"
    Settings: ClassVar[type[Section]] = FileSettings

    def __init__(self, settings: FileSettings) -> None:
        self._path = settings.path
        self._file = -1

    def write(self, deliveries: Sequence[Delivery]) -> None:
        """Appends and syncs; SinkFailed leaves no part of a line behind."""
        try:
            self._reopen_when_moved()
            before = os.fstat(self._file).st_size
            try:
                self._write_all(b"".join(each.body + b"\n" for each in deliveries))
                os.fsync(self._file)
            except OSError:
                os.ftruncate(self._file, before)
                raise
        except OSError as error:
            self.close()
            raise SinkFailed(f"{self._path}: {error.strerror}") from error

    def _write_all(self, content: bytes) -> None:
        view = memoryview(content)
        while view:
            view = view[os.write(self._file, view) :]

    def _reopen_when_moved(self) -> None:
        try:
            same = self._file >= 0 and os.path.samestat(os.fstat(self._file), self._path.stat())
        except FileNotFoundError:
            same = False
        if not same:
            self.close()
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def close(self) -> None:
        """Closes the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
