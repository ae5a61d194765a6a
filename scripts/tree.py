"""the tree of docs/architecture.md, made from the modules' own first sentences"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
BEGIN, END = "<!-- tree: made by `make generate` -->\n", "<!-- end of tree -->"
_COLUMN = 34


def first_sentence(path: Path) -> str:
    """The first sentence of a module's docstring, on one line; "" when it has none."""
    doc = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    paragraph = " ".join(doc.split("\n\n")[0].split())
    return paragraph.split(". ")[0].removesuffix(".")


def listing(folder: Path = ROOT / "proxy", depth: int = 0) -> Iterator[str]:
    """One line per module and folder below `folder`, folders after modules, each with its sentence."""
    modules = sorted(path for path in folder.glob("*.py") if path.name != "__init__.py")
    inner = sorted(path.parent for path in folder.glob("*/__init__.py"))
    for path in modules:
        yield _line(path.name, first_sentence(path), depth)
    for path in inner:
        yield _line(f"{path.name}/", first_sentence(path / "__init__.py"), depth)
        yield from listing(path, depth + 1)


def with_tree(text: str) -> str:
    """The page with the present tree between its two marks."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    block = "".join(f"{line}\n" for line in listing())
    return f"{before}{BEGIN}```text\nproxy/\n{block}```\n{END}{after}"


def _line(name: str, sentence: str, depth: int) -> str:
    return f"{'  ' * (depth + 1)}{name}".ljust(_COLUMN) + (f" {sentence}" if sentence else "")
