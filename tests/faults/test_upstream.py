"""A gateway that breaks off, stalls, lies about its lengths or answers too much."""

from __future__ import annotations

import gzip
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.faults.kit import Broken, ask, broken, code, holds, outcomes, status
from tests.faults.measure import resident

LIMITS: dict[str, Any] = {
    "gateway": {"first_byte_timeout": "1s", "between_events_timeout": "1s", "connect_timeout": "1s"}
}


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broken]:
    with broken(tmp_path_factory.mktemp("upstream") / "proxy", config=LIMITS) as stage:
        yield stage
        stage.forget()
        holds(stage)


@pytest.fixture
def stage(proxy: Broken) -> Iterator[Broken]:
    proxy.forget()
    yield proxy
    proxy.forget()


async def _healthy(stage: Broken) -> None:
    """The next request is served as if nothing had been."""
    stage.forget()
    deadline = time.monotonic() + 15
    while status(await ask(stage)) != 200:
        assert time.monotonic() < deadline


@pytest.mark.fault("F16")
@pytest.mark.parametrize("kind", ["reset", "close"])
async def test_a_connection_cut_before_the_head_is_502_after_one_attempt(stage: Broken, kind: str) -> None:
    stage.fault(kind, after=-1)
    answered = await ask(stage)
    assert (status(answered), code(answered)) == (502, "upstream_broke_off")
    assert len(stage.seen) == 1
    assert outcomes(stage)[-1]["end"] == "upstream_reset"
    await _healthy(stage)


@pytest.mark.fault("F17")
async def test_a_stream_cut_in_the_middle_never_looks_whole(stage: Broken) -> None:
    stage.fault("reset", after=200)
    answered = await ask(stage, stream=True, text="[[words:60]]")
    assert status(answered) == 200
    assert not answered.answers[0].whole
    outcome = outcomes(stage)[-1]
    assert outcome["end"] == "upstream_reset"
    assert 0 < outcome["bytes"] <= 200


@pytest.mark.fault("F18")
async def test_a_gateway_that_never_answers_is_504_at_the_limit(stage: Broken) -> None:
    stage.fault("stall", after=-1)
    begun = time.monotonic()
    answered = await ask(stage)
    assert (status(answered), code(answered)) == (504, "upstream_timeout")
    assert 0.8 < time.monotonic() - begun < 5
    assert outcomes(stage)[-1]["end"] == "timeout"
    await _healthy(stage)


@pytest.mark.fault("F19")
async def test_silence_between_events_ends_a_stream_and_a_slow_one_may_take_its_time(stage: Broken) -> None:
    stage.fault("stall", after=300)
    broken_off = await ask(stage, stream=True, text="[[words:60]]")
    assert not broken_off.answers[0].whole
    assert outcomes(stage)[-1]["end"] == "timeout"
    stage.forget()
    stage.fault("trickle", delay_ms=8)
    begun = time.monotonic()
    slow = await ask(stage, text="hi")
    assert status(slow) == 200
    assert slow.answers[0].whole
    assert time.monotonic() - begun > 1.2  # longer than any single limit


@pytest.mark.fault("F28")
async def test_a_pooled_connection_that_was_closed_is_not_used_for_the_next_request(stage: Broken) -> None:
    for _ in range(5):
        assert status(await ask(stage)) == 200
        stage.on_loop(_close_idle(stage))
    assert len(stage.seen) == 5


async def _close_idle(stage: Broken) -> None:
    for runner in stage.simulator._runners:
        for connection in runner.server.connections if runner.server else ():
            if connection.transport is not None:
                connection.transport.close()


LIES = [
    "length_too_long", "two_lengths", "length_and_chunked", "length_not_a_number", "bad_chunk_size",
    "chunk_without_end", "huge_chunk_size", "long_header", "many_headers", "header_without_end",
    "header_with_nul", "not_http", "empty",
]  # fmt: skip


@pytest.mark.fault("F29")
@pytest.mark.parametrize("preset", LIES)
async def test_an_answer_that_lies_about_its_shape_is_never_a_whole_one(stage: Broken, preset: str) -> None:
    before = resident(stage)
    stage.fault("raw", preset=preset)
    answered = await ask(stage)
    if status(answered) == 200:
        assert not answered.answers[0].whole
    else:
        assert status(answered) in (502, 504)
    assert resident(stage) - before < 64 << 20
    await _healthy(stage)


@pytest.mark.fault("F29")
async def test_a_head_with_bare_line_feeds_is_framed_anew_or_refused(stage: Broken) -> None:
    stage.fault("raw", preset="bare_line_feeds")
    answered = await ask(stage)
    assert status(answered) in (200, 502)
    if status(answered) == 200:
        assert answered.answers[0].body == b'{"object":"chat.completion"}'
        assert b"\n" not in answered.raw.replace(b"\r\n", b"")
    await _healthy(stage)


@pytest.mark.fault("F29")
async def test_a_gzip_bomb_is_passed_on_packed(stage: Broken) -> None:
    bomb = gzip.compress(bytes(64 << 20), 1, mtime=0)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\n"
    before = resident(stage)
    stage.fault("raw", data=(head + b"Content-Length: %d\r\n\r\n%s" % (len(bomb), bomb)).decode("latin-1"))
    answered = await ask(stage)
    assert status(answered) == 200
    assert answered.answers[0].body == bomb
    assert resident(stage) - before < 32 << 20


@pytest.mark.fault("F30")
@pytest.mark.parametrize("preset", ["informational_flood", "switching"])
async def test_interim_answers_without_end_and_upgrades_are_502(stage: Broken, preset: str) -> None:
    stage.fault("raw", preset=preset)
    assert status(await ask(stage)) == 502
    await _healthy(stage)


@pytest.mark.fault("F30")
@pytest.mark.parametrize("preset", ["no_content_with_body", "second_answer", "length_too_short"])
async def test_bytes_after_an_answer_reach_nobody(stage: Broken, preset: str) -> None:
    stage.fault("raw", preset=preset)
    first = await ask(stage)
    assert status(first) in (200, 204, 502)
    second = await ask(stage, text="[[say:mine]]")
    assert status(second) == 200
    assert b"mine" in second.answers[0].body


@pytest.mark.fault("F31")
@pytest.mark.parametrize("number", [429, 529, 503])
async def test_a_busy_gateway_is_passed_on_and_not_asked_again(stage: Broken, number: int) -> None:
    stage.fault("status", status=number, retry_after="7")
    answered = await ask(stage)
    assert status(answered) == number
    assert answered.answers[0].all(b"retry-after") == [b"7"]
    assert code(answered) == ""
    assert len(stage.seen) == 1


@pytest.mark.fault("F27")
async def test_a_gateway_that_stands_still_is_noticed_by_the_limit(stage: Broken) -> None:
    assert status(await ask(stage)) == 200  # a pooled connection now waits
    stage.fault("stall", after=-1)
    assert status(await ask(stage)) == 504
    assert len(stage.seen) == 2
    await _healthy(stage)


@pytest.mark.fault("F32")
async def test_a_gateway_that_keeps_failing_is_left_alone_for_a_while(tmp_path: Any) -> None:
    with broken(tmp_path / "proxy", config=LIMITS) as stage:
        stage.fault("reset", after=-1, times=-1)
        assert code(await ask(stage)) == "upstream_broke_off"
        while code(await ask(stage)) != "upstream_unreachable":
            pass  # it has to fail for a while, not for a moment
        tried = len(stage.seen)
        answers = [code(await ask(stage)) for _ in range(20)]
        probes = 20 - answers.count("upstream_unreachable")  # one for each pause that passed meanwhile
        assert probes < 20
        assert len(stage.seen) == tried + probes
        await _healthy(stage)
        holds(stage)
