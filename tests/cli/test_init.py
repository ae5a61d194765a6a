"""The command line as a whole: commands are found, loaded late, and their mistakes are exit codes."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from proxy.cli import Commands, main
from proxy.core.errors import JournalUnavailable, Mistake, Mistakes, RingfenceError


def test_every_file_of_the_folder_is_a_command_with_a_line_of_help() -> None:
    at = click.Context(main)
    names = main.list_commands(at)
    assert {"keys", "config"} <= set(names)
    for name in names:
        found = main.get_command(at, name)
        assert found is not None
        assert found.get_short_help_str()


def test_an_unknown_command_is_wrong_usage() -> None:
    outcome = CliRunner().invoke(main, ["kyes"])
    assert outcome.exit_code == 2
    assert "kyes" in outcome.output


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Mistake("wrong", file="a.yaml", line=1, column=2), 3),
        (Mistakes([Mistake("one"), Mistake("two")]), 3),
        (JournalUnavailable("no disk"), 1),
        (RingfenceError("anything else of ours"), 1),
    ],
)
def test_an_error_of_ours_is_a_line_and_an_exit_code_and_no_traceback(
    error: RingfenceError, code: int
) -> None:
    @click.command("fail")
    def fail() -> None:
        raise error

    class Failing(Commands):
        def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:
            return fail

    outcome = CliRunner().invoke(Failing("ringfence"), ["fail"])
    assert outcome.exit_code == code
    assert outcome.stderr.strip() == str(error)


def test_managing_keys_loads_no_server() -> None:
    script = (
        "import sys; from proxy.cli import main\n"
        "main(['keys', '--help'], standalone_mode=False)\n"
        "sys.exit(bool({'aiohttp', 'uvloop'} & set(sys.modules)))\n"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, check=False).returncode == 0
