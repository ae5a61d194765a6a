"""A log that is not here was pruned, if a signed record says so and nothing else contradicts it."""

from __future__ import annotations

import pytest

from proxy.core import record, record_life
from proxy.core.record import Draft
from proxy.core.verify import Export, verify
from proxy.core.verify_report import Report
from tests.core.test_verify import AT, KEY, STAMP, Log, places, refusal

PRUNER = "example/r0/prune"
LAST = record.moment(AT)


def pruned(log: Log, **changes: object) -> Draft:
    """The record that this log is about to be deleted."""
    final = record_life.Final(log.name, len(log.bodies), log.root, LAST, len(log.bodies))
    return {**record.prune(STAMP, final, keep_s=34_560_000), **changes}


def epochs(count: int) -> list[Log]:
    """The logs of one writer, each beginning with what the one before came to."""
    logs = [Log(refusal(0))]
    for n in range(1, count):
        logs.append(Log(refusal(n), epoch=n + 1, before=logs[-1]))
    return logs


def judged(*exports: Export, **given) -> Report:
    return verify(exports, key=KEY, **given)


def test_the_oldest_logs_may_go_and_the_report_says_which() -> None:
    first, second, third = epochs(3)
    record_of_it = Log(pruned(first), pruned(second), writer=PRUNER)
    report = judged(record_of_it.export(), third.export())
    assert (report.exit_code, report.violations, report.unchecked) == (0, [], [])
    told = [note for note in report.notes if "pruned" in note]
    assert told == [
        f"{first.name}: pruned as {PRUNER}/000001#1 says; it had 2 records, up to {LAST}",
        f"{second.name}: pruned as {PRUNER}/000001#2 says; it had 2 records, up to {LAST}",
    ]


def test_the_record_may_come_after_or_before_the_logs_that_it_explains() -> None:
    first, second = epochs(2)
    later = Log(pruned(first), writer="example/r0/z")
    assert judged(second.export(), later.export()).exit_code == 0


def test_a_record_that_no_signed_head_covers_explains_nothing() -> None:
    first, second = epochs(2)
    forged = Log(pruned(first), writer=PRUNER)
    report = judged(forged.export(forged.head(1)), second.export())
    assert report.exit_code == 2
    assert f"{first.name}: not here; {second.name} says that it had 2 records" in report.unchecked


@pytest.mark.parametrize("changes", [{"size": 3}, {"root": "0" * 64}])
def test_a_record_that_says_otherwise_than_the_next_log_is_a_violation(changes: dict[str, object]) -> None:
    first, second = epochs(2)
    other = Log(pruned(first, **changes), writer=PRUNER)
    report = judged(other.export(), second.export())
    assert places(report) == [(other.name, 1)]
    assert f"it says that {first.name} had" in report.violations[0].what


def test_the_same_log_may_be_said_twice_to_have_gone_but_not_in_two_ways() -> None:
    first, second = epochs(2)
    twice = Log(pruned(first), pruned(first), writer=PRUNER)
    assert judged(twice.export(), second.export()).exit_code == 0
    otherwise = Log(pruned(first), pruned(first, size=7), writer=PRUNER)
    report = judged(otherwise.export(), second.export())
    assert places(report) == [(otherwise.name, 2)]
    assert f"{otherwise.name}#1 said otherwise" in report.violations[0].what


def test_a_log_that_is_here_all_the_same_is_judged_as_ever() -> None:
    first, second = epochs(2)
    record_of_it = Log(pruned(first), writer=PRUNER)
    report = judged(record_of_it.export(), first.export(), second.export())
    assert report.exit_code == 0
    assert any("says that it was pruned, but it is here" in note for note in report.notes)
    del first.bodies[1]
    broken = judged(record_of_it.export(), first.export(signed=False), second.export())
    assert broken.exit_code == 1


def test_a_log_missing_among_the_pruned_ones_is_named() -> None:
    logs = epochs(6)
    record_of_it = Log(pruned(logs[1]), pruned(logs[4]), writer=PRUNER)
    report = judged(record_of_it.export(), logs[5].export())
    assert report.exit_code == 2
    assert report.unchecked == [
        "example/r0/w0/000001: not here, and no signed record says why",
        "example/r0/w0/000003 to 000004: not here, and no signed record says why",
    ]


def test_a_newest_log_that_an_unsigned_record_calls_pruned_is_missed() -> None:
    first, second = epochs(2)
    forged = Log(pruned(second), writer=PRUNER)
    report = judged(forged.export(forged.head(1)), first.export())
    assert f"{second.name}: not here, and no signed record says why" in report.unchecked


def test_a_record_about_a_log_far_ahead_does_not_hold_the_verifier_up() -> None:
    far = Log(refusal(1), epoch=10**11, before=epochs(1)[0])
    report = judged(Log(pruned(far), writer=PRUNER).export())
    assert report.unchecked == [
        "example/r0/w0/000001 to 99999999999: not here, and no signed record says why"
    ]


# -- heads of logs that have gone ------------------------------------------------------------------


def test_a_head_over_all_of_a_pruned_log_fits_what_is_said_of_it() -> None:
    first, second = epochs(2)
    here = Log(pruned(first), writer=PRUNER).export(), second.export()
    assert judged(*here, anchored=[first.head()]).exit_code == 0
    assert judged(*here, left=[first.head()]).exit_code == 0


def test_a_head_over_other_or_more_records_than_are_said_to_have_gone_is_a_violation() -> None:
    first, second = epochs(2)
    longer, other = Log(refusal(0), refusal(1)), Log(refusal(9))
    here = Log(pruned(first), writer=PRUNER).export(), second.export()
    for head in (longer.head(), other.head()):
        for given in ({"anchored": [head]}, {"left": [head]}):
            report = judged(*here, **given)
            assert places(report) == [(f"{PRUNER}/000001", 1)]
            assert "does not fit what it says" in report.violations[0].what


def test_a_head_over_a_part_of_a_pruned_log_cannot_be_compared_and_that_is_said() -> None:
    first, second = epochs(2)
    here = Log(pruned(first), writer=PRUNER).export(), second.export()
    report = judged(*here, anchored=[first.head(1)])
    assert report.exit_code == 2
    assert "a signed head over 1 of its 2 records cannot be compared any more" in report.unchecked[0]
    assert judged(*here, left=[first.head(1)]).exit_code == 0, "nobody asked for this one to be checked"


def test_a_head_that_lies_where_a_log_was_deleted_without_a_record_is_a_violation() -> None:
    first, second = epochs(2)
    report = judged(first.export(), left=[second.head()])
    assert places(report) == [(second.name, None)]
    assert "no checkpoint from elsewhere was given" in "\n".join(report.notes)
