"""A running proxy for each module of agents' tests, and a fresh place to work for each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scripts import coding_agents
from scripts.coding_agents import Place, repository
from tests.running import Stage, running

POLICIES = Path(__file__).parent.parent.parent / "policies"
EVERYBODY = 'projects: ["*"]'


def policies() -> dict[str, str]:
    """The example policy for everybody, and for project `alone` another one on top of it."""
    return {
        "us-zdr-no-training": (POLICIES / "us-zdr-no-training.yaml").read_text(),
        "eu-only": (POLICIES / "eu-only.yaml").read_text().replace(EVERYBODY, "projects: [alone]"),
        "no-ids": NO_IDS,
    }


NO_IDS = """\
policy: no-ids
because: Nobody upstream needs to tell our developers apart.
applies_to: {projects: [confirmed]}
require: {training: forbidden}
features: {identifier: rewrite}
"""


@pytest.fixture(scope="session", autouse=True)
def _agents() -> None:
    try:
        coding_agents.installed()
    except coding_agents.Missing as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with running(policies=policies()) as found:
        yield found


@pytest.fixture(autouse=True)
def _no_scenario_is_left(stage: Stage) -> Iterator[None]:
    yield
    stage.simulator.scenarios.clear()
    stage.simulator.witness.clear()


@pytest.fixture
def place(stage: Stage, tmp_path: Path) -> Callable[..., Place]:
    """A home and a git repository to work in, whose remote has a telling address."""

    def make(project: str = "open", path: str = "") -> Place:
        work = repository(tmp_path / "canary-workspace", remote="https://example.org/canary-remote.git")
        return Place(tmp_path, work, stage.url + path, stage.keys[project])

    return make
