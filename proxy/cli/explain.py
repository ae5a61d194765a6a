"""`ringfence explain`: the verdict on a request, without sending it"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from proxy.cli._settings import config_option, settings_from
from proxy.core.errors import Unreadable


@click.command("explain")
@click.argument("request_file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--key-id", required=True, help="Whose request it is: an id of `ringfence keys list`.")
@click.option(
    "--path", default="/v1/chat/completions", show_default=True, help="The path that it would be sent to."
)
@click.option("--at", type=click.DateTime(), help="Judge as of this time (UTC) instead of now.")
@config_option
@click.pass_context
def command(
    ctx: click.Context,
    request_file: Path,
    key_id: str,
    path: str,
    at: datetime | None,
    config: Path | None,
) -> None:
    """Judge the request body in REQUEST_FILE (JSON) and show every finding.

    Uses the policies, attestations and catalogue of the configuration; sends and records nothing.
    Exits with 0 when it would be allowed and 1 when it would be refused.
    """
    from proxy.explaining import explained

    moment = at.replace(tzinfo=UTC) if at else datetime.now(UTC)
    try:
        verdict = explained(settings_from(config), request_file.read_bytes(), path, key_id=key_id, at=moment)
    except Unreadable as unread:
        raise click.ClickException(f"{unread.code}: {unread.detail}") from None
    click.echo(verdict.text)
    ctx.exit(0 if verdict.allowed else 1)
