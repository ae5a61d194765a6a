"""what a log keeps beside its records for searches and restarts, held against the records

No head signs these summaries. One that leaves out a record hides it from a search while every record is
proven. To name more than there is costs time only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import orjson

_WORDS = ("kind", "effect", "reason", "project", "end")


@dataclass(slots=True)
class _Summary:
    """What is claimed of the records from `first` up to `size`."""

    size: int
    first: int
    times: tuple[str, str]
    rids: tuple[str, str]
    words: frozenset[tuple[object, ...]] | None
    open: frozenset[int]

    def leaves_out(self, record: Mapping[str, object]) -> bool:
        """Whether a search that trusts this would pass over the record."""
        rid = record.get("rid")
        return (
            not self.times[0] <= str(record.get("t")) <= self.times[1]
            or (isinstance(rid, str) and not self.rids[0] <= rid <= self.rids[1])
            or (self.words is not None and _words(record) not in self.words)
        )


@dataclass(slots=True)
class Summaries:
    """Compares the records of one log, in order, with the summaries kept beside them."""

    _left: list[_Summary]
    _open: dict[tuple[object, object], int] = field(default_factory=dict)

    @staticmethod
    def of(kept: Iterable[tuple[int, bytes]]) -> Summaries:
        """The summaries that a search would believe, by the size of the log at their end."""
        return Summaries(list(_read(kept)))

    def wrong(self, seq: int, body: bytes) -> str:
        """What a summary leaves out of this record, or ""."""
        self._pass(seq)
        record = _decoded(body)
        key = (record.get("rid"), record.get("attempt"))
        if record.get("kind") == "intent":
            self._open[key] = seq
        elif record.get("kind") == "outcome":
            self._open.pop(key, None)
        if not self._left:
            return ""
        summary = self._left[0]
        if seq >= summary.first and summary.leaves_out(record):
            return f"what is kept for searches leaves record {seq} out: `audit list` may miss it"
        missed = seq + 1 == summary.size and set(self._open.values()) - summary.open
        return f"what is kept for a restart leaves the request of record {min(missed)} out" if missed else ""

    def _pass(self, seq: int) -> None:
        while self._left and self._left[0].size <= seq:
            del self._left[0]


def _read(kept: Iterable[tuple[int, bytes]]) -> Iterator[_Summary]:
    for size, text in kept:
        try:
            held = orjson.loads(text)
            (since, until), (low, high) = map(str, held["t"]), map(str, held["rid"])
            words = None if held["words"] is None else frozenset(map(tuple, held["words"]))
            still_open = frozenset(map(int, held["open"]))
            yield _Summary(int(size), int(held["first"]), (since, until), (low, high), words, still_open)
        except (ValueError, KeyError, TypeError):
            # What cannot be read is passed over by whoever searches or starts, and they read the records.
            continue


def _decoded(body: bytes) -> dict[str, object]:
    try:
        record = orjson.loads(body)
    except ValueError:
        return {}
    return record if isinstance(record, dict) else {}


def _words(record: Mapping[str, object]) -> tuple[object, ...]:
    """The words that searches name; a model that the log only commits to is none."""
    found = (*map(record.get, _WORDS), record.get("model_fwd") or record.get("model_req"))
    return tuple(word if isinstance(word, str) else None for word in found)
