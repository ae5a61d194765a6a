"""A verdict on a request that is not sent is the verdict that it would get, and leaves no trace."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from proxy.config import Settings
from proxy.core.errors import Mistake, Unreadable
from proxy.explaining import explained
from proxy.keys import open_keys
from tests.assembled import ATLAS, CHAT, TRAINS, assembled, chat

IMAGE = {"model": "openai/gpt-image-1", "prompt": "A lighthouse."}


@pytest.fixture
async def settings(tmp_path: Path) -> Settings:
    """The settings of a proxy that has run, so that its catalogue is kept and fresh."""
    async with assembled(tmp_path) as stand:
        return stand.assembly.settings


def key_id(settings: Settings, project: str) -> str:
    keys = open_keys(settings.keys_file, settings.pepper_file)
    return next(entry.id for entry in keys.entries() if entry.project == project)


def verdict(settings: Settings, body: Any, *, project: str = "open", path: str = CHAT, at: Any = None) -> Any:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    moment = at or datetime.now(UTC)
    return explained(settings, raw, path, key_id=key_id(settings, project), at=moment)


def test_every_finding_and_the_verdict_are_told(settings: Settings) -> None:
    allowed = verdict(settings, IMAGE, project="mission", path="/v1/images/generations")
    assert allowed.allowed
    for words in ("us-zdr-no-training", "training", "inference_location", "gateway.content_retention"):
        assert words in allowed.text
    refused = verdict(settings, chat("openai/nothing-at-all"))
    assert not refused.allowed
    assert "openai/nothing-at-all" in refused.text


def test_a_verdict_can_be_had_for_another_day(settings: Settings) -> None:
    """The attestations of the fixture hold for a month."""
    late = datetime.now(UTC).replace(year=datetime.now(UTC).year + 3)
    told = verdict(settings, IMAGE, project="mission", path="/v1/images/generations", at=late)
    assert not told.allowed


def test_nothing_is_recorded_and_nothing_is_sent(settings: Settings, tmp_path: Path) -> None:
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "data").rglob("*")}
    verdict(settings, IMAGE, path="/v1/images/generations")
    assert {file: file.stat().st_mtime_ns for file in (tmp_path / "data").rglob("*")} == before


def test_a_key_that_is_not_in_force_is_named_with_the_nearest(settings: Settings) -> None:
    known = key_id(settings, "open")
    now = datetime.now(UTC)
    with pytest.raises(Mistake, match=known):
        explained(settings, b"{}", CHAT, key_id=known[:-1] + "0", at=now)
    with pytest.raises(Mistake, match="keys list"):
        explained(settings, b"{}", CHAT, key_id="qqqqqqqqqqqqqqq", at=now)


@pytest.mark.parametrize("path", ["/v1/nothing", "/v1/models", "/"])
def test_a_path_that_goes_nowhere_has_no_verdict(path: str, settings: Settings) -> None:
    with pytest.raises((Mistake, Unreadable)):
        verdict(settings, IMAGE, path=path)


def test_a_body_that_cannot_be_read_has_a_reason_code(settings: Settings) -> None:
    with pytest.raises(Unreadable) as raised:
        verdict(settings, b'{"model":"a","model":"b"}')
    assert raised.value.code == "duplicate_key"


@pytest.mark.parametrize(
    ("body", "project", "path"),
    [
        (chat(ATLAS), "open", CHAT),
        (chat(TRAINS), "open", CHAT),
        (chat("atlas-1"), "mission", CHAT),
        (chat("atlas-1"), "alone", CHAT),
        ({"model": "atlas-1", "input": "hello"}, "mission", "/v1/responses"),
        ({"model": "atlas-1", "input": "x", "previous_response_id": "resp_1"}, "mission", "/v1/responses"),
        (IMAGE, "mission", "/v1/images/generations"),
    ],
)
async def test_it_is_the_verdict_that_the_proxy_gives(
    body: dict[str, Any], project: str, path: str, tmp_path: Path
) -> None:
    async with assembled(tmp_path) as stand:
        given = await stand.ask(body, project=project, path=path)
        told = verdict(stand.assembly.settings, body, project=project, path=path)
        assert told.allowed == (given.status == 200)
        if not told.allowed:
            assert json.loads(given.body)["error"]["message"].split(". ")[0] in told.text
