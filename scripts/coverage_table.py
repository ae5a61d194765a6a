"""write docs/reference/coverage.md: which tests back which promise for which endpoint and mode

Run as `python -m scripts.coverage_table`. Rows come from the dialects and the member tables, cells from
the tests marked `covers(endpoint, mode, *promises)`. `--check` writes nothing and exits 1 when the page
differs. Either way a cell without a test exits 1.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from proxy.core.dialects import DIALECTS
from proxy.core.strict_yaml import load
from proxy.core.values import Endpoint
from scripts.docs import NOTE, table

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "reference" / "coverage.md"
PROMISES = {
    "verdict": "a compliant route answers as the SDK reads it; another one does not get the request",
    "record": "an intent and an outcome, or a refusal, is durable and holds no content",
    "fidelity": "the gateway gets the very bytes, one credential, no header beyond the list",
    "refusal": "the SDK's own typed error, not retried, with code, reason and compliant routes",
}
HERE = {"probe": ("verdict",), "models.list": ("verdict", "refusal"), "models.get": ("verdict", "refusal")}
"""What endpoints owe that the proxy answers by itself: nothing leaves, so an answer leaves no record; a
probe asks for nothing and needs no key."""
CLIENT = "Python"


@dataclass(slots=True)
class Backing:
    """The clients whose tests back each cell, and the tests behind each promise."""

    cells: dict[tuple[str, str, str], set[str]] = field(default_factory=dict)
    tests: dict[str, set[str]] = field(default_factory=dict)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Take every mark down; pytest calls this when it has found the tests."""
        for item in items:
            for mark in item.iter_markers("covers"):
                endpoint, mode, *promises = mark.args
                for promise in promises:
                    cell = self.cells.setdefault((endpoint, mode, promise), set())
                    cell.add(mark.kwargs.get("by", CLIENT))
                    name = getattr(item, "originalname", item.name).removeprefix("test_").replace("_", " ")
                    self.tests.setdefault(promise, set()).add(name)


def collect() -> Backing:
    """Have pytest find the marked tests, without running any."""
    backing = Backing()
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        folders = [str(ROOT / "tests" / name) for name in ("sdks", "e2e")]
        code = pytest.main(["--collect-only", "-q", "-p", "no:cacheprovider", *folders], plugins=[backing])
    if code:
        raise SystemExit(f"the tests cannot be collected:\n{said.getvalue()}")
    return backing


def endpoints() -> Mapping[str, list[Endpoint]]:
    """Every endpoint by `dialect operation`, with all of its paths."""
    found: dict[str, list[Endpoint]] = {}
    for dialect in DIALECTS:
        for endpoint in dialect.endpoints:
            found.setdefault(f"{dialect.name} {endpoint.operation}", []).append(endpoint)
    return found


def modes(endpoint: Endpoint, streamed: frozenset[str]) -> Iterator[str]:
    """In which ways an endpoint can be used."""
    if not endpoint.operation.startswith("stream"):
        yield "plain"
    if endpoint.members in streamed or endpoint.operation.startswith("stream"):
        yield "stream"
    if "multipart" in endpoint.media:
        yield "multipart"


def streamed_tables() -> frozenset[str]:
    """The member tables whose root has `stream`."""
    found = set()
    for path in sorted((ROOT / "proxy" / "tables" / "members").glob("*.yaml")):
        parsed = load(path.read_bytes(), path.name).data
        assert isinstance(parsed, dict)
        shapes, tables = parsed["shapes"], parsed["tables"]
        assert isinstance(shapes, dict)
        assert isinstance(tables, dict)
        for name, about in tables.items():
            assert isinstance(about, dict)
            root = shapes[str(about["root"])]
            assert isinstance(root, dict)
            members = root.get("members")
            if isinstance(members, dict) and "stream" in members:
                found.add(name)
    return frozenset(found)


def cells() -> Iterator[tuple[str, list[Endpoint], str, str]]:
    """Every cell that has to be backed: endpoint, its paths, mode, promise."""
    streamed = streamed_tables()
    for name, group in endpoints().items():
        owed = tuple(PROMISES) if group[0].upstream else HERE[group[0].operation]
        for mode in modes(group[0], streamed):
            for promise in PROMISES:
                yield name, group, mode, promise if promise in owed else ""


def page(backing: Backing) -> str:
    """The page as text."""
    rows: dict[tuple[str, str], list[str]] = {}
    for name, group, mode, promise in cells():
        row = rows.setdefault((name, mode), [f"`{name}`", ", ".join(_paths(group)), mode])
        backed = backing.cells.get((name, mode, promise), set())
        row.append(", ".join(sorted(backed, reverse=True)) or ("**untested**" if promise else "n/a"))
    head = ("Endpoint", "Paths", "Mode", *(promise.capitalize() for promise in PROMISES))
    note = NOTE.replace("`make generate`", "`python -m scripts.coverage_table`")
    return note + _INTRO + table(
        head, list(rows.values())
    ) + "\n## What each promise means\n" + "".join(_meanings(backing))  # fmt: skip


_INTRO = """\
# Coverage

Each cell names the SDKs whose tests back it: the real package against a real proxy process and the
simulated gateway. *n/a*: the proxy answers by itself, so nothing leaves and there is nothing to record, to
compare or, for a probe, to refuse. *Python* is `openai`, `anthropic` or `google-genai`, and plain HTTP where
no SDK has the call; *Node* is `openai` or `@anthropic-ai/sdk`.

"""


def _meanings(backing: Backing) -> Iterator[str]:
    for promise, meaning in PROMISES.items():
        yield f"\n**{promise.capitalize()}**: {meaning}.\n\n"
        yield from (f"- {name}\n" for name in sorted(backing.tests.get(promise, ())))


def _paths(group: Sequence[Endpoint]) -> Iterator[str]:
    for path in dict.fromkeys(endpoint.template for endpoint in group):
        yield f"`{path}`"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or check the page; 1 when it differs or a cell has no test."""
    parser = argparse.ArgumentParser(description="Make the coverage page from the tests.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when the page differs")
    chosen = parser.parse_args(arguments)
    text = page(collect())
    before = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    if chosen.check and text != before:
        print(f"{PAGE.relative_to(ROOT)} differs: run python -m scripts.coverage_table")
    if not chosen.check:
        PAGE.write_text(text, encoding="utf-8")
    bare = text.count("**untested**")
    if bare:
        print(f"{bare} cells have no test")
    return int(bool(bare) or (chosen.check and text != before))


if __name__ == "__main__":
    sys.exit(main())
