"""one small file per command group

Each file `proxy/cli/<name>.py` holds one click command or group named like the file, bound to the
variable `command`. It is imported only when it is called, so `ringfence keys list` does not load a server.
"""

from __future__ import annotations

import importlib
import pkgutil

import click
from typing_extensions import override

from proxy.access import mistake_of
from proxy.core.errors import Mistake, Mistakes, RingfenceError


class Commands(click.Group):
    """Finds its subcommands in this folder, and turns what an operator wrote wrongly into exit code 3."""

    @override
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(part.name for part in pkgutil.iter_modules(__path__) if not part.name.startswith("_"))

    @override
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        found = importlib.import_module(f"{__name__}.{cmd_name}").command
        if not isinstance(found, click.Command):
            raise TypeError(f"proxy/cli/{cmd_name}.py must bind a click command to the name `command`")
        return found

    @override
    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except RingfenceError as error:
            click.echo(str(error), err=True)
            ctx.exit(3 if isinstance(error, Mistake | Mistakes) else 1)
        except OSError as error:
            if (mistake := mistake_of(error)) is None:
                raise
            click.echo(str(mistake), err=True)
            ctx.exit(3)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="ringfence")
def main() -> None:
    """Ringfence: no request leaves that policy does not allow, and none leaves unrecorded.

    Exit codes: 0 done, 1 failed, 2 wrong usage, 3 a file that cannot be taken
    as written, 4 a policy test failed.
    """
