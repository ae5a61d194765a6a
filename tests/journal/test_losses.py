"""What could not be written is counted exactly, whoever loses it and however often it is given back."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from threading import Thread

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from proxy.core.record_schema import KINDS, faults_of
from proxy.journal.clock import Clock
from proxy.journal.losses import Gap, Rejects

AT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
CLOCK = Clock(wall=lambda: AT, mono_ns=lambda: 7)
kinds = st.sampled_from(["intent", "refusal", "outcome", "policy_load"])
reasons = st.sampled_from(["bad_request", "unknown_key", "no_credential"])


def after(seconds: float) -> datetime:
    return AT + timedelta(seconds=seconds)


# -- gaps ------------------------------------------------------------------------------------------


def test_nothing_lost_is_no_gap() -> None:
    assert Gap().taken(CLOCK, "shed") is None


@given(st.lists(kinds, min_size=1, max_size=30))
def test_a_gap_tells_what_was_lost_and_from_when_to_when(lost: list[str]) -> None:
    gap = Gap()
    for second, kind in enumerate(lost):
        gap.count(kind, after(second))
    draft = gap.taken(CLOCK, "full")
    assert draft is not None
    assert draft["counts"] == Counter(lost)
    assert datetime.fromisoformat(str(draft["from"])) == AT
    assert datetime.fromisoformat(str(draft["to"])) == after(len(lost) - 1)
    assert draft["reason"] == "full"
    assert gap.taken(CLOCK, "full") is None


class Losing(RuleBasedStateMachine):
    """Losses, attempts to record them, and attempts that fail: nothing is forgotten or counted twice."""

    def __init__(self) -> None:
        super().__init__()
        self.gap = Gap()
        self.second = 0
        self.lost: Counter[str] = Counter()
        self.recorded: Counter[str] = Counter()
        self.first_unrecorded: datetime | None = None

    @rule(kind=kinds)
    def lose(self, kind: str) -> None:
        self.second += 1
        self.gap.count(kind, after(self.second))
        self.lost[kind] += 1
        self.first_unrecorded = self.first_unrecorded or after(self.second)

    @rule()
    def record(self) -> None:
        draft = self.gap.taken(CLOCK, "shed")
        assert (draft is None) == (self.first_unrecorded is None)
        if draft is not None:
            assert datetime.fromisoformat(str(draft["from"])) == self.first_unrecorded
            assert isinstance(draft["counts"], dict)
            self.recorded.update(draft["counts"])
        self.first_unrecorded = None

    @rule(meanwhile=st.lists(kinds, max_size=3))
    def fail_to_record(self, meanwhile: list[str]) -> None:
        draft = self.gap.taken(CLOCK, "shed")
        for kind in meanwhile:
            self.lose(kind)
        if draft is not None:
            self.gap.given_back(draft, after(self.second))

    @invariant()
    def none_is_recorded_that_was_not_lost(self) -> None:
        assert self.recorded <= self.lost

    def teardown(self) -> None:
        self.record()
        assert self.recorded == self.lost


TestLosing = Losing.TestCase


def test_threads_that_lose_at_once_are_all_counted() -> None:
    gap = Gap()

    def lose() -> None:
        for _ in range(500):
            gap.count("intent", AT)

    threads = [Thread(target=lose) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    draft = gap.taken(CLOCK, "shed")
    assert draft is not None
    assert draft["counts"] == {"intent": 4000}


# -- rejects ---------------------------------------------------------------------------------------


@given(st.integers(1, 5), st.lists(st.integers(0, 3), max_size=40).map(sorted))
def test_so_many_get_a_record_of_their_own_in_each_second_and_no_more(most: int, seconds: list[int]) -> None:
    rejects = Rejects(most)
    admitted = [second for second in seconds if rejects.admit(second)]
    assert Counter(admitted) == {second: min(n, most) for second, n in Counter(seconds).items()}


@given(st.lists(reasons, max_size=30))
def test_the_rest_stand_in_one_record_for_each_reason(turned: list[str]) -> None:
    rejects = Rejects(1)
    for second, reason in enumerate(turned):
        rejects.count(reason, after(second))
    drafts = rejects.taken(CLOCK)
    assert {str(draft["reason"]): draft["count"] for draft in drafts} == Counter(turned)
    for draft in drafts:
        places = [n for n, reason in enumerate(turned) if reason == draft["reason"]]
        assert datetime.fromisoformat(str(draft["first"])) == after(places[0])
        assert datetime.fromisoformat(str(draft["last"])) == after(places[-1])
    assert rejects.taken(CLOCK) == []


def test_counted_losses_fit_the_schema() -> None:
    rejects, gap = Rejects(1), Gap()
    rejects.count("bad_request", AT)
    gap.count("intent", AT)
    drafts = [*rejects.taken(CLOCK), gap.taken(CLOCK, "full")]
    for draft in drafts:
        assert draft is not None
        required, optional = KINDS[str(draft["kind"])]
        common = {"v", "kind", "eid", "t", "mono", "boot"}
        assert faults_of({n: v for n, v in draft.items() if n not in common}, required, optional) == []
