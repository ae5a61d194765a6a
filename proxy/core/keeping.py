"""how long content is kept: what rows say of it, and how long a policy lets it be

A claim about keeping is an object: `kept` is one of `none`, `volatile` (memory only), `flagged`
(only what a safety check flagged), `content`, or `unsaid`; `seconds` the longest period where one
is stated; `until_deleted` when only a deletion ends it; `contract` when no keeping is for sale but
nobody has shown that it was bought.
"""

from __future__ import annotations

from dataclasses import dataclass

from proxy.core.rows import Row, Said, plain, said, zdr_fact
from proxy.core.spans import find_seconds, span_words
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
    readings = [_statement(value) for _, value in found]
    truth = zdr_fact(row, fact) if fact else None
    if truth is not None:
        facts = said(row, f"compliance.zdr.{fact}", f"route.zdr.{fact}")
        found = (*found, *facts)
    return _worst(readings, truth, found)


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
    if truth is False or any(reading.kept == "none" for reading in readings):
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
    sort = "volatile" if any(word in text for word in _VOLATILE) else "content"
    if "flagged only" in text or "only flagged" in text or "abuse-flagged" in text:
        sort = "flagged"
    return Kept(sort, find_seconds(text), until_deleted)


def _block(block: dict[str, Json]) -> Kept:
    for key in ("summary", "description", "text", "label", "kind", "default", "status", "enabled", "value"):
        if isinstance(block.get(key), (bool, str)):
            head = _statement(block[key])
            break
    else:
        head = Kept(None)
    seconds = _period(block)
    if seconds == 0 and head.kept in (None, "none"):
        return Kept("none", 0)
    if seconds:
        sort = head.kept if head.kept not in (None, "none") else "content"
        return Kept(sort, max(seconds, head.seconds or 0), head.until_deleted)
    return head


def _period(block: dict[str, Json]) -> int | None:
    for key, size in _PERIODS:
        amount = block.get(key)
        if isinstance(amount, (int, float)) and not isinstance(amount, bool) and amount >= 0:
            return -int(-amount * size // 1)
    return None


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
