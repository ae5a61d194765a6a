"""one log in one SQLite file: append durably, verify, settle after a fault

WAL with `synchronous=FULL`: a commit returns after the sync. The stored bytes are the bytes that were
hashed. A batch is one INSERT, hence one transaction and, what matters more next to a busy event loop, one
hand-over of the interpreter lock instead of one per row.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from proxy.stores.base import LogId, Row, StoreFault

APPLICATION_ID = 0x52464C47
LAYOUT = 2
_ONE_STATEMENT = 64
# Two records of a usual request fit on a page of 8 KiB, and a commit of one still writes few bytes.
_PAGE = 8192
_CREATE = f"""
CREATE TABLE log (id TEXT NOT NULL) STRICT;
CREATE TABLE record (seq INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;
CREATE TABLE checkpoint (
  size INTEGER PRIMARY KEY, t TEXT NOT NULL, note TEXT NOT NULL, frontier BLOB NOT NULL, holds BLOB NOT NULL
) STRICT;
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {LAYOUT};
"""
# No index: each would add a page to every commit that a request awaits. `holds` serves searches instead.


@dataclass(frozen=True, slots=True)
class Mark:
    """A checkpoint as it is kept: the signed note, the frontier to go on from, and what lies before it."""

    size: int
    t: str
    note: str
    frontier: bytes
    holds: bytes = b""


@contextmanager
def faults(doing: str) -> Iterator[None]:
    """Turns SQLite's errors into StoreFault."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        name = getattr(error, "sqlite_errorname", type(error).__name__)
        raise StoreFault(
            f"{doing}: {name}",
            full=code == sqlite3.SQLITE_FULL,
            corrupt=code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB),
        ) from error


class LogFile:
    """The one writer's hold of a log. Not safe for use by two threads at once.

    After any StoreFault the handle is to be closed and the file opened anew: a second sync on the same
    handle may report success for pages that the kernel has dropped.
    """

    def __init__(self, path: Path, log: LogId) -> None:
        self.path = path
        self.log = log
        self.unsettled = 0
        with faults("cannot open the audit log"):
            self._db = sqlite3.connect(
                path, isolation_level=None, check_same_thread=False, cached_statements=2 * _ONE_STATEMENT
            )
        try:
            self._prepare()
        except BaseException:
            self.close()
            raise

    def _prepare(self) -> None:
        with faults("cannot open the audit log"):
            for pragma in (
                f"page_size={_PAGE}",
                "journal_mode=WAL",
                "synchronous=FULL",
                "fullfsync=ON",
                "checkpoint_fullfsync=ON",
                # The writer settles the WAL between two batches, never inside a commit that a request awaits.
                "wal_autocheckpoint=0",
                f"journal_size_limit={64 << 20}",
                "busy_timeout=250",
                "cell_size_check=ON",
                "trusted_schema=OFF",
            ):
                self._db.execute(f"PRAGMA {pragma}")
            self.layout = int(self._db.execute("PRAGMA user_version").fetchone()[0])
            if self.layout > LAYOUT:
                raise StoreFault(f"{self.path} was written by a newer release")
            if self.layout == 0 or (self.layout < LAYOUT and self.size() == 0):
                self._create()
            held = self._db.execute("SELECT id FROM log").fetchall()
        if held != [(str(self.log),)]:
            raise StoreFault(f"{self.path} is not the log {self.log}", corrupt=True)

    def _create(self) -> None:
        # A log of an older layout that never got a record is laid out anew.
        drop = "".join(f"DROP TABLE IF EXISTS {name};" for name in ("log", "record", "checkpoint"))
        self._db.executescript(f"BEGIN IMMEDIATE; {drop} {_CREATE}")
        self._db.execute("INSERT INTO log VALUES (?)", (str(self.log),))
        self._db.execute("COMMIT")
        self.layout = LAYOUT
        sync_folder(self.path.parent)

    def append(self, rows: Sequence[Row]) -> None:
        """Makes the rows durable together, or raises StoreFault; then nobody knows whether it did."""
        with faults("cannot write the audit log"):
            if len(rows) <= _ONE_STATEMENT:
                self._insert(rows)
                return
            self._db.execute("BEGIN IMMEDIATE")
            try:
                for start in range(0, len(rows), _ONE_STATEMENT):
                    self._insert(rows[start : start + _ONE_STATEMENT])
                self._db.execute("COMMIT")
            finally:
                # Some errors roll back by themselves, others leave half a batch behind.
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")

    def _insert(self, rows: Sequence[Row]) -> None:
        self.unsettled += 2 * _PAGE + sum(len(body) for _, body in rows)
        places = ",".join(["(?,?)"] * len(rows))
        self._db.execute(f"INSERT INTO record VALUES {places}", list(chain.from_iterable(rows)))  # noqa: S608 -- marks

    def size(self) -> int:
        """The number of records, taken from the highest one."""
        with faults("cannot read the audit log"):
            (highest,) = self._db.execute("SELECT max(seq) FROM record").fetchone()
        return 0 if highest is None else int(highest) + 1

    def bodies(self, start: int) -> Iterator[tuple[int, bytes]]:
        """Sequence numbers and bytes from `start` on, in order."""
        with faults("cannot read the audit log"):
            yield from self._db.execute("SELECT seq, body FROM record WHERE seq >= ? ORDER BY seq", (start,))

    def bodies_at(self, numbers: Iterable[int]) -> Iterator[tuple[int, bytes]]:
        """The records of these numbers, in order, as far as they are there."""
        with faults("cannot read the audit log"):
            for seq in sorted(numbers):
                yield from self._db.execute("SELECT seq, body FROM record WHERE seq = ?", (seq,))

    def unsettled_rows(self) -> list[tuple[int, bytes]]:
        """In layout 1: the records of requests that have fewer outcomes than intents."""
        with faults("cannot read the audit log"):
            return self._db.execute(
                "SELECT seq, body FROM record WHERE kind IN ('intent', 'outcome') AND rid IN ("
                " SELECT rid FROM record WHERE rid IS NOT NULL AND kind IN ('intent', 'outcome')"
                " GROUP BY rid HAVING sum(kind = 'intent') > sum(kind = 'outcome')) ORDER BY seq"
            ).fetchall()

    def mark(self, mark: Mark) -> None:
        """Keeps a checkpoint."""
        with faults("cannot keep a checkpoint"):
            self._db.execute(
                "INSERT OR IGNORE INTO checkpoint VALUES (?, ?, ?, ?, ?)",
                (mark.size, mark.t, mark.note, mark.frontier, mark.holds),
            )

    def last_mark(self, most: int) -> Mark | None:
        """The newest checkpoint over at most `most` records."""
        with faults("cannot read the audit log"):
            row = self._db.execute(
                "SELECT * FROM checkpoint WHERE size <= ? ORDER BY size DESC LIMIT 1", (most,)
            ).fetchone()
        return None if row is None else Mark(*row)

    def wal_bytes(self) -> int:
        """The length of the write-ahead log on disk."""
        try:
            return os.stat(f"{self.path}-wal").st_size
        except FileNotFoundError:
            return 0

    def settle(self, *, wholly: bool) -> bool:
        """Copies the WAL into the file and syncs it; False when a reader kept some of it back.

        `wholly` also empties the WAL. After a fault it makes sure that what can be read is on disk: the
        frames are written again elsewhere and synced there, whatever became of the failed sync.
        """
        with faults("cannot settle the audit log"):
            mode = "TRUNCATE" if wholly else "PASSIVE"
            busy, frames, copied = self._db.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
        wholly_copied = not busy and frames == copied
        if wholly_copied:
            self.unsettled = 0
        return bool(wholly_copied)

    def close(self) -> None:
        """Gives the file up; never raises."""
        try:
            self._db.close()
        except sqlite3.Error:
            # The handle is gone either way; what was not durable was never acknowledged.
            return


def sync_folder(folder: Path) -> None:
    """Makes the names in a folder durable."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
