"""how a parent process hands accepted connections to its workers, and hears from them

One packet is one message: a letter, and what belongs to it. Connections travel as descriptors
beside their letter, so that one process can accept for all and keep them even.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from enum import Enum
from typing import TypedDict

from proxy.accepting import MANY
from proxy.metrics import Snapshot

MOST_BYTES = 1 << 18


class Letter(Enum):
    """What a message is about; the first three go to a worker, the others come from one."""

    CONNECTION = b"c"
    LOOK = b"l"
    TELL = b"t"
    UP = b"u"
    CLOSED = b"-"
    TOLD = b"T"
    LEAVING = b"d"


class Report(TypedDict):
    """How a worker is: whether it serves, why not, and what else an operator should know."""

    ready: bool
    troubles: list[str]
    warnings: list[str]
    revision: str
    log: str


class Told(Report):
    """A report with the worker's numbers."""

    metrics: Snapshot


Hear = Callable[[Letter, bytes, socket.socket | None], None]


def pair() -> tuple[socket.socket, socket.socket]:
    """Two ends of a channel that keeps messages apart."""
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in ends:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, MOST_BYTES)
    return ends


class Channel:
    """One end of it, on a running loop. `hear` gets every message, `gone` is called when the other end is."""

    def __init__(self, end: socket.socket, hear: Hear, gone: Callable[[], None]) -> None:
        end.setblocking(False)
        self._end = end
        self._hear = hear
        self._gone = gone
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(end.fileno(), self._read)

    def say(self, letter: Letter, body: bytes = b"", connection: socket.socket | None = None) -> bool:
        """Send one message; False when the other end is gone or does not keep up."""
        descriptors = [] if connection is None else [connection.fileno()]
        try:
            socket.send_fds(self._end, [letter.value + body], descriptors)
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Let go of this end."""
        if self._end.fileno() >= 0:
            self._loop.remove_reader(self._end.fileno())
            self._end.close()

    def _read(self) -> None:
        """Take what waits, many messages at a turn: a busy loop makes few turns."""
        for _ in range(MANY):
            if not self._read_one():
                return

    def _read_one(self) -> bool:
        try:
            message, descriptors, _, _ = socket.recv_fds(self._end, MOST_BYTES, 1)
        except BlockingIOError:
            return False
        except OSError:
            message, descriptors = b"", []
        if not message:
            self.close()
            self._gone()
            return False
        connection = socket.socket(fileno=descriptors[0]) if descriptors else None
        self._hear(Letter(message[:1]), message[1:], connection)
        return self._end.fileno() >= 0
