"""Every fault of the table has a test, or says why not."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from tests.faults.page import PAGE, marked, page, table

ROOT = Path(__file__).parents[2]


def test_every_fault_is_injected_or_shown_elsewhere() -> None:
    faults, known = table(), marked()
    assert list(faults) == [f"F{number:02}" for number in range(1, 46)]
    assert set(known) <= set(faults)
    assert [
        number for number, about in faults.items() if number not in known and not about.get("elsewhere")
    ] == []
    for about in faults.values():
        for name in about.get("elsewhere", ()):
            target = name.removeprefix("make ")
            made = f"{target}:" in (ROOT / "Makefile").read_text("utf-8")
            assert (ROOT / name).exists() or (name.startswith("make ") and made), name


def test_the_page_is_what_the_tests_give() -> None:
    assert PAGE.read_text("utf-8") == page(), "run python -m tests.faults.page"


@pytest.mark.fault("F12", "F13")
def test_a_database_that_goes_away_or_whose_answer_is_lost() -> None:
    if importlib.util.find_spec("proxy.stores.postgres") is None:
        pytest.skip(
            "the product has no PostgreSQL store yet: there is nothing whose failure could be injected"
        )
    pytest.fail("there is a PostgreSQL store now: stop it, fail it over, and cut its answers here")
