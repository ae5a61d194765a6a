"""What is made from the code is what the code says now."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from proxy.config import Settings
from proxy.core.dimensions import DIMENSIONS, GATEWAY_DIMENSIONS
from proxy.core.reasons import REASONS
from proxy.environment import places
from proxy.logs import FIELDS
from scripts import docs
from scripts.tree import first_sentence

ROOT = Path(__file__).parent.parent.parent
REFERENCE = ROOT / "docs" / "reference"


def test_every_generated_file_is_up_to_date() -> None:
    """Run `make generate` when this fails.

    In a process of its own: click keeps the first help option that it makes, and another test may have
    called a command without the program around it.
    """
    check = subprocess.run(
        [sys.executable, "-m", "scripts.docs", "--check"], cwd=ROOT, capture_output=True, text=True
    )
    assert check.returncode == 0, check.stdout + check.stderr


def test_checking_tells_a_file_that_differs_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(docs, "ROOT", tmp_path)
    monkeypatch.setattr(docs, "PAGES", {"a/page.md": lambda: "text\n"})
    assert docs.main(["--check"]) == 1
    assert "a/page.md" in capsys.readouterr().out
    assert not (tmp_path / "a").exists()
    assert docs.main([]) == 0
    assert (tmp_path / "a/page.md").read_text() == "text\n"
    assert docs.main(["--check"]) == 0


def test_every_reason_dimension_setting_and_field_is_on_its_page() -> None:
    pages = {path.stem: path.read_text(encoding="utf-8") for path in REFERENCE.glob("*.md")}
    assert all(f"`{code}`" in pages["reasons"] for code in REASONS)
    assert all(f"### {each.name}\n" in pages["dimensions"] for each in (*DIMENSIONS, *GATEWAY_DIMENSIONS))
    assert all(f"`{variable}`" in pages["config"] for _, variable in places(Settings))
    assert all(f"`{field}`" in pages["observation"] for field in FIELDS)


def test_every_module_stands_in_the_tree_with_its_own_sentence() -> None:
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    for path in (ROOT / "proxy").rglob("*.py"):
        if path.name != "__init__.py":
            assert any(
                line.split(maxsplit=1) == [path.name, first_sentence(path)] for line in page.splitlines()
            ), path
