"""what an audit sink is: a mirror of the log, fed in order and at least once, that holds up no request"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from proxy.settings import Section


@dataclass(frozen=True, slots=True)
class Delivery:
    """A record for a sink: its log, its number, and the bytes that were hashed (one line of JSON)."""

    log: str
    seq: int
    body: bytes


class SinkFailed(Exception):
    """A sink did not take what it was given; the same records are offered again later."""


class Sink(Protocol):
    """A place to mirror records to. Built from its own `Settings`; used by one thread."""

    name: ClassVar[str]
    Settings: ClassVar[type[Section]]

    def write(self, deliveries: Sequence[Delivery]) -> None:
        """Takes the records wholly, or raises SinkFailed; records may come a second time."""

    def close(self) -> None:
        """Lets go of what the sink holds."""
