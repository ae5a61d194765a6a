"""how long content is kept: what rows say of it, and how long a policy lets it be

A claim about keeping is an object: `kept` is one of `none`, `volatile` (memory only), `flagged`
(only what a safety check flagged), `content`, or `unsaid`; `seconds` the longest period where one
is stated; `until_deleted` when only a deletion ends it; `contract` when no keeping is for sale but
nobody has shown that it was bought.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from proxy.core.rows import Row, Said, plain, said, zdr_fact
from proxy.core.spans import find_seconds, says_only, span_words
from proxy.core.values import Json

_NOTHING = frozenset(
    [
        "none",
        "no",
        "never",
        "off",
        "false",
        "zero",
        "disabled",
        "no logging",
        "no logs",
        "not logged",
        "no retention",
        "not retained",
        "not stored",
        "no storage",
        "no caching",
        "not cached",
        "no moderation",
        "zero data retention",
        "no content logging",
    ]
)
_VOLATILE = ("in-memory", "in memory", "volatile", "ram only", "memory only")
# A sentence that says more than where and how long is no promise that nothing else is kept.
_VOLATILE_WORDS = """
cache cached caching for in kept memory only prompt prompts ram retained stored volatile
"""
_AROUND_VOLATILE = frozenset(_VOLATILE_WORDS.split())
_FLAGGED_WORDS = """
abuse content flagged for kept log logs only prompts requests retained retention stored
"""
_AROUND_FLAGGED = frozenset(_FLAGGED_WORDS.split())
_FLAGGED = re.compile(r"(only )?(abuse-)?flagged\b")
_HEADS = ("summary", "description", "text", "label", "kind", "default", "status", "enabled", "value")
_ELSEWHERE = frozenset(["storage_location", "human_review", "note", "notes", "source", "sources", "url"])
"""What a block says beside its keeping, and other dimensions read."""
# JSON can spell numbers beyond a float's range; what is kept that long is kept for ever.
_LONGEST = 10**9
_PERIODS = (("retention_days", 86_400), ("days", 86_400), ("retention_hours", 3600), ("ttl_seconds", 1))


@dataclass(frozen=True, slots=True)
class Kept:
    """What one pipeline keeps. `kept` is None when that is not established."""

    kept: str | None
    seconds: int | None = None
    until_deleted: bool = False
    found: Said = ()


def read_keeping(row: Row, *paths: str, fact: str = "") -> Kept:
    """Read what a pipeline keeps from its statements and its tri-state fact; the worst counts."""
    found = said(row, *paths)
    readings = [_statement(value) for _, value in found if _speaks(value)]
    truth = zdr_fact(row, fact) if fact else None
    facts = said(row, f"compliance.zdr.{fact}", f"route.zdr.{fact}") if fact else ()
    if facts and truth is None:
        readings.append(Kept(None))
    return _worst(readings, truth, (*found, *facts))


def _speaks(value: Json) -> bool:
    """Tell whether a statement says anything of keeping; a block may hold nothing but nulls and places."""
    if not isinstance(value, dict):
        return True
    return any(each not in (None, "", [], {}) for key, each in value.items() if key not in _ELSEWHERE)


def _worst(readings: list[Kept], truth: bool | None, found: Said) -> Kept:
    kept = [reading for reading in readings if reading.kept not in (None, "none")]
    if kept:
        sorts = {reading.kept for reading in kept}
        sort = next(word for word in ("content", "flagged", "volatile") if word in sorts)
        periods = [reading.seconds for reading in kept if reading.seconds is not None]
        until_deleted = any(reading.until_deleted for reading in kept)
        return Kept(sort, max(periods, default=None), until_deleted, found)
    if truth is True:
        return Kept("content", None, False, found)
    if any(reading.kept is None for reading in readings):
        return Kept(None, None, False, found)
    if truth is False or readings:
        return Kept("none", 0, False, found)
    return Kept(None, None, False, found)


def _statement(value: Json) -> Kept:
    if isinstance(value, bool):
        return Kept("content") if value else Kept("none", 0)
    if isinstance(value, str):
        return _sentence(plain(value))
    if isinstance(value, dict):
        return _block(value)
    return Kept("content")


def _sentence(text: str) -> Kept:
    if text in _NOTHING:
        return Kept("none", 0)
    if text in ("unknown", "not specified", "not established"):
        return Kept(None)
    if text in ("true", "yes", "on", "enabled"):
        return Kept("content")
    until_deleted = "until deleted" in text or text == "until_deleted"
    return Kept(_sort(text), find_seconds(text), until_deleted)


def _sort(text: str) -> str:
    if _FLAGGED.match(text) and says_only(text, _AROUND_FLAGGED):
        return "flagged"
    volatile = any(word in text for word in _VOLATILE) and says_only(text, _AROUND_VOLATILE)
    return "volatile" if volatile else "content"


def _block(block: dict[str, Json]) -> Kept:
    """Read a block by its worst member; none is kept only where nothing in it is left to wonder about."""
    heads = [_statement(block[key]) for key in _HEADS if isinstance(block.get(key), (bool, str))]
    seconds, unsure = _period(block)
    kept = [head for head in heads if head.kept not in (None, "none")]
    if kept or seconds:
        worst = _worst(kept or [Kept("content")], None, ())
        longest = max(seconds or 0, worst.seconds or 0) or None
        return Kept(worst.kept, None if unsure else longest, worst.until_deleted)
    settled = {*_HEADS, *_ELSEWHERE, *(key for key, _ in _PERIODS)}
    unsure = unsure or any(each for key, each in block.items() if key not in settled)
    if unsure or any(head.kept is None for head in heads) or (seconds is None and not heads):
        return Kept(None)
    return Kept("none", 0)


def _period(block: dict[str, Json]) -> tuple[int | None, bool]:
    """The longest period of a block in seconds, and whether it states one that cannot be read."""
    stated = [(block[key], size) for key, size in _PERIODS if block.get(key) is not None]
    read = [
        -int(-min(amount, _LONGEST) * size // 1)
        for amount, size in stated
        if isinstance(amount, (int, float)) and not isinstance(amount, bool) and amount >= 0
    ]
    return max(read, default=None), len(read) < len(stated)


# -- what is kept anywhere -------------------------------------------------------------------------

LOGGING = ("compliance.logging", "route.data_handling.logging")
MODERATION = ("compliance.moderation", "route.data_handling.moderation")
CACHING = ("compliance.caching", "route.data_handling.caching")
CONTENT = ("compliance.content_storage", "route.data_handling.content_storage")


def kept_anywhere(row: Row) -> bool | None:
    """Tell whether a route keeps content in any pipeline; None when one of them is not established.

    Memory that forgets by itself is not storage.
    """
    pipelines = (
        read_keeping(row, *LOGGING, fact="logging"),
        read_keeping(row, *MODERATION, fact="moderation"),
        read_keeping(row, *CACHING, fact="caching"),
        read_keeping(row, *CONTENT),
    )
    sorts = [pipeline.kept for pipeline in pipelines]
    if any(sort in ("content", "flagged") for sort in sorts):
        return True
    return None if None in sorts else False


# -- limits ----------------------------------------------------------------------------------------


def keeping(
    kept: str, seconds: int | None = None, *, until_deleted: bool = False, contract: bool = False
) -> Json:
    """Build the claim value of a keeping, leaving out what is not stated."""
    value: dict[str, Json] = {"kept": kept}
    if seconds is not None and kept != "none":
        value["seconds"] = seconds
    if until_deleted:
        value["until_deleted"] = True
    if contract:
        value["contract"] = True
    return value


def period_words(kept: Kept, what: str) -> str:
    """Say in words what is kept and how long."""
    if kept.kept == "none":
        return f"no {what}"
    sort = {"flagged": "flagged content only", "volatile": "in memory only"}.get(kept.kept or "", "")
    period = f"up to {span_words(kept.seconds)}" if kept.seconds else ""
    if kept.until_deleted:
        period = "until deleted"
    tail = ", ".join(part for part in (sort, period or "for a period that is not stated") if part)
    return f"{what} {tail}"
