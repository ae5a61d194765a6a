"""`ringfence demo`: play the story against a simulated gateway"""

from __future__ import annotations

import sys
from pathlib import Path

import click

SHARED = "share/ringfence/policies"
"""Where an installation may keep the examples, below its prefix; the container image does."""


@click.command("demo")
@click.option("--once", is_flag=True, help="End after the story instead of serving on.")
@click.option("--port", default=8080, show_default=True, help="Port of the proxy; 0 takes any free one.")
@click.option(
    "--policies",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=lambda: _examples(),
    show_default="policies",
    help="Folder with the example policies; without one here, those that were installed.",
)
@click.pass_context
def command(ctx: click.Context, once: bool, port: int, policies: Path) -> None:
    """Start the Opper simulator and the proxy, play the story, and check each verdict.

    Exits with 1 when a verdict comes out otherwise than the story tells. Nothing leaves this machine.
    """
    from proxy.demo import play
    from proxy.demo_stage import Unexpected

    try:
        ctx.exit(play(policies, click.echo, port=0 if once else port, once=once))
    except Unexpected as unexpected:
        raise click.ClickException(str(unexpected)) from None


def _examples() -> str:
    installed = Path(sys.prefix) / SHARED
    return str(installed) if installed.is_dir() and not Path("policies").is_dir() else "policies"
