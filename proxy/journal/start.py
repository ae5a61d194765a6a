"""the start of a log: keep other writers out, close what the epoch before left open

The first batch of a log holds its `open` record and the outcome of every request that a crash cut off. As
one batch it is there wholly or not at all, so a crash during recovery is recovered from by the next start.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from proxy.core.checkpoint import Signer
from proxy.core.errors import JournalUnavailable
from proxy.core.record import Draft, Previous, crashed, opened
from proxy.core.tree import EMPTY_ROOT
from proxy.core.values import Json
from proxy.journal.chain import Chain, verify_tail
from proxy.journal.clock import Clock
from proxy.stores.base import LogId, StoreFault, decoded, logs_in
from proxy.stores.sqlite import LogFile, sync_folder
from proxy.stores.stretch import Attempt, Held, settle


class WriterLock:
    """Keeps a second writer of the same identity out, until it is released or the process ends."""

    def __init__(self, folder: Path, writer: str) -> None:
        home = folder / writer
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        for parent in (home, *home.parents[:3]):
            sync_folder(parent)
        self._file = os.open(home / "writer.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._file)
            raise JournalUnavailable(
                f"another process is writing the audit log {writer}."
                " Stop it, or give this one a data_dir and an audit.replica of its own."
            ) from error

    def release(self) -> None:
        """Lets the next writer in."""
        os.close(self._file)


@dataclass(frozen=True, slots=True)
class Orphan:
    """An intent without an outcome."""

    rid: str
    attempt: int
    project: str
    log: str
    seq: int


@dataclass(frozen=True, slots=True)
class Program:
    """What writes the log: its version, and the settings in force that weaken the promise."""

    version: str
    unsafe: tuple[str, ...] = ()


def open_chain(
    folder: Path, writer: str, *, signer: Signer, program: Program, clock: Clock, verify: int
) -> tuple[Chain, int]:
    """The chain of a new epoch with its first batch durable, and how many outcomes a crash had taken.

    Raises JournalUnavailable, in words for the operator, when that cannot be had.
    """
    try:
        epochs = [log for log in logs_in(folder) if log.writer == writer]
        previous, orphans, unused = _previous(folder, epochs, verify)
        log = unused or LogId(writer, epochs[-1].epoch + 1 if epochs else 1)
        chain = Chain(folder, log, signer)
        stamp = clock.stamp()
        reason = "first" if previous is None else "damaged" if previous.damage else "next"
        first = opened(
            stamp,
            engine=program.version,
            reason=reason,
            previous=previous,
            recovered=len(orphans),
            unsafe=program.unsafe,
        )
        (receipt, *_) = chain.append([first, *_closing(orphans, clock)])
        if isinstance(receipt, ValueError):
            raise JournalUnavailable(f"the audit log cannot be opened: {receipt}")
        chain.sign(str(first["t"]))
    except StoreFault as fault:
        raise JournalUnavailable(f"the audit log in {folder} cannot be opened: {fault}") from fault
    return chain, len(orphans)


def _closing(orphans: list[Orphan], clock: Clock) -> Iterator[Draft]:
    for o in orphans:
        yield crashed(clock.stamp(), rid=o.rid, attempt=o.attempt, project=o.project, intent=(o.log, o.seq))


def _previous(
    folder: Path, epochs: list[LogId], verify: int
) -> tuple[Previous | None, list[Orphan], LogId | None]:
    """The newest epoch that holds records, its orphans, and a younger one that never got any."""
    unused: LogId | None = None
    for log in reversed(epochs):
        previous, orphans = _examined(folder, log, verify)
        if previous.size == 0 and not previous.damage:
            unused = log
            continue
        return previous, orphans, unused
    return None, [], unused


def _examined(folder: Path, log: LogId, verify: int) -> tuple[Previous, list[Orphan]]:
    """What an earlier epoch holds. Damage is part of the answer; a disk that does not answer is not."""
    nothing = Previous(str(log), 0, EMPTY_ROOT)
    file: LogFile | None = None
    path = log.path(folder)
    signed = _signed_size(path.with_suffix(".checkpoint"))
    if signed and path.stat().st_size == 0:
        # Opening it would lay it out anew; what is left of a damaged log stays as it is.
        return Previous(nothing.log, 0, EMPTY_ROOT, 0, _short(0, signed)), []
    try:
        file = LogFile(path, log)
        # What the new log says of this one has to be true after a power cut as well.
        if not file.settle(wholly=True):
            raise StoreFault(f"a reader holds {file.path}; end it and start again")
        found = verify_tail(file, file.size(), verify)
        head, damaged_at, damage = found.frontier, found.damaged_at, found.damage
        if not damage and head.size < signed:
            damaged_at, damage = head.size, _short(head.size, signed)
        return Previous(str(log), head.size, head.root(), damaged_at, damage), orphans_of(file, str(log))
    except StoreFault as fault:
        if not fault.corrupt:
            raise
        return Previous(nothing.log, 0, EMPTY_ROOT, 0, str(fault)), []
    finally:
        if file is not None:
            file.close()


def _short(size: int, signed: int) -> str:
    return f"it holds {size} records, and its signed head covers {signed}"


def _signed_size(note: Path) -> int:
    """How many records the last signed head beside a log covers; 0 when there is none that can be read."""
    try:
        return int(note.read_text("utf-8").split("\n")[1])
    except (OSError, ValueError, IndexError):
        return 0


def orphans_of(file: LogFile, log: str) -> list[Orphan]:
    """Every intent of a log that has no outcome for its rid and attempt there."""
    still_open: dict[Attempt, int] = {}
    intents: dict[int, dict[str, Json]] = {}
    for seq, body in _unsettled(file):
        record = decoded(body)
        if record.get("kind") == "intent":
            intents[seq] = record
        settle(still_open, record, seq)
    return [_orphan(intents[seq], log, seq) for seq in still_open.values()]


def _unsettled(file: LogFile) -> Iterator[tuple[int, bytes]]:
    """The records that tell which requests are open: those open at the last signed head, and all since."""
    if file.layout == 1:
        yield from file.unsettled_rows()
        return
    mark = file.last_mark(file.size())
    held = None if mark is None else Held.parse(mark.size, mark.holds)
    if held is not None:
        yield from file.bodies_at(held.open)
    yield from file.bodies(0 if held is None else held.size)


def _orphan(intent: dict[str, Json], log: str, seq: int) -> Orphan:
    attempt = intent["attempt"]
    assert isinstance(attempt, int)
    return Orphan(str(intent["rid"]), attempt, str(intent.get("project", "")), log, seq)
