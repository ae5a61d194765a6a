"""the parent of several workers: accepts for them, keeps them even, starts them anew"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import socket
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.process import BaseProcess

import orjson

from proxy.accepting import Acceptor
from proxy.config import Settings
from proxy.core.errors import RingfenceError
from proxy.handover import Channel, Letter, Told, pair
from proxy.logs import logger
from proxy.metrics import Metrics
from proxy.shares import claim, lay_out, shares_file
from proxy.stops import STOPS

Run = Callable[[Settings, str, socket.socket], None]

FIRST = "w0"
"""The worker that fetches the catalogue; the others serve when it has, so that all begin alike."""

_START_SECONDS = 60.0
_TELL_SECONDS = 2.0
_AGAIN_SECONDS = 1.0
_LOOK_SECONDS = 0.5
_END_SECONDS = 45.0
"""What a worker gets beyond the drain's deadline, to close its log on a slow disk."""
_SPAWN = multiprocessing.get_context("spawn")


class WorkerFailed(RingfenceError):
    """A worker ended before it could serve; its log lines say why."""


@dataclass(slots=True)
class Member:
    """One worker as its parent sees it. `open` counts its connections."""

    name: str
    process: BaseProcess
    channel: Channel
    up: asyncio.Event = field(default_factory=asyncio.Event)
    open: int = 0
    leaving: bool = False
    told: asyncio.Future[bytes] | None = None


class Supervisor:
    """Starts `settings.workers` processes with `run` and hands each new connection to the least busy."""

    def __init__(self, settings: Settings, run: Run) -> None:
        self._settings = settings
        self._run = run
        self._members: dict[str, Member] = {}
        self._stopping = asyncio.Event()
        self._failed = asyncio.Event()
        self._started = False
        self._claim = -1

    async def start(self) -> None:
        """Start every worker, unless told to stop; raises `WorkerFailed` when one does not come up."""
        self._hear_signals()
        settings = self._settings
        if settings.limits:
            self._claim = claim(shares_file(settings.data_dir))
            lay_out(shares_file(settings.data_dir), len(settings.limits), settings.workers)
        for number in range(settings.workers):
            self._spawn(f"w{number}")
        waiting = [member.up.wait() for member in self._members.values()]
        try:
            async with asyncio.timeout(_START_SECONDS):
                await asyncio.gather(*waiting)
        except TimeoutError:
            self._failed.set()
        if self._failed.is_set() and not self.stopping:
            self.stop()
            raise WorkerFailed("a worker did not start; the log lines above say why")
        self._started = True

    def _hear_signals(self) -> None:
        # Before anything else: process 1 of a container gets no signal that it does not handle.
        loop = asyncio.get_running_loop()
        for number in STOPS:
            loop.add_signal_handler(number, self.stop)
        loop.add_signal_handler(signal.SIGHUP, self._look)

    async def run(self, sock: socket.socket) -> None:
        """Accept and hand over until told to stop; then let the workers drain."""
        if self.stopping:
            sock.close()
        else:
            acceptor = Acceptor(sock, self._hand_over)
            await self._stopping.wait()
            acceptor.close()
        await asyncio.to_thread(self._join)
        if self._claim >= 0:
            os.close(self._claim)

    @property
    def stopping(self) -> bool:
        """Whether it was told to stop, perhaps before it had started."""
        return self._stopping.is_set()

    def stop(self) -> None:
        """Tell the workers to drain; told again, they hurry."""
        self._stopping.set()
        if not self._started:
            for member in self._members.values():
                # Nobody waits for it any longer.
                member.up.set()
        self._signal(signal.SIGTERM, self._members.values())

    # -- workers ---------------------------------------------------------------------------------

    def _spawn(self, name: str) -> None:
        ours, theirs = pair()
        process = _SPAWN.Process(target=self._run, args=(self._settings, name, theirs), name=name)
        process.start()
        theirs.close()
        channel = Channel(ours, partial(self._hear, name), partial(self._gone, name))
        member = self._members[name] = Member(name, process, channel)
        if name != FIRST and self._members[FIRST].up.is_set():
            member.channel.say(Letter.LOOK)

    def _hear(self, name: str, letter: Letter, body: bytes, _connection: socket.socket | None) -> None:
        member = self._members[name]
        if letter is Letter.CLOSED:
            member.open -= 1
        elif letter is Letter.LEAVING:
            member.leaving = True
        elif letter is Letter.UP:
            self._came_up(member)
        elif letter is Letter.TOLD and member.told is not None and not member.told.done():
            member.told.set_result(body)

    def _came_up(self, member: Member) -> None:
        member.up.set()
        if member.name == FIRST:
            for other in self._members.values():
                if not other.up.is_set():
                    other.channel.say(Letter.LOOK)

    def _gone(self, name: str) -> None:
        """A worker ended: its open requests are lost, its log says so, and another takes its name."""
        member = self._members[name]
        if self._stopping.is_set():
            return
        logger().error("worker_ended", worker=name, pid=member.process.pid or 0)
        if not self._started:
            self._failed.set()
            member.up.set()
            return
        member.up.clear()
        if member.told is not None:
            member.told.cancel()
        asyncio.get_running_loop().call_later(_AGAIN_SECONDS, self._again, name)

    def _again(self, name: str) -> None:
        if not self._stopping.is_set():
            self._members[name].process.join()
            self._spawn(name)

    def _look(self) -> None:
        """Have the workers look at their files; SIGHUP would end one that is still starting."""
        self._signal(signal.SIGHUP, [member for member in self._members.values() if member.up.is_set()])

    def _signal(self, number: int, members: Iterable[Member]) -> None:
        for member in members:
            if member.process.is_alive() and member.process.pid is not None:
                _kill(member.process.pid, number)

    def _join(self) -> None:
        """Wait for every worker; one that does not end although it was given all its time is killed."""
        until = time.monotonic() + self._settings.drain_deadline + _END_SECONDS
        for member in self._members.values():
            while member.process.is_alive():
                member.process.join(_LOOK_SECONDS)
                if time.monotonic() > until:
                    logger().error("worker_killed", worker=member.name, pid=member.process.pid or 0)
                    member.process.kill()

    # -- connections -----------------------------------------------------------------------------

    def _hand_over(self, connection: socket.socket) -> None:
        with connection:
            # One that drains gives connections back, and would be the least busy of all.
            serving = [each for each in self._members.values() if each.up.is_set() and not each.leaving]
            for member in sorted(serving, key=lambda each: each.open):
                if member.channel.say(Letter.CONNECTION, connection=connection):
                    member.open += 1
                    return

    # -- admin -----------------------------------------------------------------------------------

    async def readiness(self) -> dict[str, object]:
        """What `/readyz` answers: ready while workers serve and none of them is in trouble.

        One that is being started anew is a warning: the others get its connections.
        """
        reports = await self._ask()
        troubles = [f"{name}: {words}" for name, report in reports.items() for words in report["troubles"]]
        missing = [f"{name}: does not answer" for name in self._members if name not in reports]
        warnings = {words for report in reports.values() for words in report["warnings"]}
        (warnings.update if reports else troubles.extend)(missing)
        revisions = sorted({report["revision"] for report in reports.values()})
        return {
            "ready": not troubles,
            "troubles": troubles,
            "warnings": sorted(warnings),
            "revision": revisions[0] if len(revisions) == 1 else revisions,
        }

    async def metrics(self) -> bytes:
        """The numbers of all workers, added up."""
        return Metrics().text([told["metrics"] for told in (await self._ask()).values()])

    async def _ask(self) -> dict[str, Told]:
        loop = asyncio.get_running_loop()
        asked: dict[str, asyncio.Future[bytes]] = {}
        for member in self._members.values():
            if member.told is None or member.told.done():
                member.told = loop.create_future()
            if member.up.is_set() and member.channel.say(Letter.TELL):
                asked[member.name] = member.told
        if asked:
            await asyncio.wait(asked.values(), timeout=_TELL_SECONDS)
        return {name: orjson.loads(told.result()) for name, told in asked.items() if _answered(told)}


def _answered(told: asyncio.Future[bytes]) -> bool:
    return told.done() and not told.cancelled()


def _kill(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
