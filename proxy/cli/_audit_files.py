"""reads what is to be verified, logs and exports, without any code of the writer or its stores

What a file holds is not to be trusted: whatever cannot be read becomes a sentence of the report.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

import orjson

from proxy.core.errors import Untrusted
from proxy.core.verify import Export, Report, Violation, records_of
from proxy.core.verify_holds import Summaries

_SQLITE = b"SQLite format 3\x00"
_NOT_WRITABLE = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)
_UNREADABLE = "cannot be read as a log"
# A view or a trigger could answer the verifier otherwise than those who search.
_FOREIGN = "SELECT name FROM sqlite_master WHERE type IN ('view', 'trigger') OR sql LIKE 'CREATE VIRTUAL%'"
Record = tuple[int, bytes]


class _Unopened(Exception):
    """A log that says nothing, because it cannot be opened in this place."""


def exports_of(paths: Sequence[Path], unread: Report) -> list[Export]:
    """Every log in these files, in order; a log of which several files hold parts or copies is one."""
    parts: dict[str, list[Export]] = {}
    for path in paths:
        for export in _exports(path, unread):
            parts.setdefault(export.log, []).append(export)
    return [_joined(parts[log]) for log in sorted(parts)]


def misplaced(folder: Path, paths: Sequence[Path]) -> Iterator[Violation]:
    """Every log below an audit folder that stands where another one belongs, and so hides that it is gone."""
    for path in paths:
        log, place = _told(path), path.relative_to(folder).with_suffix("").as_posix()
        if log not in ("", place):
            yield Violation(str(path), None, f"holds the log {log}, which does not belong there")


def _told(path: Path) -> str:
    """The log that a file says it holds; "" where it cannot be read, which is said elsewhere."""
    try:
        db = _opened(path)
    except (_Unopened, sqlite3.Error):
        return ""
    try:
        return _name(db)
    except (Untrusted, sqlite3.Error):
        return ""
    finally:
        db.close()


def _joined(parts: Sequence[Export]) -> Export:
    """One log of its parts: a sink's file is renamed and a new one begun, and copies overlap."""
    if len(parts) == 1:
        return parts[0]
    held = sorted((list(part.records) for part in parts), key=lambda records: [seq for seq, _ in records[:1]])
    notes = dict.fromkeys(note for part in parts for note in part.notes)
    return Export(parts[0].log, _once(chain.from_iterable(held)), list(notes))


def _exports(path: Path, unread: Report) -> list[Export]:
    try:
        if path.stat().st_size == 0 and path.with_suffix(".checkpoint").is_file():
            words = "is empty, although a signed head of it lies beside it"
            unread.violations.append(Violation(str(path), None, words))
            return []
        with path.open("rb") as file:
            if file.read(len(_SQLITE)) == _SQLITE:
                return [_log(path, unread)]
            file.seek(0)
            return _lines_of(file, path, unread)
    except _Unopened as words:
        unread.unchecked.append(f"{path}: {words}")
    except OSError as error:
        unread.unchecked.append(f"{path}: cannot be read: {error.strerror}")
    except (sqlite3.Error, Untrusted) as error:
        unread.violations.append(Violation(str(path), None, f"{_UNREADABLE}: {error}"))
    return []


def _lines_of(file: Iterator[bytes], path: Path, unread: Report) -> list[Export]:
    logs: dict[str, list[Record]] = {}
    for log, seq, body in records_of(_whole(file, path, unread)):
        logs.setdefault(log, []).append((seq, body))
    return [Export(log, _once(records)) for log, records in logs.items()]


def _whole(lines: Iterator[bytes], path: Path, unread: Report) -> Iterator[bytes]:
    """The lines that have an end: a file that was copied while it grew breaks off in its last one."""
    for line in lines:
        if line.endswith(b"\n") or not line.startswith(b"{") or _is_json(line):
            yield line
        else:
            unread.unchecked.append(f"{path}: breaks off within its last line")


def _is_json(line: bytes) -> bool:
    try:
        orjson.loads(line)
    except ValueError:
        return False
    return True


def _once(records: Iterator[Record] | Sequence[Record]) -> list[Record]:
    """Sinks may deliver a record twice: the very same bytes at the same number count once."""
    kept: list[Record] = []
    known: set[Record] = set()
    for record in records:
        if record not in known:
            known.add(record)
            kept.append(record)
    return kept


def _opened(path: Path) -> sqlite3.Connection:
    """A connection that cannot write, also where nothing can be written and SQLite cannot index its WAL.

    An immutable reading leaves the WAL out, so it is right only where nothing stands in it.
    """
    wal = Path(f"{path}-wal")
    for mode in ("mode=ro", "mode=ro&immutable=1"):
        db = sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True)
        try:
            db.execute("SELECT 1 FROM sqlite_master").fetchone()
            return db
        except sqlite3.OperationalError as error:
            db.close()
            if error.sqlite_errorcode & 0xFF not in _NOT_WRITABLE:
                raise
        if wal.exists() and wal.stat().st_size:
            break
    raise _Unopened("cannot be opened where nothing can be written. Verify a copy of the folder elsewhere.")


def _log(path: Path, unread: Report) -> Export:
    db = _opened(path)
    try:
        log = _name(db)
        notes = [str(note).encode() for (note,) in db.execute("SELECT note FROM checkpoint ORDER BY size")]
        summaries = _summaries(db)
    except BaseException:
        db.close()
        raise
    # The writer also leaves the last one beside its log: whoever cuts the log has to think of both.
    beside = path.with_suffix(".checkpoint")
    if beside.is_file() and (note := beside.read_bytes()) not in notes:
        notes.append(note)
    return Export(log, _compared(log, _rows(db, path, unread), summaries, unread), notes)


def _name(db: sqlite3.Connection) -> str:
    """The id of the log in a file that has nothing but tables; raises Untrusted where it says none."""
    if foreign := db.execute(_FOREIGN).fetchone():
        raise Untrusted(f"it holds {foreign[0]!r}, which is no table")
    named = db.execute("SELECT id FROM log").fetchall()
    if len(named) != 1 or not isinstance(named[0][0], str):
        raise Untrusted("it does not say which log it is")
    return named[0][0]


def _summaries(db: sqlite3.Connection) -> Summaries:
    """What the log keeps for searches; a file of the first layout keeps nothing."""
    columns = {row[1] for row in db.execute("PRAGMA table_info(checkpoint)")}
    if "holds" not in columns:
        return Summaries.of(())
    return Summaries.of(db.execute("SELECT size, holds FROM checkpoint ORDER BY size"))


def _compared(log: str, records: Iterator[Record], summaries: Summaries, unread: Report) -> Iterator[Record]:
    """The records, and a violation for the first that a summary leaves out."""
    wrong = ""
    for seq, body in records:
        if not wrong and (wrong := summaries.wrong(seq, body)):
            unread.violations.append(Violation(log, seq, wrong))
        yield seq, body


def _rows(db: sqlite3.Connection, path: Path, unread: Report) -> Iterator[Record]:
    """The records, as far as they can be read; the rest is for the report."""
    try:
        for seq, body in db.execute("SELECT seq, body FROM record ORDER BY seq"):
            if not isinstance(seq, int) or not isinstance(body, bytes):
                raise Untrusted("a record has no number, or its content is not bytes")
            yield seq, body
    except (sqlite3.Error, Untrusted) as error:
        unread.violations.append(Violation(str(path), None, f"{_UNREADABLE}: {error}"))
    finally:
        db.close()
