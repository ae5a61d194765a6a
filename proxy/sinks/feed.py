"""feeds one sink from the log, which is its outbox: a durable cursor, in order, at least once

The cursor says how many records of each log were delivered. It is written after the delivery, so that a crash
in between repeats records (they carry `eid`) and never skips one. Of several workers one feeds a sink.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import orjson

from proxy.private_files import write_private
from proxy.sinks.base import Delivery, Sink, SinkFailed

BATCH = 500
POLL = 0.25
SLOWEST_RETRY = 30.0
Source = Callable[[Mapping[str, int], int], Sequence[Delivery]]
"""The next records after a cursor (log id -> records known), at most so many."""


class Feed:
    """One sink's feeder, with a thread of its own between `start` and `stop`."""

    def __init__(
        self, sink: Sink, source: Source, *, cursor: Path, sizes: Callable[[], Mapping[str, int]]
    ) -> None:
        self.sink = sink
        self.failure = ""
        self._source = source
        self._sizes = sizes
        self._path = cursor
        self._cursor: dict[str, int] = {}
        self._lock = -1
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"sink-{sink.name}", daemon=True)

    def start(self) -> None:
        """Starts feeding."""
        self._thread.start()

    def stop(self, patience: float | None = None) -> bool:
        """Delivers what is there, once, and ends; False for a sink that hangs longer than `patience` seconds.

        What it has not taken is in the log, from where the next start goes on.
        """
        self._stopping.set()
        self._thread.join(patience)
        return not self._thread.is_alive()

    @property
    def lag(self) -> int:
        """Records that the log has and the sink does not."""
        return sum(max(0, size - self._cursor.get(log, 0)) for log, size in self._sizes().items())

    def pump(self) -> int:
        """Delivers one batch; how many records that were. Raises SinkFailed, the cursor then stands."""
        if not self._is_ours():
            return 0
        batch = self._source(self._cursor, BATCH)
        if not batch:
            return 0
        self.sink.write(batch)
        for each in batch:
            self._cursor[each.log] = each.seq + 1
        write_private(self._path, orjson.dumps(self._cursor, option=orjson.OPT_SORT_KEYS))
        return len(batch)

    def _is_ours(self) -> bool:
        if self._lock >= 0:
            return True
        self._path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(f"{self._path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            return False
        self._lock = lock
        self._cursor = _read(self._path)
        return True

    def _run(self) -> None:
        wait = POLL
        while True:
            ending = self._stopping.wait(wait)
            try:
                while self.pump():
                    pass
                self.failure, wait = "", POLL
            except Exception as error:
                # Whatever a sink does, requests go on; the lag shows that records wait here.
                known = isinstance(error, SinkFailed)
                self.failure = str(error) if known else f"{self.sink.name}: {type(error).__name__}"
                wait = min(SLOWEST_RETRY, wait * 2)
            if ending:
                break
        self.sink.close()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def _read(path: Path) -> dict[str, int]:
    try:
        held = orjson.loads(path.read_bytes())
        return {str(log): int(count) for log, count in held.items()}
    except (FileNotFoundError, ValueError, TypeError, AttributeError):
        # Without a cursor everything is delivered again, which a sink has to bear anyway.
        return {}
