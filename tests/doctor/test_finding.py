"""A check that raises is a finding in the words of what it raised."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from proxy.core.errors import JournalUnavailable, Mistake, Mistakes
from proxy.doctor.finding import Check, Finding, State, examined, fail, ok, warn


def raising(error: Exception) -> Callable[[], Iterator[Finding]]:
    def look() -> Iterator[Finding]:
        yield ok("disk", "one thing is well")
        raise error

    return look


def test_findings_are_given_as_they_are() -> None:
    found = [ok("a", "well"), warn("a", "soon", "act"), fail("a", "not", "act now")]
    assert examined(Check("a", lambda: found)) == found
    assert [each.state for each in found] == [State.OK, State.WARN, State.FAIL]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (Mistake("is wrong", file="f.yaml", line=3, column=4), ["f.yaml:3:4: is wrong"]),
        (Mistakes([Mistake("one"), Mistake("two")]), ["one", "two"]),
        (JournalUnavailable("no disk"), ["no disk"]),
        (PermissionError(13, "Permission denied", "here"), ["Permission denied here"]),
    ],
)
def test_what_goes_wrong_fails_the_check_by_name(error: Exception, words: list[str]) -> None:
    first, *found = examined(Check("disk", raising(error)))
    assert first.state is State.OK
    assert [each.says for each in found] == words
    assert {(each.check, each.state) for each in found} == {("disk", State.FAIL)}
    assert all(each.do for each in found)


def test_an_error_of_ours_is_not_covered_up() -> None:
    with pytest.raises(ZeroDivisionError):
        examined(Check("disk", raising(ZeroDivisionError())))
