"""one open log: every record linked to the one before, the tree over them, its signed heads

What stands in memory here (size, frontier, last leaf) covers exactly what the store has acknowledged.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from proxy.core import tree
from proxy.core.checkpoint import Checkpoint, Signer
from proxy.core.record import FIRST_PREV, Draft, seal
from proxy.core.values import Receipt
from proxy.stores.base import LogId, Row, StoreFault, decoded
from proxy.stores.sqlite import LogFile, Mark
from proxy.stores.stretch import Stretch


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a log is verified: the frontier after its last good record, and that record's leaf."""

    frontier: tree.Frontier
    prev: str
    damaged_at: int | None = None
    damage: str = ""


def _write_durably(path: Path, text: str) -> None:
    """Write a file and sync it, so that no power cut leaves half of it under its final name."""
    with path.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def verify_tail(file: LogFile, size: int, least: int) -> Standing:
    """Reads the records of a log from a kept checkpoint at least `least` records back, and links them.

    Stops at the first record that does not follow from those before.
    """
    start = _from_mark(file, max(0, size - least))
    frontier, prev = start.frontier, start.prev
    for seq, body in file.bodies(frontier.size):
        wrong = _unlike(body, seq, frontier.size, str(file.log), prev)
        if wrong:
            return Standing(frontier, prev, frontier.size, wrong)
        leaf = tree.leaf_hash(body)
        frontier.append(leaf)
        prev = leaf.hex()
    return Standing(frontier, prev)


def _from_mark(file: LogFile, most: int) -> Standing:
    """The standing at the newest kept checkpoint over at most `most` records."""
    mark = file.last_mark(most)
    if mark is None:
        return Standing(tree.Frontier(), FIRST_PREV)
    return Standing(tree.Frontier.restore(mark.size, mark.frontier), "")


def _unlike(body: bytes, seq: int, expected: int, log: str, prev: str) -> str:
    """Why a record cannot stand at this place, or "". `prev` is "" where it is not known."""
    if seq != expected:
        return f"record {expected} is missing"
    # The sealed form is canonical, so its members can be found without parsing the record.
    if f'"log":"{log}"'.encode() not in body or f'"seq":{seq},'.encode() not in body:
        return f"record {seq} belongs elsewhere"
    if prev and f'"prev":"{prev}"'.encode() not in body:
        return f"record {seq} does not follow from the one before"
    return ""


def _must_have_its_own(draft: Draft) -> None:
    """Raises KeyError for a draft without what every record is found by."""
    draft["kind"], draft["t"]


class Chain:
    """The log of this epoch. For one thread."""

    def __init__(self, folder: Path, log: LogId, signer: Signer) -> None:
        self.log = log
        self._name = str(log)
        self._path = log.path(folder)
        self._signer = signer
        self._file = LogFile(self._path, log)
        self._frontier = tree.Frontier()
        self._prev = FIRST_PREV
        self._stretch = Stretch()
        self.signed_size = 0

    @property
    def size(self) -> int:
        """How many records are acknowledged."""
        return self._frontier.size

    @property
    def root(self) -> bytes:
        """The tree head over them."""
        return self._frontier.root()

    def append(self, drafts: Sequence[Draft]) -> list[Receipt | ValueError]:
        """Makes the drafts durable together, in order; StoreFault when that failed for all of them.

        A draft that has no canonical form gets its error instead of a receipt and takes no number.
        """
        frontier, prev = self._frontier.copy(), self._prev
        rows: list[Row] = []
        held: list[Draft] = []
        results: list[Receipt | ValueError] = []
        for draft in drafts:
            seq = frontier.size
            try:
                body = seal(draft, self._name, seq, prev)
                _must_have_its_own(draft)
            except (ValueError, TypeError, KeyError) as error:
                results.append(ValueError(f"{type(error).__name__}: {error}"))
                continue
            rows.append((seq, body))
            held.append(draft)
            leaf = tree.leaf_hash(body)
            frontier.append(leaf)
            prev = leaf.hex()
            results.append(Receipt(self._name, seq, prev))
        if rows:
            self._file.append(rows)
        self._frontier, self._prev = frontier, prev
        for (seq, _), draft in zip(rows, held, strict=True):
            self._stretch.add(draft, seq)
        return results

    def sign(self, t: str) -> str:
        """Signs and keeps the present head, and leaves it beside the log for whoever anchors it."""
        head = Checkpoint(self._name, self.size, self.root)
        note = self._signer.sign(head.text())
        self._file.mark(Mark(self.size, t, note, self._frontier.state(), self._stretch.text()))
        self.signed_size = self.size
        self._stretch = self._stretch.next(self.size)
        fresh = self._path.with_suffix(".checkpoint.new")
        # The log keeps the note itself; the copy beside it is a convenience and may be late.
        with suppress(OSError):
            _write_durably(fresh, note)
            fresh.replace(self._path.with_suffix(".checkpoint"))
        return note

    def recover(self) -> list[bytes]:
        """Opens the file anew after a fault and makes sure of what it holds.

        Returns the bytes of records of a failed batch that turned out to be durable; they count from
        here on. Raises StoreFault while the store does not answer, and with `corrupt` when an
        acknowledged record is gone or changed.
        """
        self._file.close()
        if not self._path.exists():
            raise StoreFault(f"{self._path} is gone", corrupt=True)
        self._file = LogFile(self._path, self.log)
        if not self._file.settle(wholly=True):
            raise StoreFault("a reader holds the log; waiting for it")
        return self._compared_with_memory()

    def _compared_with_memory(self) -> list[bytes]:
        """Reads from the last kept checkpoint on; what extends memory is adopted and returned."""
        standing = _from_mark(self._file, self.size)
        frontier, prev = standing.frontier, standing.prev
        beyond: list[bytes] = []
        for seq, body in self._file.bodies(frontier.size):
            if frontier.size == self.size:
                self._must_equal(frontier)
            wrong = _unlike(body, seq, frontier.size, self._name, prev)
            if wrong:
                raise StoreFault(wrong, corrupt=True)
            if seq >= self.size:
                beyond.append(body)
            leaf = tree.leaf_hash(body)
            frontier.append(leaf)
            prev = leaf.hex()
        if frontier.size <= self.size:
            self._must_equal(frontier)
        for seq, body in enumerate(beyond, self.size):
            self._stretch.add(decoded(body), seq)
        self._frontier, self._prev = frontier, prev or self._prev
        return beyond

    def _must_equal(self, found: tree.Frontier) -> None:
        if found.size != self.size or found.state() != self._frontier.state():
            raise StoreFault("acknowledged records are gone or changed", corrupt=True)

    def tidy(self) -> None:
        """Copies the WAL into the file."""
        self._file.settle(wholly=False)

    @property
    def unsettled(self) -> int:
        """About how many bytes stand in the WAL only."""
        return self._file.unsettled

    def close(self) -> None:
        """Gives the file up."""
        self._file.close()
