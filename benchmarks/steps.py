"""what each step of a request costs by itself: the smallest of many repeats, in one process

`python -m benchmarks.steps`. The figures of `run.py` say what a request costs, the profile of `hotspots.py`
where that goes on a busy machine; this one is steady enough to judge a change of one function.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import cast

from benchmarks import deployment, wire
from proxy import ids
from proxy.config import Settings, read_settings
from proxy.core.approval import approve
from proxy.core.callers import credential, fingerprint
from proxy.core.dialects import routing
from proxy.core.fields import Fields
from proxy.core.glance import in_order
from proxy.core.record import FIRST_PREV, Draft, Recorder, seal
from proxy.core.scrub import Scrubber
from proxy.core.strict_json import parse
from proxy.core.tree import leaf_hash
from proxy.core.values import RawRequest, UpstreamRequest, Usage
from proxy.evidence import Evidence, Served
from proxy.journal import Clock, Journal, load_pseudonyms
from proxy.journal.front import audit_folder
from proxy.journal.writer import WAL_TIDY
from proxy.keys import open_keys
from proxy.stores.base import LogId
from proxy.stores.sqlite import LogFile
from proxy.stores.stretch import Stretch
from proxy.visit import Visit
from proxy.wiring import assemble, version

_SCRATCH = Path(__file__).resolve().parent.parent / "var"
_REPEATS = 7
_SLICE = 0.02
_BATCH = 32
_REQUESTS = 200


def smallest_us(step: Callable[[], object]) -> float:
    """CPU microseconds of one call: the smallest mean over a few short slices."""
    begin = time.thread_time()
    step()
    number = max(1, min(20_000, int(_SLICE / max(1e-7, time.thread_time() - begin))))
    best = float("inf")
    for _ in range(_REPEATS):
        begin = time.thread_time()
        for _ in range(number):
            step()
        best = min(best, (time.thread_time() - begin) / number)
    return best * 1e6


class Bench:
    """A proxy that was put together and does not listen, and requests to try it with.

    It stands in for the journal too, and keeps the last record instead of writing it.
    """

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.revision = assemble(settings).revisions.current
        self.folder = folder
        key_file = audit_folder(settings.data_dir) / "pseudonym.key"
        self.recorder = Recorder(load_pseudonyms(key_file), version())
        self.clock = Clock()
        journal = cast("Journal", self)
        self.evidence = Evidence(journal, self.recorder, self.clock, host="127.0.0.1:1", most_waiting=1)
        self.pepper = open_keys(settings.keys_file, settings.pepper_file).pepper
        self._last: Draft = {}

    def visit(self, kind: str) -> Visit:
        """A request that has been read and judged."""
        raw = _raw(wire.bodies()[kind])
        visit = Visit(ids.uuid7(), raw, self.revision, ids.now(), time.monotonic())
        visit.match = routing.match(raw)
        assert visit.match is not None
        visit.caller = self.revision.callers.find(fingerprint(credential(raw), self.pepper))
        assert visit.caller is not None
        visit.call = routing.dialect_of(visit.match.endpoint).read(raw, visit.match, self.revision.tables)
        visit.in_mac = self.evidence.commit_to(raw.body)
        visit.decision = self.revision.decide(visit.call, visit.caller, visit.at)
        if not visit.decision.allowed:
            raise RuntimeError(f"the benchmark's own request was refused: {visit.decision.reason}")
        return visit

    async def append(self, draft: Draft) -> None:
        """Keep a record."""
        self._last = draft

    def submit(self, draft: Draft) -> None:
        """Keep a record."""
        self._last = draft

    def intent(self, visit: Visit, request: UpstreamRequest) -> Draft:
        """The intent of a request."""
        with suppress(StopIteration):
            next(self.evidence.intent(visit, request, model=wire.MODEL).__await__())
        return self._last

    def outcome(self, visit: Visit) -> Draft:
        """The outcome of a request."""
        usage = Usage(187, 49, 121, "chatcmpl-9f86d081884c7d659a2feaa0")
        served = Served("complete", 200, 200, "steady-1", "bench", usage=usage, bytes=wire.ANSWER_BYTES)
        self.evidence.outcome(visit, served)
        return self._last


def _raw(body: bytes) -> RawRequest:
    lines = wire.heads(8080, len(body), fresh=False)().split(b"\r\n")[1:-2]
    fields = [line.split(b": ", 1) for line in lines]
    return RawRequest(
        "POST", wire.PATH, "", tuple((name, value) for name, value in fields), body, "127.0.0.1"
    )


def reading(bench: Bench, kind: str) -> dict[str, Callable[[], object]]:
    """The steps that depend on the body."""
    visit = bench.visit(kind)
    raw, match, tables = visit.raw, visit.match, bench.revision.tables
    assert match is not None
    dialect = routing.dialect_of(match.endpoint)
    body = parse(raw.body)
    assert isinstance(body, dict)
    table = match.endpoint.members
    shape = tables.members.table(table)
    return {
        f"parse strictly ({kind})": lambda: parse(raw.body),
        f"glance ({kind})": lambda: in_order(shape, body, raw.body),
        f"judge members ({kind})": lambda: tables.members.read(table, body),
        f"find effects ({kind})": lambda: tables.effects.find(table.partition(".")[0], table, body),
        f"read, all of it ({kind})": lambda: dialect.read(raw, match, tables),
        f"commit to the body ({kind})": lambda: bench.evidence.commit_to(raw.body),
    }


def request_steps(bench: Bench) -> dict[str, Callable[[], object]]:
    """The steps that are the same for every small request."""
    visit = bench.visit("chat")
    raw, caller, call, decision, match = visit.raw, visit.caller, visit.call, visit.decision, visit.match
    assert caller is not None
    assert call is not None
    assert decision is not None
    assert match is not None
    secret, revision, tables = credential(raw), bench.revision, bench.revision.tables
    dialect = routing.dialect_of(match.endpoint)
    return {
        "identifier": ids.uuid7,
        "stamp of a record": bench.clock.stamp,
        "match the endpoint": lambda: routing.match(raw),
        "find the header fields": lambda: Fields(raw.headers),
        "judge the header": lambda: tables.headers.judge(raw.fields),
        "find the calling program": lambda: tables.headers.agent(raw.fields),
        "find the credential": lambda: credential(raw),
        "fingerprint": lambda: fingerprint(secret, bench.pepper),
        "decide": lambda: revision.decide(call, caller, visit.at),
        "approve": lambda: approve(decision),
        "make the upstream request": lambda: dialect.forward(raw, match, call, raw.body, tables),
    }


def record_steps(bench: Bench) -> dict[str, Callable[[], object]]:
    """The steps that leave evidence; those of the store are per batch."""
    visit = bench.visit("chat")
    request = UpstreamRequest("POST", wire.UPSTREAM_PATH, (), visit.raw.body)
    intent, outcome = bench.intent(visit, request), bench.outcome(visit)
    body = seal(intent, "bench/r0/w0/000001", 1, FIRST_PREV)
    store = LogFile(bench.folder / "steps.db", LogId("bench/r0/w0", 1))
    number, stretch = [0], Stretch()

    def batch() -> None:
        rows = [(number[0] + place, body) for place in range(_BATCH)]
        number[0] += _BATCH
        store.append(rows)
        if store.unsettled > WAL_TIDY:
            store.settle(wholly=False)

    return {
        "build an intent": lambda: bench.intent(visit, request),
        "build an outcome": lambda: bench.outcome(visit),
        "seal an intent": lambda: seal(intent, "bench/r0/w0/000001", 1, FIRST_PREV),
        "seal an outcome": lambda: seal(outcome, "bench/r0/w0/000001", 1, FIRST_PREV),
        "leaf hash": lambda: leaf_hash(body),
        "count into the stretch": lambda: stretch.add(intent, 1),
        f"store {_BATCH} records, and settle": batch,
    }


def written(bench: Bench) -> str:
    """How much one request adds to the write-ahead log when each has a commit of its own."""
    visit = bench.visit("chat")
    request = UpstreamRequest("POST", wire.UPSTREAM_PATH, (), visit.raw.body)
    bodies = [
        seal(draft, "bench/r0/w0/000002", 1, FIRST_PREV)
        for draft in (bench.outcome(visit), bench.intent(visit, request))
    ]
    store = LogFile(bench.folder / "written.db", LogId("bench/r0/w0", 2))
    before = store.wal_bytes()
    for number in range(0, 2 * _REQUESTS, 2):
        store.append(list(enumerate(bodies, number)))
    return f"{(store.wal_bytes() - before) / _REQUESTS:10.0f} B   write-ahead log per request, one at a time"


def answer_steps(bench: Bench) -> dict[str, Callable[[], object]]:
    """The steps on an answer's way back."""
    visit = bench.visit("chat")
    assert visit.match is not None
    dialect = routing.dialect_of(visit.match.endpoint)
    whole = wire.answer().partition(b"\r\n\r\n")[2]
    event = wire.chunk(time.monotonic_ns(), last=False).partition(b"\r\n")[2][:-2]
    stream, key = dialect.tap("chat", streamed=True), b"op-bench-0123456789"
    scrubber = Scrubber(key)

    def observe() -> object:
        tap, scrub = dialect.tap("chat", streamed=False), Scrubber(key)
        tap.feed(whole)
        return scrub.feed(whole), scrub.finish(), tap.finish()

    return {
        "observe a whole answer": observe,
        "tap a chunk": lambda: stream.feed(event),
        "scrub a chunk": lambda: scrubber.feed(event),
    }


def measure(settings: Settings, folder: Path) -> str:
    """The table of all steps."""
    bench = Bench(settings, folder)
    steps = request_steps(bench) | record_steps(bench) | answer_steps(bench)
    for kind in ("chat", "agent", "image"):
        steps |= reading(bench, kind)
    lines = [f"{smallest_us(step):10.2f} us  {name}" for name, step in steps.items()]
    return "\n".join([*lines, written(bench)])


async def _measured(settings: Settings, folder: Path) -> str:
    # Some parts ask for the running loop when they are built.
    return measure(settings, folder)


def main() -> None:
    """Deploy into a scratch folder, measure, print."""
    _SCRATCH.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="steps-", dir=_SCRATCH) as name:
        folder = Path(name)
        made = deployment.deploy(folder, upstream_port=9)
        deployment.keep_catalogue(folder, upstream_port=9)
        os.environ.update(made.environment)
        sys.stdout.write(asyncio.run(_measured(read_settings(made.config), folder)) + "\n")


if __name__ == "__main__":
    main()
