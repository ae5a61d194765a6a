"""`ringfence serve`: run the proxy"""

from __future__ import annotations

from pathlib import Path

import click

from proxy.cli._settings import config_option, settings_from
from proxy.stops import leave_when_told


@click.command("serve")
@config_option
@click.option("--workers", type=click.IntRange(min=1), help="Worker processes; overrides the setting.")
@click.option("--ports-file", type=click.Path(path_type=Path), help="Write the ports in use to this file.")
def command(config: Path | None, workers: int | None, ports_file: Path | None) -> None:
    """Serve clients until SIGTERM, then let open answers end.

    SIGHUP looks at policies, attestations, keys and catalogue again; they are looked at twice a
    second anyway. A second SIGTERM cuts what is still open.
    """
    leave_when_told()
    from proxy.serving import serve

    settings = settings_from(config)
    if workers is not None:
        settings = settings.model_copy(update={"workers": workers})
    serve(settings, ports_file)
