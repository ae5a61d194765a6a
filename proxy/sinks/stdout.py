"""records on standard output, one line of JSON each"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import ClassVar

from proxy.settings import Section
from proxy.sinks.base import Delivery, SinkFailed


class StdoutSettings(Section):
    """Records on standard output, one line each."""


class StdoutSink:
    """Writes the very bytes that were hashed, so that the lines can be verified."""

    name: ClassVar[str] = "stdout"
    Settings: ClassVar[type[Section]] = StdoutSettings

    def __init__(self, settings: StdoutSettings) -> None:
        self._out = sys.stdout.buffer

    def write(self, deliveries: Sequence[Delivery]) -> None:
        """Writes and flushes; SinkFailed when the other end is gone."""
        try:
            self._out.write(b"".join(each.body + b"\n" for each in deliveries))
            self._out.flush()
        except (OSError, ValueError) as error:
            raise SinkFailed(f"standard output: {error}") from error

    def close(self) -> None:
        """Standard output is not ours to close."""
