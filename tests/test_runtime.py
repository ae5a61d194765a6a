"""What the proxy refuses to start on: real interpreters, really without what they need."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from proxy.core.errors import Mistake
from proxy.runtime import require_sound_runtime

CHECK = "from proxy.runtime import require_sound_runtime as check; check()"


def run(*options: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *options, "-c", CHECK],
        env={**os.environ, **environ}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_this_one_is_sound() -> None:
    require_sound_runtime()
    assert run().returncode == 0


def test_without_aiohttps_c_parser_it_does_not_start() -> None:
    outcome = run(AIOHTTP_NO_EXTENSIONS="1")
    assert outcome.returncode != 0
    assert "C parser" in outcome.stderr
    assert "AIOHTTP_NO_EXTENSIONS" in outcome.stderr


def test_without_assertions_it_does_not_start() -> None:
    assert "python -O" in run("-O").stderr


@pytest.mark.parametrize("version", ["3.14.2", "3.9.0", "2.0.0", "3.14.0b1"])
def test_an_aiohttp_with_a_known_advisory_is_refused_with_the_version_to_install(
    version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.metadata.version", lambda _: version)
    with pytest.raises(Mistake, match=r"install 3\.14\.3 or later"):
        require_sound_runtime()


@pytest.mark.parametrize("version", ["3.14.3", "3.15.0", "4.0.0"])
def test_a_later_one_is_taken(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.metadata.version", lambda _: version)
    require_sound_runtime()
