from typing import Any

import click
from click.testing import CliRunner

from proxy.cli._table import print_table


def shown(*rows: Any, **options: Any) -> Any:
    @click.command()
    def command() -> None:
        print_table(("NAME", "WORDS"), rows, **options)

    return CliRunner().invoke(command).output.splitlines()


def test_columns_are_as_wide_as_their_widest_cell():
    assert shown(("a", "b"), ("longer", ""), widest=20) == ["NAME    WORDS", "a       b", "longer"]


def test_long_cells_are_cut():
    assert shown(("a", "x" * 30), widest=10)[1] == "a     xxxxxxx..."


def test_or_wrapped_beside_the_others():
    lines = shown(("a", "one two three"), ("b", "x"), widest=8, wrap=True)
    assert lines == ["NAME  WORDS", "a     one two", "      three", "b     x"]


def test_control_characters_become_spaces():
    assert shown(("a\x1b[2J", "b\nc"), widest=20)[1] == "a [2J  b c"
