"""A monthly budget holds for all workers together and across restarts."""

from pathlib import Path

from proxy.core.values import Usage
from proxy.limits import Limits
from proxy.spend import SpendLedger
from tests.test_limits import MONTH, Allowed, lease, limited

BUDGET = {"project:web": Allowed(monthly_spend_usd=1.0)}


def spend(limits: Limits, microusd: int) -> None:
    lease(limits).settle(Usage(cost_microusd=microusd), MONTH)


def test_two_workers_share_one_budget(tmp_path: Path) -> None:
    one, other = Limits(BUDGET), Limits(BUDGET)
    ledger, its_ledger = SpendLedger(tmp_path, "w0"), SpendLedger(tmp_path, "w1")
    spend(one, 600_000)
    spend(other, 500_000)
    ledger.exchange(one, MONTH)
    its_ledger.exchange(other, MONTH)
    ledger.exchange(one, MONTH)
    assert limited(one).what == limited(other).what == "spend"


def test_a_restarted_worker_goes_on_where_it_was(tmp_path: Path) -> None:
    before = Limits(BUDGET)
    spend(before, 1_000_000)
    SpendLedger(tmp_path, "w0").exchange(before, MONTH)
    after = Limits(BUDGET)
    SpendLedger(tmp_path, "w0").restore(after, MONTH)
    assert limited(after).what == "spend"
    assert after.spent(MONTH) == {"project:web": 1_000_000}


def test_last_months_spend_and_a_broken_file_count_for_nothing(tmp_path: Path) -> None:
    before = Limits(BUDGET)
    spend(before, 1_000_000)
    SpendLedger(tmp_path, "w0").exchange(before, MONTH)
    (tmp_path / "spend" / "w9.json").write_text("{half")
    after = Limits(BUDGET)
    SpendLedger(tmp_path, "w0").restore(after, "2026-04")
    lease(after, month="2026-04")
