"""deletes old audit logs on an operator's word"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import click
from typing_extensions import override

from proxy import ids
from proxy.cli._table import print_table
from proxy.config import Settings
from proxy.core.errors import JournalUnavailable
from proxy.journal import Program, audit_folder, load_own_signer
from proxy.retention import LEAST, Found, delete, survey
from proxy.spellings import read_duration
from proxy.wiring import version

_LONGEST = timedelta(days=36_525)


class Period(click.ParamType[timedelta]):
    """A period such as 400d."""

    name = "period"

    @override
    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """The period."""
        if isinstance(value, timedelta):
            return value
        try:
            period = timedelta(seconds=read_duration(value))
        except (ValueError, OverflowError) as error:
            self.fail(f"{value!r} {error}", param, ctx)
        if period > _LONGEST:
            self.fail(f"{value!r} is longer than a hundred years", param, ctx)
        return period


def run_prune(settings: Settings, data_dir: Path, *, keep: timedelta, sure: bool, short: bool) -> None:
    """Shows what is older than the period, and deletes it when the operator is sure."""
    if keep < LEAST and not short:
        raise click.UsageError(
            f"--keep is shorter than {LEAST.days} days, for which such logs may have to be kept by law. If"
            " that is not so for you, add --unsafe-short; the audit log will say so."
        )
    audit = settings.audit
    key = load_own_signer(audit, audit_folder(data_dir))
    found = survey(data_dir, key.verifier, before=ids.now() - keep)
    going = [each for each in found if not each.stays]
    _show(found)
    if not going:
        click.echo("Nothing to delete.")
    elif not sure:
        click.echo("Nothing was deleted. To delete these for good, add --yes.")
    else:
        program = Program(version(), ("prune.unsafe_short",) if keep < LEAST else ())
        try:
            asyncio.run(delete(going, audit, data_dir, keep=keep, program=program))
        except JournalUnavailable as error:
            raise click.ClickException(f"Nothing was deleted, as it cannot be recorded: {error}") from error
        click.echo(f"Deleted {len(going)} logs; what they were is recorded.")


def _show(found: list[Found]) -> None:
    if not found:
        return
    head = ("LOG", "RECORDS", "LAST RECORD (UTC)", "")
    rows = [
        (str(each.log), str(each.final.size), each.final.last[:19].replace("T", " "), _fate(each))
        for each in found
    ]
    print_table(head, rows, widest=200)


def _fate(each: Found) -> str:
    return f"stays: {each.stays}" if each.stays else "goes"
