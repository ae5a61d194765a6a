"""what each worker has spent this month, in a file of its own that the others read

A budget holds for all workers and across restarts; between two looks at the files it may be
overdrawn by what the other workers spent in the meantime.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import orjson

from proxy.limits import Limits


class SpendLedger:
    """Keeps one worker's spend by scope, in millionths of a US dollar, and adds up that of the others."""

    def __init__(self, data_dir: Path, worker: str) -> None:
        self._folder = data_dir / "spend"
        self._own = self._folder / f"{worker}.json"
        self._written: tuple[str, Mapping[str, int]] = ("", {})

    def restore(self, limits: Limits, month: str) -> None:
        """Take over what this worker had spent before it was started anew, and what the others have."""
        for scope, spent in _read(self._own, month).items():
            limits.restore(scope, month, spent)
        self.exchange(limits, month)

    def exchange(self, limits: Limits, month: str) -> None:
        """Write down what this worker has spent, and read what the others have."""
        # Before writing, which a full disk may refuse: what the others have spent is known all the same.
        limits.elsewhere(month, self._others(month))
        spent = limits.spent(month)
        if (month, spent) != self._written:
            self._write(month, spent)

    def _others(self, month: str) -> dict[str, int]:
        total: dict[str, int] = {}
        for file in self._folder.glob("*.json"):
            if file != self._own:
                for scope, spent in _read(file, month).items():
                    total[scope] = total.get(scope, 0) + spent
        return total

    def _write(self, month: str, spent: Mapping[str, int]) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        beside = self._own.with_suffix(".new")
        beside.write_bytes(orjson.dumps({"month": month, "spent": dict(spent)}))
        beside.replace(self._own)
        self._written = (month, dict(spent))


def _read(file: Path, month: str) -> dict[str, int]:
    """One worker's spend in a month; nothing when the file is absent, of another month or broken."""
    try:
        data = orjson.loads(file.read_bytes())
        return {str(k): int(v) for k, v in data["spent"].items()} if data["month"] == month else {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
