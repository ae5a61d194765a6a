"""hands logs and exports to the verifier, and prints what it found"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import orjson

from proxy.cli._audit_files import exports_of, misplaced
from proxy.core.checkpoint import VerifierKey
from proxy.core.errors import Untrusted
from proxy.core.verify import Report, verify


def run_verify(
    folder: Path, files: Sequence[Path], *, key_file: Path | None, anchors: Sequence[Path], as_json: bool
) -> int:
    """Verifies and prints; the exit code."""
    own_key = folder / "verifier.vkey"
    beside = key_file is None and not files and own_key.exists()
    chosen = own_key if beside else key_file
    try:
        key = None if chosen is None else VerifierKey.parse(chosen.read_text("utf-8"))
    except (Untrusted, UnicodeDecodeError) as error:
        raise click.ClickException(f"{chosen} is not a verifier key: {error}") from error
    left = () if files else _left_behind(folder)
    logs = files or sorted(folder.glob("*/*/*/*.sqlite"))
    report = _verified(logs, key, anchors, left)
    report.violations += () if files else misplaced(folder, logs)
    if beside:
        report.notes.append(
            f"the key was taken from {own_key}: give --key with a copy that you got elsewhere"
        )
    click.echo(_as_json(report) if as_json else "\n".join(_lines(report)))
    return report.exit_code


def _left_behind(folder: Path) -> list[bytes]:
    """The signed heads of logs that are gone."""
    heads = sorted(folder.glob("*/*/*/*.checkpoint"))
    return [head.read_bytes() for head in heads if not head.with_suffix(".sqlite").exists()]


def _verified(
    paths: Sequence[Path], key: VerifierKey | None, anchors: Sequence[Path], left: Sequence[bytes] = ()
) -> Report:
    unread = Report()
    exports = exports_of(paths, unread)
    report = verify(exports, key=key, anchored=[path.read_bytes() for path in anchors], left=left)
    report.violations.extend(unread.violations)
    report.unchecked.extend(unread.unchecked)
    return report


def _lines(report: Report) -> Iterator[str]:
    for log in report.logs:
        under = f"{log.covered} of them under {log.heads} signed heads"
        yield f"{log.log}: {log.size} records, {under}, root {log.root.hex()[:16]}"
    for violation in report.violations:
        place = violation.log if violation.seq is None else f"{violation.log}#{violation.seq}"
        yield f"VIOLATION  {place}: {violation.what}"
    for sentence in report.unchecked:
        yield f"UNCHECKED  {sentence}"
    for sentence in report.notes:
        yield f"note       {sentence}"
    yield ("proven", "violated", "incomplete")[report.exit_code]


def _as_json(report: Report) -> str:
    return orjson.dumps(
        {
            "verdict": ("proven", "violated", "incomplete")[report.exit_code],
            "logs": [
                {"log": e.log, "size": e.size, "root": e.root.hex(), "covered": e.covered, "heads": e.heads}
                for e in report.logs
            ],
            "violations": [{"log": v.log, "seq": v.seq, "what": v.what} for v in report.violations],
            "unchecked": report.unchecked,
            "notes": report.notes,
        }
    ).decode()
