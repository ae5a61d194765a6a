"""The dashboard and the alerts read metrics that exist, by labels and words that these can have."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from prometheus_client.parser import text_string_to_metric_families

from proxy.cli import main
from proxy.metrics import WORDS, Counter, Gauge, Histogram, Metrics
from tests.deploy.promql import balanced, groupings, selectors
from tests.operations.kit import Client
from tests.running import Stage, eventually

ROOT = Path(__file__).parent.parent.parent
BOARD = json.loads((ROOT / "deploy/grafana/ringfence.json").read_text())
ALERTS = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yaml").read_text())
RULES = [rule for group in ALERTS["groups"] for rule in group["rules"]]
SHOWN = [target["expr"] for panel in BOARD["panels"] for target in panel["targets"]]
EXPRESSIONS = [*SHOWN, *(rule["expr"] for rule in RULES)]


def names() -> Iterator[tuple[str, tuple[str, ...]]]:
    """Every series that is exposed, with the labels that it has."""
    metrics = Metrics()
    for counter in metrics.counters():
        yield f"{counter.name}_total", counter.labels
    for gauge in metrics.gauges():
        yield gauge.name, ()
    for histogram in metrics.histograms():
        for part, more in (("_bucket", ("le",)), ("_count", ()), ("_sum", ())):
            yield histogram.name + part, (*histogram.labels, *more)


@cache
def known() -> dict[str, tuple[str, ...]]:
    every = dict(names())
    # Those of the Python client come from the process, without labels of ours.
    for family in text_string_to_metric_families(Metrics().text().decode()):
        for sample in family.samples:
            every.setdefault(sample.name, tuple(sample.labels))
    return every


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_reads_what_exists(expression: str) -> None:
    assert balanced(expression)
    found = list(selectors(expression))
    assert found
    for metric, matchers in found:
        assert metric in known(), metric
        for label, how, value in matchers:
            if label == "job":
                continue  # Prometheus' own
            assert label in known()[metric], f"{metric} has no label {label}"
            if label == "le":
                bounds = {str(bound) for each in Metrics().histograms() for bound in each.bounds}
                assert value in bounds
            elif how in ("=", "!="):
                assert value in WORDS[label], f"{label} is never {value}"
            else:
                assert {word for word in value.split("|") if word != ".*"} <= WORDS[label]
    labels = {label for metric, _ in found for label in known()[metric]}
    assert groupings(expression) <= labels


def test_every_metric_of_ours_is_on_the_dashboard() -> None:
    shown = " ".join(SHOWN)
    metrics = Metrics()
    every: list[Counter | Gauge | Histogram] = [*metrics.counters(), *metrics.gauges(), *metrics.histograms()]
    assert not [metric.name for metric in every if metric.name not in shown]


def test_every_metric_of_ours_is_written_somewhere() -> None:
    code = "".join(
        path.read_text() for path in (ROOT / "proxy").rglob("*.py") if path != ROOT / "proxy/metrics.py"
    )
    names = [
        name for name, value in vars(Metrics()).items() if isinstance(value, Counter | Gauge | Histogram)
    ]
    # What the log keeps out is counted by the log, and taken over when numbers are asked for.
    unwritten = [name for name in names if not re.search(rf"\.{name}\b", code) and name != "log_drops"]
    assert [name for name in unwritten if name not in ("tokens", "cost")] == []


def test_a_request_moves_the_numbers_that_the_dashboard_shows(stage: Stage) -> None:
    assert Client(stage).status() == 200

    def counted() -> dict[str, float]:
        families = text_string_to_metric_families(stage.metrics())
        return {sample.name: sample.value for family in families for sample in family.samples if sample.value}

    wanted = {
        "ringfence_requests_total", "ringfence_outcomes_total", "ringfence_tokens_total",
        "ringfence_loads_total", "ringfence_added_seconds_count", "ringfence_append_seconds_count",
        "ringfence_first_byte_seconds_count", "ringfence_answer_seconds_count",
        "ringfence_loop_stall_seconds_count", "ringfence_ready", "ringfence_journal_healthy",
        "ringfence_catalog_age_seconds",
    }  # fmt: skip
    assert eventually(lambda: wanted <= counted().keys()), wanted - counted().keys()


def test_panels_do_not_overlap_and_say_what_they_show() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in BOARD["panels"]:
        place: dict[str, int] = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
        assert panel["title"]
    assert len({panel["id"] for panel in BOARD["panels"]}) == len(BOARD["panels"])


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))
def test_an_alert_says_what_is_wrong_and_what_to_do(rule: dict[str, Any]) -> None:
    assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
    assert re.fullmatch(r"Ringfence[A-Z][A-Za-z]+", rule["alert"])
    assert rule["labels"]["severity"] in ("critical", "warning", "info")
    assert re.fullmatch(r"\d+[smh]", rule.get("for", "1m"))
    assert rule["annotations"]["summary"].endswith(".")
    for command in re.findall(r"`ringfence ([^`]+)`", rule["annotations"]["do"]):
        words = [word for word in command.split() if not word.startswith("-")]
        outcome = CliRunner().invoke(main, [*words[: 1 if words[0] == "doctor" else 2], "--help"])
        assert outcome.exit_code == 0, command
        for option in re.findall(r"--[a-z-]+", command):
            assert option in outcome.output, command


def test_alerts_are_named_once() -> None:
    assert len({rule["alert"] for rule in RULES}) == len(RULES)
