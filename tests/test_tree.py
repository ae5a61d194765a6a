"""The tree keeps its own rules: a test per module, a sentence per module, and nothing too large."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from scripts.tree import first_sentence

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "proxy"
MODULES = sorted(PACKAGE.rglob("*.py"))
CODE = [path for path in MODULES if path.name not in ("__init__.py", "__main__.py")]
# The simulator is one server: its tests speak HTTP to it and name no module.
ON_THEIR_OWN = [path for path in CODE if path.parent.name != "simulator"]
LONGEST_FILE, LONGEST_FUNCTION = 400, 60
FORBIDDEN_NAMES = {
    "handler",
    "manager",
    "helper",
    "helpers",
    "util",
    "utils",
    "service",
    "engine",
    "context",
    "info",
}
MADE_FROM_ELSEWHERE = {"proxy/core/values.py", "proxy/core/errors.py"}
"""Only declarations: every test of the core is a test of these."""


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


@cache
def imports(path: Path) -> frozenset[str]:
    found: set[str] = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            found |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{each.name}" for each in node.names)}
    return frozenset(found)


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


@pytest.mark.parametrize(
    "path", [path for path in ON_THEIR_OWN if name(path) not in MADE_FROM_ELSEWHERE], ids=name
)
def test_every_module_has_its_test_in_the_mirrored_place(path: Path) -> None:
    """Its own file, or one beside where that would stand that imports it by name."""
    inside = path.relative_to(PACKAGE)
    folder = ROOT / "tests" / inside.parent
    wanted = folder / f"test_{inside.stem.lstrip('_')}.py"
    tested = wanted.exists() or any(dotted(path) in imports(test) for test in folder.glob("test_*.py"))
    assert tested or not any(functions(parsed(path))), f"write {name(wanted)}"


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_every_module_opens_with_a_sentence_that_says_what_it_is(path: Path) -> None:
    assert len(first_sentence(path)) >= 15


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_no_file_or_function_is_too_long_to_hold_in_mind(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_FILE
    long = {
        function.name: length
        for function in functions(parsed(path))
        if (length := (function.end_lineno or 0) - function.lineno + 1) > LONGEST_FUNCTION
    }
    assert not long


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_no_module_is_named_by_a_word_that_says_nothing(path: Path) -> None:
    assert not set(path.stem.strip("_").split("_")) & FORBIDDEN_NAMES


@pytest.mark.parametrize("path", sorted((PACKAGE / "core").rglob("*.py")), ids=name)
def test_the_core_opens_no_file_and_prints_nothing(path: Path) -> None:
    called = {
        node.func.id
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert not called & {"open", "print", "input", "exec", "eval", "compile", "__import__"}


@pytest.mark.parametrize(
    ("folder", "tuple_name"),
    [("core/dimensions", "DIMENSIONS"), ("core/dialects", "DIALECTS"), ("sinks", "SINKS")],
)
def test_every_member_of_a_growing_folder_is_in_its_tuple(folder: str, tuple_name: str) -> None:
    """A module that subclasses or implements what the folder is for, and is not listed, would be dead."""
    init = parsed(PACKAGE / folder / "__init__.py")
    imported = {dotted_name.rsplit(".", 1)[-1] for dotted_name in imports(PACKAGE / folder / "__init__.py")}
    tuples = {
        target.id
        for node in ast.walk(init)
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    }
    assert tuple_name in tuples
    named = {
        path.stem
        for path in (PACKAGE / folder).glob("*.py")
        for node in parsed(path).body
        if isinstance(node, ast.ClassDef)
        and any(
            isinstance(line, ast.Assign | ast.AnnAssign)
            and getattr(line.targets[0] if isinstance(line, ast.Assign) else line.target, "id", "") == "name"
            and line.value is not None
            for line in node.body
        )
    }
    assert named <= imported


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    return [ROOT / each for each in listed.stdout.decode().split("\0") if each]


def test_no_tracked_file_names_a_path_of_the_machine_it_was_written_on() -> None:
    found = [
        name(path)
        for path in tracked()
        if path.is_file() and re.search(rb"/(home|Users)/[a-z]+/|[/]root/|[/]work/", path.read_bytes())
    ]
    assert not found


def test_the_lock_files_pin_by_name_version_and_hash_only() -> None:
    for path in sorted(ROOT.glob("requirements*.txt")):
        text = path.read_text()
        assert not re.search(r"://|^\s*--(?!hash=sha256:[0-9a-f]{64}( \\)?$)", text, re.MULTILINE), name(path)
        pins = re.findall(r"^([a-z0-9][a-z0-9.-]*)==[^ ]+( ; [^\\]+)? \\$", text, re.MULTILINE)
        assert len(pins) == len(re.findall(r"^[a-zA-Z0-9]", text, re.MULTILINE)) > 0
