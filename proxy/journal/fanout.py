"""the sinks of a deployment, each with its feed from all logs in the folder"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from proxy.settings import Section
from proxy.sinks import SINKS
from proxy.sinks.base import Delivery, Sink
from proxy.sinks.feed import Feed, Source
from proxy.stores.reader import Reader


def build_feeds(folder: Path, wanted: Mapping[str, Section]) -> list[Feed]:
    """A feed for each sink that has settings, not started yet; `folder` is the audit folder."""
    # Each sink takes the settings of its own section, which the settings' types tie together by name only.
    made: dict[str, Callable[[Any], Sink]] = {kind.name: kind for kind in SINKS}
    return [feed(folder, made[name](settings)) for name, settings in wanted.items()]


def feed(folder: Path, sink: Sink) -> Feed:
    """The feed of one sink; its cursor lies in the audit folder."""
    reader = Reader(folder)
    return Feed(sink, source(reader), cursor=folder / "cursors" / f"{sink.name}.json", sizes=reader.sizes)


def source(reader: Reader) -> Source:
    """The logs of a reader as what a feed delivers from."""

    def after(cursor: Mapping[str, int], limit: int) -> Sequence[Delivery]:
        return [Delivery(str(e.log), e.seq, e.body) for e in reader.after(cursor, limit)]

    return after
