"""deletes audit logs that are older than the retention period, and records which

Only whole logs go, and only those that their writer has ended. The record of it stands in a log of its own
writer, so that a running proxy need not be stopped, and it is durable and signed before the first file goes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import orjson

from proxy.core.checkpoint import VerifierKey
from proxy.core.record import moment, prune
from proxy.core.record_life import Final
from proxy.core.verify import Export, Report, verify
from proxy.journal import Clock, Journal, JournalSettings, Program, audit_folder
from proxy.private_files import write_private
from proxy.stores.base import SUFFIX, LogId, StoreFault
from proxy.stores.reader import Entry, Reader
from proxy.stores.sqlite import sync_folder

WRITER = "prune"
"""The worker part of the log that holds the records of what was deleted; it is never deleted itself."""
LEAST = timedelta(days=190)
"""More than any six months, for which logs of high-risk AI systems are kept (EU AI Act, articles 19, 26)."""
_SYSTEM = Clock()


@dataclass(frozen=True, slots=True)
class Found:
    """An ended log: where it is, how it ended, and why it stays ("" when it may go)."""

    log: LogId
    final: Final
    stays: str


def survey(data_dir: Path, key: VerifierKey, *, before: datetime) -> list[Found]:
    """Every ended log whose last record is older than `before`, oldest first.

    Of each writer they may go in their order: what comes after a log that stays is not looked at.
    """
    folder = audit_folder(data_dir)
    reader = Reader(folder)
    try:
        return list(_surveyed(reader, key, moment(before)))
    finally:
        reader.close()


def _surveyed(reader: Reader, key: VerifierKey, before: str) -> Iterator[Found]:
    logs = [log for log in reader.logs() if not log.writer.endswith(f"/{WRITER}")]
    stopped: set[str] = set()
    for log, following in pairwise(logs):
        if log.writer != following.writer or log.writer in stopped:
            continue
        found = _examined(reader, key, log, following)
        if found.final.last >= before:
            stopped.add(log.writer)
            continue
        if found.stays:
            stopped.add(log.writer)
        yield found


def _examined(reader: Reader, key: VerifierKey, log: LogId, following: LogId) -> Found:
    latest = [""]

    def rows() -> Iterator[tuple[int, bytes]]:
        for entry in reader.records_of(log):
            latest[0] = max(latest[0], entry.t)
            yield entry.seq, entry.body

    beside = log.path(reader.folder).with_suffix(".checkpoint")
    try:
        notes = [*map(str.encode, reader.notes(log)), *([beside.read_bytes()] if beside.is_file() else [])]
        report = verify([Export(str(log), rows(), notes)], key=key)
    except StoreFault as fault:
        return Found(log, Final(str(log), 0, b"", "", 0), f"it cannot be read: {fault}")
    (held,) = report.logs
    final = Final(str(log), held.size, held.root, latest[0], held.covered)
    stays = _violated(report) or _contradicted(reader, following, final) or _awaited(reader.folder, final)
    return Found(log, final, stays)


def _violated(report: Report) -> str:
    """A log that was changed is evidence, and deleting it would be the end of that."""
    if not report.violations:
        return ""
    return f"it was changed ({report.violations[0].what}); see `ringfence audit verify`"


def _contradicted(reader: Reader, following: LogId, final: Final) -> str:
    opening: Entry | None = next(reader.records_of(following), None)
    said = opening.record if opening is not None else {}
    if said.get("reason") == "damaged":
        return f"its writer found it damaged, as {following} says; move it away once that is cleared up"
    if (said.get("prev_log"), said.get("prev_size"), said.get("prev_root")) == (
        final.log,
        final.size,
        final.root.hex(),
    ):
        return ""
    return f"{following} does not say that this log ended so; see `ringfence audit verify`"


def _awaited(folder: Path, final: Final) -> str:
    for path in sorted(folder.glob("cursors/*.json")):
        known = _delivered(path, final.log)
        if known < final.size:
            return (
                f"the sink {path.stem} has {known} of its {final.size} records; if there is no such sink any"
                f" more, delete {path}"
            )
    return ""


def _delivered(cursor: Path, log: str) -> int:
    """How many records a sink says it has; one whose word cannot be read gets all of them again."""
    try:
        return int(orjson.loads(cursor.read_bytes())[log])
    except (OSError, ValueError, LookupError, TypeError):
        return 0


async def delete(
    found: list[Found],
    settings: JournalSettings,
    data_dir: Path,
    *,
    keep: timedelta,
    program: Program,
    clock: Clock = _SYSTEM,
) -> None:
    """Records that these logs go, then deletes them; their last signed heads stay.

    Raises JournalUnavailable when that cannot be recorded: then nothing is deleted. A crash after the record
    leaves files behind, which the next call deletes.
    """
    quiet = settings.model_copy(update={"reserve_bytes": 0})
    journal = Journal.open(quiet, data_dir, worker=WRITER, program=program, clock=clock)
    try:
        for each in found:
            draft = prune(clock.stamp(), each.final, keep_s=int(keep.total_seconds()))
            await journal.append(draft)
    finally:
        await journal.close()
    for each in found:
        _delete(audit_folder(data_dir), each.log)


def _delete(folder: Path, log: LogId) -> None:
    path = log.path(folder)
    head = path.with_suffix(".checkpoint")
    if not head.exists():
        reader = Reader(folder)
        try:
            notes = reader.notes(log)
        finally:
            reader.close()
        if notes:
            write_private(head, notes[-1].encode())
    for suffix in (f"{SUFFIX}-wal", f"{SUFFIX}-shm", SUFFIX):
        path.with_suffix(suffix).unlink(missing_ok=True)
    sync_folder(path.parent)
