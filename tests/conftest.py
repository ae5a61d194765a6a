"""What all tests share: the mark that the coverage table is made from, and one running proxy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.running import Stage


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "covers(endpoint, mode, *promises, by=CLIENT): cells of docs/reference/coverage.md that it backs",
    )


@pytest.fixture(scope="session")
def running_stage() -> Iterator[Stage]:
    from tests.running import running

    with running() as stage:
        yield stage


@pytest.fixture
def stage(running_stage: Stage) -> Iterator[Stage]:
    """The proxy of this test session, its gateway's memory empty and nothing about to go wrong."""
    running_stage.forget()
    yield running_stage
    running_stage.forget()
