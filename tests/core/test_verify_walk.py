"""Over all logs of one writer each request is decided once, and each attempt ends once."""

from __future__ import annotations

import pytest

from proxy.core.verify_walk import Requests

INTENT, AGAIN, OUTCOME = ("intent", 1), ("intent", 2), ("outcome", 1)
REFUSAL = ("refusal", 1)


def taken(*records: tuple[str, int], begins_late: bool = False) -> list[str]:
    """What is said of each record of one request, in order."""
    requests = Requests(begins_late=begins_late)
    return [
        requests.take({"kind": kind, "rid": "r", "attempt": attempt}, "log", seq)
        for seq, (kind, attempt) in enumerate(records)
    ]


@pytest.mark.parametrize(
    "records", [(INTENT, OUTCOME), (INTENT, AGAIN, OUTCOME, ("outcome", 2)), (REFUSAL,), (("key", 1), INTENT)]
)
def test_a_request_that_is_decided_and_ends_once_is_in_order(records: tuple[tuple[str, int], ...]) -> None:
    assert set(taken(*records)) == {""}


@pytest.mark.parametrize(
    ("records", "said"),
    [
        ((INTENT, INTENT), "a second intent"),
        ((INTENT, OUTCOME, INTENT), "a second intent"),
        ((INTENT, OUTCOME, OUTCOME), "a second outcome"),
        ((OUTCOME,), "an outcome without an intent"),
        ((REFUSAL, REFUSAL), "a second refusal"),
    ],
)
def test_the_last_record_is_what_is_wrong(records: tuple[tuple[str, int], ...], said: str) -> None:
    *before, last = taken(*records)
    assert set(before) <= {""}
    assert last.startswith(said)


def test_the_intent_of_an_outcome_may_stand_in_a_log_that_was_pruned() -> None:
    assert taken(OUTCOME, begins_late=True) == [""]
