"""Writes the golden records of the current schema version; run once per version, never for an old one."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from proxy.core import record
from tests.core.test_record import LOG, ONE_OF_EACH

if __name__ == "__main__":
    lines = [record.seal(draft, LOG, n, record.FIRST_PREV) for n, draft in enumerate(ONE_OF_EACH.values())]
    Path(__file__).with_name("records_v1.jsonl").write_bytes(b"\n".join(lines) + b"\n")
