"""What a key, project or organisation may use, and what happens when it is used up."""

from dataclasses import dataclass

from proxy.core.values import Caller, Usage
from proxy.limits import Lease, Limited, Limits

CALLER = Caller("acme", "web", "k1")
MONTH = "2026-03"


@dataclass
class Allowed:
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrent_streams: int | None = None
    monthly_spend_usd: float | None = None
    soft_alert: float = 0.8


def lease(limits: Limits, now: float = 0.0, month: str = MONTH) -> Lease:
    admitted = limits.admit(CALLER, now, month)
    assert isinstance(admitted, Lease)
    return admitted


def limited(limits: Limits, now: float = 0.0, month: str = MONTH) -> Limited:
    refused = limits.admit(CALLER, now, month)
    assert isinstance(refused, Limited)
    return refused


def test_without_limits_everything_is_admitted() -> None:
    for _ in range(1000):
        lease(Limits({}))


def test_requests_beyond_a_minutes_allowance_wait_for_the_bucket_to_fill() -> None:
    limits = Limits({"key:k1": Allowed(requests_per_minute=3)})
    for _ in range(3):
        lease(limits)
    no = limited(limits)
    assert (no.what, no.scope, no.limit, no.retry_after) == ("requests", "key:k1", 3, 20)
    assert ("x-ratelimit-limit-requests", "3") in no.headers()
    assert limited(limits, 19.0).retry_after == 1
    lease(limits, 20.0)


def test_a_refused_request_uses_nothing_up() -> None:
    limits = Limits(
        {"key:k1": Allowed(requests_per_minute=60), "project:web": Allowed(requests_per_minute=1)}
    )
    lease(limits)
    for _ in range(500):
        assert limited(limits).scope == "project:web"
    lease(limits, 60.0)


def test_tokens_are_charged_when_the_reply_reports_them() -> None:
    limits = Limits({"organisation:acme": Allowed(tokens_per_minute=600)})
    lease(limits).settle(Usage(tokens_in=500, tokens_out=700), MONTH)
    assert limited(limits).what == "tokens"
    assert limited(limits, 59.0).what == "tokens"
    lease(limits, 61.0)


def test_streams_are_counted_while_open_and_given_back_once() -> None:
    limits = Limits({"project:web": Allowed(concurrent_streams=1)})
    first, second = lease(limits), lease(limits)
    assert first.begin_stream() is None
    refused = second.begin_stream()
    assert refused is not None
    assert "1 streams at a time for this project" in refused.sentence()
    second.settle(Usage(), MONTH)
    first.settle(Usage(), MONTH)
    first.settle(Usage(), MONTH)
    assert lease(limits).begin_stream() is None
    assert lease(limits).begin_stream() is not None


def test_spend_alerts_once_below_the_budget_and_refuses_at_it_until_the_month_ends() -> None:
    limits = Limits({"project:web": Allowed(monthly_spend_usd=1.0)})
    assert lease(limits).settle(Usage(cost_microusd=700_000), MONTH) == []
    assert lease(limits).settle(Usage(cost_microusd=150_000), MONTH) == ["project:web"]
    assert lease(limits).settle(Usage(cost_microusd=150_000), MONTH) == []
    assert limited(limits).what == "spend"
    lease(limits, month="2026-04")


def test_spend_from_before_a_restart_still_counts() -> None:
    limits = Limits({"project:web": Allowed(monthly_spend_usd=2.0)})
    limits.restore("project:web", MONTH, 2_000_000)
    limits.restore("project:other", MONTH, 9_000_000)
    assert limited(limits).what == "spend"


def test_what_a_month_has_spent_is_kept_when_an_answer_of_the_month_before_ends() -> None:
    limits = Limits({"project:web": Allowed(monthly_spend_usd=1.0)})
    old = [lease(limits, month="2026-02") for _ in range(2)]
    assert lease(limits).settle(Usage(1, 1, 1_000_000), MONTH) == ["project:web"]
    assert limited(limits).what == "spend"
    assert old[0].settle(Usage(1, 1, 900_000), "2026-02") == ["project:web"]
    assert old[1].settle(Usage(), "2026-02") == []
    assert limited(limits).what == "spend"
    assert limits.spent(MONTH) == {"project:web": 1_000_000}
    assert limits.spent("2026-02") == {"project:web": 900_000}


def test_a_clock_that_steps_into_another_month_and_back_forgets_no_spend() -> None:
    limits = Limits({"project:web": Allowed(monthly_spend_usd=1.0)})
    lease(limits).settle(Usage(1, 1, 1_000_000), MONTH)
    for step in ("2026-02", "2031-12"):
        lease(limits, month=step)
        assert limited(limits).what == "spend"
    lease(limits, month="2026-04")


def test_another_caller_is_not_held_to_this_ones_limit() -> None:
    limits = Limits({"key:k1": Allowed(requests_per_minute=1)})
    lease(limits)
    limited(limits)
    assert isinstance(limits.admit(Caller("acme", "web", "k2"), 0.0, MONTH), Lease)
