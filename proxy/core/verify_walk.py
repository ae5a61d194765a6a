"""one pass over one log: its first bad record, and every signed head held against what was read"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import orjson

from proxy.core.checkpoint import Checkpoint
from proxy.core.record_schema import MAX_BYTES, faults
from proxy.core.tree import Frontier, leaf_hash
from proxy.core.verify_absent import Absent
from proxy.core.verify_report import LogReport, Report, Violation

_ZERO = "0" * 64


@dataclass(frozen=True, slots=True)
class Export:
    """One log as it was handed over: numbered records in order, and the signed notes that came with it."""

    log: str
    records: Iterable[tuple[int, bytes]]
    notes: Sequence[bytes] = ()


@dataclass(slots=True)
class Requests:
    """Which intents wait for their outcome, over all logs of one writer."""

    open: dict[tuple[str, int], tuple[str, int]] = field(default_factory=dict)
    ended: set[tuple[str, int]] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    begins_late: bool = False

    def take(self, record: Mapping[str, object], log: str, seq: int) -> str:
        """Counts a record; returns what is wrong with it, or ""."""
        kind, rid = record["kind"], str(record.get("rid"))
        attempt = record.get("attempt", 1)
        assert isinstance(attempt, int)
        key = (rid, attempt)
        if kind == "intent":
            if key in self.open or key in self.ended:
                return "a second intent for the same request and attempt"
            self.open[key] = (log, seq)
        elif kind == "outcome":
            if key in self.ended:
                return "a second outcome for the same request and attempt"
            if self.open.pop(key, None) is None and not self.begins_late:
                return "an outcome without an intent"
            self.ended.add(key)
        elif kind == "refusal":
            if rid in self.refused:
                return "a second refusal of the same request"
            self.refused.add(rid)
        return ""


class Walk:
    """One pass over one log."""

    def __init__(
        self, export: Export, requests: Requests, previous: LogReport | None, absent: Absent
    ) -> None:
        self.vouched: str | None = None
        self._export = export
        self._requests = requests
        self._previous = previous
        self._absent = absent
        self._frontier = Frontier()
        self._leaf = _ZERO
        self._bad: int | None = None
        self._suspect: int | None = None
        self._claimed = _ZERO
        self._failed: tuple[int, Checkpoint] | None = None
        self._before = Frontier()

    def run(self, heads: Sequence[Checkpoint], report: Report) -> LogReport:
        """Reads everything, records the first violation of the log, and compares every head."""
        at: dict[int, list[Checkpoint]] = {}
        for head in heads:
            at.setdefault(head.size, []).append(head)
        covered = self._compare(at.get(0, ()), 0)
        for seq, body in self._export.records:
            self._settle_suspect(body, report)
            if self._bad is None:
                self._record(seq, body, report)
            leaf = leaf_hash(body)
            self._leaf = leaf.hex()
            if self._suspect is None:
                self._before = self._frontier.copy()
            self._frontier.append(leaf)
            covered = self._compare(at.get(self._frontier.size, ()), covered)
        self._settle_last(report)
        self._judge_heads(report)
        self._compare_missing(at, report)
        size, root = self._frontier.size, self._frontier.root()
        return LogReport(self._export.log, size, root, covered, len(heads))

    def _compare(self, heads: Sequence[Checkpoint], covered: int) -> int:
        for head in heads:
            if self._failed is None and head.root != self._frontier.root():
                self._failed = (covered, head)
            elif self._failed is None:
                covered = head.size
        return covered

    def _judge_heads(self, report: Report) -> None:
        """A failed head is worth a word of its own only when no record before it was found out."""
        if self._failed is None:
            return
        first, size = self._failed[0], self._failed[1].size
        if first >= size:
            what = (
                f"two signed heads over {size} records contradict each other: records were signed twice under"
                " these numbers, as after going on with a restored copy"
            )
            self._violate(report, max(0, size - 1), what)
        elif self._bad is None or self._bad >= size:
            what = (
                f"the signed head over {size} records does not fit: one of {first} to {size - 1} was changed"
            )
            self._violate(report, first, what)

    def _compare_missing(self, at: Mapping[int, Sequence[Checkpoint]], report: Report) -> None:
        largest = max(at, default=0)
        if largest > self._frontier.size:
            what = f"missing: a signed head covers {largest} records, only {self._frontier.size} are here"
            self._violate(report, self._frontier.size, what)

    def _violate(self, report: Report, seq: int, what: str) -> None:
        if self._bad is None:
            self._bad = seq
        report.violations.append(Violation(self._export.log, seq, what))

    def _record(self, seq: int, body: bytes, report: Report) -> None:
        expected = self._frontier.size
        if seq != expected:
            self._violate(report, expected, f"missing: record {seq} stands in its place")
            return
        record, wrong = _decoded(body)
        if not wrong and record["log"] != self._export.log:
            wrong = f"it belongs to the log {record['log']}"
        if not wrong and record["seq"] != seq:
            wrong = f"it says that its number is {record['seq']}"
        if wrong:
            self._violate(report, seq, wrong)
            return
        if record["prev"] != self._leaf:
            # Either this record's link was changed or the record before; the next link tells.
            self._suspect, self._claimed = seq, str(record["prev"])
            return
        wrong = self._requests.take(record, self._export.log, seq) or self._life(record, seq, report)
        if wrong:
            self._violate(report, seq, wrong)

    def _settle_suspect(self, body: bytes, report: Report) -> None:
        if self._suspect is None:
            return
        suspect, self._suspect = self._suspect, None
        follows = _decoded(body)[0].get("prev") == self._leaf
        self._blame(suspect - 1 if follows and suspect else suspect, report)

    def _settle_last(self, report: Report) -> None:
        """No link follows the last record; a signed head over it tells as well."""
        if self._suspect is None:
            return
        suspect, guilty = self._suspect, self._suspect
        if self._failed is not None and self._failed[1].size <= suspect:
            # That head does not speak of the suspect, so a record before it was changed; all others link.
            guilty = suspect - 1
        elif self._failed is not None and self._failed[1].size == suspect + 1:
            alternative = self._before.copy()
            alternative.append(bytes.fromhex(self._claimed))
            alternative.append(bytes.fromhex(self._leaf))
            guilty = suspect - 1 if alternative.root() == self._failed[1].root else suspect
        self._blame(guilty, report)

    def _blame(self, guilty: int, report: Report) -> None:
        self._violate(report, guilty, "it and the record next to it do not link: this one was changed")

    def _life(self, record: Mapping[str, object], seq: int, report: Report) -> str:
        kind = record["kind"]
        log = self._export.log
        if (kind == "open") != (seq == 0):
            return "a log begins with its `open` record, and has no other"
        if kind == "open":
            return self._opening(record, report)
        if kind == "gap":
            counts = record["counts"]
            report.notes.append(
                f"{log}#{seq}: could not be written, {record['from']} to {record['to']}: {counts}"
            )
        elif kind == "prune":
            return self._absent.prune(record, log, seq)
        elif kind == "clock_step":
            report.notes.append(f"{log}#{seq}: the wall clock moved by {record['step_us']} microseconds")
        elif kind == "outcome" and record["end"] == "unknown_crash":
            report.notes.append(f"{log}#{seq}: the outcome of {record['rid']} was lost in a crash")
        return ""

    def _opening(self, record: Mapping[str, object], report: Report) -> str:
        log = self._export.log
        before = record.get("prev_log")
        epoch = int(log.rpartition("/")[2])
        if before is None:
            return "" if epoch == 1 else "only the first epoch has none before it"
        if "prev_size" not in record or "prev_root" not in record:
            return f"it does not say how {before} ended"
        if record["reason"] == "damaged":
            report.notes.append(f"{log}: the writer found {before} damaged: {record.get('damage')}")
        previous = self._previous
        if previous is None or previous.log != before:
            self._requests.begins_late = True
            self._absent.before(record, log)
            return ""
        if record["reason"] == "damaged":
            return ""
        if (previous.size, previous.root.hex()) != (record["prev_size"], record["prev_root"]):
            return (
                f"{before} ended with {record['prev_size']} records when this log was opened,"
                f" now it has {previous.size} or another root"
            )
        self.vouched = previous.log
        return ""


def _decoded(body: bytes) -> tuple[dict[str, object], str]:
    """The record in canonical bytes, and what is wrong with it, or ""."""
    if len(body) > MAX_BYTES:
        return {}, f"it has {len(body)} bytes, more than any record"
    try:
        record = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}, "it is not JSON"
    if not isinstance(record, dict):
        return {}, "it is not an object"
    wrong = faults(record)
    if wrong:
        return record, f"it does not fit the schema: {wrong[0]}"
    # Written by another encoder than the writer's, so that a fault in that one shows.
    again = json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    if again.encode("utf-8", "surrogatepass") != body:
        return record, "its bytes are not the canonical form of what it says"
    return record, ""
