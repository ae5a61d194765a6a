"""The runner can see: a bare pass-through leaks through it, and its parts notice what they should."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator

import pytest

from tests.bypass.cases import Wrong, _checked, expand, load
from tests.bypass.http1 import Message, Unframed, read, read_all
from tests.bypass.oracle import unapproved
from tests.bypass.passthrough import PassThrough
from tests.bypass.runner import run_all
from tests.bypass.upstream import Upstream

FIXTURE, CASES = load()
LEAST_LEAKS = 60


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    recording = Upstream()
    await recording.start()
    yield recording
    await recording.stop()


async def test_the_runner_sees_at_least_sixty_leaks_through_a_bare_pass_through(upstream: Upstream) -> None:
    subject = PassThrough(FIXTURE, upstream.port)
    await subject.start()
    try:
        results = await run_all(CASES, subject, upstream, fixture=FIXTURE)
    finally:
        await subject.stop()
    leaking = [result.case for result in results if result.leaks()]
    assert len(leaking) >= LEAST_LEAKS, Counter(case.family for case in leaking)
    assert {"JSN", "PTH", "RTE", "HDR", "MPT"} <= {case.family for case in leaking}
    served = {result.case.id for result in results if result.case.family == "CTL" and result.safe}
    assert {"CTL-001", "CTL-002", "CTL-003", "CTL-004", "CTL-005", "CTL-006", "CTL-009", "CTL-010"} <= served


def test_every_case_expands_to_the_bytes_that_it_states() -> None:
    assert len(CASES) == 174
    assert all(case.data for case in CASES)


def test_bytes_that_are_not_those_stated_are_not_sent() -> None:
    row = {"id": "X", "send": [{"bytes": [{"text": "a"}]}], "length": 1, "sha256": "00"}
    with pytest.raises(Wrong):
        _checked(row, CASES[0].steps)


def test_parts_expand_as_the_file_describes() -> None:
    assert expand([{"repeat": {"of": [{"text": "ab"}], "times": 2}}, {"hex": "00ff"}]) == b"abab\x00\xff"
    assert expand([{"chunked": [{"text": "x" * 26}]}]) == b"1a\r\n" + b"x" * 26 + b"\r\n0\r\n\r\n"
    assert expand([{"utf16le": "a"}, {"utf16be": "a"}]) == b"a\x00\x00a"


@pytest.mark.parametrize("data", [
    b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
    b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\nx",
    b"POST / HTTP/1.1\r\nA : b\r\n\r\n",
    b"POST / HTTP/1.1\nA: b\r\n\r\n",
    b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0_1\r\n",
])  # fmt: skip
def test_the_recorder_does_not_repair_what_is_not_http(data: bytes) -> None:
    with pytest.raises(Unframed):
        read(data, answers=False)


def test_answers_are_read_one_after_the_other() -> None:
    one = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
    two = b"HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n"
    found, rest = read_all(one + two, answers=True)
    assert [(each.status, each.body, each.whole) for each in found] == [
        (200, b"hi", True),
        (403, b"x", False),
    ]
    assert rest == b""


def _forwarded(body: bytes, *, target: str = "/v3/compat/chat/completions", media: bytes = b"") -> Message:
    headers = ((b"Content-Type", media),) if media else ()
    return Message(b"POST %s HTTP/1.1" % target.encode(), headers, body, True, 0)


@pytest.mark.parametrize("body", [
    b'{"model":"azure/gpt-5.5","model":"openai/gpt-5.5"}',
    b'{"model":"openai/gpt-5.5","model":"azure/gpt-5.5"}',
    b'{"model":"azure/gpt-5.5","MODEL":"openai/gpt-5.5"}',
    b'\xef\xbb\xbf{"model":"openai/gpt-5.5"}',
    '{"model":"openai/gpt-5.5"}'.encode("utf-16-le"),
    b'{"model":"azure/gpt-5.5"}{"model":"openai/gpt-5.5"}',
    b'{"model":"azure/gpt-5.5","model\\u0000":"openai/gpt-5.5"}',
    b'{"model":"azure/gpt-5.5","fallback_models":["openai/gpt-5.5"]}',
    b'{"model":["azure/gpt-5.5","x"]}',
    b'{"messages":[]}',
])  # fmt: skip
def test_the_oracle_sees_a_model_that_only_some_readers_see(body: bytes) -> None:
    assert unapproved(_forwarded(body), FIXTURE)


def test_the_oracle_lets_an_approved_model_pass_whatever_the_prompt_says() -> None:
    body = b'{"model":"azure\\/gpt-5.5","messages":[{"content":"{\\"model\\":\\"openai/gpt-5.5\\"}"}]}'
    assert not unapproved(_forwarded(body), FIXTURE)


def test_the_oracle_decodes_the_target_and_reads_forms() -> None:
    ok = b'{"model":"azure/gpt-5.5"}'
    assert unapproved(_forwarded(ok, target="/x?model=openai%252Fgpt-5.5"), FIXTURE)
    assert unapproved(_forwarded(b"{}", target="/v1beta/models/gemini-us-fixture:generateContent"), FIXTURE)
    form = b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nopenai/gpt-5.5\r\n--b--\r\n'
    assert unapproved(_forwarded(form, media=b"multipart/form-data; boundary=b"), FIXTURE)
