"""The table of faults: `python -m tests.faults.page` writes docs/reference/faults.md, `--check` compares."""

from __future__ import annotations

import argparse
import ast
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

_HERE = Path(__file__).parent
PAGE = _HERE.parents[1] / "docs" / "reference" / "faults.md"
_HEAD = """\
# Faults that are injected

Written by `python -m tests.faults.page`; a test compares. Each fault is made to happen to `ringfence
serve` in a process of its own, before a real server in the gateway's place. After each of them the
same promise is checked: whatever the gateway saw has an earlier durable intent, every intent has
exactly one outcome, and the closed log verifies. Tests that need root, strace, libfaketime or
PostgreSQL say so and are skipped where that is missing.

| Fault | How | What holds | Tests |
|---|---|---|---|
"""


def table() -> Mapping[str, Mapping[str, Any]]:
    """Every fault by its number."""
    found: Mapping[str, Mapping[str, Any]] = yaml.safe_load((_HERE / "faults.yaml").read_text("utf-8"))
    return found


def marked() -> dict[str, list[str]]:
    """The tests marked with each number, as `file.py: how many`."""
    found: dict[str, list[str]] = {}
    for path in sorted(_HERE.glob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef):
                for number in _numbers(node):
                    found.setdefault(number, []).append(path.name)
    return found


def _numbers(node: ast.AsyncFunctionDef | ast.FunctionDef) -> Iterator[str]:
    for mark in node.decorator_list:
        if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.fault":
            yield from (ast.literal_eval(each) for each in mark.args)


def page() -> str:
    """The page as it should stand."""
    found, lines = marked(), []
    for number, about in table().items():
        files = found.get(number, [])
        shown = [f"{files.count(name)} in `tests/faults/{name}`" for name in dict.fromkeys(files)]
        shown += [f"`{name}`" for name in about.get("elsewhere", ())]
        lines.append(
            f"| {number}: {about['fault']} | {about['how']} | {about['holds']} | {', '.join(shown)} |"
        )
    return _HEAD + "\n".join(lines) + "\n"


def main() -> int:
    """Write the page, or say whether it is what the tests give."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    if parser.parse_args().check:
        same = PAGE.is_file() and PAGE.read_text("utf-8") == page()
        if not same:
            sys.stderr.write(f"{PAGE} is out of date: run python -m tests.faults.page\n")
        return int(not same)
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
