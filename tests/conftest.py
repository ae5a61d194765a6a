"""What all tests share: the mark that the coverage table is made from, and one running proxy."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from proxy import logs

if TYPE_CHECKING:
    from tests.running import Stage


def pytest_configure(config: pytest.Config) -> None:
    # A busy machine is slow at everything; how long a test takes is no fault of what it tests.
    unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.register_profile("unhurried", unhurried)
    settings.load_profile("unhurried")
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
