"""Records as people read them: one line each, or a page, and never a byte that a terminal would obey."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.cli._audit_text import HEAD, details, line, request_cells
from proxy.core import record
from proxy.core.record import FIRST_PREV, Draft, seal
from proxy.core.values import Digest
from proxy.stores.base import LogId
from proxy.stores.reader import Entry
from tests.core.test_record import KNOWN, LOG, ONE_OF_EACH, RID, SECRET, STAMP, recorder

CANARY = "\x1b[31m\u202e\r\n\x07canary"
PLACE = LogId("example/r0/w0", 1)


def entry(draft: Draft, seq: int = 3) -> Entry:
    """A record where it stands."""
    return Entry(PLACE, seq, seal(draft, LOG, seq, FIRST_PREV))


def outcome(**ended) -> Entry:
    return entry(recorder().outcome(record.Ended(RID, **ended), known=KNOWN, stamp=STAMP))


# -- the table of requests -------------------------------------------------------------------------


def test_a_request_under_way_says_so_and_an_ended_one_how() -> None:
    asked = entry(ONE_OF_EACH["intent"])
    waiting, ended = request_cells(asked, None), request_cells(asked, outcome(end="timeout", status=504))
    assert len(waiting) == len(ended) == len(HEAD)
    assert waiting == (
        "2026-03-01 12:30:00.000", "allow", "under way", "openai/gpt-image-1", "design", "k-7", RID,
    )  # fmt: skip
    assert ended[2] == "timeout 504"
    assert request_cells(asked, outcome(end="not_sent"))[2] == "not_sent"


def test_a_refused_request_shows_its_reason() -> None:
    cells = request_cells(entry(ONE_OF_EACH["refusal"]), None)
    assert cells[1:4] == ("deny", "requirement_unmet", "gpt-image-1")


def test_what_is_not_known_of_a_request_is_a_dash() -> None:
    refused = recorder().refusal(
        record.Judged(record.Grounds(Digest("r"), Digest("t"), Digest("c"), STAMP.at)),
        record.Seen(RID, "POST", 0), reason="no_credential", stamp=STAMP,
    )  # fmt: skip
    assert request_cells(entry(refused), None)[3:6] == ("-", "-", "-")


# -- lines -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ONE_OF_EACH)
def test_every_kind_of_record_is_one_line_with_its_time_and_name(kind: str) -> None:
    said = line(entry(ONE_OF_EACH[kind]))
    assert said.startswith(f"2026-03-01 12:30:00.000  {kind}")
    assert said.isprintable()


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("outcome", "complete 200  3 in 4 out"),
        ("reject", "unknown_key x1"),
        ("open", "(damaged), 2 outcomes recovered, version 0.1.0"),
        ("policy_load", "in force: us-only"),
        ("gap", "disk_full: 3 intent between 2026-03-01T12:30:00.000042Z and"),
        ("clock_step", "step_us -7200000000"),
        ("prune", "pruned example/r0/w0/000001"),
    ],
)
def test_a_line_says_what_matters_of_its_kind(kind: str, words: str) -> None:
    assert words in line(entry(ONE_OF_EACH[kind]))


def test_policies_that_were_not_taken_say_why() -> None:
    refused = record.policy_load(STAMP, [], reason="unreadable", mistakes=2)
    assert "not taken (unreadable): none" in line(entry(refused))


# -- pages -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ONE_OF_EACH)
def test_a_page_shows_every_member_of_the_record(kind: str) -> None:
    made = entry(ONE_OF_EACH[kind])
    page = details(made)
    assert page.startswith(f"{LOG}#3\n")
    names = {row.split()[0] for row in page.splitlines()[1:] if row.startswith("  ")}
    assert made.record.keys() <= names


def test_a_page_shows_the_route_as_it_was_evaluated_and_each_rule_with_its_ground() -> None:
    page = details(entry(ONE_OF_EACH["intent"]))
    assert "openai/gpt-image-1 (provider openai), as it was evaluated:" in page
    assert 'training                     "none" (catalogue)' in page
    assert "met     us-only  training: asked forbidden; no training on customer data (catalogue)" in page


def test_a_sealed_string_shows_its_length_and_commitment() -> None:
    sealed = SECRET.sealed("my model")
    page = details(entry({**ONE_OF_EACH["refusal"], "model_req": sealed}))
    assert f"[8 bytes, {sealed['mac']}]" in page


@given(st.sampled_from(sorted(ONE_OF_EACH)), st.data())
def test_no_string_in_a_record_reaches_the_terminal_as_it_is(kind: str, data: st.DataObject) -> None:
    draft = ONE_OF_EACH[kind]
    texts = [name for name, value in draft.items() if isinstance(value, str) and name != "kind"]
    forged = entry({**draft, data.draw(st.sampled_from(texts)): CANARY})
    assert line(forged).isprintable()
    assert all(row.isprintable() for row in details(forged).splitlines())
