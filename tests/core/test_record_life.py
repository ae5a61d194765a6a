"""What the log says of its own life is complete, and says nothing that did not happen."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core import record_life as life
from proxy.core.record_form import FIRST_PREV, Draft, Stamp, seal
from proxy.core.record_schema import faults
from proxy.core.values import Digest, PolicyId, PolicyRef

AT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
LATER = AT + timedelta(minutes=3)
STAMP = Stamp("01890000-0000-7000-8000-00000000000e", LATER, 7, "0b00")
RID = "01890000-0000-7000-8000-000000000001"
LOG = "example/r0/w0/000001"
DIGEST = Digest("sha256:" + "d" * 64)

counts = st.dictionaries(
    st.sampled_from(["intent", "refusal", "reject", "outcome"]), st.integers(-2, 9), max_size=4
)


def held(draft: Draft) -> dict[str, object]:
    """The record as it stands in a log."""
    found: dict[str, object] = orjson.loads(seal(draft, LOG, 0, FIRST_PREV))
    assert faults(found) == []
    return found


def test_a_first_log_names_none_before_it_and_no_settings_that_are_not_in_force() -> None:
    first = held(life.opened(STAMP, engine="1", reason="first"))
    assert not first.keys() & {"prev_log", "prev_size", "prev_root", "damaged_at", "damage", "unsafe"}


def test_settings_that_weaken_the_promise_stand_in_the_first_record() -> None:
    weakened = held(life.opened(STAMP, engine="1", reason="first", unsafe=["gateway.unsafe_plain_http"]))
    assert weakened["unsafe"] == ["gateway.unsafe_plain_http"]


@given(st.integers(0, 1 << 40), st.binary(min_size=32, max_size=32))
def test_a_later_log_states_what_the_one_before_ended_with(size: int, root: bytes) -> None:
    before = life.Previous("example/r0/w0/000007", size, root)
    said = held(life.opened(STAMP, engine="1", reason="next", previous=before))
    assert (said["prev_log"], said["prev_size"], said["prev_root"]) == (before.log, size, root.hex())
    assert "damage" not in said


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=400))
def test_damage_is_described_in_few_bytes_whatever_there_is_to_say(words: str) -> None:
    before = life.Previous("example/r0/w0/000007", 4, b"\x00" * 32, damaged_at=0, damage=words)
    said = held(life.opened(STAMP, engine="1", reason="damaged", previous=before))
    assert said["damaged_at"] == 0
    assert len(str(said["damage"]).encode()) <= 160


@given(counts)
def test_a_gap_counts_what_was_lost_and_nothing_else(lost: dict[str, int]) -> None:
    said = held(life.gap(STAMP, lost, first=AT, last=LATER, reason="full"))
    assert said["counts"] == {kind: count for kind, count in lost.items() if count > 0}
    assert (said["from"], said["to"]) == ("2026-03-01T12:30:00.000000Z", "2026-03-01T12:33:00.000000Z")


def test_one_rejected_input_happened_once_and_at_the_time_of_its_record() -> None:
    said = held(life.reject(STAMP, "bad_request"))
    assert (said["count"], said["first"], said["last"]) == (1, said["t"], said["t"])
    assert not said.keys() & {"peer", "in_len"}


def test_an_empty_body_is_a_length_and_an_unknown_one_is_none() -> None:
    assert held(life.reject(STAMP, "bad_request", in_len=0))["in_len"] == 0


def test_an_outcome_that_a_crash_took_says_where_its_intent_stands() -> None:
    said = held(life.crashed(STAMP, rid=RID, attempt=2, project="design", intent=(LOG, 4)))
    assert (said["intent_log"], said["intent_seq"], said["end"]) == (LOG, 4, "unknown_crash")
    assert (said["rid"], said["attempt"], said["project"]) == (RID, 2, "design")


@pytest.mark.parametrize("make", [life.not_sent, lambda *a, **k: life.crashed(*a, **k, intent=(LOG, 0))])
def test_an_outcome_of_nobodys_request_names_no_project(make) -> None:
    assert "project" not in held(make(STAMP, rid=RID, attempt=1, project=""))


def test_a_set_of_policies_that_was_not_taken_says_why_and_how_much_was_wrong() -> None:
    refused = held(life.policy_load(STAMP, [], reason="unreadable", mistakes=3))
    assert (refused["ok"], refused["reason"], refused["mistakes"]) == (False, "unreadable", 3)
    taken = held(life.policy_load(STAMP, [PolicyRef(PolicyId("p"), DIGEST)], revision=DIGEST))
    assert (taken["ok"], taken["revision"]) == (True, DIGEST)
    assert not taken.keys() & {"reason", "mistakes"}


@given(st.dictionaries(st.sampled_from(["worse", "better", "gone", "new"]), st.integers(0, 50)))
def test_a_catalogue_counts_the_changes_that_it_brought(changes: dict[str, int]) -> None:
    said = held(life.catalog_load(STAMP, digest=DIGEST, age_s=4, routes=80, changes=changes))
    assert said.get("changes", {}) == {name: n for name, n in changes.items() if n}
    assert said["catalog"] == {"digest": DIGEST, "age_s": 4}


def test_a_catalogue_that_never_came_has_no_digest() -> None:
    said = held(life.catalog_load(STAMP, digest="", age_s=0, routes=0, reason="upstream_unreachable"))
    assert (said["ok"], "catalog" in said) == (False, False)


def test_a_replaced_or_destroyed_key_is_named_by_its_id() -> None:
    rotated = held(life.key_rotate(STAMP, key="signing", old="0a1b2c3d", new="4e5f6a7b"))
    assert (rotated["old"], rotated["new"]) == ("0a1b2c3d", "4e5f6a7b")
    erased = held(life.erasure(STAMP, key="h:1", scope="acme", authority="dpo"))
    assert (erased["key"], erased["scope"], erased["authority"]) == ("h:1", "acme", "dpo")


def test_records_that_were_handed_out_are_named_with_whoever_asked_when_that_is_known() -> None:
    said = held(life.export(STAMP, form="jsonl", from_seq=2, to_seq=9))
    assert (said["from_seq"], said["to_seq"], "authority" in said) == (2, 9, False)
    assert held(life.export(STAMP, form="jsonl", from_seq=2, to_seq=9, authority="auditor"))["authority"]
