"""new connections, many at a turn

uvloop takes one connection per turn of the loop. A busy loop makes few turns, and clients, health checks
among them, would wait seconds to be let in.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable

from proxy.logs import logger

MANY = 256
"""What is taken at one turn, so that those who are already in get theirs."""
_AGAIN_SECONDS = 1.0
_OUT_OF_ROOM = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Acceptor:
    """Hands every connection of a listening socket to `take`, until it is closed."""

    def __init__(self, sock: socket.socket, take: Callable[[socket.socket], None]) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._take = take
        self._loop = asyncio.get_running_loop()
        self._resting: asyncio.TimerHandle | None = None
        self._loop.add_reader(sock.fileno(), self._accept)

    def close(self) -> None:
        """Stop listening."""
        if self._resting is not None:
            self._resting.cancel()
        if self._sock.fileno() >= 0:
            self._loop.remove_reader(self._sock.fileno())
            self._sock.close()

    def _accept(self) -> None:
        try:
            for _ in range(MANY):
                connection, _ = self._sock.accept()
                connection.setblocking(False)
                self._take(connection)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno in _OUT_OF_ROOM:
                self._rest()

    def _rest(self) -> None:
        """Accept nothing for a moment: the connection that could not be taken still waits, and would at once
        be reported again."""
        self._loop.remove_reader(self._sock.fileno())
        logger().error("out_of_descriptors")
        self._resting = self._loop.call_later(_AGAIN_SECONDS, self._go_on)

    def _go_on(self) -> None:
        self._resting = None
        self._loop.add_reader(self._sock.fileno(), self._accept)
