"""What is made from the code is what the code says now."""

from __future__ import annotations

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


@pytest.mark.parametrize("name", docs.PAGES)
def test_a_generated_file_is_up_to_date(name: str) -> None:
    """Run `make generate` when this fails."""
    assert (ROOT / name).read_text(encoding="utf-8") == docs.PAGES[name]()


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
