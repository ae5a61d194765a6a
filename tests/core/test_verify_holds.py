"""What a log keeps for searches leaves no record out, or the first one that it leaves out is named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.verify_holds import Summaries
from proxy.stores.stretch import Stretch

Record = dict[str, Any]


def intent(number: int, model: object = "a/b") -> Record:
    return {
        "kind": "intent", "t": f"2026-03-01T00:00:{number:02d}Z", "rid": f"r{number:02d}", "attempt": 1,
        "effect": "allow", "reason": "allowed", "project": "web", "model_req": model,
    }  # fmt: skip


def outcome(number: int, at: int) -> Record:
    moment = f"2026-03-01T00:00:{at:02d}Z"
    return {"kind": "outcome", "t": moment, "rid": f"r{number:02d}", "attempt": 1, "end": "complete"}


BEAT: Record = {"kind": "heartbeat", "t": "2026-03-01T00:00:04Z"}
RECORDS = [intent(0), intent(1, "c/d"), outcome(0, 2), intent(3), BEAT]


def kept(records: list[Record], lengths: list[int]) -> list[tuple[int, bytes]]:
    """The summaries that a writer keeps, one for each stretch of records."""
    stretch, found, ends = Stretch(), [], [sum(lengths[: n + 1]) for n in range(len(lengths))]
    for seq, record in enumerate(records):
        stretch.add(record, seq)
        if seq + 1 in ends:
            found.append((seq + 1, stretch.text()))
            stretch = stretch.next(seq + 1)
    return found


def complaints(records: list[Record], summaries: list[tuple[int, bytes]]) -> list[str]:
    held = Summaries.of(summaries)
    return [words for seq, record in enumerate(records) if (words := held.wrong(seq, orjson.dumps(record)))]


def changed(summary: tuple[int, bytes], change: Callable[[dict[str, Any]], None]) -> list[tuple[int, bytes]]:
    held = orjson.loads(summary[1])
    change(held)
    return [(summary[0], orjson.dumps(held))]


@given(st.lists(st.integers(1, 3), min_size=1, max_size=5), st.data())
def test_what_the_writer_keeps_accuses_nobody(lengths: list[int], data: st.DataObject) -> None:
    one = st.builds(intent, st.integers(0, 9)) | st.builds(outcome, st.integers(0, 9), st.integers(0, 59))
    records = data.draw(st.lists(one, min_size=sum(lengths), max_size=sum(lengths) + 3))
    assert complaints(records, kept(records, lengths)) == []


@pytest.mark.parametrize(
    ("change", "left_out"),
    [
        (lambda held: held.update(t=["2026-03-01T00:00:00Z", "2026-03-01T00:00:03Z"]), 4),
        (lambda held: held.update(rid=["r01", "r03"]), 0),
        (lambda held: held.update(words=[w for w in held["words"] if w[-1] != "c/d"]), 1),
        (lambda held: held.update(words=[]), 0),
    ],
)
def test_a_record_that_a_search_would_pass_over_is_named(change: Any, left_out: int) -> None:
    (whole,) = kept(RECORDS, [5])
    found = complaints(RECORDS, changed(whole, change))
    assert found[0] == f"what is kept for searches leaves record {left_out} out: `audit list` may miss it"


def test_an_open_request_that_a_restart_would_forget_is_named() -> None:
    (whole,) = kept(RECORDS, [5])
    found = complaints(RECORDS, changed(whole, lambda held: held.update(open=[3])))
    assert found == ["what is kept for a restart leaves the request of record 1 out"]


def test_to_name_more_than_there_is_or_what_cannot_be_read_accuses_nobody() -> None:
    (whole,) = kept(RECORDS, [5])
    more = changed(whole, lambda held: held.update(words=None, t=["", "~"], rid=["", "~"], open=[0, 1, 3]))
    for summaries in (more, [(5, b"not JSON")], [(5, b"{}")], [(5, b"[1]")], []):
        assert complaints(RECORDS, summaries) == []


def test_a_model_that_the_log_only_commits_to_is_no_word() -> None:
    sealed = [intent(0, {"len": 3, "mac": "h:1:00"})]
    assert complaints(sealed, kept(sealed, [1])) == []
