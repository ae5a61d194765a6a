"""A limit holds for all workers together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.values import Usage
from proxy.limits import Lease, Limits
from proxy.shares import Shares, lay_out, shares_file
from tests.test_limits import CALLER, MONTH, Allowed, lease, limited

SCOPE = "project:web"


def workers(folder: Path, allowed: Allowed, number: int) -> list[Limits]:
    lay_out(shares_file(folder), 1, number)
    return [again(folder, allowed, number, own) for own in range(number)]


def again(folder: Path, allowed: Allowed, number: int, own: int) -> Limits:
    limits = {SCOPE: allowed}
    return Limits(limits, Shares(shares_file(folder), limits, workers=number, own=own))


def admitted(limits: Limits, now: float) -> bool:
    return isinstance(limits.admit(CALLER, now, MONTH), Lease)


def test_requests_are_counted_for_all(tmp_path: Path) -> None:
    one, two = workers(tmp_path, Allowed(requests_per_minute=3), 2)
    lease(one, 100.0)
    lease(two, 100.0)
    lease(one, 100.0)
    assert limited(one, 100.0).retry_after == limited(two, 100.0).retry_after == 20
    lease(two, 120.0)
    assert limited(one, 120.0).what == "requests"


def test_a_worker_that_sat_idle_for_long_knows_what_another_has_just_used_up(tmp_path: Path) -> None:
    idle, busy = workers(tmp_path, Allowed(requests_per_minute=60), 2)
    lease(idle, 1.0)
    for _ in range(60):
        lease(busy, 1000.0)
    assert limited(idle, 1000.0).what == "requests"


def test_tokens_that_one_workers_answers_report_hold_up_the_other(tmp_path: Path) -> None:
    one, two = workers(tmp_path, Allowed(tokens_per_minute=600), 2)
    lease(one).settle(Usage(tokens_in=500, tokens_out=700), MONTH)
    assert limited(two).what == "tokens"
    assert limited(two, 59.0).what == "tokens"
    lease(two, 61.0)


def test_streams_of_all_workers_count_and_are_given_back(tmp_path: Path) -> None:
    one, two = workers(tmp_path, Allowed(concurrent_streams=2), 2)
    first, second = lease(one), lease(two)
    assert first.begin_stream() is None
    assert second.begin_stream() is None
    refused = lease(one).begin_stream()
    assert refused is not None
    assert refused.limit == 2
    second.settle(Usage(), MONTH)
    assert lease(one).begin_stream() is None


def test_a_stream_that_one_scope_refuses_is_counted_by_none(tmp_path: Path) -> None:
    limits = Limits(
        {"key:k1": Allowed(concurrent_streams=9), "project:web": Allowed(concurrent_streams=1)},
    )
    assert lease(limits).begin_stream() is None
    for _ in range(20):
        refused = lease(limits).begin_stream()
        assert refused is not None
        assert refused.scope == "project:web"


def test_a_restarted_worker_has_no_streams_and_no_fresh_allowance(tmp_path: Path) -> None:
    allowed = Allowed(requests_per_minute=3, concurrent_streams=1)
    one, two = workers(tmp_path, allowed, 2)
    assert lease(one, 100.0).begin_stream() is None
    lease(one, 100.0)
    lease(one, 100.0)
    one = again(tmp_path, allowed, 2, 0)
    assert limited(one, 101.0).what == "requests"
    assert limited(two, 101.0).what == "requests"
    assert lease(two, 130.0).begin_stream() is None


@pytest.mark.parametrize("number", [2, 5])
@given(data=st.data())
def test_any_workers_in_turn_admit_what_one_alone_would(number: int, data: st.DataObject) -> None:
    capacity = data.draw(st.integers(1, 40), "capacity")
    steps: Sequence[tuple[int, float]] = data.draw(
        st.lists(
            st.tuples(st.integers(0, number - 1), st.sampled_from([0.0, 0.0, 0.01, 0.5, 1.7, 30.0, 700.0])),
            max_size=150,
        ),
        "who asks, after how long",
    )
    with TemporaryDirectory() as folder:
        allowed = Allowed(requests_per_minute=capacity)
        alone, several = Limits({SCOPE: allowed}), workers(Path(folder), allowed, number)
        now = 1000.0
        for worker, later in steps:
            now += later
            assert admitted(several[worker], now) == admitted(alone, now)
