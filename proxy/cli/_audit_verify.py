"""hands logs and exports to the verifier, without any code of the writer or its stores"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import orjson

from proxy.core.checkpoint import VerifierKey
from proxy.core.errors import Untrusted
from proxy.core.verify import Export, Report, Violation, records_of, verify

_SQLITE = b"SQLite format 3\x00"
_NOT_WRITABLE = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)


class _Unopened(Exception):
    """A log that says nothing, because it cannot be opened in this place."""


def run_verify(
    folder: Path, files: Sequence[Path], *, key_file: Path | None, anchors: Sequence[Path], as_json: bool
) -> int:
    """Verifies and prints; the exit code."""
    own_key = folder / "verifier.vkey"
    beside = key_file is None and not files and own_key.exists()
    chosen = own_key if beside else key_file
    try:
        key = None if chosen is None else VerifierKey.parse(chosen.read_text("utf-8"))
    except (Untrusted, UnicodeDecodeError) as error:
        raise click.ClickException(f"{chosen} is not a verifier key: {error}") from error
    left = () if files else _left_behind(folder)
    report = _verified(files or sorted(folder.glob("*/*/*/*.sqlite")), key, anchors, left)
    if beside:
        report.notes.append(
            f"the key was taken from {own_key}: give --key with a copy that you got elsewhere"
        )
    click.echo(_as_json(report) if as_json else "\n".join(_lines(report)))
    return report.exit_code


def _left_behind(folder: Path) -> list[bytes]:
    """The signed heads of logs that are gone."""
    heads = sorted(folder.glob("*/*/*/*.checkpoint"))
    return [head.read_bytes() for head in heads if not head.with_suffix(".sqlite").exists()]


def _verified(
    paths: Sequence[Path], key: VerifierKey | None, anchors: Sequence[Path], left: Sequence[bytes] = ()
) -> Report:
    unread = Report()
    exports = [export for path in paths for export in _exports(path, unread)]
    exports.sort(key=lambda export: export.log)
    report = verify(exports, key=key, anchored=[path.read_bytes() for path in anchors], left=left)
    report.violations.extend(unread.violations)
    report.unchecked.extend(unread.unchecked)
    return report


def _exports(path: Path, unread: Report) -> list[Export]:
    if path.stat().st_size == 0 and path.with_suffix(".checkpoint").is_file():
        words = "is empty, although a signed head of it lies beside it"
        unread.violations.append(Violation(str(path), None, words))
        return []
    try:
        with path.open("rb") as file:
            if file.read(len(_SQLITE)) == _SQLITE:
                return [_log(path)]
            file.seek(0)
            logs: dict[str, list[tuple[int, bytes]]] = {}
            for log, seq, body in records_of(file):
                logs.setdefault(log, []).append((seq, body))
        return [Export(log, _once(records)) for log, records in logs.items()]
    except _Unopened as words:
        unread.unchecked.append(f"{path}: {words}")
        return []
    except (sqlite3.Error, Untrusted) as error:
        unread.violations.append(Violation(str(path), None, f"cannot be read as a log: {error}"))
        return []


def _once(records: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    """Sinks may deliver a record twice: the very same bytes at the same number count once."""
    kept: list[tuple[int, bytes]] = []
    known: set[tuple[int, bytes]] = set()
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


def _log(path: Path) -> Export:
    db = _opened(path)
    (log,) = db.execute("SELECT id FROM log").fetchone()
    notes = [str(note).encode() for (note,) in db.execute("SELECT note FROM checkpoint ORDER BY size")]
    # The writer also leaves the last one beside its log: whoever cuts the log has to think of both.
    beside = path.with_suffix(".checkpoint")
    if beside.is_file() and (note := beside.read_bytes()) not in notes:
        notes.append(note)
    return Export(str(log), _rows(db), notes)


def _rows(db: sqlite3.Connection) -> Iterator[tuple[int, bytes]]:
    yield from db.execute("SELECT seq, body FROM record ORDER BY seq")
    db.close()


def _lines(report: Report) -> Iterator[str]:
    for log in report.logs:
        under = f"{log.covered} of them under {log.heads} signed heads"
        yield f"{log.log}: {log.size} records, {under}, root {log.root.hex()[:16]}"
    for violation in report.violations:
        place = violation.log if violation.seq is None else f"{violation.log}#{violation.seq}"
        yield f"VIOLATION  {place}: {violation.what}"
    for sentence in report.unchecked:
        yield f"UNCHECKED  {sentence}"
    for sentence in report.notes:
        yield f"note       {sentence}"
    yield ("proven", "violated", "incomplete")[report.exit_code]


def _as_json(report: Report) -> str:
    return orjson.dumps(
        {
            "verdict": ("proven", "violated", "incomplete")[report.exit_code],
            "logs": [
                {"log": e.log, "size": e.size, "root": e.root.hex(), "covered": e.covered, "heads": e.heads}
                for e in report.logs
            ],
            "violations": [{"log": v.log, "seq": v.seq, "what": v.what} for v in report.violations],
            "unchecked": report.unchecked,
            "notes": report.notes,
        }
    ).decode()
