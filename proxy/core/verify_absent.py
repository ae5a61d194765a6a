"""logs that a verification did not get: pruned, with a signed record that says so, or simply missing"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from proxy.core.checkpoint import Checkpoint
from proxy.core.verify_report import LogReport, Report, Violation


@dataclass(frozen=True, slots=True)
class Said:
    """What record `seq` of the log `by` says of how another log ended; `last` is its last moment."""

    log: str
    size: int
    root: str
    by: str
    seq: int
    last: str = ""

    @property
    def place(self) -> str:
        """Where it is said."""
        return f"{self.by}#{self.seq}"

    def differs(self, size: int, root: str) -> bool:
        """Whether the log ended otherwise."""
        return (self.size, self.root) != (size, root)


@dataclass(slots=True)
class Absent:
    """Gathers, while logs are read, what they say of others; `settle` tells what that comes to."""

    _pruned: dict[str, Said] = field(default_factory=dict)
    _before: list[Said] = field(default_factory=list)

    def prune(self, record: Mapping[str, object], by: str, seq: int) -> str:
        """A `prune` record; returns what is wrong with it, or ""."""
        size, root = record["size"], str(record["root"])
        assert isinstance(size, int)
        said = Said(str(record["pruned"]), size, root, by, seq, str(record["last"]))
        earlier = self._pruned.setdefault(said.log, said)
        return f"{earlier.place} said otherwise of {said.log}" if earlier.differs(size, root) else ""

    def before(self, record: Mapping[str, object], by: str) -> None:
        """An `open` record whose log before this one is not here."""
        size = record["prev_size"]
        assert isinstance(size, int)
        self._before.append(Said(str(record["prev_log"]), size, str(record["prev_root"]), by, 0))

    def settle(
        self, here: Mapping[str, LogReport], heads: Sequence[tuple[Checkpoint, bool]], report: Report
    ) -> None:
        """Reports every log that is not `here`. A head with True was given, one with False left behind."""
        for said in self._before:
            self._judge_before(said, here, report)
        for said in self._pruned.values():
            report.notes.append(self._told(said, here))
        report.unchecked += self._unexplained(here)
        for head, given in heads:
            if head.origin not in here:
                self._judge_head(head, given, here, report)

    def _believed(self, log: str, here: Mapping[str, LogReport]) -> Said | None:
        """What is said of a log's end by a record under a signed head."""
        said = self._pruned.get(log)
        return said if said is not None and here[said.by].covered > said.seq else None

    def _told(self, said: Said, here: Mapping[str, LogReport]) -> str:
        if said.log in here:
            return f"{said.log}: {said.place} says that it was pruned, but it is here"
        return f"{said.log}: pruned as {said.place} says; it had {said.size} records, up to {said.last}"

    def _judge_before(self, said: Said, here: Mapping[str, LogReport], report: Report) -> None:
        pruned = self._believed(said.log, here)
        if pruned is None:
            report.unchecked.append(f"{said.log}: not here; {said.by} says that it had {said.size} records")
        elif pruned.differs(said.size, said.root):
            what = (
                f"it says that {said.log} had {pruned.size} records when it was pruned, but {said.by} says"
                f" {said.size}, or another root"
            )
            report.violations.append(Violation(pruned.by, pruned.seq, what))

    def _unexplained(self, here: Mapping[str, LogReport]) -> Iterator[str]:
        """Logs that nothing under a signed head accounts for, of writers whose older logs were pruned."""
        known = {*here, *(said.log for said in self._before)}
        told = {*known, *(log for log in self._pruned if self._believed(log, here))}
        for writer in sorted({_writer(log) for log in self._pruned}):
            last = max(_epoch(log) for log in (*known, *self._pruned) if _writer(log) == writer)
            epochs = sorted({0, last + 1, *(_epoch(log) for log in told if _writer(log) == writer)})
            for before, after in pairwise(epochs):
                if after - before > 1:
                    many = f" to {after - 1:06d}" if after - before > 2 else ""
                    yield f"{writer}/{before + 1:06d}{many}: not here, and no signed record says why"

    def _judge_head(
        self, head: Checkpoint, given: bool, here: Mapping[str, LogReport], report: Report
    ) -> None:
        pruned = self._believed(head.origin, here)
        if pruned is None:
            what = f"a signed head over {head.size} records of it was given, but the log is missing"
            report.violations.append(Violation(head.origin, None, what))
        elif head.size > pruned.size or (
            head.size == pruned.size and pruned.differs(head.size, head.root.hex())
        ):
            what = f"a signed head over {head.size} records of {head.origin} does not fit what it says of it"
            report.violations.append(Violation(pruned.by, pruned.seq, what))
        elif given and head.size < pruned.size:
            report.unchecked.append(
                f"{head.origin}: pruned; a signed head over {head.size} of its {pruned.size} records"
                " cannot be compared any more"
            )


def _writer(log: str) -> str:
    return log.rpartition("/")[0]


def _epoch(log: str) -> int:
    return int(log.rpartition("/")[2])
