"""Sinks get every record, in order, at least once, and can neither stop nor slow anything."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import orjson
import pytest

from proxy.journal.fanout import build_feeds, feed, source
from proxy.settings import Section
from proxy.sinks import SINKS
from proxy.sinks.base import Delivery, SinkFailed
from proxy.sinks.file import FileSettings, FileSink
from proxy.sinks.stdout import StdoutSettings
from proxy.stores.reader import Reader
from tests.journal import kit


class ListSink:
    """Keeps what it gets; fails on demand."""

    name: ClassVar[str] = "list"
    Settings: ClassVar[type[Section]] = Section

    def __init__(self) -> None:
        self.got: list[Delivery] = []
        self.failures: list[Exception] = []
        self.closed = False

    def write(self, deliveries):
        if self.failures:
            raise self.failures.pop(0)
        self.got += deliveries

    def close(self):
        self.closed = True


async def written(folder: Path, count: int) -> None:
    journal = kit.opened(folder)
    for _ in range(count):
        await journal.append(kit.refusal())
    await journal.close()


def bodies(folder: Path) -> list[bytes]:
    reader = Reader(folder / "audit")
    try:
        return [entry.body for entry in reader.after({}, 10_000)]
    finally:
        reader.close()


async def test_a_feed_delivers_everything_once_and_goes_on_where_it_stopped(tmp_path):
    await written(tmp_path, 20)
    sink = ListSink()
    first = feed(tmp_path / "audit", sink)
    first.start()
    first.stop()
    assert [d.body for d in sink.got] == bodies(tmp_path)
    assert sink.closed
    await written(tmp_path, 5)
    again = ListSink()
    second = feed(tmp_path / "audit", again)
    assert second.lag > 0
    second.start()
    second.stop()
    assert [d.body for d in sink.got + again.got] == bodies(tmp_path)
    assert second.lag == 0


async def test_a_failed_delivery_moves_no_cursor_and_is_offered_again(tmp_path):
    await written(tmp_path, 3)
    sink = ListSink()
    fed = feed(tmp_path / "audit", sink)
    sink.failures.append(SinkFailed("the other end is gone"))
    with pytest.raises(SinkFailed):
        fed.pump()
    assert fed.lag == 5
    assert fed.pump() == 5
    assert fed.pump() == 0
    assert [d.body for d in sink.got] == bodies(tmp_path)


async def test_a_crash_between_delivery_and_cursor_repeats_and_never_skips(tmp_path, monkeypatch):
    await written(tmp_path, 3)
    sink = ListSink()
    fed = feed(tmp_path / "audit", sink)

    def crash(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("proxy.sinks.feed.write_private", crash)
        with pytest.raises(KeyboardInterrupt):
            fed.pump()
    fed.sink.close()
    import os

    os.close(fed._lock)
    after = feed(tmp_path / "audit", sink)
    after.pump()
    seen = [d.body for d in sink.got]
    assert seen == bodies(tmp_path) * 2


async def test_a_broken_sink_is_reported_and_stops_nothing(tmp_path):
    await written(tmp_path, 3)
    sink = ListSink()
    sink.failures.extend([ValueError("secret words of the record"), SinkFailed("no route")])
    fed = feed(tmp_path / "audit", sink)
    fed.start()
    await kit.until(lambda: sink.got)
    assert "secret" not in fed.failure
    fed.stop()
    assert [d.body for d in sink.got] == bodies(tmp_path)
    assert fed.failure == ""


async def test_of_two_feeders_of_one_sink_one_feeds(tmp_path):
    await written(tmp_path, 3)
    one, two = feed(tmp_path / "audit", ListSink()), feed(tmp_path / "audit", ListSink())
    assert one.pump() == 5
    assert two.pump() == 0


@pytest.mark.parametrize("content", [b"{torn", b"[]", b'{"ringfence/r0/w0/000001":null}', b"\xff"])
async def test_a_lost_or_broken_cursor_means_everything_again(tmp_path, content):
    await written(tmp_path, 3)
    (tmp_path / "audit/cursors").mkdir()
    (tmp_path / "audit/cursors/list.json").write_bytes(content)
    sink = ListSink()
    assert feed(tmp_path / "audit", sink).pump() == 5


async def test_the_file_sink_writes_lines_that_verify(tmp_path):
    from proxy.cli._audit_verify import run_verify

    await written(tmp_path, 30)
    target = tmp_path / "out/audit.jsonl"
    settings = FileSettings.model_validate({"path": str(target)})
    (fed,) = build_feeds(tmp_path / "audit", {"file": settings})
    fed.start()
    fed.stop()
    assert target.read_bytes().splitlines() == bodies(tmp_path)
    assert target.stat().st_mode & 0o777 == 0o600
    anchor = tmp_path / "audit/ringfence/r0/w0/000001.checkpoint"
    key = tmp_path / "audit/verifier.vkey"
    verdict = run_verify(tmp_path, [target], key_file=key, anchors=[anchor], as_json=False)
    assert verdict == 0
    target.write_bytes(target.read_bytes().replace(b"unknown_model", b"unknown_modem", 1))
    assert run_verify(tmp_path, [target], key_file=key, anchors=[anchor], as_json=False) == 1


async def test_a_file_that_was_renamed_is_left_and_a_new_one_begun(tmp_path):
    target = tmp_path / "audit.jsonl"
    sink = FileSink(FileSettings.model_validate({"path": str(target)}))
    sink.write([Delivery("l", 0, b"{}")])
    target.rename(tmp_path / "audit.jsonl.1")
    sink.write([Delivery("l", 1, b"[]")])
    sink.close()
    assert (tmp_path / "audit.jsonl.1").read_bytes() == b"{}\n"
    assert target.read_bytes() == b"[]\n"


def test_a_file_that_cannot_be_written_is_a_failure_in_words(tmp_path):
    sink = FileSink(FileSettings.model_validate({"path": str(tmp_path)}))
    with pytest.raises(SinkFailed, match=r"directory|Is a"):
        sink.write([Delivery("l", 0, b"{}")])


async def test_the_stdout_sink_writes_one_line_each(tmp_path, capfdbinary):
    await written(tmp_path, 3)
    (fed,) = build_feeds(tmp_path / "audit", {"stdout": StdoutSettings()})
    assert fed.pump() == 5
    assert capfdbinary.readouterr().out.splitlines() == bodies(tmp_path)


@pytest.mark.parametrize("kind", SINKS, ids=lambda kind: kind.name)
def test_every_sink_has_a_name_and_settings_that_need_nothing(kind):
    assert kind.name.isidentifier()
    assert issubclass(kind.Settings, Section)
    assert kind.Settings().model_dump() is not None


async def test_the_source_starts_after_the_cursor(tmp_path):
    await written(tmp_path, 3)
    reader = Reader(tmp_path / "audit")
    (first, *_) = source(reader)({"ringfence/r0/w0/000001": 2}, 10)
    assert (first.seq, orjson.loads(first.body)["seq"]) == (2, 2)
    reader.close()
