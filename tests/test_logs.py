"""The log: safe JSON lines, listed fields only, and never what a client sent."""

from __future__ import annotations

import ast
import asyncio
import gc
import io
import json
import logging
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy import logs

CANARY = "CANARY-7f3a"
PACKAGE = Path(__file__).parent.parent / "proxy"


@pytest.fixture
def out() -> Iterator[io.StringIO]:
    """The stream that the log goes to; everything that `set_up` changes is put back afterwards."""
    root = logging.getLogger()
    kept = (root.handlers[:], root.level, sys.excepthook, sys.unraisablehook, threading.excepthook)
    raise_exceptions = logging.raiseExceptions
    stream = io.StringIO()
    with warnings.catch_warnings():
        logs.set_up("debug", stream=stream)
        logs.dropped.clear()
        yield stream
    root.handlers[:], root.level = kept[0], kept[1]
    sys.excepthook, sys.unraisablehook, threading.excepthook = kept[2:]
    logging.raiseExceptions = raise_exceptions
    logging.captureWarnings(False)
    logging.getLogger("aiohttp.access").disabled = False
    logging.getLogger("aiohttp.internal").disabled = False
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_is_one_json_line_with_time_level_and_listed_fields(out: io.StringIO) -> None:
    logs.logger().warning("policy_reloaded", policy="eu-only", count=3)
    (line,) = lines(out)
    assert line["time"].endswith("+00:00")
    assert {**line, "time": ""} == {
        "time": "", "level": "warning", "event": "policy_reloaded", "policy": "eu-only", "count": 3,
    }  # fmt: skip


def test_a_field_that_is_not_listed_is_dropped_and_counted(out: io.StringIO) -> None:
    logs.logger().error("refused", prompt=CANARY, headers=CANARY, reason="unknown_model")
    assert CANARY not in out.getvalue()
    assert lines(out)[0]["reason"] == "unknown_model"
    assert logs.dropped == {"field": 2}


@pytest.mark.parametrize("value", [{"a": CANARY}, CANARY.encode(), [1, CANARY], 1e999, OSError(CANARY)])
def test_a_value_that_is_not_plain_is_dropped_and_counted(out: io.StringIO, value: object) -> None:
    logs.logger().error("refused", source=value)
    assert CANARY not in out.getvalue()
    assert "source" not in lines(out)[0]
    assert logs.dropped == {"value": 1}


@pytest.mark.parametrize("event", [f"could not serve {CANARY}", "Upper", "", CANARY, "x" * 60, 5])
def test_an_event_without_a_fixed_name_keeps_only_its_fields(out: io.StringIO, event: Any) -> None:
    logs.logger().error(event, code="internal")
    assert CANARY not in out.getvalue()
    assert (lines(out)[0]["event"], lines(out)[0]["code"]) == ("unnamed", "internal")
    assert logs.dropped == {"event": 1}


def test_long_text_is_cut(out: io.StringIO) -> None:
    logs.logger().info("mistake_found", mistake="x" * 10_000)
    assert len(lines(out)[0]["mistake"]) == logs.LONGEST_TEXT


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text())
def test_no_text_breaks_out_of_its_line(out: io.StringIO, text: str) -> None:
    out.seek(0)
    out.truncate()
    logs.logger().info("mistake_found", mistake=text)
    raw = out.getvalue()
    assert raw.count("\n") == 1
    assert raw.isascii()
    assert all(character >= " " for character in raw[:-1])
    assert lines(out)[0]["mistake"] == text[: logs.LONGEST_TEXT]


def test_levels_below_the_set_one_are_not_written(out: io.StringIO) -> None:
    logs.set_up("error", stream=out)
    logs.logger().warning("policy_reloaded")
    logs.logger().error("policy_broken")
    assert [line["event"] for line in lines(out)] == ["policy_broken"]


def test_a_library_message_keeps_its_place_and_loses_its_words(out: io.StringIO) -> None:
    logging.getLogger("aiohttp.client").error("could not send %s", CANARY)
    logging.getLogger("some.library").warning(f"saw {CANARY}", extra={"prompt": CANARY})
    assert CANARY not in out.getvalue()
    assert [(line["event"], line["logger"], line["level"]) for line in lines(out)] == [
        ("library_message", "aiohttp.client", "error"),
        ("library_message", "other", "warning"),
    ]


def test_an_exception_is_told_by_class_and_place_only(out: io.StringIO) -> None:
    try:
        raise ConnectionResetError(104, CANARY)
    except ConnectionResetError:
        logging.getLogger("asyncio").exception("task failed: %r", CANARY)
    (line,) = lines(out)
    assert CANARY not in out.getvalue()
    assert (line["error"], line["errno"]) == ("ConnectionResetError", 104)
    assert line["trace"][-1].endswith(":test_an_exception_is_told_by_class_and_place_only")


def test_warnings_go_through_the_log_without_their_words(out: io.StringIO) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        warnings.warn(CANARY, ResourceWarning, stacklevel=1)
    assert CANARY not in out.getvalue()
    assert lines(out)[0]["logger"] == "py.warnings"


async def test_what_asyncio_says_of_a_lost_task_keeps_no_content(out: io.StringIO) -> None:
    asyncio.get_running_loop().call_exception_handler(
        {"message": CANARY, "exception": RuntimeError(CANARY), "prompt": CANARY}
    )
    assert CANARY not in out.getvalue()
    assert lines(out)[0]["error"] == "RuntimeError"


@pytest.mark.parametrize(
    "sent",
    [
        f"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {CANARY}\r\n bad fold\x00: {CANARY}\r\n\r\n",
        f"{CANARY} {CANARY} {CANARY}\r\n\r\n",
        f"GET /{CANARY}\x01 HTTP/1.1\r\nHost: x\r\n\r\n",
        f"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: {CANARY}\r\n\r\n",
    ],
)
async def test_a_head_that_cannot_be_parsed_is_logged_without_its_bytes(out: io.StringIO, sent: str) -> None:
    async def answer(_request: web.BaseRequest) -> web.Response:
        return web.Response()

    server = web.Server(answer)
    runner = web.ServerRunner(server)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent.encode())
    await reader.read()
    writer.close()
    await runner.cleanup()
    assert CANARY not in out.getvalue()
    assert [line["event"] for line in lines(out)] in (["head_unreadable"], [])


async def test_an_answer_that_fails_is_an_error_without_its_words(out: io.StringIO) -> None:
    async def answer(_request: web.BaseRequest) -> web.Response:
        raise RuntimeError(CANARY)

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    reader, writer = await asyncio.open_connection("127.0.0.1", runner.addresses[0][1])
    writer.write(f"GET /{CANARY} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    await reader.read()
    writer.close()
    await runner.cleanup()
    assert CANARY not in out.getvalue()
    assert [(line["event"], line["error"]) for line in lines(out)] == [("answer_failed", "RuntimeError")]


def test_an_uncaught_exception_is_told_without_its_words(out: io.StringIO) -> None:
    error = RuntimeError(CANARY)
    sys.excepthook(RuntimeError, error, None)
    thread = threading.Thread(target=_raise)
    thread.start()
    thread.join()
    assert CANARY not in out.getvalue()
    assert [line["event"] for line in lines(out)] == ["uncaught", "uncaught"]


def test_an_exception_in_a_finaliser_is_told_without_its_words(out: io.StringIO) -> None:
    class Finalised:
        def __del__(self) -> None:
            raise RuntimeError(CANARY)

    before = sys.unraisablehook
    made = Finalised()
    del made
    gc.collect()
    assert sys.unraisablehook is before
    assert CANARY not in out.getvalue()
    # What other tests left for the collector may be told as well.
    assert "uncaught" in [line["event"] for line in lines(out)]


def _raise() -> None:
    raise RuntimeError(CANARY)


def test_no_listed_field_is_named_like_content() -> None:
    content = {"prompt", "body", "message", "messages", "headers", "key", "authorization", "url", "query"}
    assert not content & set(logs.FIELDS)


def logged() -> Iterator[tuple[str, ast.Call]]:
    """Every call of the log in the package: `logger().level(...)`, or a method of a name bound to it."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in logs.LEVELS
                and ast.unparse(node.func.value) in ("logger()", "logs.logger()", "log")
            ):
                yield f"{path.name}:{node.lineno}", node


def test_every_line_that_is_logged_has_a_fixed_name_and_listed_fields() -> None:
    found = dict(logged())
    assert found
    for place, call in found.items():
        unlisted = {word.arg for word in call.keywords if word.arg} - set(logs.FIELDS)
        assert not unlisted, f"{place}: list {unlisted} in proxy/logs.py, or log something else"
        (event,) = call.args
        if isinstance(event, ast.Constant):
            assert logs.EVENT.fullmatch(str(event.value)), place
