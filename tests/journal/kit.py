"""What the tests of the journal share: drafts, quick settings, and the verdict of the verifier."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

import orjson

from proxy import ids
from proxy.cli._audit_verify import run_verify
from proxy.core import record
from proxy.core.tree import leaf_hash
from proxy.core.values import Receipt
from proxy.journal import Clock, Journal, JournalSettings, Program, chain
from proxy.stores.base import LogId, StoreFault
from proxy.stores.reader import Entry, Reader, connect_to_read
from proxy.stores.sqlite import LogFile
from proxy.stores.wanted import Wanted
from tests.core.test_record import GROUNDS, KNOWN, SENT, allowed, recorder

QUICK = {"reserve_bytes": "1MB", "retry_interval": "50ms", "checkpoint_interval": "50ms"}
_RECORDER = recorder()
_JUDGED = allowed()


def settings(**changes: object) -> JournalSettings:
    """Settings as a configuration would give them, quick enough for tests."""
    return JournalSettings.model_validate({**QUICK, **changes})


def opened(folder: Path, *, clock: Clock | None = None, worker: str = "w0", **changes: object) -> Journal:
    """A running journal."""
    held = settings(**changes)
    return Journal.open(held, folder, program=Program("0.1.0"), worker=worker, clock=clock or Clock())


def intent(rid: str | None = None, attempt: int = 1) -> record.Draft:
    """An intent as the pipeline makes it."""
    seen = record.Seen(rid or ids.uuid7(), "POST", 18, attempt=attempt)
    return _RECORDER.intent(_JUDGED, seen, sent=SENT, stamp=Clock().stamp())


def refusal(rid: str | None = None) -> record.Draft:
    """A refusal as the pipeline makes it."""
    judged = record.Judged(GROUNDS, _JUDGED.caller, _JUDGED.call)
    seen = record.Seen(rid or ids.uuid7(), "POST", 18)
    return _RECORDER.refusal(judged, seen, reason="unknown_model", stamp=Clock().stamp())


def outcome(rid: str, end: str = "complete", attempt: int = 1) -> record.Draft:
    """An outcome as the pipeline makes it."""
    ended = record.Ended(rid, end, attempt=attempt, project="design", status=200)
    return _RECORDER.outcome(ended, known=KNOWN, stamp=Clock().stamp())


def reject(reason: str = "unknown_key") -> record.Draft:
    """Input by nobody."""
    return record.reject(Clock().stamp(), reason)


def entries(folder: Path, **wanted: object) -> list[Entry]:
    """What stands in the logs now."""
    reader = Reader(folder / "audit")
    try:
        return list(reader.select(Wanted(**wanted)))  # type: ignore[arg-type]
    finally:
        reader.close()


def records(folder: Path, *kinds: str) -> list[dict]:
    """The decoded records of these kinds."""
    return [entry.record for entry in entries(folder, kinds=kinds)]


def records_of(folder: Path, log: str) -> list[dict]:
    """The decoded records of one log, whatever state the others are in."""
    name = LogId.parse(log)
    assert name is not None
    db = connect_to_read(name.path(folder / "audit"))
    try:
        return [orjson.loads(body) for (body,) in db.execute("SELECT body FROM record ORDER BY seq")]
    finally:
        db.close()


def stands(folder: Path, receipt: Receipt) -> bool:
    """Whether the very record that was acknowledged is in the log."""
    found = [e for e in entries(folder) if str(e.log) == receipt.log and e.seq == receipt.seq]
    return [leaf_hash(e.body).hex() for e in found] == [receipt.leaf]


def verified(folder: Path) -> int:
    """The exit code of the independent verifier over everything in the folder."""
    return run_verify(folder / "audit", (), key_file=None, anchors=(), as_json=False)


async def until(true: Callable[[], object]) -> None:
    """Returns as soon as something holds; it is looked at again and again, for as long as it takes."""
    while not true():  # noqa: ASYNC110 - what is waited for happens in another thread or process
        await asyncio.sleep(0.01)


class FaultyDisk:
    """Makes appends fail on demand: before they reach the disk, or after it (the answer is lost)."""

    def __init__(self) -> None:
        self.before: list[StoreFault] = []
        self.after: list[StoreFault] = []
        self.reopen: list[StoreFault] = []


@contextmanager
def faulty_disk() -> Iterator[FaultyDisk]:
    """Real files beneath; only the scripted faults are made up."""
    disk = FaultyDisk()

    class FaultyFile(LogFile):
        def __init__(self, path, log):
            if disk.reopen:
                raise disk.reopen.pop(0)
            super().__init__(path, log)

        def append(self, rows):
            if disk.before:
                raise disk.before.pop(0)
            super().append(rows)
            if disk.after:
                raise disk.after.pop(0)

    with patch.object(chain, "LogFile", FaultyFile):
        yield disk


class HeldClock:
    """A wall clock that a test can move."""

    def __init__(self) -> None:
        self.shift = timedelta()

    def clock(self) -> Clock:
        """The clock to hand over."""
        return Clock(wall=lambda: datetime.now(UTC) + self.shift)
