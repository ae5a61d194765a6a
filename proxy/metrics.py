"""Prometheus counters, bounded labels

Plain dictionaries on the path of a request; Prometheus' text is made only when somebody asks. A label takes
words from a fixed list and nothing else, so nothing that a client sends can become one. Each metric is
written by one thread. Workers hand over snapshots, which add up.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeAlias, TypedDict, TypeVar

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from proxy.core.confirm import Verdict
from proxy.core.dialects import DIALECTS
from proxy.core.reasons import REASONS
from proxy.core.record_schema import ENDS
from proxy.core.values import Usage
from proxy.logs import dropped

T = TypeVar("T")
Labels: TypeAlias = tuple[str, ...]

NONE = "none"
"""What a label says when there is nothing to say: the reason of a request that was allowed."""
OTHER = "other"
"""What a label says when it was given a word that is not on its list."""
WORDS: Mapping[str, frozenset[str]] = {
    "confirmation": frozenset({NONE, *Verdict}),
    "dialect": frozenset({NONE, *(dialect.name for dialect in DIALECTS)}),
    "direction": frozenset({"input", "output"}),
    "effect": frozenset({"allow", "deny"}),
    "end": frozenset(ENDS),
    "operation": frozenset({NONE, *(end.operation for dialect in DIALECTS for end in dialect.endpoints)}),
    "reason": frozenset({NONE, *REASONS}),
    "result": frozenset({"loaded", "refused", "unchanged"}),
    "scope": frozenset({"key", "project", "organisation"}),
    "status": frozenset({"1xx", "2xx", "3xx", "4xx", "5xx"}),
    "what": frozenset({"policies", "attestations", "keys", "catalogue", "tables"}),
    "kept_out": frozenset({"field", "value", "event"}),
}

FAST = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0, 5.0)
SLOW = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)


class Distribution(TypedDict):
    """How often which bucket was hit, and the sum of what was seen."""

    counts: list[int]
    sum: float


class Snapshot(TypedDict):
    """The numbers of one worker, in plain types that can be sent as JSON. Labels are joined by commas."""

    counters: dict[str, dict[str, float]]
    gauges: dict[str, float]
    histograms: dict[str, dict[str, Distribution]]


@dataclass(slots=True)
class Counter:
    """Counts by labels; the words of a label are checked once, when their combination is first counted."""

    name: str
    help: str
    labels: Labels = ()
    values: dict[Labels, float] = field(default_factory=dict)

    def add(self, *words: str, amount: float = 1) -> None:
        """Count one, or `amount`, under these words, given in the order of `labels`."""
        try:
            self.values[words] += amount
        except KeyError:
            # Only bounded combinations are remembered, or strange words would fill the memory.
            key = _bounded(self.labels, words)
            self.values[key] = self.values.get(key, 0) + amount


@dataclass(slots=True)
class Histogram:
    """Seconds by labels, in buckets with these upper bounds."""

    name: str
    help: str
    bounds: tuple[float, ...]
    labels: Labels = ()
    values: dict[Labels, Distribution] = field(default_factory=dict)

    def observe(self, seconds: float, *words: str) -> None:
        """Count one duration."""
        found = self.values.get(words)
        if found is None:
            empty: Distribution = {"counts": [0] * (len(self.bounds) + 1), "sum": 0.0}
            found = self.values.setdefault(_bounded(self.labels, words), empty)
        found["counts"][bisect_left(self.bounds, seconds)] += 1
        found["sum"] += seconds


@dataclass(slots=True)
class Gauge:
    """A number that goes up and down. `combine` makes one number out of those of several workers."""

    name: str
    help: str
    combine: Callable[[Iterable[float]], float] = sum
    value: float = 0.0
    read: Callable[[], float] | None = None

    def now(self) -> float:
        """The present number; `read`, when set, is asked for it."""
        return self.value if self.read is None else self.read()


class Metrics:
    """Every metric of a worker."""

    def __init__(self) -> None:
        self.requests = Counter(
            "ringfence_requests",
            "Requests answered, by verdict.",
            ("dialect", "operation", "effect", "reason", "status"),
        )
        self.rejects = Counter("ringfence_rejects", "Requests turned away before a verdict.", ("reason",))
        self.outcomes = Counter(
            "ringfence_outcomes", "Forwarded requests, by how they ended.", ("end", "confirmation")
        )
        self.tokens = Counter("ringfence_tokens", "Tokens that answers reported.", ("direction",))
        self.cost = Counter("ringfence_cost_usd", "US dollars that answers reported.")
        self.loads = Counter("ringfence_loads", "Reloads of what decisions rest on.", ("what", "result"))
        self.limited = Counter("ringfence_limited", "Requests over a limit.", ("scope",))
        self.spend_alerts = Counter("ringfence_spend_alerts", "Soft spend alerts crossed.", ("scope",))
        self.log_drops = Counter("ringfence_log_drops", "What was kept out of the log.", ("kept_out",))
        self.added_seconds = Histogram(
            "ringfence_added_seconds", "From request to first upstream byte.", FAST, ("dialect",)
        )
        self.append_seconds = Histogram("ringfence_append_seconds", "Making a record durable.", FAST)
        self.first_byte_seconds = Histogram(
            "ringfence_first_byte_seconds", "From forwarding to the gateway's first byte.", SLOW, ("dialect",)
        )
        self.answer_seconds = Histogram(
            "ringfence_answer_seconds", "From the request to the last byte of its answer.", SLOW, ("dialect",)
        )
        self.loop_stall_seconds = Histogram("ringfence_loop_stall_seconds", "Event loop late.", FAST)
        self.connections = Gauge("ringfence_connections", "Open client connections.")
        self.streams = Gauge("ringfence_streams", "Answers under way.")
        self.body_bytes = Gauge("ringfence_body_bytes", "Request bodies held in memory, in bytes.")
        self.journal_healthy = Gauge("ringfence_journal_healthy", "1 while records can be made durable.", min)
        self.journal_queue = Gauge("ringfence_journal_queue", "Records waiting to be made durable.")
        self.audit_disk_free = Gauge(
            "ringfence_audit_disk_free_bytes", "Room on the disk of the audit log, in bytes.", min
        )
        self.catalog_age_seconds = Gauge("ringfence_catalog_age_seconds", "Age of the catalogue.", max)
        self.quarantined_routes = Gauge("ringfence_quarantined_routes", "Routes in quarantine.", max)
        self.ready = Gauge("ringfence_ready", "1 while requests are served.", min)

    def usage(self, usage: Usage) -> None:
        """Count what an answer reported of its tokens and cost."""
        if usage.tokens_in:
            self.tokens.add("input", amount=usage.tokens_in)
        if usage.tokens_out:
            self.tokens.add("output", amount=usage.tokens_out)
        if usage.cost_microusd:
            self.cost.add(amount=usage.cost_microusd / 1_000_000)

    def counters(self) -> Iterator[Counter]:
        """Every counter."""
        return (metric for metric in vars(self).values() if isinstance(metric, Counter))

    def gauges(self) -> Iterator[Gauge]:
        """Every gauge."""
        return (metric for metric in vars(self).values() if isinstance(metric, Gauge))

    def histograms(self) -> Iterator[Histogram]:
        """Every histogram."""
        return (metric for metric in vars(self).values() if isinstance(metric, Histogram))

    def snapshot(self) -> Snapshot:
        """The present numbers."""
        self.log_drops.values.update({(kind,): float(count) for kind, count in dropped.items()})
        return {
            "counters": {each.name: _joined(each.values) for each in self.counters()},
            "gauges": {each.name: each.now() for each in self.gauges()},
            "histograms": {each.name: _joined(each.values) for each in self.histograms()},
        }

    def text(self, snapshots: Iterable[Snapshot] | None = None) -> bytes:
        """Prometheus' text format: this worker's numbers, or those of the given snapshots, added up."""
        registry = CollectorRegistry()
        given = [self.snapshot()] if snapshots is None else list(snapshots)
        registry.register(_Families(self, given))
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)
        return generate_latest(registry)


@lru_cache(maxsize=1024)
def status_class(status: int) -> str:
    """`4xx` of 403."""
    return f"{status // 100}xx"


class _Families(Collector):
    """Snapshots, added up, as prometheus_client wants them."""

    def __init__(self, metrics: Metrics, snapshots: list[Snapshot]) -> None:
        self._metrics = metrics
        self._snapshots = snapshots

    @override
    def collect(self) -> Iterator[Metric]:
        for counter in self._metrics.counters():
            yield self._counter(counter)
        for gauge in self._metrics.gauges():
            numbers = [each["gauges"][gauge.name] for each in self._snapshots if gauge.name in each["gauges"]]
            yield GaugeMetricFamily(gauge.name, gauge.help, value=gauge.combine(numbers))
        for histogram in self._metrics.histograms():
            yield self._histogram(histogram)

    def _counter(self, counter: Counter) -> Metric:
        family = CounterMetricFamily(counter.name, counter.help, labels=counter.labels)
        totals: dict[str, float] = {} if counter.labels else {"": 0.0}
        for snapshot in self._snapshots:
            for words, number in snapshot["counters"].get(counter.name, {}).items():
                totals[words] = totals.get(words, 0) + number
        for words, number in totals.items():
            family.add_metric(_split(words), number)
        return family

    def _histogram(self, histogram: Histogram) -> Metric:
        family = HistogramMetricFamily(histogram.name, histogram.help, labels=histogram.labels)
        nothing = [0] * (len(histogram.bounds) + 1), 0.0
        totals: dict[str, tuple[list[int], float]] = {} if histogram.labels else {"": nothing}
        for snapshot in self._snapshots:
            for words, seen in snapshot["histograms"].get(histogram.name, {}).items():
                counts, total = totals.get(words, nothing)
                added = [one + other for one, other in zip(counts, seen["counts"], strict=True)]
                totals[words] = (added, total + seen["sum"])
        for words, (counts, total) in totals.items():
            family.add_metric(_split(words), list(_cumulative(histogram.bounds, counts)), total)
        return family


def _cumulative(bounds: tuple[float, ...], counts: list[int]) -> Iterator[tuple[str, float]]:
    below = 0
    for bound, count in zip((*map(str, bounds), "+Inf"), counts, strict=True):
        below += count
        yield bound, below


def _bounded(labels: Labels, words: Labels) -> Labels:
    if len(labels) != len(words):
        raise ValueError(f"labels are {', '.join(labels) or 'none'}")
    return tuple(word if word in WORDS[label] else OTHER for label, word in zip(labels, words, strict=True))


def _joined(values: Mapping[Labels, T]) -> dict[str, T]:
    return {",".join(words): value for words, value in values.items()}


def _split(words: str) -> list[str]:
    return words.split(",") if words else []
