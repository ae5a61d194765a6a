"""The names in a PromQL expression: every metric, and the labels and words that it is held to."""

from __future__ import annotations

import re
from collections.abc import Iterator

_WORDS = frozenset(
    {
        "sum",
        "min",
        "max",
        "avg",
        "count",
        "by",
        "without",
        "on",
        "and",
        "or",
        "unless",
        "rate",
        "increase",
        "irate",
        "absent",
        "histogram_quantile",
        "offset",
    }
)
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_SELECTOR = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(\{[^}]*\})?")
_MATCHER = re.compile(r'([a-zA-Z_]\w*)\s*(=~|!~|!=|=)\s*("(?:[^"\\]|\\.)*")')
_GROUPING = re.compile(r"\b(?:by|without)\s*\(([^)]*)\)")


def selectors(expression: str) -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    """Each metric with its matchers: label, operator, value."""
    bare = _GROUPING.sub(" ", re.sub(r"\[[^]]*\]", " ", expression))
    for name, braces in _SELECTOR.findall(bare):
        if name not in _WORDS:
            yield name, [(label, how, text[1:-1]) for label, how, text in _MATCHER.findall(braces)]


def groupings(expression: str) -> set[str]:
    """Every label that something is summed by."""
    inner = _GROUPING.findall(expression)
    return {label.strip() for group in inner for label in group.split(",") if label.strip()}


def balanced(expression: str) -> bool:
    """Whether every bracket is closed by its own kind."""
    pairs, opened = {")": "(", "]": "[", "}": "{"}, []
    for letter in _STRING.sub("", expression):
        if letter in pairs.values():
            opened.append(letter)
        elif letter in pairs and (not opened or opened.pop() != pairs[letter]):
            return False
    return not opened
