"""names with a star: the one kind of pattern that policies know"""

from __future__ import annotations

import re
from functools import lru_cache

_LETTERS = "A-Za-z0-9._:@+~,=!*()$&'-"
IN_ROUTE = re.compile(rf"[{_LETTERS}/]+")
"""What a pattern for a part of a route's id is made of; with any other letter it fits no route."""
ROUTE = re.compile(rf"(?=.*[/*])[{_LETTERS}/]+")
"""What a pattern for a whole id is made of: every id has a provider, a slash and a model."""
HOLDER = re.compile(r"[A-Za-z0-9._*-]+")
"""What a pattern for the name of an organisation, a project or a key is made of."""


def matches(pattern: str, name: str) -> bool:
    """Tell whether a name fits a pattern, in which `*` stands for any characters. Case matters."""
    if "*" not in pattern:
        return pattern == name
    return _compiled(pattern).fullmatch(name) is not None


def excludes(pattern: str, name: str) -> bool:
    """Tell the same whatever the case, for what a pattern takes out: one in another case must not take out
    nothing."""
    return matches(pattern.casefold(), name.casefold())


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, re.split(r"\*+", pattern))), re.DOTALL)
