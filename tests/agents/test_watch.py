"""What the pinned agents send is judged in the tables, part by part."""

from __future__ import annotations

import pytest

from proxy.facts import read_facts
from proxy.simulator import Seen
from scripts.coding_agents import versions
from scripts.watch_agents import main, report


def test_nothing_that_the_agents_send_is_left_unjudged(capsys: pytest.CaptureFixture[str]) -> None:
    assert main() == 0, capsys.readouterr().out
    said = capsys.readouterr().out
    assert "Everything that was sent has been judged." in said
    assert all(f"{package} {version}" in said for package, version in versions().items())
    assert "client_telemetry: a coding agent's report on its user's machine" in said
    assert "x-codex-turn-metadata" in said


def test_a_new_value_or_member_is_named() -> None:
    headers = ((b"Content-Type", b"application/json"), (b"anthropic-beta", b"effort-2025-11-24, brand-new"))
    body = b'{"model": "m", "max_tokens": 1, "messages": [], "novelty": 1}'
    lines = list(report(Seen(1, 0, "POST", "/v1/messages?beta=true", headers, body), read_facts()))
    assert "  not judged: anthropic-beta brand-new" in lines
    assert "  not judged: members novelty" in lines
