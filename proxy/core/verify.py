"""logs and signed heads -> what is proven, what is violated, what could not be checked

The verifier shares no code with the writer beyond the tree, the checkpoint format and the record schema. It
names the first bad record of each log, and says what it did not look at.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import orjson

from proxy.core.checkpoint import Checkpoint, VerifierKey, parse_checkpoint, parse_note
from proxy.core.errors import Untrusted
from proxy.core.verify_absent import Absent
from proxy.core.verify_report import LogReport, Report, Violation
from proxy.core.verify_walk import Export, Requests, Walk

__all__ = ["Export", "LogReport", "Report", "Violation", "records_of", "verify"]


def verify(
    exports: Iterable[Export],
    *,
    key: VerifierKey | None = None,
    anchored: Sequence[bytes] = (),
    left: Sequence[bytes] = (),
) -> Report:
    """Checks logs, ordered by writer and epoch.

    `anchored` are notes that were kept elsewhere, `left` those that lie where logs were deleted. The exports
    are read once, one after the other; memory grows with the requests, not with their size.
    """
    report, absent = Report(), Absent()
    heads = _anchored_heads(anchored, key, report)
    logs: dict[str, LogReport] = {}
    requests: dict[str, Requests] = {}
    last_of: dict[str, str] = {}
    for export in exports:
        writer = export.log.rpartition("/")[0]
        previous = logs.get(last_of.get(writer, ""))
        walk = Walk(export, requests.setdefault(writer, Requests()), previous, absent)
        outer = [head for head in heads if head.origin == export.log]
        logs[export.log] = walk.run([*_own_heads(export, key, report), *outer], report)
        last_of[writer] = export.log
        if walk.vouched is not None and logs[export.log].covered:
            # Its `open` record, itself under a signed head, states the size and root of the log before.
            logs[walk.vouched] = replace(logs[walk.vouched], covered=logs[walk.vouched].size)
    report.logs.extend(logs.values())
    _uncovered(report)
    behind = _anchored_heads(left, key, report)
    absent.settle(logs, [*((head, True) for head in heads), *((head, False) for head in behind)], report)
    _open_intents(requests, last_of, report)
    _always_unchecked(key, anchored, report)
    return report


def _uncovered(report: Report) -> None:
    if not report.logs:
        report.unchecked.append("there is no log here")
    for log in report.logs:
        if log.covered < log.size:
            left = log.size - log.covered
            report.unchecked.append(f"{log.log}: no valid signed head covers the last {left} records")


def _own_heads(export: Export, key: VerifierKey | None, report: Report) -> list[Checkpoint]:
    heads: list[Checkpoint] = []
    for raw in export.notes:
        try:
            head = _opened(raw, key)
        except Untrusted as error:
            report.violations.append(Violation(export.log, None, f"a signed head that came with it: {error}"))
            continue
        if head.origin != export.log:
            report.violations.append(
                Violation(export.log, None, f"a signed head that came with it is of {head.origin}")
            )
        elif key is not None:
            heads.append(head)
    return heads


def _anchored_heads(anchored: Sequence[bytes], key: VerifierKey | None, report: Report) -> list[Checkpoint]:
    heads: list[Checkpoint] = []
    for raw in anchored:
        try:
            heads.append(_opened(raw, key))
        except Untrusted as error:
            report.violations.append(Violation("", None, f"a checkpoint that was given: {error}"))
    return heads


def _opened(raw: bytes, key: VerifierKey | None) -> Checkpoint:
    note = parse_note(raw)
    return parse_checkpoint(note.text) if key is None else key.open(note)


def _open_intents(requests: Mapping[str, Requests], last_of: Mapping[str, str], report: Report) -> None:
    damaged = {violation.log.rpartition("/")[0] for violation in report.violations}
    for writer, held in requests.items():
        if writer in damaged:
            continue
        for (rid, _attempt), (log, seq) in held.open.items():
            if log == last_of[writer]:
                report.unchecked.append(
                    f"{log}#{seq}: request {rid} has no outcome yet; is the writer running?"
                )
            else:
                report.violations.append(Violation(log, seq, f"request {rid} never got an outcome"))


def _always_unchecked(key: VerifierKey | None, anchored: Sequence[bytes], report: Report) -> None:
    if key is None:
        report.unchecked.append("signatures: no verifier key was given")
    if not anchored:
        report.notes.append(
            "no checkpoint from elsewhere was given: who can write to this disk could have cut off the newest"
            " records and logs, and with the signing key rewritten all of this"
        )
    report.notes.append("not checked: that a decision was right, what the provider did, the writer's clock")


def records_of(lines: Iterable[bytes]) -> Iterator[tuple[str, int, bytes]]:
    """Log, number and bytes of each record of a JSON Lines export; raises Untrusted for a foreign line."""
    for number, line in enumerate(lines, 1):
        # An editor or a transfer may end lines in its own way; no record ends in white space.
        body = line.rstrip(b"\r\n")
        try:
            record = orjson.loads(body)
            yield str(record["log"]), int(record["seq"]), body
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
            raise Untrusted(f"line {number} is not an audit record") from None
