"""What all tests share: the mark that the coverage table is made from, and one running proxy."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from proxy import logs

if TYPE_CHECKING:
    from tests.running import Stage


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "covers(endpoint, mode, *promises, by=CLIENT): cells of docs/reference/coverage.md that it backs",
    )


@pytest.fixture
def log_lines() -> Iterator[io.StringIO]:
    """What this test logs. The log keeps the stream that it was set up with, so a test brings its own."""
    stream = io.StringIO()
    logs.set_up(stream=stream)
    yield stream
    logs.set_up()


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
