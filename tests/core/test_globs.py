"""A star stands for any characters, and nothing else is special."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.globs import matches


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("*", "", True),
        ("*", "a/b", True),
        ("openai/*", "openai/gpt-5.5", True),
        ("openai/*", "azure/gpt-5.5", False),
        ("*/gpt-5.5", "azure/gpt-5.5", True),
        ("gpt-5.5", "gpt-545", False),
        ("a?c", "abc", False),
        ("[ab]", "a", False),
        ("OpenAI/*", "openai/x", False),
        ("a**b", "axb", True),
        ("a*", "a\nb", True),
    ],
)
def test_patterns(pattern: str, name: str, fits: bool) -> None:
    assert matches(pattern, name) is fits


@given(st.text(max_size=20), st.text(max_size=20))
def test_a_pattern_without_a_star_fits_itself_only(pattern: str, name: str) -> None:
    if "*" not in pattern:
        assert matches(pattern, name) is (pattern == name)


@given(st.lists(st.text(max_size=5), min_size=2, max_size=4), st.text(max_size=5))
def test_what_stands_for_a_star_may_be_anything(parts: list[str], filling: str) -> None:
    assert matches("*".join(parts), filling.join(parts))
