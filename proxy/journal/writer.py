"""the one thread that writes: batches, duties, and the way back after a fault

States: OK; FULL (no space: the reserve is given up for the outcomes under way, everything else is refused
until it can be taken back); FAILED (the store does not answer); DAMAGED (an acknowledged record is gone or
changed: nothing is written any more, the next start opens a new epoch that says so).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

import orjson

from proxy.core.errors import JournalUnavailable
from proxy.core.record import Draft, clock_step, closed, heartbeat, moment, not_sent
from proxy.core.values import Receipt
from proxy.journal.chain import Chain
from proxy.journal.clock import Clock
from proxy.journal.losses import Gap, Rejects
from proxy.journal.settings import JournalSettings
from proxy.stores.base import StoreFault
from proxy.stores.reserve import Reserve

MAX_BATCH = 512
TICK = 0.1
DUTIES = 0.05
# A WAL that stays small is written over in place: while it grows, each sync has to write its length as well.
WAL_TIDY = 4 << 20
CLOCK_STEP_US = 1_000_000
Result = Receipt | JournalUnavailable


class State(Enum):
    """Whether records can be made durable."""

    OK = "ok"
    FULL = "full"
    FAILED = "failed"
    DAMAGED = "damaged"


@dataclass(slots=True, eq=False)
class Item:
    """A draft that waits, since when (monotonic seconds), and who waits for it.

    `future` is a future of the event loop, or None when nobody waits.
    """

    draft: Draft
    since: float
    future: Any = None


Done = list[tuple[Item, Result]]


@dataclass(slots=True, eq=False)
class Writer:
    """Takes lists of items from `queue`, makes them durable, and hands batches of results to `answer`.

    `answer` is called in this thread. `queue` ends with None. What is in `unhurried` does not wake the
    thread: it goes with the next batch, at most a tick later, which saves every other sync.
    """

    chain: Chain
    settings: JournalSettings
    reserve: Reserve
    clock: Clock
    answer: Callable[[Done], None]
    queue: SimpleQueue[list[Item] | None] = field(default_factory=SimpleQueue)
    unhurried: deque[Item] = field(default_factory=deque)
    gap: Gap = field(default_factory=Gap)
    rejects: Rejects = field(init=False)
    state: State = State.OK
    fault: str = ""
    busy_since: float = 0.0
    finished: int = 0
    reason: str = "shutdown"
    _held: list[Draft] = field(default_factory=list)
    _retry_at: float = 0.0
    _duties_at: float = 0.0
    _signed_at: float = 0.0
    _written_at: float = 0.0
    _offset_us: int = 0
    _thread: Thread = field(init=False)

    def __post_init__(self) -> None:
        self.rejects = Rejects(self.settings.rejects_per_second)
        self._signed_at = self._written_at = time.monotonic()
        self._offset_us = self._wall_offset_us()
        if not self.reserve.allocate():
            self._trouble(StoreFault("no space for the reserve", full=True))
        self._thread = Thread(target=self._run, name="journal", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def join(self, timeout: float) -> bool:
        """Waits until everything is written after a None in the queue; False when that took too long."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    # -- the loop ----------------------------------------------------------------------------------

    def _run(self) -> None:
        ending = False
        while not ending:
            batch, ending = self._next_batch()
            # A thread that dies would leave every later request waiting for ever.
            try:
                if batch:
                    self._write(batch)
            except Exception as error:
                self._trouble(StoreFault(f"fault in the writer: {type(error).__name__}"))
                self._unwritten(batch)
            try:
                self._duties(idle=not batch)
            except Exception as error:
                self._trouble(StoreFault(f"fault in the writer: {type(error).__name__}"))
            self.finished += len(batch)
        self._end()

    def _next_batch(self) -> tuple[list[Item], bool]:
        """What waits, about MAX_BATCH at most, and whether the end was reached."""
        batch: list[Item] = []
        ending = False
        try:
            items = self.queue.get(timeout=TICK)
            while items is not None and len(batch) + len(items) < MAX_BATCH:
                batch += items
                items = self.queue.get_nowait()
            ending = items is None
            batch += items or ()
        except Empty:
            pass
        # What was handed over without hurry came first: a load must not stand behind what rests on it.
        earlier: list[Item] = []
        while self.unhurried and (len(earlier) + len(batch) < MAX_BATCH or ending):
            earlier.append(self.unhurried.popleft())
        return earlier + batch, ending

    def _write(self, batch: Sequence[Item]) -> None:
        # A request that was given up before its record was begun leaves none.
        wanted = [item for item in batch if item.future is None or not item.future.cancelled()]
        if self.state is not State.OK:
            self._unwritten(wanted)
            return
        try:
            self.busy_since = batch[0].since
            results = self.chain.append([item.draft for item in wanted])
        except StoreFault as fault:
            self._trouble(fault)
            self._unwritten(wanted)
            self._mend()
            return
        finally:
            self.busy_since = 0.0
        self._written_at = time.monotonic()
        self._answer([(item, _result(result)) for item, result in zip(wanted, results, strict=True)])

    def _answer(self, done: Done) -> None:
        awaited = [pair for pair in done if pair[0].future is not None]
        if awaited:
            self.answer(awaited)

    def _unwritten(self, batch: Sequence[Item]) -> None:
        """Refuses what can be refused and holds what has already happened."""
        words = f"the audit log cannot take a record now: {self.fault}"
        for item in batch:
            kind = str(item.draft["kind"])
            if kind == "reject":
                self.rejects.count(str(item.draft["reason"]), self.clock.wall())
            elif item.future is None or kind == "outcome":
                self._hold(item.draft)
            else:
                self.gap.count(kind, self.clock.wall())
        self._answer([(item, JournalUnavailable(words)) for item in batch])

    def _hold(self, draft: Draft) -> None:
        if len(self._held) < 10 * self.settings.max_queue:
            self._held.append(draft)
        else:
            self.gap.count(str(draft["kind"]), self.clock.wall())

    # -- faults ------------------------------------------------------------------------------------

    def _trouble(self, fault: StoreFault) -> None:
        self.fault = str(fault)
        self.state = State.DAMAGED if fault.corrupt else State.FULL if fault.full else State.FAILED
        self._retry_at = time.monotonic()

    def _mend(self) -> None:
        """One try to come back: open anew, verify, write what is owed, take the reserve back."""
        if self.state is State.DAMAGED or time.monotonic() < self._retry_at:
            return
        reason = self.state.value
        try:
            # Opening anew takes space as well: settling the WAL makes the file grow.
            if self.state is State.FULL:
                self.reserve.free()
            self._adopt(self.chain.recover())
            self._pay()
            if not self.reserve.allocate():
                raise StoreFault("the disk is full", full=True)
            self._write_gap(reason)
        except StoreFault as fault:
            self._trouble(fault)
            self._retry_at = time.monotonic() + self.settings.retry_interval
            return
        self.state, self.fault = State.OK, ""

    def _adopt(self, bodies: Sequence[bytes]) -> None:
        """Settles what a failed batch left behind: its requests were refused, so nothing was sent."""
        found = [orjson.loads(body) for body in bodies]
        eids = {record["eid"] for record in found}
        self._held = [draft for draft in self._held if draft["eid"] not in eids]
        for record in found:
            if record["kind"] == "intent":
                self._hold(unsent(record, self.clock))

    def _pay(self) -> None:
        while self._held:
            part = self._held[:MAX_BATCH]
            self.chain.append(part)
            del self._held[: len(part)]

    def _write_gap(self, reason: str) -> None:
        """Records what was refused while records could not be taken, or not so many."""
        draft = self.gap.taken(self.clock, reason)
        if draft is None:
            return
        try:
            self.chain.append([draft])
        except StoreFault:
            self.gap.given_back(draft, self.clock.wall())
            raise

    # -- duties ------------------------------------------------------------------------------------

    def _duties(self, *, idle: bool) -> None:
        if not idle and time.monotonic() < self._duties_at:
            return
        self._duties_at = time.monotonic() + DUTIES
        if self.state is not State.OK:
            self._mend()
            return
        try:
            self._record_own()
            self._sign_when_due()
            self._tidy()
        except StoreFault as fault:
            self._trouble(fault)
            self._mend()

    def _record_own(self) -> None:
        own: list[Draft] = self.rejects.taken(self.clock)
        offset = self._wall_offset_us()
        if abs(offset - self._offset_us) > CLOCK_STEP_US:
            own.append(clock_step(self.clock.stamp(), step_us=offset - self._offset_us))
            self._offset_us = offset
        if time.monotonic() - self._written_at >= self.settings.heartbeat_interval:
            own.append(heartbeat(self.clock.stamp()))
        if own:
            self.chain.append(own)
            self._written_at = time.monotonic()
        self._write_gap("shed")

    def _sign_when_due(self, *, now: bool = False) -> None:
        unsigned = self.chain.size - self.chain.signed_size
        late = time.monotonic() - self._signed_at >= self.settings.checkpoint_interval
        if unsigned and (now or late or unsigned >= self.settings.checkpoint_every):
            self.chain.sign(moment(self.clock.wall()))
            self._signed_at = time.monotonic()
        elif not unsigned:
            self._signed_at = time.monotonic()

    def _tidy(self) -> None:
        if self.chain.unsettled > WAL_TIDY:
            self.chain.tidy()

    def _wall_offset_us(self) -> int:
        return int(self.clock.wall().timestamp() * 1e6) - self.clock.mono_ns() // 1000

    def _end(self) -> None:
        """Writes what is still owed, the `close` record and the last head."""
        self._retry_at = 0.0
        if self.state is not State.OK:
            self._mend()
        try:
            if self.state is State.OK:
                self._record_own()
                self.chain.append([closed(self.clock.stamp(), reason=self.reason)])
                self._sign_when_due(now=True)
        except StoreFault as fault:
            self._trouble(fault)
        self.chain.close()


def unsent(record: Draft, clock: Clock) -> Draft:
    """The outcome of an intent that is durable although its request was refused."""
    rid, project = str(record["rid"]), str(record.get("project", ""))
    attempt = record["attempt"]
    assert isinstance(attempt, int)
    return not_sent(clock.stamp(), rid=rid, attempt=attempt, project=project)


def _result(result: Receipt | ValueError) -> Result:
    return result if isinstance(result, Receipt) else JournalUnavailable(f"this cannot be recorded: {result}")
