"""The policies that ship are sound, tested, and say what the documentation says they say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from proxy.core.policy import Policy, read_policy
from proxy.core.strict_yaml import load
from proxy.core.suite import Report, run_suite
from proxy.core.suite_file import read_suite
from tests.judging import COUNTRIES, ROOT

FOLDER = ROOT / "policies"
POLICIES = sorted(p for p in FOLDER.glob("*.yaml") if not p.stem.endswith(("_test", ".example")))
FACTS: Any = load((ROOT / "proxy/tables/gateway.yaml").read_bytes(), "gateway.yaml").data


def read(path: Path) -> Policy:
    return read_policy(load(path.read_bytes(), path.name), COUNTRIES)


def suite_of(path: Path, text: str = "") -> Report:
    beside = path.with_name(f"{path.stem}_test.yaml")
    doc = load(beside.read_bytes(), beside.name)
    one = read_policy(load(text, path.name), COUNTRIES) if text else read(path)
    return run_suite(read_suite(doc, COUNTRIES, FACTS), [one])


def test_the_four_examples_are_there() -> None:
    assert [path.stem for path in POLICIES] == ["eu-only", "no-training", "strict", "us-zdr-no-training"]


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.stem)
def test_each_is_named_like_its_file_and_has_a_suite_that_passes(path: Path) -> None:
    assert read(path).id == path.stem
    report = suite_of(path)
    assert report.passed, "\n".join(report.lines())


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("us-zdr-no-training", "within: [US]", "within: [US, SE]"),
        ("us-zdr-no-training", "training: forbidden", "training: opt_in_only"),
        ("us-zdr-no-training", "abuse_logs: none", "abuse_logs: {at_most: 30d}"),
        ("us-zdr-no-training", "application_state: none", "application_state: any"),
        ("us-zdr-no-training", "content_retention: none", "content_retention: any"),
        ("us-zdr-no-training", "app_state: rewrite", "app_state: refuse"),
        ("us-zdr-no-training", "hosted_tool: refuse", "hosted_tool: allow"),
        ("us-zdr-no-training", "stateful_reference: refuse", "stateful_reference: allow"),
        ("strict", "human_review: safety_hits_only", "human_review: forbidden"),
        ("strict", "third_parties: none", "third_parties: any"),
        ("strict", "dpa: signed", "dpa: available"),
        ("strict", "90d", "365d"),
        ("strict", "cache: {at_most: 24h}", "cache: any"),
        ("strict", "system_data]", "system_data, schema_text]"),
        ("eu-only", "inference_location: {within: [EU]}", "inference_location: {within: [EEA]}"),
        ("eu-only", "storage_location: {within: [EU]}", "storage_location: any"),
        ("no-training", "training: forbidden", "training: opt_in_only"),
    ],
)
def test_a_policy_that_is_changed_no_longer_passes_its_suite(name: str, old: str, new: str) -> None:
    path = FOLDER / f"{name}.yaml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    assert not suite_of(path, text.replace(old, new, 1)).passed
