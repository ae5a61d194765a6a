"""Which fault a test injects: `@pytest.mark.fault("F16")`, the numbers of docs/reference/faults.md."""

from __future__ import annotations

import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "fault(*ids): the faults of docs/reference/faults.md that this test injects"
    )
