"""Turns a log into one of layout 1, as release 0.1.0 wrote it: columns and indexes beside each body."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import orjson

_LAYOUT_1 = """
CREATE TABLE log (id TEXT NOT NULL) STRICT;
CREATE TABLE record (
  seq INTEGER PRIMARY KEY, t TEXT NOT NULL, kind TEXT NOT NULL, rid TEXT, effect TEXT, reason TEXT,
  model TEXT, project TEXT, "end" TEXT, body BLOB NOT NULL
) STRICT;
CREATE INDEX by_time ON record (t);
CREATE INDEX by_rid ON record (rid, kind) WHERE rid IS NOT NULL;
CREATE INDEX by_project ON record (project, model) WHERE project IS NOT NULL;
CREATE INDEX by_rare_kind ON record (kind) WHERE kind NOT IN ('intent', 'outcome');
CREATE INDEX by_denial ON record (effect, reason) WHERE effect = 'deny';
CREATE INDEX by_bad_end ON record ("end") WHERE "end" <> 'complete';
CREATE TABLE checkpoint (
  size INTEGER PRIMARY KEY, t TEXT NOT NULL, note TEXT NOT NULL, frontier BLOB NOT NULL
) STRICT;
PRAGMA application_id = 0x52464C47;
PRAGMA user_version = 1;
PRAGMA journal_mode = WAL;
"""


def make_older(path: Path, *, keep: int | None = None) -> None:
    """Writes the log anew in layout 1, with its first `keep` records only if that is given."""
    with sqlite3.connect(path) as db:
        logs = db.execute("SELECT id FROM log").fetchall()
        bodies = db.execute("SELECT seq, body FROM record ORDER BY seq").fetchall()[:keep]
        marks = db.execute("SELECT size, t, note, frontier FROM checkpoint").fetchall()
    db.close()
    for suffix in ("", "-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    with sqlite3.connect(path) as db:
        db.executescript(_LAYOUT_1)
        db.executemany("INSERT INTO log VALUES (?)", logs)
        db.executemany("INSERT INTO record VALUES (?,?,?,?,?,?,?,?,?,?)", [_row(*row) for row in bodies])
        db.executemany("INSERT INTO checkpoint VALUES (?,?,?,?)", [m for m in marks if m[0] <= len(bodies)])
    db.close()


def _row(seq: int, body: bytes) -> tuple[object, ...]:
    record = orjson.loads(body)
    model = record.get("model_fwd") or record.get("model_req")
    words = (record["t"], record["kind"], record.get("rid"), record.get("effect"), record.get("reason"))
    found = (*words, model, record.get("project"), record.get("end"))
    return (seq, *(word if isinstance(word, str) else None for word in found), body)
