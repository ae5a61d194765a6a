"""the overload benchmark sorts every answer, sees a broken promise, and runs from end to end"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks import overload, wire
from benchmarks.books import UNKNOWN, Books, Sighting
from benchmarks.overload import Result, Round, complaints
from benchmarks.surge import Numbered, Plan, Sorted, Surge, carry_out, complaint_about, numbered
from benchmarks.upstream import Script, Upstream
from proxy.shedding import shed

# -- answers ---------------------------------------------------------------------------------------


def refusal() -> bytes:
    """What the proxy really says when it is full."""
    made = shed(b"".join(numbered(80, 1)()))
    assert made is not None
    return made


def test_the_proxys_own_refusal_is_a_proper_one():
    assert complaint_about(refusal()) == ""


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"503 Service Unavailable", b"502 Bad Gateway"),
        (b"retry-after: 2\r\n", b""),
        (b"retry-after: 2", b"retry-after: soon"),
        (b"x-ringfence-refusal: overloaded\r\n", b""),
        (b'"code":"overloaded"', b'"code":"busy"'),
        (b'{"error"', b'{"fault"'),
        (b'{"error"', b"oops"),
    ],
)
def test_any_other_refusal_is_complained_of(before, after):
    whole = refusal()
    assert before in whole
    assert complaint_about(whole.replace(before, after)) != ""


def test_every_request_has_a_number_of_its_own_and_the_same_length():
    request = numbered(80, 7)
    bodies = [request()[1] for _ in range(3)]
    assert len(set(bodies)) == 3
    assert {len(body) for body in bodies} == {wire.CHAT_BYTES}
    assert b"000000000008" in bodies[1]


# -- the open loop ---------------------------------------------------------------------------------


@pytest.fixture
async def mock_port() -> AsyncIterator[int]:
    script = Script(b'{"models":[]}')
    server = await asyncio.get_running_loop().create_server(lambda: Upstream(script), "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


async def test_as_many_are_sent_as_are_due_and_those_of_the_ramp_do_not_count_as_steady(mock_port):
    found = await Surge(Plan(mock_port, 200, 0.2, ramp=0.2, connections=8)).go()
    assert (found.offered, found.answered, found.failed, found.unsent) == (80, 80, 0, 0)
    assert 0 < found.steady < 80


async def test_without_a_rate_the_loop_is_closed(mock_port):
    found = await carry_out(Plan(mock_port, 0.0, 0.1, connections=2))
    assert found.answered > 0
    assert found.offered == found.failed == 0


async def served_by(answers: list[bytes], *, requests: int) -> Sorted:
    """The tally of an open loop against a server that gives these answers in turn."""
    turn = itertools.cycle(answers)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(wire.CHAT_BYTES)
                answer = next(turn)
                writer.write(answer)
                if not answer or b"connection: close" in answer:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    tally = await Surge(Plan(port, requests / 0.2, 0.2, connections=4)).go()
    server.close()
    return tally


async def test_what_was_shed_is_told_from_what_failed():
    fault = b"HTTP/1.1 500 X\r\ncontent-length: 0\r\n\r\n"
    tally = await served_by([wire.answer(), refusal(), fault], requests=30)
    assert (tally.answered, tally.shed, tally.failed) == (10, 10, 10)
    assert tally.complaint == "a request was answered 500"


async def test_a_connection_that_the_proxy_closes_is_replaced():
    closing = refusal().replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n", 1)
    tally = await served_by([closing], requests=12)
    assert (tally.shed, tally.failed) == (12, 0)
    assert tally.opened >= 12


async def test_a_connection_that_is_cut_is_a_failure():
    tally = await served_by([b""], requests=3)
    assert (tally.answered, tally.failed) == (0, 3)


def test_a_surge_is_bounded_in_connections_and_time():
    with pytest.raises(ValueError, match="at most"):
        Plan(1, 1, 1, connections=5_001)
    with pytest.raises(ValueError, match="at most"):
        Plan(1, 1, 100, ramp=21)
    with pytest.raises(ValueError, match="at most"):
        Numbered(1, "chat", connections=1, seconds=121)


# -- the books -------------------------------------------------------------------------------------


def intent(rid: str, *, seq: int, mac: str = "m", mono: int = 10) -> dict[str, Any]:
    return {"kind": "intent", "rid": rid, "attempt": 1, "seq": seq, "mono": mono, "out_mac": mac}


def outcome(rid: str) -> dict[str, Any]:
    return {"kind": "outcome", "rid": rid, "attempt": 1, "end": "complete"}


def held(records: list[dict[str, Any]], *seen: Sighting) -> list[str]:
    books = Books()
    books.read(records)
    books.close()
    books.compare(seen)
    return books.complaints


def test_books_that_balance_are_not_complained_of():
    records = [intent("a", seq=1), outcome("a"), intent("b", seq=3, mono=20), outcome("b")]
    assert held(records, Sighting("m", 15, 2), Sighting("m", 25, UNKNOWN)) == []


@pytest.mark.parametrize(
    ("records", "seen", "words"),
    [
        ([intent("a", seq=1)], [], "1 intents have no outcome"),
        ([intent("a", seq=1), outcome("a"), outcome("a")], [], "1 outcomes have no intent"),
        ([outcome("a")], [], "1 outcomes have no intent"),
        ([], [Sighting("m", 15)], "saw 1 requests that have no intent"),
        ([intent("a", seq=1), outcome("a")], [Sighting("m", 15), Sighting("m", 16)], "saw 1 requests that"),
        ([intent("a", seq=1), outcome("a")], [Sighting("m", 9)], "before their intent was durable"),
        ([intent("a", seq=1), outcome("a")], [Sighting("m", 15, 1)], "before their intent was durable"),
        ([{"kind": "gap", "counts": {"outcome": 2}}], [], "2 outcomes were lost"),
    ],
)
def test_every_broken_promise_of_the_log_is_named(records, seen, words):
    (complaint,) = held(records, *seen)
    assert words in complaint


# -- the verdict -----------------------------------------------------------------------------------


def result(**changed: Any) -> Result:
    surge = {"offered": 30, "good": 8, "steady": 8, "late": 0, "shed": 22, "failed": 0, "complaint": ""}
    rounds = [Round(10.0, 30.0, changed.pop("goodput", 9.0), 0.9, surge | changed.pop("surge", {}))]
    books = Books(seen=8)
    shapes = {"openai", "anthropic", "google"}
    made = Result(rounds, checks=[0.1], shapes=shapes, books=books)
    for name, value in changed.items():
        setattr(made, name, value)
    return made


def test_a_run_in_which_every_promise_held_passes():
    assert complaints(result(), judged=True) == []


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"goodput": 7.9}, "goodput is 0.79 times the capacity"),
        ({"surge": {"failed": 3, "complaint": "a cut"}}, "3 requests failed: a cut"),
        ({"surge": {"shed": 0}}, "nothing was shed"),
        ({"shapes": {"openai"}}, "only seen in these shapes: openai"),
        ({"checks": [0.1, 2.1]}, "a health check took 2.1 s"),
        ({"checks": []}, "a health check took"),
        ({"complaints": ["/readyz answered 503"]}, "/readyz answered 503"),
        ({"books": Books(seen=7)}, "more answers were served than requests seen"),
    ],
)
def test_each_broken_promise_fails_the_run(changed, words):
    (complaint,) = complaints(result(**changed), judged=True)
    assert words in complaint


def test_a_smoke_run_does_not_judge_the_ratio():
    assert complaints(result(goodput=0.1), judged=False) == []


def test_from_end_to_end_a_short_overload_loses_no_record(tmp_path: Path):
    found = overload.measure(tmp_path, rounds=1, seconds=1.5, ramp=0.5)
    assert found.books.complaints == []
    assert found.books.seen == found.books.kinds["intent"] > 0
    (surge,) = [each.surge for each in found.rounds]
    assert (surge["failed"], surge["complaint"]) == (0, "")
    assert surge["good"] + surge["late"] + surge["shed"] + surge["unsent"] == surge["offered"] > 0
    assert found.checks
    assert overload.table(found)
