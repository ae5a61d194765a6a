"""the --config option and what it leads to, shared by the commands"""

from __future__ import annotations

import os
from pathlib import Path

import click

from proxy.config import CONFIG_VARIABLE, Settings, find_config, read_settings

config_option = click.option(
    "--config",
    type=click.Path(path_type=Path),
    help=f"Configuration file; else ${CONFIG_VARIABLE}, else ./config.yaml, else the defaults.",
)


def settings_from(config: Path | None) -> Settings:
    """The settings that a command runs with. Raises `Mistakes` when they cannot be taken as written."""
    return read_settings(find_config(config, os.environ))
