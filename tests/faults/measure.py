"""What a process holds: memory and descriptors, as the kernel counts them."""

from __future__ import annotations

from pathlib import Path

from tests.running import Stage


def resident(stage: Stage) -> int:
    """Resident memory of the proxy in bytes."""
    assert stage.process is not None
    pages = Path(f"/proc/{stage.process.pid}/statm").read_text().split()[1]
    return int(pages) * 4096


def descriptors(stage: Stage) -> int:
    """Open descriptors of the proxy."""
    assert stage.process is not None
    return len(list(Path(f"/proc/{stage.process.pid}/fd").iterdir()))
