"""ringfence explain: exit codes tell allowed from refused, and mistakes from both."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from proxy.cli import main
from proxy.config import Settings
from tests.assembled import assembled, chat
from tests.test_explaining import key_id

IMAGE = {"model": "openai/gpt-image-1", "prompt": "A lighthouse."}


@pytest.fixture
async def settings(tmp_path: Path) -> Settings:
    """The settings of a proxy that has run, so that its catalogue is kept and fresh."""
    async with assembled(tmp_path) as stand:
        return stand.assembly.settings


def explain(folder: Path, body: Any, *words: str) -> Result:
    file = folder / "request.json"
    file.write_bytes(body if isinstance(body, bytes) else json.dumps(body).encode())
    return CliRunner().invoke(main, ["explain", str(file), "--config", str(folder / "config.yaml"), *words])


def test_what_would_be_allowed_exits_with_0(settings: Settings, tmp_path: Path) -> None:
    key = key_id(settings, "mission")
    found = explain(tmp_path, IMAGE, "--key-id", key, "--path", "/v1/images/generations")
    assert found.exit_code == 0, found.output
    assert "us-zdr-no-training" in found.output


def test_what_would_be_refused_exits_with_1_and_says_what_would_help(
    settings: Settings, tmp_path: Path
) -> None:
    found = explain(tmp_path, chat("openai/gpt-image-1"), "--key-id", key_id(settings, "alone"))
    assert found.exit_code == 1
    assert "no policy" in found.output.lower()


def test_a_day_can_be_chosen(settings: Settings, tmp_path: Path) -> None:
    words = ("--key-id", key_id(settings, "mission"), "--path", "/v1/images/generations")
    assert explain(tmp_path, IMAGE, *words, "--at", "2001-01-01").exit_code == 1


@pytest.mark.parametrize("body", [b"{", b'{"model":"a","model":"b"}', b""])
def test_a_request_that_cannot_be_read_is_told_from_one_that_is_refused(
    body: bytes, settings: Settings, tmp_path: Path
) -> None:
    found = explain(tmp_path, body, "--key-id", key_id(settings, "open"))
    assert found.exit_code != 0
    assert found.output.startswith("Error: ")
    assert "Traceback" not in found.output


def test_an_unknown_key_and_a_missing_file_are_mistakes(settings: Settings, tmp_path: Path) -> None:
    unknown = explain(tmp_path, IMAGE, "--key-id", "nobody")
    missing = CliRunner().invoke(main, ["explain", str(tmp_path / "gone.json"), "--key-id", "x"])
    assert unknown.exit_code > 1
    assert "keys list" in unknown.output
    assert missing.exit_code == 2
