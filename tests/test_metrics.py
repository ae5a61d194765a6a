"""Metrics: right numbers, bounded labels, and workers that add up."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from proxy.core.values import Usage
from proxy.metrics import OTHER, WORDS, Counter, Histogram, Metrics, status_class

CANARY = "CANARY-7f3a"


def samples(text: bytes) -> dict[str, float]:
    found = {}
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}"] = sample.value
    return found


def test_a_counter_counts_by_its_labels() -> None:
    metrics = Metrics()
    metrics.rejects.add("no_credential")
    metrics.rejects.add("no_credential")
    metrics.rejects.add("unknown_key", amount=3)
    found = samples(metrics.text())
    assert found["ringfence_rejects_total{reason=no_credential}"] == 2
    assert found["ringfence_rejects_total{reason=unknown_key}"] == 3


@given(st.lists(st.text(max_size=20), max_size=30))
def test_no_word_of_a_client_becomes_a_label_or_takes_memory(words: list[str]) -> None:
    metrics = Metrics()
    for word in [*words, CANARY]:
        metrics.rejects.add(word)
        metrics.requests.add(word, word, "allow", "none", "2xx")
        metrics.added_seconds.observe(0.1, word)
    assert CANARY.encode() not in metrics.text()
    assert {word for (word,) in metrics.rejects.values} <= WORDS["reason"] | {OTHER}
    assert {word for (word,) in metrics.added_seconds.values} <= WORDS["dialect"] | {OTHER}
    assert len(metrics.requests.values) <= 4


def test_the_wrong_number_of_words_is_an_error() -> None:
    with pytest.raises(ValueError, match="reason"):
        Metrics().rejects.add("unknown_key", "more")


def test_a_duration_without_labels_is_there_before_it_is_first_seen() -> None:
    """A rate over a series that appears with its first event misses that event."""
    found = samples(Metrics().text())
    assert found["ringfence_append_seconds_count{}"] == found["ringfence_append_seconds_sum{}"] == 0
    assert found["ringfence_loop_stall_seconds_bucket{le=+Inf}"] == 0


def test_a_duration_falls_into_its_bucket_and_all_above() -> None:
    metrics = Metrics()
    for seconds in (0.00005, 0.001, 0.003, 99.0):
        metrics.append_seconds.observe(seconds)
    found = samples(metrics.text())
    assert found["ringfence_append_seconds_bucket{le=0.0001}"] == 1
    assert found["ringfence_append_seconds_bucket{le=0.001}"] == 2
    assert found["ringfence_append_seconds_bucket{le=0.005}"] == 3
    assert found["ringfence_append_seconds_bucket{le=+Inf}"] == found["ringfence_append_seconds_count{}"] == 4
    assert found["ringfence_append_seconds_sum{}"] == pytest.approx(99.00405)


def test_usage_counts_what_was_reported_and_nothing_else() -> None:
    metrics = Metrics()
    metrics.usage(Usage(tokens_in=10, tokens_out=5, cost_microusd=2_000_000))
    metrics.usage(Usage(tokens_in=1))
    metrics.usage(Usage())
    found = samples(metrics.text())
    assert found["ringfence_tokens_total{direction=input}"] == 11
    assert found["ringfence_tokens_total{direction=output}"] == 5
    assert found["ringfence_cost_usd_total{}"] == 2


def test_workers_add_up_and_the_weakest_tells_whether_all_is_well() -> None:
    one, other = Metrics(), Metrics()
    for metrics, streams, healthy, age in ((one, 3, 1, 50), (other, 4, 0, 70)):
        metrics.streams.value = streams
        metrics.journal_healthy.value = healthy
        metrics.catalog_age_seconds.read = lambda age=age: age
        metrics.rejects.add("unknown_key")
        metrics.append_seconds.observe(0.001)
    sent = json.loads(json.dumps(other.snapshot()))
    found = samples(one.text([one.snapshot(), sent]))
    assert found["ringfence_streams{}"] == 7
    assert found["ringfence_journal_healthy{}"] == 0
    assert found["ringfence_catalog_age_seconds{}"] == 70
    assert found["ringfence_rejects_total{reason=unknown_key}"] == 2
    assert found["ringfence_append_seconds_count{}"] == 2


def test_every_metric_has_words_for_its_labels_and_a_sentence() -> None:
    metrics = Metrics()
    labelled: list[Counter | Histogram] = [*metrics.counters(), *metrics.histograms()]
    for metric in labelled:
        assert set(metric.labels) <= set(WORDS)
        assert metric.help.endswith(".")
        assert metric.name.startswith("ringfence_")
    assert not any("," in word for words in WORDS.values() for word in words)


def test_the_text_can_be_read_before_anything_was_counted() -> None:
    found = samples(Metrics().text())
    assert found["ringfence_cost_usd_total{}"] == 0
    assert "process_open_fds{}" in found


def test_a_status_is_told_by_its_class() -> None:
    assert [status_class(status) for status in (200, 403, 503)] == ["2xx", "4xx", "5xx"]
