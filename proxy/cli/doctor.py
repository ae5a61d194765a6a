"""`ringfence doctor`: check a set-up and say what to do"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import click
import orjson

from proxy.cli._settings import config_option, settings_from
from proxy.cli._table import printable
from proxy.config import find_config
from proxy.core.errors import Mistakes
from proxy.doctor import Finding, State, examine
from proxy.overrides import overrides


@click.command("doctor")
@config_option
@click.option("--offline", is_flag=True, help="Leave the gateway alone.")
@click.option("--json", "as_json", is_flag=True, help="As a JSON object, for programs.")
def command(config: Path | None, offline: bool, as_json: bool) -> None:
    """Check a set-up, running or not, and say what to do.

    One line per check: ok, warn or FAIL. Exit code 1 when a check fails. Sent to the gateway is a
    request for its model list, without content.
    """
    try:
        settings = settings_from(config)
    except Mistakes as group:
        found = [Finding("settings", State.FAIL, str(each), "Correct it there.") for each in group.found]
    else:
        found = asyncio.run(examine(settings, os.environ, at=datetime.now(UTC), offline=offline))
        found[:0] = _overridden(find_config(config, os.environ))
    click.echo(_json(found) if as_json else "\n".join(map(_line, found)))
    if any(each.state is State.FAIL for each in found):
        raise SystemExit(1)


def _overridden(file: Path | None) -> Iterator[Finding]:
    for variable, name in overrides(file, os.environ):
        says = f"the environment variable {variable} overrides {name}, which {file} sets otherwise"
        yield Finding("settings", State.WARN, says, f"Unless that is meant, unset it or take {name} out.")


def _line(found: Finding) -> str:
    text = f"{found.state.value:<5} {found.check:<15} {found.says}"
    return printable(f"{text}. {found.do}" if found.do else text)


def _json(found: list[Finding]) -> str:
    rows = [{"check": f.check, "state": f.state.value.lower(), "says": f.says, "do": f.do} for f in found]
    sound = all(each.state is not State.FAIL for each in found)
    return orjson.dumps({"ok": sound, "checks": rows}, option=orjson.OPT_INDENT_2).decode()
