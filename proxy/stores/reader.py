"""one view of all logs in a folder, for the command line and the sinks

Reading never blocks a writer and never writes. Within a log records come in their order; across logs they
are merged by the time that their writers claim.
"""

from __future__ import annotations

import heapq
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, cast

import orjson

from proxy.core.values import Json
from proxy.stores.base import LogId, StoreFault, decoded, logs_in
from proxy.stores.sqlite import LAYOUT
from proxy.stores.stretch import Held
from proxy.stores.wanted import EVERYTHING, Value, Wanted

_BATCH = 500
_NO_END = 1 << 62
_DIGITS = 18


@dataclass(frozen=True, slots=True)
class Entry:
    """A record where it stands; `body` is what was hashed."""

    log: LogId
    seq: int
    body: bytes

    @property
    def record(self) -> dict[str, Json]:
        """The record, decoded."""
        return cast("dict[str, Json]", orjson.loads(self.body))

    @property
    def t(self) -> str:
        """The time that the record claims; "" where it claims none."""
        return str(decoded(self.body).get("t", ""))


@dataclass(slots=True)
class Reader:
    """Reads every log below an audit folder; logs that appear later are seen at the next call."""

    folder: Path
    _open: dict[LogId, sqlite3.Connection] = field(default_factory=dict, init=False, repr=False)
    _ended: dict[LogId, int] = field(default_factory=dict, init=False, repr=False)
    _held: dict[LogId, list[tuple[int, Held | None]]] = field(default_factory=dict, init=False, repr=False)

    def logs(self) -> list[LogId]:
        """Every log, oldest epoch of each writer first."""
        return logs_in(self.folder)

    def select(self, wanted: Wanted = EVERYTHING, *, newest_first: bool = False) -> Iterator[Entry]:
        """The records that fit, lazily, merged by time."""
        streams = [self._stream(log, wanted, newest_first) for log in self.logs()]
        merged = heapq.merge(*streams, key=lambda e: (e[0], e[1].log, e[1].seq), reverse=newest_first)
        return (entry for _, entry in merged)

    def _stream(self, log: LogId, wanted: Wanted, newest_first: bool) -> Iterator[tuple[str, Entry]]:
        """The records of one log that fit, each with its time."""
        clause, values = wanted.clause(self._layout(log))
        parts = self._parts(log, wanted)
        for first, end in reversed(parts) if newest_first else parts:
            for seq, body in self._within(log, clause, values, (first, end), newest_first):
                record = decoded(body)
                if wanted.fits(record):
                    yield str(record.get("t", "")), Entry(log, seq, body)

    def _parts(self, log: LogId, wanted: Wanted) -> list[tuple[int, int]]:
        """The numbers between which records may fit: without the stretches that hold none of them."""
        if wanted == EVERYTHING or self._layout(log) < LAYOUT:
            return [(0, _NO_END)]
        parts, done = [], 0
        for size, held in self._stretches(log):
            if held is None or held.first > done or wanted.may_be_in(held):
                parts.append((done, size))
            done = size
        return [*parts, (done, _NO_END)]

    def _stretches(self, log: LogId) -> list[tuple[int, Held | None]]:
        known = self._held.setdefault(log, [])
        start = known[-1][0] if known else -1
        rows = self._query(log, "SELECT size, holds FROM checkpoint WHERE size > ? ORDER BY size", [start])
        known += [(size, Held.parse(size, holds)) for size, holds in rows]
        return known

    def _within(
        self, log: LogId, clause: str, values: Sequence[Value], span: tuple[int, int], newest_first: bool
    ) -> Iterator[tuple[int, bytes]]:
        """The rows of a span that meet the condition, page by page."""
        order = "DESC" if newest_first else "ASC"
        where = f"{clause} AND seq >= ? AND seq < ?"
        sql = f"SELECT seq, body FROM record WHERE {where} ORDER BY seq {order} LIMIT ?"  # noqa: S608 -- clauses are ours
        first, end = span
        while True:
            # Page by page: a long read transaction would keep the writer from emptying its WAL.
            rows = self._query(log, sql, [*values, first, end, _BATCH])
            yield from rows
            if len(rows) < _BATCH:
                return
            first, end = (first, rows[-1][0]) if newest_first else (rows[-1][0] + 1, end)

    def find(self, identifier: str) -> list[Entry]:
        """What an id names: a request (its records), a record's own id, or `<log>#<seq>`."""
        log, found, seq = identifier.partition("#")
        if found:
            return self._at(LogId.parse(log), seq)
        entries = list(self.select(Wanted(rid=identifier)))
        return entries or [e for e in self.select() if decoded(e.body).get("eid") == identifier][:1]

    def _at(self, log: LogId | None, seq: str) -> list[Entry]:
        if log is None or log not in self.logs() or not seq.isdecimal() or len(seq) > _DIGITS:
            return []
        rows = self._query(log, "SELECT seq, body FROM record WHERE seq = ?", [int(seq)])
        return [Entry(log, *row) for row in rows]

    def records_of(self, log: LogId) -> Iterator[Entry]:
        """Every record of one log, in order."""
        return self._rest(log, 0)

    def after(self, cursor: Mapping[str, int], limit: int) -> list[Entry]:
        """The next records of every log, given how many of each are already known; oldest log first."""
        logs = self.logs()
        # A file that was pruned takes up its space for as long as somebody has it open.
        for gone in self._open.keys() - set(logs):
            self._forget(gone)
        streams = (self._rest(log, cursor.get(str(log), 0)) for log in self._unread(logs, cursor))
        return list(islice((entry for stream in streams for entry in stream), limit))

    def _unread(self, logs: Sequence[LogId], cursor: Mapping[str, int]) -> Iterator[LogId]:
        """The logs that may hold more; an epoch that a younger one followed grows no more."""
        youngest = {log.writer: log for log in logs}
        for log in logs:
            if youngest[log.writer] == log:
                yield log
                continue
            if log not in self._ended:
                self._ended[log] = self._size(log)
                self._forget(log)
            if cursor.get(str(log), 0) < self._ended[log]:
                yield log

    def _rest(self, log: LogId, start: int) -> Iterator[Entry]:
        sql = "SELECT seq, body FROM record WHERE seq >= ? ORDER BY seq LIMIT ?"
        while rows := self._query(log, sql, [start, _BATCH]):
            yield from (Entry(log, *row) for row in rows)
            start = rows[-1][0] + 1

    def sizes(self) -> dict[str, int]:
        """How many records each log has now."""
        return {str(log): self._ended.get(log) or self._size(log) for log in self.logs()}

    def _size(self, log: LogId) -> int:
        return sum(row[0] for row in self._query(log, "SELECT coalesce(max(seq) + 1, 0) FROM record", []))

    def notes(self, log: LogId) -> list[str]:
        """The signed checkpoints of a log, oldest first."""
        return [row[0] for row in self._query(log, "SELECT note FROM checkpoint ORDER BY size", [])]

    def _layout(self, log: LogId) -> int:
        return sum(row[0] for row in self._query(log, "PRAGMA user_version", []))

    def _query(self, log: LogId, sql: str, values: Sequence[Value]) -> list[tuple[Any, ...]]:
        try:
            return self._connection(log).execute(sql, values).fetchall()
        except sqlite3.Error as error:
            self._forget(log)
            if "no such table" in str(error):
                return []
            raise StoreFault(f"cannot read {log.path(self.folder)}: {error}") from error

    def _connection(self, log: LogId) -> sqlite3.Connection:
        held = self._open.get(log)
        if held is None:
            held = self._open[log] = connect_to_read(log.path(self.folder))
        return held

    def _forget(self, log: LogId) -> None:
        held = self._open.pop(log, None)
        if held is not None:
            held.close()

    def close(self) -> None:
        """Closes every file."""
        for log in list(self._open):
            self._forget(log)


def connect_to_read(path: Path) -> sqlite3.Connection:
    """A connection that cannot write; also for a copy on a read-only disk."""
    wal = Path(f"{path}-wal")
    # An immutable reading ignores the WAL, so it is right only where there is none.
    modes = ["mode=ro"] if wal.exists() and wal.stat().st_size else ["mode=ro", "immutable=1"]
    for mode in modes:
        db = sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True, check_same_thread=False)
        try:
            db.execute("PRAGMA busy_timeout=1000")
            db.execute("SELECT 1 FROM sqlite_master").fetchone()
        except sqlite3.OperationalError:
            db.close()
            continue
        except sqlite3.DatabaseError as error:
            db.close()
            raise StoreFault(f"{path} is not an audit log: {error}", corrupt=True) from error
        return db
    raise StoreFault(f"cannot open {path}: it is missing, or this user may not read it")
