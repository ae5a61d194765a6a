"""Each sink that has settings gets a feed from all logs, with a cursor of its own in the audit folder."""

from __future__ import annotations

from pathlib import Path

import orjson

from proxy.journal.fanout import build_feeds, feed, source
from proxy.sinks.file import FileSettings, FileSink
from proxy.sinks.stdout import StdoutSettings
from proxy.stores.reader import Reader
from tests.journal import kit


async def written(folder: Path, count: int, *, replica: str = "r0") -> None:
    journal = kit.opened(folder, replica=replica)
    for _ in range(count):
        await journal.append(kit.refusal())
    await journal.close()


def test_no_settings_make_no_feed(tmp_path: Path) -> None:
    assert build_feeds(tmp_path, {}) == []


def test_each_wanted_sink_gets_a_feed_under_its_own_name(tmp_path: Path) -> None:
    wanted = {"stdout": StdoutSettings(), "file": FileSettings(path=tmp_path / "mirror.jsonl")}
    feeds = build_feeds(tmp_path, wanted)
    assert [each.sink.name for each in feeds] == ["stdout", "file"]
    assert not (tmp_path / "cursors").exists(), "a feed that was not started has touched nothing"


async def test_a_feed_mirrors_the_logs_of_every_writer_and_start(tmp_path: Path) -> None:
    await written(tmp_path, 3)
    await written(tmp_path, 2)
    await written(tmp_path, 4, replica="r1")
    mirror = tmp_path / "mirror.jsonl"
    made = feed(tmp_path / "audit", FileSink(FileSettings(path=mirror)))
    while made.pump():
        pass
    found = [orjson.loads(line) for line in mirror.read_bytes().splitlines()]
    logs = {log: [r["seq"] for r in found if r["log"] == log] for log in {str(r["log"]) for r in found}}
    assert logs == {
        "ringfence/r0/w0/000001": list(range(5)),
        "ringfence/r0/w0/000002": list(range(4)),
        "ringfence/r1/w0/000001": list(range(6)),
    }
    assert made.lag == 0
    cursor = orjson.loads((tmp_path / "audit/cursors/file.json").read_bytes())
    assert cursor == {log: len(numbers) for log, numbers in logs.items()}


async def test_what_is_delivered_are_the_bytes_that_were_hashed(tmp_path: Path) -> None:
    await written(tmp_path, 2)
    reader = Reader(tmp_path / "audit")
    try:
        deliveries = source(reader)({}, 100)
        bodies = {(str(entry.log), entry.seq): entry.body for entry in reader.select()}
    finally:
        reader.close()
    assert {(each.log, each.seq): each.body for each in deliveries} == bodies


async def test_a_source_gives_no_more_than_was_asked_and_goes_on_from_there(tmp_path: Path) -> None:
    await written(tmp_path, 6)
    reader = Reader(tmp_path / "audit")
    try:
        take = source(reader)
        first = take({}, 3)
        rest = take({first[-1].log: first[-1].seq + 1}, 100)
    finally:
        reader.close()
    assert [each.seq for each in (*first, *rest)] == list(range(8))
    assert len(first) == 3
