"""whether the audit log kept its promise: nothing reached the gateway unrecorded, everything has one end

The gateway's side of the books are sightings: the keyed commitment to each body that arrived, when, and
now and then how far the log was durable at that moment. They are held against the log after the proxy has
ended.
"""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from proxy.core.pseudonyms import Pseudonyms
from proxy.journal import load_pseudonyms

_LOOK_EVERY = 16
UNKNOWN = -1


@dataclass(frozen=True, slots=True)
class Sighting:
    """A body that arrived at the gateway; `durable` is the log's size then, UNKNOWN when nobody looked."""

    mac: str
    at_ns: int
    durable: int = UNKNOWN

    def line(self) -> bytes:
        """One line of a file."""
        return f"{self.mac} {self.at_ns} {self.durable}\n".encode("ascii")


class Observer:
    """Notes what arrives at a gateway, in a file; `audit` is the folder of the proxy's logs."""

    def __init__(self, audit: Path, file: BinaryIO) -> None:
        self._audit = audit
        self._file = file
        self._pseudonyms: Pseudonyms | None = None
        self._log: sqlite3.Connection | None = None
        self._count = 0

    def saw(self, body: bytes, at_ns: int) -> None:
        """Note one body; `at_ns` is when its first byte came, on the monotonic clock."""
        if self._pseudonyms is None:
            self._pseudonyms = load_pseudonyms(self._audit / "pseudonym.key")
        self._count += 1
        durable = self._durable() if self._count % _LOOK_EVERY == 0 else UNKNOWN
        self._file.write(Sighting(self._pseudonyms.body(body), at_ns, durable).line())

    def _durable(self) -> int:
        """How many records the log holds as another process sees it: what is committed."""
        if self._log is None:
            (path,) = logs(self._audit)
            self._log = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=5)
        (size,) = self._log.execute("SELECT coalesce(max(seq) + 1, 0) FROM record").fetchone()
        return int(size)


def logs(audit: Path) -> list[Path]:
    """Every log in the audit folder."""
    return sorted(audit.glob("*/*/*/*.sqlite"))


def sightings(file: Path) -> Iterator[Sighting]:
    """What an observer has noted; a last line that was cut by the end of its program is left out."""
    with file.open("rb") as lines:
        for line in lines:
            if line.endswith(b"\n"):
                mac, at_ns, durable = line.split()
                yield Sighting(mac.decode("ascii"), int(at_ns), int(durable))


@dataclass(slots=True)
class Books:
    """The log's side: how many records of each kind, and where each commitment's intents stand."""

    kinds: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    shed: int = 0
    complaints: list[str] = field(default_factory=list)
    seen: int = 0
    _open: Counter[tuple[str, int]] = field(default_factory=Counter)
    _intents: defaultdict[str, list[tuple[int, int]]] = field(default_factory=lambda: defaultdict(list))

    def read(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Take the records of one log, in order."""
        for record in records:
            kind = record["kind"]
            self.kinds[kind] += 1
            if kind == "intent":
                self._open[record["rid"], record["attempt"]] += 1
                self._intents[record.get("out_mac", "")].append((record["seq"], record["mono"]))
            elif kind == "outcome":
                self._open[record["rid"], record["attempt"]] -= 1
                self.ends[record["end"]] += 1
            elif kind == "reject" and record["reason"] == "overloaded":
                self.shed += record["count"]
            elif kind == "gap" and record["counts"].get("outcome"):
                self.complaints.append(f"{record['counts']['outcome']} outcomes were lost")

    def close(self) -> None:
        """Hold intents against outcomes."""
        for words, wrong in (
            ("intents have no outcome", sum(n for n in self._open.values() if n > 0)),
            ("outcomes have no intent, or are a second one", -sum(n for n in self._open.values() if n < 0)),
        ):
            if wrong:
                self.complaints.append(f"{wrong} {words}")

    def compare(self, found: Iterable[Sighting]) -> None:
        """Hold what the gateway saw against the intents: each needs one of its own, made and kept before."""
        unrecorded = late = 0
        for each in sorted(found, key=lambda sighting: sighting.at_ns):
            self.seen += 1
            intents = self._intents.get(each.mac)
            if not intents:
                unrecorded += 1
                continue
            seq, made_ns = intents.pop(0)
            late += made_ns >= each.at_ns or (each.durable != UNKNOWN and seq >= each.durable)
        if unrecorded:
            self.complaints.append(f"the gateway saw {unrecorded} requests that have no intent")
        if late:
            self.complaints.append(f"the gateway saw {late} requests before their intent was durable")


def balance(config: Path, data_dir: Path, found: Iterable[Sighting]) -> Books:
    """Everything of a proxy that has ended; `found` is what its gateway saw."""
    books = Books()
    for path in logs(data_dir / "audit"):
        books.read(_records(path))
    books.close()
    books.compare(found)
    if said := _verified(config):
        books.complaints.append(f"`ringfence audit verify` found fault: {said}")
    return books


def _records(path: Path) -> Iterator[Mapping[str, Any]]:
    log = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
    try:
        for (body,) in log.execute("SELECT body FROM record ORDER BY seq"):
            yield orjson.loads(body)
    finally:
        log.close()


def _verified(config: Path) -> str:
    """What the independent check of the log complains of, "" when it holds."""
    command = [sys.executable, "-m", "proxy", "audit", "verify", "--config", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else f"exit {done.returncode}: {(done.stdout + done.stderr)[-1000:]}"
