"""what an operator does to a proxy that serves: new policies good and bad, keys, signals"""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from proxy.keys import Scope, open_keys


class Operator:
    """Changes the files of a proxy in `folder` and signals its process `pid`; `done` counts what it did."""

    def __init__(self, folder: Path, pid: int, keys: dict[str, str]) -> None:
        self.done: Counter[str] = Counter()
        self._pid = pid
        self._keys = keys
        self._policy = folder / "policies" / "open.yaml"
        self._good = self._policy.read_text("utf-8")
        self._file = open_keys(folder / "data" / "keys.json", folder / "data" / "pepper")
        self._given: list[str] = []
        self._turn = 0

    async def work(self, every: float) -> None:
        """Do the next thing again and again, until cancelled; the files are left as they were found."""
        things = (self.amend, self.break_off, self.signal, self.amend, self.give_key, self.take_key)
        try:
            while True:
                await asyncio.sleep(every)
                self._do(things[self._turn % len(things)])
                self._turn += 1
        finally:
            self._write(self._good)

    def _do(self, thing: Callable[[], None]) -> None:
        thing()
        self.done[thing.__name__] += 1

    def amend(self) -> None:
        """A policy with other words and the same meaning."""
        self._write(self._good.replace("because: ", f"because: Edition {self._turn}. "))

    def break_off(self) -> None:
        """Half a policy, as an editor without a second file would leave it."""
        self._policy.write_text(self._good[: len(self._good) // 2], "utf-8")

    def signal(self) -> None:
        """Ask for a reload."""
        os.kill(self._pid, signal.SIGHUP)

    def give_key(self) -> None:
        """A key for a project that has one already; from now on its clients use the new one."""
        entry, secret = self._file.create(Scope("open"), at=datetime.now(UTC))
        self._given.append(entry.id)
        asyncio.get_running_loop().call_later(2.0, self._keys.__setitem__, "open", secret)

    def take_key(self) -> None:
        """Revoke the oldest key that nobody uses any more."""
        if len(self._given) > 1:
            self._file.revoke(self._given.pop(0), at=datetime.now(UTC))

    def _write(self, text: str) -> None:
        beside = self._policy.with_suffix(".new")
        beside.write_text(text, "utf-8")
        beside.replace(self._policy)
