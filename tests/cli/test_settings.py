"""Where a command's settings come from."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.cli._settings import settings_from


def test_the_option_wins_over_the_variable_and_the_variable_over_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(("config.yaml", "named.yaml", "given.yaml"), start=1):
        Path(name).write_text(f"workers: {number}\n")
    assert settings_from(None).workers == 1
    monkeypatch.setenv("RINGFENCE_CONFIG", "named.yaml")
    assert settings_from(None).workers == 2
    assert settings_from(Path("given.yaml")).workers == 3
