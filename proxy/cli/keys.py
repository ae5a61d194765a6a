"""ringfence keys: create, adopt, list and revoke caller keys"""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import orjson

from proxy.access import require_open, require_own
from proxy.cli._settings import config_option, settings_from
from proxy.core.values import PolicyId
from proxy.keys import Entry, KeyFile, Scope, open_keys


@click.group("keys")
def command() -> None:
    """Create, adopt, list and revoke caller keys. Changes are in force within a second."""


def _scope_options(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--policy", "policies", multiple=True, metavar="ID", help="Bind a policy; repeatable."),
        click.option("--organisation", default="default", show_default=True, help="Who owns the project."),
        click.option("--project", required=True, help="The project that the key belongs to."),
    ):
        function = option(function)
    return function


@command.command()
@_scope_options
@config_option
def create(project: str, organisation: str, policies: tuple[str, ...], config: Path | None) -> None:
    """Make a new key and show it, once."""
    entry, secret = _keys(config).create(_scope(project, organisation, policies), at=datetime.now(UTC))
    click.echo(f"Key {entry.id} for project {entry.project}. It is shown only now; keep it safe.", err=True)
    click.echo(secret)


@command.command()
@_scope_options
@config_option
def adopt(project: str, organisation: str, policies: tuple[str, ...], config: Path | None) -> None:
    """Register a key that clients hold already, read from standard input."""
    scope = _scope(project, organisation, policies)
    entry = _keys(config).adopt(_secret_from_input(), scope, at=datetime.now(UTC))
    click.echo(f"Adopted as {entry.id} for project {entry.project}. Only its keyed hash was stored.")


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per key.")
@click.option("--all", "with_revoked", is_flag=True, help="Show revoked keys too.")
@config_option
def show(as_json: bool, with_revoked: bool, config: Path | None) -> None:
    """List the keys in force. Keys themselves are not stored and cannot be shown."""
    for entry in _keys(config, changes=False).entries():
        if with_revoked or not entry.revoked:
            click.echo(_json_line(entry) if as_json else _line(entry))


@command.command()
@click.argument("key_id", metavar="ID")
@config_option
def revoke(key_id: str, config: Path | None) -> None:
    """Take a key out of force."""
    entry = _keys(config).revoke(key_id, at=datetime.now(UTC))
    click.echo(f"Key {entry.id} of project {entry.project} is revoked.")


def _keys(config: Path | None, *, changes: bool = True) -> KeyFile:
    settings = settings_from(config)
    (require_own if changes else require_open)(settings.data_dir)
    return open_keys(settings.keys_file, settings.pepper_file, pepper_env=settings.keys.pepper_env)


def _scope(project: str, organisation: str, policies: tuple[str, ...]) -> Scope:
    return Scope(project, organisation, tuple(map(PolicyId, policies)))


def _secret_from_input() -> bytes:
    if sys.stdin.isatty():
        return str(click.prompt("Key", hide_input=True)).encode()
    given = sys.stdin.buffer.read(4096)
    return given.removesuffix(b"\n").removesuffix(b"\r")


def _line(entry: Entry) -> str:
    state = f"revoked {entry.revoked:%Y-%m-%d}" if entry.revoked else f"since {entry.created:%Y-%m-%d}"
    made = "adopted" if entry.adopted else "created"
    bound = ",".join(entry.policies) or "-"
    return f"{entry.id}  {entry.organisation}/{entry.project}  policies: {bound}  {made}, {state}"


def _json_line(entry: Entry) -> str:
    shown = entry.model_dump(mode="json", exclude={"fingerprint"})
    return orjson.dumps(shown).decode()
