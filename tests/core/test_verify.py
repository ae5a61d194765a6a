"""The verifier proves what it was shown, names what is wrong, and states what it did not look at."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core import record, tree
from proxy.core.checkpoint import Checkpoint, Signer
from proxy.core.errors import Untrusted
from proxy.core.record import Draft, Previous, Stamp, seal
from proxy.core.verify import Export, Report, records_of, verify

SIGNER = Signer("example", b"k" * 32)
STRANGER = Signer("example", b"s" * 32)
KEY = SIGNER.verifier
AT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
STAMP = Stamp("01890000-0000-7000-8000-00000000000e", AT, 7, "0b00")


class Log:
    """A log in memory, written and signed like a real one; without drafts it holds its opening alone."""

    def __init__(
        self,
        *drafts: Draft,
        epoch: int = 1,
        before: Log | None = None,
        reason: str = "",
        writer: str = "example/r0/w0",
    ) -> None:
        self.name = f"{writer}/{epoch:06d}"
        previous = Previous(before.name, len(before.bodies), before.root) if before is not None else None
        opening = record.opened(
            STAMP, engine="1", reason=reason or ("next" if previous else "first"), previous=previous
        )
        self.bodies: list[bytes] = []
        for draft in (opening, *drafts):
            prev = tree.leaf_hash(self.bodies[-1]).hex() if self.bodies else record.FIRST_PREV
            self.bodies.append(seal(draft, self.name, len(self.bodies), prev))

    @property
    def root(self) -> bytes:
        return tree.root([tree.leaf_hash(body) for body in self.bodies])

    def head(self, size: int | None = None, *, by: Signer = SIGNER) -> bytes:
        """A signed head over the first records, or over all."""
        size = len(self.bodies) if size is None else size
        root = tree.root([tree.leaf_hash(body) for body in self.bodies[:size]])
        return by.sign(Checkpoint(self.name, size, root).text()).encode()

    def export(self, *notes: bytes, signed: bool = True) -> Export:
        """What an auditor is handed: the records and, unless told otherwise, a head over all of them."""
        heads = notes or ((self.head(),) if signed else ())
        return Export(self.name, list(enumerate(self.bodies)), heads)


def rid(number: int) -> str:
    return f"01890000-0000-7000-8000-{number:012d}"


def outcome(number: int, **more: object) -> Draft:
    return {**record.not_sent(STAMP, rid=rid(number), attempt=1, project=""), **more}


def refusal(number: int) -> Draft:
    common = {
        "method": "POST",
        "route": "",
        "in_len": 1,
        "effect": "deny",
        "reason": "x",
        "engine": "1",
        "masked": [],
    }
    return {**record.heartbeat(STAMP), "kind": "refusal", "rid": rid(number), **common}


def intent(number: int, attempt: int = 1) -> Draft:
    from tests.journal import kit

    return kit.intent(rid(number), attempt)


def said(report: Report) -> str:
    return "\n".join([*report.unchecked, *report.notes])


def places(report: Report) -> list[tuple[str, int | None]]:
    return [(violation.log, violation.seq) for violation in report.violations]


# -- proven ----------------------------------------------------------------------------------------


def test_a_signed_log_is_proven_wholly() -> None:
    log = Log(intent(1), outcome(1), refusal(2))
    report = verify([log.export()], key=KEY)
    assert (report.exit_code, report.violations, report.unchecked) == (0, [], [])
    (held,) = report.logs
    assert (held.size, held.covered, held.root, held.heads) == (4, 4, log.root, 1)


@given(st.lists(st.integers(0, 12), min_size=1, max_size=5, unique=True))
def test_what_a_head_does_not_cover_is_said_to_the_record(sizes: list[int]) -> None:
    log = Log(*[refusal(n) for n in range(11)])
    report = verify([log.export(*map(log.head, sizes))], key=KEY)
    left = 12 - max(sizes)
    assert report.violations == []
    assert report.exit_code == (2 if left else 0)
    wanted = [f"{log.name}: no valid signed head covers the last {left} records"] if left else []
    assert report.unchecked == wanted


def test_a_head_over_a_later_log_vouches_for_the_one_before() -> None:
    first = Log(refusal(1))
    second = Log(refusal(2), epoch=2, before=first)
    report = verify([first.export(signed=False), second.export()], key=KEY)
    assert report.exit_code == 0
    assert [log.covered for log in report.logs] == [2, 2]


def test_a_head_that_was_kept_elsewhere_covers_as_one_that_came_along() -> None:
    log = Log(refusal(1))
    assert verify([log.export(signed=False)], key=KEY, anchored=[log.head()]).exit_code == 0


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_several_writers_are_judged_each_by_its_own_logs(count: int) -> None:
    logs = [Log(intent(7), outcome(7), writer=f"example/r{n}/w0") for n in range(count)]
    report = verify([log.export() for log in logs], key=KEY)
    assert (len(report.logs), report.violations) == (count, [])
    assert report.exit_code == (0 if count else 2)


# -- what was not looked at ------------------------------------------------------------------------


def test_what_no_verification_can_tell_is_always_said() -> None:
    log = Log()
    anchored = verify([log.export()], key=KEY, anchored=[log.head()])
    assert "that a decision was right, what the provider did, the writer's clock" in said(anchored)
    assert "no checkpoint from elsewhere" not in said(anchored)
    assert "no checkpoint from elsewhere" in said(verify([log.export()], key=KEY))


def test_without_a_key_no_head_counts_and_that_is_said() -> None:
    report = verify([Log(refusal(1)).export()])
    assert report.exit_code == 2
    assert report.logs[0].covered == 0
    assert "signatures: no verifier key was given" in report.unchecked


def test_no_log_at_all_is_incomplete() -> None:
    report = verify([], key=KEY)
    assert (report.exit_code, report.unchecked) == (2, ["there is no log here"])


def test_a_log_before_the_first_that_is_here_is_named_with_the_size_that_it_had() -> None:
    first = Log(refusal(1), refusal(2))
    report = verify([Log(epoch=2, before=first).export()], key=KEY)
    assert report.exit_code == 2
    assert f"{first.name}: not here; example/r0/w0/000002 says that it had 3 records" in report.unchecked


def test_an_outcome_may_belong_to_an_intent_in_a_log_that_is_not_here() -> None:
    first = Log(intent(1))
    second = Log(outcome(1), epoch=2, before=first)
    assert verify([second.export()], key=KEY).violations == []
    assert verify([first.export(), second.export()], key=KEY).exit_code == 0


def test_gaps_clock_steps_and_lost_outcomes_are_told_and_are_no_violation() -> None:
    log = Log(
        intent(1),
        record.gap(STAMP, {"intent": 3}, first=AT, last=AT, reason="full"),
        record.clock_step(STAMP, step_us=-7_200_000_000),
        record.crashed(STAMP, rid=rid(1), attempt=1, project="", intent=("example/r0/w0/000001", 1)),
    )
    report = verify([log.export()], key=KEY)
    assert report.exit_code == 0
    assert f"{log.name}#2: could not be written" in said(report)
    assert "'intent': 3" in said(report)
    assert f"{log.name}#3: the wall clock moved by -7200000000" in said(report)
    assert f"{log.name}#4: the outcome of {rid(1)} was lost in a crash" in said(report)


def test_a_writer_that_found_its_log_damaged_says_so_and_the_damage_stays_a_violation() -> None:
    first = Log(refusal(1), refusal(2))
    second = Log(epoch=2, before=first, reason="damaged")
    del first.bodies[-1]
    report = verify([first.export(signed=False), second.export()], key=KEY)
    assert f"the writer found {first.name} damaged" in said(report)
    assert report.logs[0].covered == 0
    assert report.exit_code == 2


# -- heads -----------------------------------------------------------------------------------------


def test_a_head_by_another_key_is_a_violation_and_covers_nothing() -> None:
    log = Log(refusal(1))
    report = verify([log.export(log.head(by=STRANGER))], key=KEY)
    assert report.exit_code == 1
    assert report.logs[0].covered == 0
    assert "no signature by example" in report.violations[0].what


def test_a_head_over_more_than_is_here_names_the_first_record_that_is_missing() -> None:
    log = Log(*[refusal(n) for n in range(4)])
    head = log.head()
    del log.bodies[3:]
    assert places(verify([log.export(head)], key=KEY)) == [(log.name, 3)]


def test_a_head_of_a_log_that_is_missing_wholly_is_a_violation() -> None:
    report = verify([Log().export()], key=KEY, anchored=[Log(writer="example/r1/w0").head()])
    assert places(report) == [("example/r1/w0/000001", None)]
    assert "the log is missing" in report.violations[0].what


def test_a_second_head_over_the_same_size_that_does_not_fit_is_a_fork() -> None:
    log, other = Log(refusal(1)), Log(refusal(2))
    assert len(log.bodies) == len(other.bodies)
    report = verify([log.export(log.head(), other.head())], key=KEY)
    assert report.exit_code == 1
    assert "contradict each other" in report.violations[0].what


def test_the_head_that_fails_first_tells_between_which_records_the_change_lies() -> None:
    log = Log(*[refusal(n) for n in range(9)])
    heads = [log.head(size) for size in (3, 6, 10)]
    rewritten = Log(*[refusal(n if n < 4 else n + 50) for n in range(9)])
    report = verify([rewritten.export(*heads)], key=KEY)
    assert places(report) == [(log.name, 3)]
    assert "one of 3 to 5 was changed" in report.violations[0].what
    assert report.logs[0].covered == 3


# -- the chain -------------------------------------------------------------------------------------


def test_one_violation_is_named_per_log_and_other_logs_are_judged_all_the_same() -> None:
    bad, good = Log(refusal(1), refusal(1), outcome(9)), Log(writer="example/r1/w0")
    report = verify([bad.export(), good.export()], key=KEY)
    assert places(report) == [(bad.name, 2)]
    assert [log.covered for log in report.logs] == [3 + 1, 1]


@given(st.integers(1, 9), st.sets(st.integers(1, 10)), st.data())
def test_the_record_that_was_changed_is_named_wherever_heads_were_signed(
    size: int, heads: set[int], data: st.DataObject
) -> None:
    """But for the last, which no link follows: the head over it tells that it or one before was changed."""
    log = Log(*[refusal(n) for n in range(size)])
    notes = [log.head(at) for at in sorted({*(at for at in heads if at <= size), size + 1})]
    seq = data.draw(st.integers(0, size - 1))
    log.bodies[seq] = log.bodies[seq].replace(b'"t":"20', b'"t":"21')
    assert places(verify([log.export(*notes)], key=KEY))[0] == (log.name, seq)


@pytest.mark.parametrize("seq", [1, 2, 3, 4])
def test_a_record_that_is_not_there_is_named_by_its_number(seq: int) -> None:
    log = Log(*[refusal(n) for n in range(5)])
    rows = [row for row in enumerate(log.bodies) if row[0] != seq]
    report = verify([Export(log.name, rows, [log.head()])], key=KEY)
    assert report.violations[0].seq == seq
    assert f"record {seq + 1} stands in its place" in report.violations[0].what


def test_a_record_of_another_log_is_not_taken() -> None:
    log, other = Log(refusal(1)), Log(refusal(1), writer="example/r1/w0")
    log.bodies[1] = other.bodies[1]
    report = verify([log.export(signed=False)], key=KEY)
    assert (report.violations[0].seq, report.violations[0].what) == (
        1, "it belongs to the log example/r1/w0/000001",
    )  # fmt: skip


def test_a_record_under_another_number_than_its_own_is_not_taken() -> None:
    log = Log(refusal(1), refusal(2))
    log.bodies[1] = log.bodies[2]
    assert "it says that its number is 2" in verify([log.export(signed=False)], key=KEY).violations[0].what


# -- requests --------------------------------------------------------------------------------------


def test_an_intent_needs_its_outcome_once_a_later_log_has_begun() -> None:
    first = Log(intent(1))
    newest = verify([first.export()], key=KEY)
    assert (newest.exit_code, len(newest.unchecked)) == (2, 1)
    assert f"{first.name}#1: request {rid(1)} has no outcome yet" in newest.unchecked[0]
    older = verify([first.export(), Log(epoch=2, before=first).export()], key=KEY)
    assert places(older) == [(first.name, 1)]
    assert f"request {rid(1)} never got an outcome" in older.violations[0].what


def test_each_attempt_of_a_request_is_one_of_its_own() -> None:
    both = Log(intent(1), intent(1, 2), outcome(1), outcome(1, attempt=2))
    assert verify([both.export()], key=KEY).exit_code == 0
    one = Log(intent(1), intent(1, 2), outcome(1, attempt=2))
    assert verify([one.export()], key=KEY).exit_code == 2


def test_another_writers_outcome_ends_nothing() -> None:
    asking, answering = Log(intent(1)), Log(outcome(1), writer="example/r1/w0")
    report = verify([asking.export(), answering.export()], key=KEY)
    assert places(report) == [(answering.name, 1)]
    assert "an outcome without an intent" in report.violations[0].what


requests = st.permutations([(kind, n) for n in range(3) for kind in ("intent", "outcome")])


@given(requests)
def test_an_order_is_proven_exactly_when_every_outcome_follows_its_intent(
    order: Sequence[tuple[str, int]],
) -> None:
    drafts = [intent(n) if kind == "intent" else outcome(n) for kind, n in order]
    report = verify([Log(*drafts).export()], key=KEY)
    honest = all(order.index(("intent", n)) < order.index(("outcome", n)) for n in range(3))
    assert report.exit_code == (0 if honest else 1)


# -- epochs ----------------------------------------------------------------------------------------


def test_a_log_whose_end_was_cut_no_longer_is_what_the_next_one_saw() -> None:
    first = Log(refusal(1), refusal(2))
    second = Log(epoch=2, before=first)
    del first.bodies[-1]
    report = verify([first.export(), second.export()], key=KEY)
    assert places(report) == [(second.name, 0)]
    assert "ended with 3 records when this log was opened, now it has 2" in report.violations[0].what


def test_only_the_first_log_of_a_writer_may_say_that_none_came_before() -> None:
    report = verify([Log(epoch=4).export()], key=KEY)
    assert report.violations[0].what == "only the first epoch has none before it"


def test_a_log_opens_once() -> None:
    log = Log(record.opened(STAMP, engine="1", reason="first"))
    assert places(verify([log.export()], key=KEY)) == [(log.name, 1)]


# -- exports ---------------------------------------------------------------------------------------


def test_lines_become_records_with_their_place() -> None:
    log = Log(refusal(1), refusal(2))
    found = list(records_of(body + b"\n" for body in log.bodies))
    assert found == [(log.name, seq, body) for seq, body in enumerate(log.bodies)]


@pytest.mark.parametrize("line", [b"", b"hello", b"[]", b"7", b"{}", b'{"log":"x"}', b'{"log":"x","seq":[]}'])
def test_a_line_that_is_no_record_is_named_by_its_number(line: bytes) -> None:
    lines = [*Log().bodies, line]
    with pytest.raises(Untrusted, match="line 2 is not an audit record"):
        list(records_of(lines))


def test_an_export_is_read_once_and_from_the_front() -> None:
    """A log of any length passes through: nothing asks for it twice or as a whole."""
    log = Log(*[refusal(n) for n in range(50)])
    rows = iter(list(enumerate(log.bodies)))
    assert verify([Export(log.name, rows, [log.head()])], key=KEY).exit_code == 0
    assert next(rows, None) is None


@pytest.mark.parametrize("name", ["prev_size", "prev_root"])
def test_an_opening_that_names_a_log_before_says_how_it_ended(name: str) -> None:
    first = Log()
    opening = record.opened(STAMP, engine="1", reason="next", previous=Previous(first.name, 1, first.root))
    del opening[name]
    body = seal(opening, "example/r0/w0/000002", 0, record.FIRST_PREV)
    for before in ([], [Export(first.name, list(enumerate(first.bodies)))]):
        report = verify([*before, Export("example/r0/w0/000002", [(0, body)])])
        assert [v.what for v in report.violations] == [f"it does not say how {first.name} ended"]
