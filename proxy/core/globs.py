"""names with a star: the one kind of pattern that policies know"""

from __future__ import annotations

import re
from functools import lru_cache


def matches(pattern: str, name: str) -> bool:
    """Tell whether a name fits a pattern, in which `*` stands for any characters. Case matters."""
    if "*" not in pattern:
        return pattern == name
    return _compiled(pattern).fullmatch(name) is not None


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, re.split(r"\*+", pattern))), re.DOTALL)
