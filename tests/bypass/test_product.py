"""No way round: every case, over raw sockets, against `ringfence serve` in a process of its own."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.bypass.cases import load
from tests.bypass.ours import everything
from tests.bypass.page import PAGE, page
from tests.bypass.session import Session, play_now

FIXTURE, CASES = load()[0], everything()
pytestmark = pytest.mark.xdist_group("bypass")


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    folder: Path = tmp_path_factory.mktemp("bypass")
    return play_now(folder)


@pytest.mark.parametrize("number", range(len(CASES)), ids=[case.id for case in CASES])
def test_the_case_is_safe(session: Session, number: int) -> None:
    assert session.results[number].safe, str(session.results[number])


def test_every_intent_has_exactly_one_outcome_and_every_request_an_id_of_its_own(session: Session) -> None:
    rids = {
        kind: Counter(r["rid"] for r in session.records if r["kind"] == kind)
        for kind in ("intent", "outcome")
    }
    assert rids["intent"] == rids["outcome"]
    assert set(rids["intent"].values()) == {1}


def test_what_was_turned_away_before_a_verdict_is_counted_and_recorded_alike(session: Session) -> None:
    recorded = sum(record["count"] for record in session.records if record["kind"] == "reject")
    assert recorded == session.rejects > 0


def test_no_key_and_no_prompt_was_written_anywhere(session: Session) -> None:
    for word in (FIXTURE.client_key, FIXTURE.canary, "op-upstream-0123456789abcdef", "op-attacker"):
        assert word.encode() not in session.written


def test_the_product_ended_in_order(session: Session) -> None:
    assert session.exit_code == 0
    assert session.records[-1]["kind"] == "close"


def test_the_published_score_is_what_was_seen(session: Session) -> None:
    assert PAGE.read_text(encoding="utf-8") == page(session.results), "run python -m tests.bypass.page"
