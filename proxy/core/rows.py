"""reading catalogue rows, in whatever version of the gateway's API shape they come

What is absent, null, empty or of an unexpected type is not established; nothing here raises.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from proxy.core.values import Basis, Claim, Json

Row: TypeAlias = Mapping[str, Json]
Said: TypeAlias = "tuple[tuple[str, Json], ...]"
"""Statements found in a row: the dotted path where each stands, and its value."""
_PLACES = ("countries", "country", "location", "locations")
_NO_PLACES = ("label", "note", "notes", "source", "sources")
_WIDER = ("EU", "EEA")


def look(row: Row, path: str) -> Json:
    """Follow a dotted path through nested objects; None where it leads nowhere."""
    node: Json = dict(row) if not isinstance(row, dict) else row
    for step in path.split("."):
        if not isinstance(node, dict):
            return None
        node = node.get(step)
    return node


def said(row: Row, *paths: str) -> Said:
    """Collect what stands at the given paths, leaving out nulls and empty values."""
    found = ((path, look(row, path)) for path in paths)
    return tuple((path, value) for path, value in found if value not in (None, "", [], {}))


def plain(text: str) -> str:
    """Fold case, spaces and a final full stop, so that labels can be compared."""
    return " ".join(text.casefold().split()).rstrip(".")


def zdr_fact(row: Row, name: str) -> bool | None:
    """Read one of the tri-state facts of the `zdr` block: True says that content is held there.

    A fact may stand in the keyless block and in the route block; the worse one counts. Null, and
    anything that is not a boolean, is not established.
    """
    values = [value for _, value in said(row, f"compliance.zdr.{name}", f"route.zdr.{name}")]
    if True in values:
        return True
    if any(not isinstance(value, bool) for value in values):
        return None
    return False if values else None


def has_zdr_facts(row: Row) -> bool:
    """Tell whether the row speaks in tri-state facts at all, even where they are null."""
    return any(
        isinstance(block, dict) and ("logging" in block or "moderation" in block)
        for block in (look(row, "compliance.zdr"), look(row, "route.zdr"))
    )


def zdr_status(row: Row) -> str:
    """Read the older one-word status: `always`, `enterprise`, `none`, or "" when there is none."""
    paths = (
        "route.data_handling.zdr.status", "route.data_handling.zdr",
        "compliance.zdr.status", "compliance.zdr", "route.zdr.status", "route.zdr",
    )  # fmt: skip
    # An object is a block of facts, unless it stands where the word should be.
    found = said(row, *paths)
    words = [value for path, value in found if path.endswith("status") or not isinstance(value, dict)]
    statuses = {_status(plain(word)) if isinstance(word, str) else "none" for word in words}
    # Two sources that disagree leave the weaker promise standing.
    return next((word for word in ("none", "enterprise", "always") if word in statuses), "")


def _status(text: str) -> str:
    if "enterprise" in text or "contract" in text:
        return "enterprise"
    if text in ("always", "by default", "zdr by default", "default"):
        return "always"
    return "none"


def catalogued(value: Any, words: str, found: Said | Iterable[str]) -> Claim:
    """Build a claim that rests on a catalogue row; a None value makes it unknown."""
    paths = [item if isinstance(item, str) else item[0] for item in found]
    basis = Basis.UNKNOWN if value is None else Basis.CATALOGUE
    source = "catalogue:" + ",".join(paths) if paths else "catalogue"
    return Claim(value=value, basis=basis, words=words, source=source)


def unstated(words: str = "") -> Claim:
    """Build the claim of a row that says nothing on a dimension."""
    return Claim(value=None, basis=Basis.UNKNOWN, words=words, source="catalogue")


def spoken(found: Said) -> str:
    """Quote the statements of a row for people, each once, in order."""
    texts: list[str] = []
    for path, value in found:
        leaf = path.rsplit(".", 1)[-1]
        text = value if isinstance(value, str) else f"{leaf}: {_short(value)}"
        if text not in texts:
            texts.append(text)
    return "; ".join(texts)


def _short(value: Json) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_short(item)}" for key, item in value.items() if item is not None)
    if isinstance(value, list):
        return ", ".join(_short(item) for item in value)
    return str(value)


def place_words(found: Said) -> tuple[str, ...]:
    """Take the place names out of statements: a word, a list of words, or an object that names them.

    A statement in any other form yields a word that no table knows, so that it counts as unknown.
    """
    words: list[str] = []
    for _, value in found:
        words += _places(value)
    return tuple(dict.fromkeys(words))


def _places(value: Json) -> list[str]:
    if isinstance(value, str):
        return [value.strip()]
    if isinstance(value, list):
        return [word for item in value for word in _places(item)] or ["?"]
    return _named_places(value) if isinstance(value, dict) else ["?"]


def _named_places(block: dict[str, Json]) -> list[str]:
    """Take every place that an object names; what else it says may be a place too, so it is unknown."""
    named = [block[key] for key in _PLACES if block.get(key) not in (None, "", [])]
    region = block.get("region")
    # A wider region is said beside a country and adds nothing; any other word may be another place.
    if region not in (None, "", []) and not (named and region in _WIDER):
        named.append(region)
    other = [key for key, each in block.items() if each and key not in (*_PLACES, *_NO_PLACES, "region")]
    return [word for each in (*named, *("?" for _ in other)) for word in _places(each)] or ["?"]
