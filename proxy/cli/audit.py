"""read, follow and verify the audit log"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import click
from typing_extensions import override

from proxy.access import require_open
from proxy.cli._audit_proof import check_proof, written_proof
from proxy.cli._audit_prune import Period, run_prune
from proxy.cli._audit_text import HEAD, details, line, request_cells
from proxy.cli._audit_verify import run_verify
from proxy.cli._settings import config_option, settings_from
from proxy.cli._table import print_table
from proxy.stores.reader import Entry, Reader
from proxy.stores.wanted import Wanted

F = TypeVar("F", bound=Callable[..., object])
_COUNT = click.IntRange(0, 1_000_000_000)

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class Moment(click.ParamType[str]):
    """A time in UTC, or an age such as 15m, 2h, 7d."""

    name = "time"

    @override
    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The time as records write it."""
        text = str(value)
        try:
            at = _ago(text) or datetime.fromisoformat(text.removesuffix("Z"))
            if at.tzinfo is not None:
                at = at.astimezone(UTC)
        except (ValueError, OverflowError):
            self.fail(
                f"{text!r} is neither 2026-03-01T12:30:00 (UTC) nor an age such as 15m, 2h, 7d", param, ctx
            )
        return at.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _ago(text: str) -> datetime | None:
    if text[-1:] in _UNITS and text[:-1].isdecimal():
        return datetime.now(UTC) - timedelta(**{_UNITS[text[-1]]: int(text[:-1])})
    return None


def place_options(command: F) -> F:
    """--data-dir and --config: where the logs are."""
    folder = click.option(
        "--data-dir",
        type=click.Path(path_type=Path, file_okay=False),
        help="The proxy's data folder; else the configuration's.",
    )
    return folder(config_option(command))


_FILTERS: tuple[Callable[[Any], Any], ...] = (
    click.option("--effect", type=click.Choice(["allow", "deny"]), help="Only this verdict."),
    click.option("--reason", help="Only this reason code."),
    click.option("--model", help="Only this model id."),
    click.option("--project", help="Only this project."),
    click.option("--end", help="Only requests that ended so: complete, client_gone, unknown_crash, ..."),
    click.option("--since", type=Moment(), help="From this time (UTC) or age (2h) on."),
    click.option("--until", type=Moment(), help="Before this time (UTC) or age."),
    click.option("--json", "as_json", is_flag=True, help="The records themselves, one line of JSON each."),
)


def filter_options(command: F) -> F:
    """The filters that `list` and `tail` share."""
    for option in reversed(_FILTERS):
        command = option(command)
    return command


@click.group(name="audit")
def command() -> None:
    """Read, follow and verify the audit log. Times are UTC."""


@command.command(name="list")
@place_options
@filter_options
@click.option("--kind", multiple=True, help="Records of this kind instead of requests; repeatable.")
@click.option(
    "--limit", "-n", type=_COUNT, default=50, show_default=True, help="At most so many, newest first."
)
def list_records(
    data_dir: Path | None,
    config: Path | None,
    kind: tuple[str, ...],
    limit: int,
    as_json: bool,
    **filters: str | None,
) -> None:
    """Requests, newest first: verdict, reason, and how they ended.

    With --kind, the records of that kind as they stand in the log.
    """
    reader = _reader(_folder(data_dir, config))
    if kind:
        _show_all(islice(reader.select(Wanted(kinds=kind, **filters), newest_first=True), limit), as_json)
        return
    found = list(islice(_requests(reader, filters), limit))
    if as_json:
        _show_all((entry for pair in found for entry in pair if entry is not None), as_json)
    elif found:
        print_table(HEAD, [_cells(asked, ended) for asked, ended in found], widest=40)
    else:
        click.echo("No request fits.", err=True)


@command.command()
@place_options
@filter_options
@click.option("--kind", multiple=True, help="Only this kind of record; repeatable.")
@click.option(
    "--lines", "-n", type=_COUNT, default=10, show_default=True, help="So many of the last records first."
)
@click.option("--follow", "-f", is_flag=True, help="Keep showing what comes.")
def tail(
    data_dir: Path | None,
    config: Path | None,
    kind: tuple[str, ...],
    lines: int,
    follow: bool,
    as_json: bool,
    **filters: str | None,
) -> None:
    """The last records, oldest first; with -f also those to come."""
    reader = _reader(_folder(data_dir, config))
    wanted = Wanted(kinds=kind, **filters)
    known = reader.sizes()
    last = list(islice(reader.select(wanted, newest_first=True), lines))
    _show_all(reversed([entry for entry in last if entry.seq < known.get(str(entry.log), 0)]), as_json)
    while follow:
        for entry in reader.after(known, 500):
            known[str(entry.log)] = entry.seq + 1
            if wanted.fits(entry.record):
                _show(entry, as_json)
        time.sleep(0.2)  # noqa: TID251 - a command by itself, without an event loop


@command.command()
@place_options
@click.argument("identifier", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="The records themselves, one line of JSON each.")
def show(data_dir: Path | None, config: Path | None, identifier: str, as_json: bool) -> None:
    """Everything recorded about a request.

    ID is the decision id that the caller was given, a record's own id, or LOG#NUMBER.
    """
    folder = _folder(data_dir, config)
    entries = _reader(folder).find(identifier)
    if not entries:
        raise click.ClickException(f"Nothing is recorded under {identifier} in {folder}.")
    for entry in entries:
        _show(entry, as_json, details)


@command.command()
@place_options
@click.argument("files", nargs=-1, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--key", "key_file", type=click.Path(path_type=Path, exists=True), help="File with the verifier key."
)
@click.option(
    "--checkpoint",
    "anchors",
    multiple=True,
    type=click.Path(path_type=Path, exists=True),
    help="File with a signed checkpoint that was kept elsewhere; repeatable.",
)
@click.option("--json", "as_json", is_flag=True, help="The report as JSON.")
def verify(
    data_dir: Path | None,
    config: Path | None,
    files: tuple[Path, ...],
    key_file: Path | None,
    anchors: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Check that no record was changed, dropped or reordered.

    FILES are logs (.sqlite) or exports (JSON Lines); without any, all logs of the data folder. Says also
    what was not checked. Exit codes: 0 proven, 1 violation, 2 incomplete.
    """
    folder = Path() if files else _folder(data_dir, config)
    raise SystemExit(run_verify(folder, files, key_file=key_file, anchors=anchors, as_json=as_json))


@command.command()
@place_options
@click.option("--log", "only", help="Only this log.")
def export(data_dir: Path | None, config: Path | None, only: str | None) -> None:
    """Write every record as one line of JSON, log by log: a file that `verify` takes."""
    reader = _reader(_folder(data_dir, config))
    known = {str(log): 0 for log in reader.logs()}
    if only is not None and only not in known:
        raise click.ClickException(f"There is no log {only}. There are: {', '.join(known)}.")
    out = sys.stdout.buffer
    while batch := reader.after(known, 500):
        for entry in batch:
            known[str(entry.log)] = entry.seq + 1
            if only in (None, str(entry.log)):
                out.write(entry.body + b"\n")


@command.command()
@place_options
@click.argument("identifier", metavar="ID")
def proof(data_dir: Path | None, config: Path | None, identifier: str) -> None:
    """Write a proof that one record is in the log, for `check-proof`.

    ID is a record's own id, LOG#NUMBER, or a decision id under which one record stands. The text is of the
    form c2sp.org/tlog-proof@v1.
    """
    click.echo(written_proof(_reader(_folder(data_dir, config)), identifier), nl=False)


command.add_command(check_proof)


@command.command()
@place_options
@click.option("--keep", type=Period(), required=True, help="Keep what is younger than this, e.g. 400d.")
@click.option("--yes", "sure", is_flag=True, help="Delete; without it, only show what would go.")
@click.option("--unsafe-short", "short", is_flag=True, help="Allow --keep below 190 days.")
def prune(data_dir: Path | None, config: Path | None, keep: timedelta, sure: bool, short: bool) -> None:
    """Delete logs that are older than the retention period, and record which.

    Whole logs go, one per start of a writer, never the one that is being written, and none that was changed
    or that a sink still waits for. Their last signed heads stay, proofs of their records stay valid, and
    `verify` says what was pruned.
    """
    settings = settings_from(config)
    place = data_dir if data_dir is not None else settings.data_dir
    require_open(place)
    _reader(place / "audit").close()
    run_prune(settings, place, keep=keep, sure=sure, short=short)


def _folder(data_dir: Path | None, config: Path | None) -> Path:
    place = data_dir if data_dir is not None else settings_from(config).data_dir
    require_open(place)
    return place / "audit"


def _reader(folder: Path) -> Reader:
    reader = Reader(folder)
    if not reader.logs():
        raise click.ClickException(f"There is no audit log in {folder}. Is --data-dir right?")
    return reader


def _requests(reader: Reader, filters: dict[str, str | None]) -> Iterator[tuple[Entry, Entry | None]]:
    """Requests with their outcomes, newest first; found by their outcome when that is asked for."""
    end = filters.pop("end")
    if end is None:
        for asked in reader.select(Wanted(kinds=("intent", "refusal"), **filters), newest_first=True):
            yield asked, _other(reader, asked, "outcome") if asked.record["kind"] == "intent" else None
        return
    asked_for = Wanted(kinds=("intent",), **filters)
    for ended in reader.select(Wanted(kinds=("outcome",), end=end), newest_first=True):
        intent = _other(reader, ended, "intent")
        if intent is not None and asked_for.fits(intent.record):
            yield intent, ended


def _other(reader: Reader, entry: Entry, kind: str) -> Entry | None:
    record = entry.record
    found = reader.select(Wanted(kinds=(kind,), rid=str(record.get("rid"))))
    return next((other for other in found if other.record.get("attempt") == record.get("attempt")), None)


def _cells(asked: Entry, ended: Entry | None) -> tuple[str, ...]:
    try:
        return request_cells(asked, ended)
    except (KeyError, TypeError, AttributeError):
        # One record that was damaged must not hide the others.
        return ("-", "-", "not a record that can be read", "-", "-", "-", f"{asked.log}#{asked.seq}")


def _show_all(entries: Iterable[Entry], as_json: bool) -> None:
    for entry in entries:
        _show(entry, as_json)


def _show(entry: Entry, as_json: bool, form: Callable[[Entry], str] = line) -> None:
    if as_json:
        click.echo(entry.body.decode("utf-8", "replace"))
        return
    try:
        click.echo(form(entry))
    except (ValueError, LookupError, TypeError, AttributeError):
        # One record that was damaged must not hide the others.
        click.echo(f"{entry.log}#{entry.seq}: not a record that can be read; see `ringfence audit verify`")
