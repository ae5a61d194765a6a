"""ringfence config: check what is written, show what is in force, print an example"""

from __future__ import annotations

import os
from pathlib import Path

import click

from proxy.cli._settings import config_option, settings_from
from proxy.config import Settings, find_config, read_gateway_keys, read_settings
from proxy.config_text import example as example_text
from proxy.config_text import shown
from proxy.overrides import overrides


@click.group("config")
def command() -> None:
    """Check what is written, show what is in force, print an example."""


@command.command()
@click.option("--secrets", is_flag=True, help="Also check that every secret referred to can be had.")
@config_option
def check(secrets: bool, config: Path | None) -> None:
    """Report every mistake in the file and the environment, and which variables override the file."""
    settings = settings_from(config)
    if secrets:
        read_gateway_keys(settings.gateway)
    found = find_config(config, os.environ)
    click.echo(f"{found if found is not None else 'The defaults'}: no mistakes.")
    for variable, name in overrides(found, os.environ):
        click.echo(f"The environment variable {variable} overrides {name}, which the file sets otherwise.")
    for name in settings.unsafe:
        click.echo(f"{name} is on; it weakens what Ringfence promises.")


@command.command()
def example() -> None:
    """Print every setting with its default and a comment."""
    click.echo(example_text(Settings, read_settings(None, {})), nl=False)


@command.command()
@config_option
def show(config: Path | None) -> None:
    """Print the settings in force: defaults, file and environment together."""
    click.echo(shown(settings_from(config)), nl=False)
