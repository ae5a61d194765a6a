"""the nearest valid name to one that is not valid"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(name: object, valid: Iterable[str]) -> str:
    """Return the valid name closest to `name`, or "" when none is close."""
    if not isinstance(name, str):
        return ""
    folded = {candidate.casefold(): candidate for candidate in valid}
    close = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.6)
    return folded[close[0]] if close else ""


def did_you_mean(name: object, valid: Iterable[str]) -> str:
    """Return a hint to append to a message, or "" when no valid name is close."""
    found = nearest(name, valid)
    return f"; did you mean {found!r}?" if found else ""
