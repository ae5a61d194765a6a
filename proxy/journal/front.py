"""the journal as the event loop sees it"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from proxy.core.checkpoint import VerifierKey
from proxy.core.errors import JournalUnavailable
from proxy.core.record import Draft
from proxy.core.values import Receipt
from proxy.journal.clock import Clock
from proxy.journal.settings import JournalSettings
from proxy.journal.signing import load_own_signer
from proxy.journal.start import Program, WriterLock, open_chain
from proxy.journal.writer import Done, Item, State, Writer, unsent
from proxy.stores.base import writer_name
from proxy.stores.reserve import Reserve

CLOSE_SECONDS = 30.0
MANY = 128
CROWD = 3
ENOUGH = 32
AT_ONCE = 6
"""Whoever has a receipt sends at once: the streams wait for as many requests as go on in one turn."""
_SYSTEM = Clock()


class Journal:
    """Makes records durable. All its methods belong to one event loop's thread."""

    def __init__(self, writer: Writer, lock: WriterLock, *, log: str, verifier: VerifierKey) -> None:
        self.log = log
        self.verifier = verifier
        self.recovered = 0
        self._writer = writer
        self._lock = lock
        self._settings = writer.settings
        self._clock = writer.clock
        self._accepted = 0
        self._gathered: list[Item] = []
        self._closing = False
        self._loop: asyncio.AbstractEventLoop | None = None

    @staticmethod
    def open(
        settings: JournalSettings,
        data_dir: Path,
        *,
        worker: str = "w0",
        program: Program,
        clock: Clock = _SYSTEM,
    ) -> Journal:
        """Opens the log of a new epoch below `data_dir`/audit and starts its writer.

        Raises JournalUnavailable when no durable `open` record can be
        had, and Mistake for a signing key that does not fit.
        """
        folder = audit_folder(data_dir)
        signer = load_own_signer(settings, folder)
        name = writer_name(settings.deployment, settings.replica, worker)
        lock = WriterLock(folder, name)
        try:
            chain, recovered = open_chain(
                folder, name, signer=signer, program=program, clock=clock, verify=settings.verify_at_start
            )
        except BaseException:
            lock.release()
            raise
        reserve = Reserve(folder / name / "reserve", settings.reserve_bytes)
        answered: list[Callable[[Done], None]] = []
        writer = Writer(chain, settings, reserve, clock, lambda done: answered[0](done))
        journal = Journal(writer, lock, log=str(chain.log), verifier=signer.verifier)
        journal.recovered = recovered
        answered.append(journal._answer)
        writer.start()
        return journal

    # -- writing -----------------------------------------------------------------------------------

    async def append(self, draft: Draft) -> Receipt:
        """Returns when the record is on stable storage; raises JournalUnavailable when it is not.

        When this raises for an intent, be it by cancellation, the journal itself records the outcome
        `not_sent` if the intent turns out to be durable: the caller records none.
        """
        self._refuse_when_unable(draft)
        loop = self._loop = asyncio.get_running_loop()
        item = Item(draft, time.monotonic(), loop.create_future())
        self._put(item)
        try:
            receipt: Receipt = await item.future
        except asyncio.CancelledError:
            if not item.future.cancelled() and item.future.exception() is None:
                self._disown(item.draft)
            raise
        return receipt

    def submit(self, draft: Draft) -> None:
        """Hands over the record of something that has happened, without waiting: an outcome.

        It is durable about a tenth of a second later, together with others. While the log cannot take it, it
        is kept in memory, and it is written first when the log is back.
        """
        if self._closing:
            raise JournalUnavailable("the audit log is closed")
        self._put_unhurried(Item(draft, time.monotonic()))

    def note(self, draft: Draft) -> None:
        """Hands over a `reject` record, best effort: beyond so many per second they are counted in one."""
        now = time.monotonic()
        crowded = self.pending > self._settings.max_queue // 2 or not self.healthy or self._closing
        if crowded or not self._writer.rejects.admit(int(now)):
            self._writer.rejects.count(str(draft["reason"]), self._clock.wall())
        else:
            self._put_unhurried(Item(draft, now))

    def tally(self, reason: str, amount: int) -> None:
        """Counts `reject`s that get no record of their own: the next one says how many there were."""
        self._writer.rejects.count(reason, self._clock.wall(), amount)

    def _put(self, item: Item) -> None:
        self._accepted += 1
        self._gathered.append(item)
        if self._loop is None:
            self._hand_over()
        elif len(self._gathered) == 1:
            self._loop.call_soon(self._gather, 0)

    def _gather(self, known: int) -> None:
        """Lets one more turn add to what a busy loop brings; a turn that brings few ends it."""
        found = len(self._gathered)
        if self._loop is not None and found - known >= CROWD and found < ENOUGH:
            # No timer: a loop with nothing else to do turns at once.
            self._loop.call_soon(self._gather, found)
        else:
            self._hand_over()

    def _hand_over(self) -> None:
        """What was gathered is one batch: one wake-up of the writer, one sync."""
        if self._gathered:
            batch, self._gathered = self._gathered, []
            self._writer.queue.put(batch)

    def _put_unhurried(self, item: Item) -> None:
        if len(self._writer.unhurried) >= MANY:
            self._put(item)
            return
        self._accepted += 1
        self._writer.unhurried.append(item)

    def _refuse_when_unable(self, draft: Draft) -> None:
        if self._closing:
            raise JournalUnavailable("the audit log is closed")
        kind = str(draft["kind"])
        words = ""
        if self._writer.state is not State.OK and kind != "outcome":
            words = f"the audit log cannot take a record now: {self._writer.fault}"
        elif self.pending >= self._settings.max_queue * (2 if kind == "outcome" else 1):
            words = f"{self.pending} records are waiting for the disk"
        elif self.lag > self._settings.max_wait and kind != "outcome":
            words = f"the disk has not answered for {self.lag:.1f} s"
        if words:
            self._writer.gap.count(kind, self._clock.wall())
            raise JournalUnavailable(words)

    # -- answers -----------------------------------------------------------------------------------

    def _answer(self, done: Done) -> None:
        """Called by the writer's thread: one wake-up of the loop for a whole batch."""
        loop = self._loop
        # A loop that is closed has nobody left who waits.
        with suppress(RuntimeError):
            if loop is not None:
                loop.call_soon_threadsafe(self._resolve, done)

    def _resolve(self, done: Done) -> None:
        """Let a few go on in this turn of the loop, and the rest of the batch in the next ones."""
        if rest := done[AT_ONCE:]:
            asyncio.get_running_loop().call_soon(self._resolve, rest)
        for item, result in done[:AT_ONCE]:
            future = item.future
            if future.cancelled():
                if isinstance(result, Receipt):
                    self._disown(item.draft)
            elif future.done():
                continue
            elif isinstance(result, Receipt):
                future.set_result(result)
            else:
                future.set_exception(result)

    def _disown(self, draft: Draft) -> None:
        """An intent became durable, but whoever asked for it is gone: nothing was sent."""
        if draft["kind"] == "intent":
            self._put_unhurried(Item(unsent(draft, self._clock), time.monotonic()))

    # -- state -------------------------------------------------------------------------------------

    @property
    def healthy(self) -> bool:
        """Whether records can be made durable, as far as is known."""
        return self._writer.state is State.OK and not self._closing

    @property
    def fault(self) -> str:
        """Why not, in words for the operator; "" when healthy."""
        return self._writer.fault

    @property
    def pending(self) -> int:
        """Records that wait for the disk."""
        return self._accepted - self._writer.finished

    @property
    def lag(self) -> float:
        """Seconds that the oldest record being written has waited."""
        since = self._writer.busy_since
        return time.monotonic() - since if since else 0.0

    async def close(self, reason: str = "shutdown") -> None:
        """Writes everything that waits, the `close` record and a last signed head.

        Raises JournalUnavailable when the disk does not answer in time.
        """
        if self._closing:
            return
        self._closing = True
        self._writer.reason = reason
        self._hand_over()
        self._writer.queue.put(None)
        loop = asyncio.get_running_loop()
        ended = await loop.run_in_executor(None, self._writer.join, CLOSE_SECONDS)
        self._lock.release()
        if not ended or self._writer.state is not State.OK:
            raise JournalUnavailable(f"the audit log was not closed cleanly: {self._writer.fault}")


def audit_folder(data_dir: Path) -> Path:
    """Where the logs of a data folder lie."""
    folder = data_dir / "audit"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder
