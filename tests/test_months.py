"""What was spent is kept by month."""

from datetime import UTC, datetime

from proxy.months import MOST_MONTHS, Months, month_of


def test_each_month_has_an_account_of_its_own_however_they_are_asked_for() -> None:
    months = Months()
    for amount, month in enumerate(("2026-12", "2027-01", "2026-12", "2027-01"), 1):
        months.of(month).own += amount
    months.of("2027-01").elsewhere = 10
    assert months.of("2026-12").total == 4
    assert months.of("2027-01").total == 16


def test_only_the_last_few_are_remembered() -> None:
    months = Months()
    for number in range(12):
        months.of(f"2026-{number + 1:02d}").own = number + 1
    kept = [months.of(f"2026-{number:02d}").own for number in range(12, 12 - MOST_MONTHS, -1)]
    assert kept == [12, 11, 10, 9]
    assert months.of("2026-01").own == 0


def test_a_month_sorts_and_ends_with_its_last_day() -> None:
    assert month_of(datetime(2026, 3, 31, 23, 59, 59, 999_999, tzinfo=UTC)) == "2026-03"
    assert month_of(datetime(2026, 4, 1, tzinfo=UTC)) == "2026-04"
    assert month_of(datetime(2026, 12, 1, tzinfo=UTC)) == "2026-12"
