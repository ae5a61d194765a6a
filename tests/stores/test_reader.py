"""One view of all logs: merged, filtered, followed, and never in the writer's way."""

from __future__ import annotations

import os
import shutil

import pytest

from proxy.stores.base import LogId, StoreFault
from proxy.stores.reader import Reader
from proxy.stores.wanted import Wanted
from tests.journal import kit


@pytest.fixture
async def folder(tmp_path):
    """Two workers and two epochs of the first: 12 intents with outcomes, 6 refusals."""
    for worker in ("w0", "w1", "w0"):
        journal = kit.opened(tmp_path, worker=worker)
        for number in range(4):
            draft = kit.intent()
            await journal.append(draft)
            await journal.append(kit.outcome(str(draft["rid"]), "complete" if number else "timeout"))
            if number % 2:
                await journal.append(kit.refusal())
        await journal.close()
    return tmp_path


@pytest.fixture
def reader(folder):
    opened = Reader(folder / "audit")
    yield opened
    opened.close()


def test_every_record_of_every_log_is_seen_once_in_the_order_of_time(reader):
    found = list(reader.select())
    assert len(found) == sum(reader.sizes().values())
    assert [e.t for e in found] == sorted(e.t for e in found)
    assert len({e.log for e in found}) == 3
    assert [e.record["eid"] for e in reader.select(newest_first=True)] == [e.record["eid"] for e in found][
        ::-1
    ]


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        (Wanted(kinds=("refusal",)), 6),
        (Wanted(kinds=("intent", "refusal")), 18),
        (Wanted(effect="deny"), 6),
        (Wanted(reason="unknown_model"), 6),
        (Wanted(reason="nothing of that name"), 0),
        (Wanted(end="timeout"), 3),
        (Wanted(end="complete"), 9),
        (Wanted(model="openai/gpt-image-1"), 12),
        (Wanted(project="design", kinds=("intent",)), 12),
        (Wanted(project="another"), 0),
        (Wanted(since="2999-01-01T00:00:00.000000Z"), 0),
        (Wanted(until="2999-01-01T00:00:00.000000Z", effect="allow"), 12),
    ],
)
def test_the_filters_agree_with_what_the_records_say(reader, wanted, count):
    found = list(reader.select(wanted))
    assert len(found) == count
    everything = list(reader.select())
    assert found == [entry for entry in everything if wanted.fits(entry.record)]


def test_a_request_is_found_by_its_id_over_all_epochs(reader):
    rid = str(next(reader.select(Wanted(kinds=("intent",)))).record["rid"])
    assert [e.record["kind"] for e in reader.find(rid)] == ["intent", "outcome"]


def test_a_record_is_found_by_its_own_id_and_by_its_place(reader):
    entry = list(reader.select())[5]
    assert reader.find(str(entry.record["eid"])) == [entry]
    assert reader.find(f"{entry.log}#{entry.seq}") == [entry]


@pytest.mark.parametrize(
    "identifier", ["", "nobody", "ringfence/r0/w0/000001#999", "a/b/c/000001#1", "#1", "x#y"]
)
def test_what_names_nothing_finds_nothing(reader, identifier):
    assert reader.find(identifier) == []


async def test_a_cursor_gets_every_record_once_also_those_that_come_later(folder, reader):
    cursor: dict[str, int] = {}
    seen = []

    def drain() -> None:
        while batch := reader.after(cursor, 7):
            for entry in batch:
                assert entry.seq == cursor.get(str(entry.log), 0)
                cursor[str(entry.log)] = entry.seq + 1
                seen.append(entry)

    drain()
    journal = kit.opened(folder, worker="w1")
    await journal.append(kit.refusal())
    drain()
    await journal.append(kit.refusal())
    await journal.close()
    drain()
    assert sorted(e.record["eid"] for e in seen) == sorted(e.record["eid"] for e in reader.select())


async def test_reading_does_not_keep_the_writer_from_settling(folder):
    reader = Reader(folder / "audit")
    stream = reader.select()
    next(stream)
    journal = kit.opened(folder)
    await journal.append(kit.refusal())
    assert journal._writer.chain._file.settle(wholly=True)
    await journal.close()
    assert len(list(stream)) > 3
    reader.close()


def test_a_copy_on_a_read_only_disk_can_be_read(folder, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(folder / "audit", copy)
    for root, _, names in os.walk(copy):
        for name in names:
            os.chmod(f"{root}/{name}", 0o400)
        os.chmod(root, 0o500)
    reader = Reader(copy)
    assert len(list(reader.select(Wanted(kinds=("refusal",))))) == 6
    reader.close()


def test_the_signed_heads_of_a_log_come_with_it(reader):
    notes = reader.notes(LogId("ringfence/r0/w0", 1))
    assert len(notes) >= 2
    assert all(note.startswith("ringfence/r0/w0/000001\n") for note in notes)


def test_a_log_that_is_none_is_a_fault_in_words(folder):
    (folder / "audit/ringfence/r0/w0/000001.sqlite").write_bytes(b"no database at all" * 300)
    reader = Reader(folder / "audit")
    with pytest.raises(StoreFault, match="not an audit log"):
        list(reader.select())
