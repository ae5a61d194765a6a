"""one worker process: start, listen, watch, drain"""

from __future__ import annotations

import asyncio
import signal
import socket
import ssl
import sys
import time
from collections.abc import Callable, Collection, Coroutine
from functools import partial
from typing import Any

from proxy import ids
from proxy.accepting import Acceptor
from proxy.core.errors import JournalUnavailable
from proxy.core.record_form import clip
from proxy.handover import Report
from proxy.logs import describe, logger
from proxy.memory import settle
from proxy.months import month_of
from proxy.stops import STOPS
from proxy.wiring import Assembly

_TICK = 0.05
_SPEND_EVERY = 5.0
_DISK_EVERY = 5.0
_LAST_WORDS = 0.1
# A sink may hang for ever; a worker that ends has 45 seconds beyond its drain.
_SINKS_SECONDS = 10.0
# A report goes to the parent process in one message of limited length.
_MOST_MISTAKES, _LONGEST_MISTAKE = 40, 500
_FIRST_FETCH = 10.0
_AFTER_FAILURE = 1.0
# The writer thread waits for the interpreter lock; a shorter turn makes a commit milliseconds faster.
_SWITCH_SECONDS = 0.0005


class Worker:
    """Runs an assembly until it is told to stop, then lets open answers end."""

    def __init__(
        self, assembly: Assembly, *, refreshes: bool, stops: Collection[signal.Signals] = STOPS
    ) -> None:
        self._parts = assembly
        self._refreshes = refreshes
        self._stops = stops
        self._taking: set[asyncio.Task[None]] = set()
        self._stop = asyncio.Event()
        self._first: asyncio.Timeout | None = None
        self._group = asyncio.TaskGroup()
        self._partings: list[Callable[[], None]] = []

    # -- life ------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Everything but listening: the signals, and a believable catalogue unless a stop comes before it."""
        self._hear_signals()
        sys.setswitchinterval(_SWITCH_SECONDS)
        parts = self._parts
        parts.ledger.restore(parts.limits, _month())
        if self._refreshes:
            await self._fetch_first()
        settle()
        for feed in parts.feeds:
            feed.start()

    def _hear_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in self._stops:
            loop.add_signal_handler(number, self.stop)
        loop.add_signal_handler(signal.SIGHUP, self.look)

    async def _fetch_first(self) -> None:
        """Fetch the catalogue, but let a gateway that keeps silent hold up neither the start nor a stop."""
        try:
            async with asyncio.timeout(_FIRST_FETCH) as self._first:
                await self._refresh()
        except TimeoutError:
            if not self.stopping:
                logger().warning("catalogue_kept", code="unreachable", status=0)
        finally:
            self._first = None

    def look(self) -> None:
        """Take over files that have changed, be a look at them under way or not."""
        self._parts.revisions.look(again=True)

    async def listen(self, sock: socket.socket, tls: ssl.SSLContext | None) -> None:
        """Serve connections from a listening socket while it runs."""
        take = partial(self.take, tls=tls, closed=_nothing)
        self.at_parting(Acceptor(sock, take).close)

    def at_parting(self, call: Callable[[], None]) -> None:
        """Have something called once no connection is taken any more."""
        self._partings.append(call)

    def take(self, connection: socket.socket, tls: ssl.SSLContext | None, closed: Callable[[], None]) -> None:
        """Serve a connection that another process has accepted; `closed` is called when it ends."""
        if self._stop.is_set():
            # It was on its way when the end began; its sender sees that nothing was taken.
            connection.close()
            closed()
            return
        task = self._group.create_task(self._take(connection, tls, closed))
        self._taking.add(task)
        task.add_done_callback(self._taking.discard)

    async def _take(
        self, connection: socket.socket, tls: ssl.SSLContext | None, closed: Callable[[], None]
    ) -> None:
        loop, front = asyncio.get_running_loop(), self._parts.front
        # Who is silent before TLS is there gets no longer than who is silent after.
        patience = self._parts.settings.listen.header_deadline if tls else None
        try:
            await loop.connect_accepted_socket(
                lambda: front.with_end(closed), connection, ssl=tls, ssl_handshake_timeout=patience
            )
        except OSError:
            # A handshake that failed never became a connection.
            connection.close()
            closed()

    def stop(self) -> None:
        """Begin to drain; when told again, cut what is still open."""
        if self._stop.is_set():
            self._parts.front.rest.set()
        self._stop.set()
        if self._first is not None and not self._first.expired():
            self._first.reschedule(0.0)

    @property
    def stopping(self) -> bool:
        """Whether it was told to stop, perhaps before it had started."""
        return self._stop.is_set()

    async def run(self) -> None:
        """Serve until told to stop, then drain and close the log. A watch that dies ends the worker."""
        try:
            async with self._group:
                watches = [self._group.create_task(work) for work in self._watches()]
                await self._stop.wait()
                for task in (*watches, *self._taking):
                    task.cancel()
        finally:
            logger().info("draining", connections=len(self._parts.front.connections))
            await self._drain()
            await self._close()

    def _watches(self) -> list[Coroutine[Any, Any, None]]:
        parts = self._parts
        files = partial(parts.revisions.watch, parts.settings.reload_every)
        watches: list[Callable[[], Coroutine[Any, Any, None]]] = [files, self._tick, self._exchange_spend]
        watches.append(self._watch_disk)
        if self._refreshes:
            watches.append(self._refresh_often)
        return [self._steadily(watch) for watch in watches]

    async def _steadily(self, watch: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Keep a watch going through what passes: a machine short of descriptors, memory or disk."""
        while True:
            try:
                await watch()
            except (OSError, MemoryError) as error:
                logger().error("watch_failed", **describe(error))
                await asyncio.sleep(_AFTER_FAILURE)

    async def _drain(self) -> None:
        """No new connections, none kept alive; open answers may end until the deadline."""
        front = self._parts.front
        front.draining = True
        self._stop.set()
        for part in self._partings:
            part()
        front.stop_listening_to_idle()
        if front.busy:
            front.rest.clear()
            await self._rest()
        front.cutting = True
        await front.shutdown(_LAST_WORDS)
        await asyncio.sleep(_TICK)

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(self._parts.settings.drain_deadline):
                await self._parts.front.rest.wait()
        except TimeoutError:
            logger().warning("drain_deadline", connections=self._parts.front.busy)

    async def _close(self) -> None:
        try:
            self._parts.ledger.exchange(self._parts.limits, _month())
        except OSError as error:
            # The log is worth more than the last seconds' spend.
            logger().error("spend_not_written", **describe(error))
        self._parts.gateway.close()
        try:
            await self._parts.journal.close()
        except JournalUnavailable:
            logger().error("journal_not_closed", log=self._parts.journal.log)
        await asyncio.to_thread(self._stop_feeds)
        if self._parts.traces is not None:
            await asyncio.to_thread(self._parts.traces.close)

    def _stop_feeds(self) -> None:
        """Deliver what the sinks still lack, the last records of this log among it."""
        until = time.monotonic() + _SINKS_SECONDS
        for feed in self._parts.feeds:
            if not feed.stop(max(0.0, until - time.monotonic())):
                logger().error("sink_hangs", sink=feed.sink.name)

    # -- what goes on beside requests ------------------------------------------------------------

    async def _refresh_often(self) -> None:
        while True:
            await asyncio.sleep(self._parts.settings.catalog.refresh_every)
            await self._refresh()

    async def _refresh(self) -> None:
        """Fetch the catalogue; a believable one also ends every quarantine."""
        report = await self._parts.sync.refresh()
        words = {"code": report.code, "routes": len(report.catalogue.routes)}
        if report.replaced:
            self._parts.quarantine.clear()
            logger().info("catalogue_replaced", **words)
        else:
            logger().warning("catalogue_kept", status=report.status or 0, **words)
        self._parts.metrics.loads.add("catalogue", "loaded" if report.replaced else "refused")
        await self._parts.revisions.follow()

    async def _exchange_spend(self) -> None:
        while True:
            await asyncio.sleep(_SPEND_EVERY)
            self._parts.ledger.exchange(self._parts.limits, _month())

    async def _watch_disk(self) -> None:
        """Measure the room for audit records, in a thread: a disk may let its caller wait."""
        while True:
            await asyncio.to_thread(self._parts.disk.look)
            await asyncio.sleep(_DISK_EVERY)

    async def _tick(self) -> None:
        """Measure how late the loop is, which is how long something held it."""
        observe = self._parts.metrics.loop_stall_seconds.observe
        while True:
            before = time.monotonic()
            await asyncio.sleep(_TICK)
            observe(max(0.0, time.monotonic() - before - _TICK))
            self._gauge()

    def _gauge(self) -> None:
        parts, metrics = self._parts, self._parts.metrics
        metrics.connections.value = len(parts.front.connections)
        metrics.streams.value = parts.front.busy
        metrics.body_bytes.value = parts.front.budget.held
        metrics.journal_healthy.value = int(parts.journal.healthy)
        metrics.journal_queue.value = parts.journal.pending
        metrics.audit_disk_free.value = parts.disk.free
        metrics.catalog_age_seconds.value = self.catalogue_age()
        metrics.quarantined_routes.value = len(parts.revisions.current.quarantined)
        metrics.ready.value = int(not self.troubles())

    # -- state -----------------------------------------------------------------------------------

    def catalogue_age(self) -> float:
        """Seconds since the catalogue was fetched."""
        return (ids.now() - self._parts.revisions.current.catalogue.fetched_at).total_seconds()

    def troubles(self) -> list[str]:
        """Why requests are refused that should not be, in words for the operator; empty when all is well."""
        parts = self._parts
        found = []
        if self._stop.is_set():
            found.append("draining")
        if not parts.journal.healthy:
            found.append(f"the audit log cannot be written: {parts.journal.fault}")
        if self.catalogue_age() > parts.settings.catalog.max_age:
            found.append("the catalogue is too old to be believed; see `ringfence catalog sync`")
        if self.catalogue_age() < -parts.settings.catalog.max_age:
            found.append("the catalogue comes from the future and is not believed: correct the clock")
        if parts.breaker.is_open:
            found.append("the gateway does not answer")
        return found

    def warnings(self) -> list[str]:
        """What is wrong although requests are served: files that could not be taken over, a low disk."""
        mistakes = self._parts.revisions.mistakes
        told = [clip(str(mistake), _LONGEST_MISTAKE) for mistake in mistakes[:_MOST_MISTAKES]]
        if more := len(mistakes) - len(told):
            told.append(f"and {more} more mistakes: correct these first")
        return [*told, *self._parts.disk.warnings()]

    def report(self) -> Report:
        """What `/readyz` answers."""
        troubles = self.troubles()
        return {
            "ready": not troubles,
            "troubles": troubles,
            "warnings": self.warnings(),
            "revision": self._parts.revisions.current.digest,
            "log": self._parts.journal.log,
        }


def _nothing() -> None:
    """Nobody counts the end of a connection that this process has accepted itself."""


def _month() -> str:
    return month_of(ids.now())
