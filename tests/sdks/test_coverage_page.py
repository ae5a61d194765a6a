"""The coverage page says what the tests say, and no cell of it is without one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def test_the_page_is_as_the_tests_make_it_and_every_cell_is_backed() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "scripts.coverage_table", "--check"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
