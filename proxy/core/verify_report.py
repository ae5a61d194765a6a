"""what a verification found: logs, violations, what was not checked, and notes for people"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that cannot be in an untouched log; `seq` is None when it concerns the log as a whole."""

    log: str
    seq: int | None
    what: str


@dataclass(frozen=True, slots=True)
class LogReport:
    """One log: its size and root as read, and how many of its records a valid signed head covers."""

    log: str
    size: int
    root: bytes
    covered: int
    heads: int


@dataclass(slots=True)
class Report:
    """What a verification found. `unchecked` and `notes` are sentences for people."""

    logs: list[LogReport] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0 proven, 1 violation, 2 incomplete."""
        return 1 if self.violations else 2 if self.unchecked else 0
