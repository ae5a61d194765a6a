"""the soak sees a leak, an answer that should not be, and books that do not balance; and it runs"""

from __future__ import annotations

import asyncio
import random
import time
from types import SimpleNamespace
from typing import cast

import pytest
import uvloop

from benchmarks import soak
from benchmarks.books import Books, balance, sightings
from benchmarks.drift import Series, drift
from benchmarks.operations import Operator
from benchmarks.soak import Plan, Soak, Watch, judge, staged, summary
from benchmarks.traffic import Ledger, Traffic, sorts
from proxy.keys import open_keys
from tests.running import Stage, running

# -- flat or not -----------------------------------------------------------------------------------


def series(slope: float, *, level: float = 90.0, noise: float = 3.0, seconds: int = 480) -> Series:
    """A noisy quantity that grows by `slope` a second, with a peak now and then."""
    dice, made = random.Random(11), Series("memory", "MB")
    for at in range(seconds):
        peak = 60.0 if dice.random() < 0.02 else 0.0
        made.add(at, level + slope * at + dice.uniform(-noise, noise) + peak)
    return made


def test_noise_and_peaks_are_no_growth():
    found = drift(series(0.0))
    assert abs(found.growth) < 1.0
    assert found.complaint(soak.MOST_GROWTH_MB) == ""


def test_a_slow_leak_is_growth_and_told_in_words():
    # A kilobyte for each of 50 requests a second.
    found = drift(series(0.05))
    assert found.growth == pytest.approx(24.0, abs=1.5)
    assert found.complaint(soak.MOST_GROWTH_MB).startswith("memory grew by ")


def test_what_shrinks_is_not_complained_of():
    assert drift(series(-0.05)).complaint(0.0) == ""


def test_hours_of_samples_are_judged_as_well():
    begin = time.monotonic()
    assert drift(series(0.002, seconds=7200)).growth == pytest.approx(14.4, abs=1.0)
    assert time.monotonic() - begin < 10


def test_a_few_samples_say_nothing():
    with pytest.raises(ValueError, match="says nothing"):
        drift(series(0.0, seconds=9))


def test_the_warm_up_is_left_out():
    made = series(0.0)
    made.values[:100] = [value / 2 for value in made.values[:100]]
    assert abs(drift(made.since(100)).growth) < 1.0


def watch(
    *, memory: float = 0.0, descriptors: float = 0.0, wal: float = 1.0, rest: tuple[int, ...] = (19, 20)
) -> Watch:
    made = Watch(resting=list(rest))
    for at, value in enumerate(series(memory).values):
        made.memory.add(at, value)
        made.descriptors.add(at, 60 + descriptors * at)
        made.wal.add(at, wal)
    return made


def test_a_proxy_that_stays_the_same_is_not_complained_of():
    assert watch().complaints(120) == []


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"memory": 0.05}, "memory grew by"),
        ({"descriptors": 0.2}, "descriptors grew by"),
        ({"wal": 301.0}, "write-ahead file grew to 301 MB"),
        ({"rest": (19, 24)}, "at rest 24 descriptors were open, 19 before"),
    ],
)
def test_each_thing_that_grows_is_named(changed, words):
    (complaint,) = watch(**changed).complaints(120)
    assert words in complaint


# -- answers ---------------------------------------------------------------------------------------


def test_strange_answers_are_complained_of_beyond_their_share():
    ledger = Ledger()
    ledger.by_sort["chat"] = 1000
    ledger.strange["chat ended with 502"] = 10
    assert ledger.complaints(0.01) == []
    ledger.strange["chat ended with 502"] = 11
    assert ledger.complaints(0.01) == ["11 requests: chat ended with 502"]


def test_an_answer_that_may_not_be_is_no_measure_of_what_a_host_can_do():
    ledger = Ledger()
    ledger.by_sort["chat"] = 1000
    ledger.strange["chat ended with 503 overloaded"] = 900
    assert ledger.good == 100


async def test_no_more_are_open_at_once_than_a_slow_host_can_bear(monkeypatch):
    answered, begun = asyncio.Event(), []

    async def one() -> int:
        begun.append(1)
        await answered.wait()
        return 200

    monkeypatch.setattr(soak, "MOST_OPEN", 3)
    slow = Soak(cast("Stage", SimpleNamespace(url="", keys={})), Plan(0.2))
    monkeypatch.setattr(slow.traffic, "one", one)
    asyncio.get_running_loop().call_later(0.3, answered.set)
    await slow._load(1000)
    assert len(begun) == 3
    assert slow.left_out > 0


# -- for real --------------------------------------------------------------------------------------


def test_every_sort_of_request_ends_as_it_may_and_the_books_balance():
    async def each_sort(traffic: Traffic) -> None:
        async with traffic:
            # Those that put their route to rest come last: nobody else asks for it.
            for sort in sorts():
                await traffic.one(sort.name)

    with staged() as (stage, noted):
        traffic = Traffic(stage.url, dict(stage.keys))
        uvloop.run(each_sort(traffic))
        stage.stop()
        books = balance(stage.folder / "config.yaml", stage.folder / "data", sightings(noted))
    assert dict(traffic.ledger.strange) == {}
    assert set(traffic.ledger.by_sort) == {sort.name for sort in sorts()}
    assert books.complaints == []
    assert books.seen > 20
    assert {"complete", "client_gone", "upstream_reset", "timeout", "served_mismatch"} <= set(books.ends)


def test_a_short_soak_runs_from_end_to_end():
    plan = Plan(4.0, sample_every=0.1, report_every=1.0, measure=1.0, rest=0.3)
    done, books = soak.soaked(plan)
    assert books.complaints == []
    assert done.traffic.ledger.count > 20
    assert len(done.watch.memory.values) > 20
    assert "audit:" in summary(done, plan, books)
    assert judge(done, plan, Books()) != [], "books in which nothing was seen must not pass"
    assert isinstance(done, Soak)


async def test_an_operator_changes_policies_and_keys_and_leaves_the_policy_as_it_was():
    with running() as stage:
        assert stage.process is not None
        policy = stage.folder / "policies" / "open.yaml"
        before = policy.read_text()
        operator = Operator(stage.folder, stage.process.pid, dict(stage.keys))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.0):
                await operator.work(0.02)
        assert set(operator.done) == {"amend", "break_off", "signal", "give_key", "take_key"}
        assert policy.read_text() == before
        kept = open_keys(stage.folder / "data" / "keys.json", stage.folder / "data" / "pepper").entries()
        assert any(entry.revoked for entry in kept)
        assert stage.process.poll() is None
