"""structlog set-up, allow-listed keys only

One JSON object per line on standard error. An event has a fixed name and fields from a fixed list; what
is not on the list is dropped and counted. What libraries log is reduced to where it came from and which
exception it was, because their messages quote what clients sent.
"""

from __future__ import annotations

import json
import logging
import math
import re
import sys
import threading
import traceback
import warnings
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger
from typing_extensions import override

FIELDS: Mapping[str, str] = {
    "active": "Revision that stays in force.",
    "actor": "Pseudonym of who asked.",
    "admin_port": "Port of the admin server.",
    "attempt": "Number of an attempt.",
    "bytes": "Bytes counted.",
    "catalogue": "Digest of the catalogue.",
    "code": "Reason code.",
    "column": "Column in a file of the operator's.",
    "confirmation": "What the gateway said about who served.",
    "connections": "Open client connections.",
    "count": "How many.",
    "decision_id": "Identifier of a decision; also in its record and its answer.",
    "dialect": "SDK dialect.",
    "duration_ms": "Milliseconds.",
    "effect": "allow or deny.",
    "end": "How an answer ended.",
    "error": "Class of an exception.",
    "errno": "Number of an operating system error.",
    "file": "File of the operator's.",
    "host": "Address that is listened on or connected to, from the settings.",
    "key_id": "Identifier of a caller key; never the key.",
    "line": "Line in a file of the operator's.",
    "log": "Identifier of an audit log.",
    "logger": "Library that logged.",
    "mistake": "What is wrong in a file of the operator's.",
    "operation": "Operation of a dialect.",
    "organisation": "Organisation of a caller.",
    "pid": "Number of an operating system process.",
    "policies": "How many policies are in force, or which.",
    "policy": "Identifier of a policy.",
    "port": "Port that is listened on.",
    "project": "Project of a caller.",
    "reason": "Reason code.",
    "revision": "Digest of what decisions rest on.",
    "route": "A route of the catalogue.",
    "routes": "How many routes.",
    "scope": "Scope of a limit.",
    "seq": "Number of an audit record.",
    "setting": "Name of a setting.",
    "signal": "Name of an operating system signal.",
    "sink": "Name of an audit sink.",
    "source": "Where something was read.",
    "state": "State that something is in now.",
    "status": "HTTP status.",
    "trace": "Places in our code and libraries, innermost last.",
    "unsafe": "Settings in force that weaken the promise.",
    "version": "Version of the product or of a library.",
    "where": "Place in the code.",
    "worker": "Number of a worker.",
    "workers": "How many workers.",
}
"""Every field that a log line may have beside `time`, `level` and `event`, and what it means."""

LONGEST_TEXT = 400
LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}

EVENT = re.compile(r"[a-z][a-z0-9_]{2,47}")
_LIBRARIES = ("aiohttp.server", "aiohttp.client", "aiohttp", "asyncio", "py.warnings", "concurrent", "uvloop")
_UNREADABLE = ("BadHttpMessage", "HttpProcessingError", "BadStatusLine", "BadHttpMethod", "InvalidHeader",
               "LineTooLong", "TransferEncodingError", "ContentLengthError", "InvalidURLError")  # fmt: skip
_FRAMES = 6

dropped: Counter[str] = Counter()
"""What was kept out of the log: `field`, `value`, `event`."""


def set_up(level: str = "info", *, stream: TextIO | None = None) -> None:
    """Sends what the program and its libraries log to `stream` (standard error) as safe JSON lines."""
    out = stream if stream is not None else sys.stderr
    structlog.configure(
        processors=[structlog.processors.add_log_level, allowed_only, one_line],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(out),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers[:] = [Reduced()]
    root.setLevel(logging.WARNING)
    for name in ("aiohttp.access", "aiohttp.internal"):
        logging.getLogger(name).disabled = True
    logging.raiseExceptions = False
    logging.captureWarnings(True)
    warnings.simplefilter("default", ResourceWarning)
    sys.excepthook = _uncaught
    sys.unraisablehook = _unraisable
    threading.excepthook = _uncaught_in_thread


def logger() -> FilteringBoundLogger:
    """The log: `logger().warning("event_name", field=value)`; fields not in `FIELDS` are dropped."""
    found: FilteringBoundLogger = structlog.get_logger()
    return found


def allowed_only(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Keeps the fields that are listed, if their values are plain; counts what it drops."""
    kept: EventDict = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "level": event["level"]}
    name = event.get("event")
    if isinstance(name, str) and EVENT.fullmatch(name):
        kept["event"] = name
    else:
        dropped["event"] += 1
        kept["event"] = "unnamed"
    for field, value in event.items():
        if field in ("event", "level"):
            continue
        if field not in FIELDS:
            dropped["field"] += 1
        elif (plain := _plain(value)) is not None:
            kept[field] = plain
        elif value is not None:
            dropped["value"] += 1
    return kept


def one_line(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    """JSON in ASCII: no line break, control or bidirectional character can stand in a line as itself."""
    return json.dumps(event, ensure_ascii=True, separators=(",", ":"))


def _plain(value: object) -> object:
    if isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, str):
        return str(value)[:LONGEST_TEXT]
    if isinstance(value, list | tuple) and all(isinstance(part, str) for part in value):
        return [part[:LONGEST_TEXT] for part in value[:20]]
    return None


class Reduced(logging.Handler):
    """Turns what a library logs into one of our events, without its message and arguments."""

    @override
    def emit(self, record: logging.LogRecord) -> None:
        library = next((name for name in _LIBRARIES if record.name.startswith(name)), "other")
        error = record.exc_info[1] if record.exc_info else None
        if library == "aiohttp.server":
            # Heads that cannot be parsed are the client's doing, and counted as rejects; the rest is ours.
            if type(error).__name__ in _UNREADABLE:
                logger().info("head_unreadable", error=type(error).__name__)
                return
            event = "answer_failed"
        else:
            event = "library_message"
        log = logger().error if record.levelno >= logging.ERROR else logger().warning
        log(event, logger=library, where=f"{record.module}:{record.lineno}", **describe(error))


def describe(error: BaseException | None) -> dict[str, object]:
    """Fields that say which exception it was and where it came from, without its arguments or message."""
    if error is None:
        return {}
    found: dict[str, object] = {"error": type(error).__name__, "trace": _places(error.__traceback__)}
    if isinstance(error, OSError) and error.errno is not None:
        found["errno"] = error.errno
    return found


def _places(tb: TracebackType | None) -> list[str]:
    # Source lines are not looked up: that would read files on the event loop.
    frames = traceback.StackSummary.extract(traceback.walk_tb(tb), lookup_lines=False)[-_FRAMES:]
    return [f"{'/'.join(frame.filename.rsplit('/', 2)[-2:])}:{frame.lineno}:{frame.name}" for frame in frames]


def _uncaught(_kind: type[BaseException], error: BaseException, _tb: TracebackType | None) -> None:
    if not isinstance(error, KeyboardInterrupt):
        logger().error("uncaught", **describe(error))


def _unraisable(args: Any) -> None:
    logger().error("uncaught", **describe(args.exc_value))


def _uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
    logger().error("uncaught", **describe(args.exc_value))
