"""What is kept of a stretch of records lets readers pass over it and never hides a record."""

from __future__ import annotations

import pytest

from proxy.stores.base import LogId
from proxy.stores.reader import Reader
from proxy.stores.stretch import MOST, Held, Stretch
from proxy.stores.wanted import Wanted
from tests.journal import kit

T = "2026-03-01T00:00:{:02d}.000000Z"


def record(number: int, kind: str = "intent", **more: object) -> dict[str, object]:
    rid = f"0190{number:04x}-0000-7000-8000-000000000000"
    return {"kind": kind, "t": T.format(number), "rid": rid, "attempt": 1, **more}


def kept(*records: dict[str, object], first: int = 0) -> Held:
    stretch = Stretch(first)
    for seq, each in enumerate(records, first):
        stretch.add(each, seq)
    held = Held.parse(first + len(records), stretch.text())
    assert held is not None
    return held


@pytest.mark.parametrize(
    ("wanted", "may"),
    [
        (Wanted(), True),
        (Wanted(kinds=("intent",)), True),
        (Wanted(kinds=("gap",)), False),
        (Wanted(kinds=("intent",), project="a", model="m"), True),
        (Wanted(kinds=("outcome",), model="m"), False),
        (Wanted(project="b"), False),
        (Wanted(since=T.format(5)), True),
        (Wanted(since=T.format(6)), False),
        (Wanted(until=T.format(4)), False),
        (Wanted(until=T.format(5)), True),
        (Wanted(rid=str(record(4)["rid"])), True),
        (Wanted(rid=str(record(6)["rid"])), False),
    ],
)
def test_a_stretch_is_passed_over_only_when_no_record_in_it_fits(wanted, may):
    records = [record(5, project="a", model_fwd="m"), record(4, "outcome", end="complete")]
    held = kept(*records)
    assert wanted.may_be_in(held) is may
    assert may or not any(map(wanted.fits, records))


def test_times_that_went_backwards_are_within_the_bounds():
    held = kept(record(5), record(2), record(4))
    assert (held.since, held.until) == (T.format(2), T.format(5))


def test_a_stretch_of_too_many_words_is_never_passed_over():
    held = kept(*[record(1, project=f"p{n}") for n in range(MOST + 1)])
    assert held.words is None
    assert Wanted(project="another").may_be_in(held)


def test_a_model_that_is_committed_to_is_no_word():
    held = kept(record(1, "refusal", model_req={"len": 3, "mac": "h:1:00"}))
    assert held.words == (("refusal", None, None, None, None, None),)


def test_the_attempts_without_an_outcome_go_on_into_the_next_stretch():
    stretch = Stretch()
    for seq, each in enumerate([record(1), record(2), record(2, "outcome"), record(1, attempt=2)]):
        stretch.add(each, seq)
    following = stretch.next(4)
    following.add(record(1, "outcome"), 4)
    assert list(following.open.values()) == [3]


@pytest.mark.parametrize("text", [b"", b"{}", b"[]", b'{"first":0,"t":[],"rid":[],"words":1,"open":1}'])
def test_what_cannot_be_read_was_not_kept(text):
    assert Held.parse(1, text) is None


@pytest.fixture
async def folder(tmp_path):
    """A log of many short stretches, some of requests that ended much later."""
    journal = kit.opened(tmp_path, checkpoint_every=1, checkpoint_interval="50ms")
    late = [kit.intent() for _ in range(3)]
    for draft in late:
        await journal.append(draft)
    for number in range(60):
        draft = kit.intent()
        await journal.append(draft)
        await journal.append(kit.outcome(str(draft["rid"]), "timeout" if number == 30 else "complete"))
        if number % 20 == 0:
            await kit.until(lambda: journal._writer.chain.signed_size == journal._writer.chain.size)
    for draft in late:
        await journal.append(kit.outcome(str(draft["rid"])))
    await journal.append(kit.refusal())
    await journal.close()
    return tmp_path


async def test_searches_find_over_stretches_what_reading_everything_finds(folder):
    reader = Reader(folder / "audit")
    everything = list(reader.select())
    assert len(reader.notes(LogId("ringfence/r0/w0", 1))) > 3
    rid = str(next(entry.record["rid"] for entry in everything if entry.record["kind"] == "intent"))
    middle = everything[60].t
    for wanted in (
        Wanted(rid=rid),
        Wanted(end="timeout"),
        Wanted(kinds=("refusal", "close")),
        Wanted(since=middle),
        Wanted(until=middle, kinds=("outcome",)),
    ):
        expected = [entry for entry in everything if wanted.fits(entry.record)]
        assert expected
        assert list(reader.select(wanted)) == expected
        assert list(reader.select(wanted, newest_first=True)) == expected[::-1]
    reader.close()


async def test_what_follows_the_last_stretch_is_read_as_well(tmp_path):
    journal = kit.opened(tmp_path, checkpoint_every=100_000, checkpoint_interval="1h")
    reader = Reader(tmp_path / "audit")
    for number in range(3):
        await journal.append(kit.refusal())
        assert len(list(reader.select(Wanted(kinds=("refusal",))))) == number + 1
    reader.close()
    await journal.close()
