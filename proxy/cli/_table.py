"""columns for people: cells are cut to one line, or wrapped"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from itertools import zip_longest

import click


def print_table(
    head: Sequence[str], rows: Iterable[Sequence[str]], *, widest: int, wrap: bool = False
) -> None:
    """Print rows under a head; no column is wider than `widest`, longer cells are wrapped or cut."""
    shape = _wrapped if wrap else _cut
    cells = [[shape(printable(cell), widest) for cell in row] for row in (head, *rows)]
    widths = [max(len(line) for row in cells for line in row[column]) for column in range(len(head))]
    for row in cells:
        for lines in zip_longest(*row, fillvalue=""):
            padded = (f"{line:<{width}}" for line, width in zip(lines, widths, strict=True))
            click.echo("  ".join(padded).rstrip())


def printable(text: str) -> str:
    """The text without control characters: much of it comes from another party and meets a terminal."""
    return "".join(character if character.isprintable() else " " for character in text)


def _wrapped(text: str, widest: int) -> list[str]:
    return textwrap.wrap(text, widest) or [""]


def _cut(text: str, widest: int) -> list[str]:
    return [text if len(text) <= widest else text[: widest - 3] + "..."]
