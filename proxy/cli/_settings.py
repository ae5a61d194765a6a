"""the --config option and what it leads to, shared by the commands"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from proxy.config import Settings

config_option = click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="Configuration file; else $RINGFENCE_CONFIG, else ./config.yaml, else the defaults.",
)


def settings_from(config: Path | None) -> Settings:
    """The settings that a command runs with. Raises `Mistakes` when they cannot be taken as written."""
    # Not above: `serve` hears signals only when the modules above it are loaded.
    from proxy.config import find_config, read_settings

    return read_settings(find_config(config, os.environ))
