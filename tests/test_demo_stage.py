"""The stage of the demo tells why it cannot be set, and takes every status for an answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.demo_stage import Unexpected, http, on_stage
from tests.judging import ROOT

POLICY = ROOT / "policies" / "us-zdr-no-training.yaml"


def test_a_proxy_that_does_not_start_is_told_with_what_it_logged(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text("no: policy\n")
    folder = tmp_path / "stage"
    folder.mkdir()
    with (
        pytest.raises(Unexpected, match="the proxy did not start") as told,
        on_stage(folder, broken, lambda _: None, 0),
    ):
        pass
    assert "broken.yaml" in str(told.value)


def test_a_status_that_says_no_is_an_answer_too(tmp_path: Path) -> None:
    with on_stage(tmp_path, POLICY, lambda _: None, 0) as stage:
        refused = http(f"{stage.base_url}/v1/chat/completions", {"model": "atlas-1"}, "wrong")
        nowhere = http(f"{stage.base_url}/nowhere")
    assert (refused.status, refused.error["code"]) == (401, "unknown_key")
    assert (nowhere.status, nowhere.error) != (200, {})
