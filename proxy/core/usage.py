"""what a reply says of its own cost: tokens, price and the reply's id, in the words of every protocol"""

from __future__ import annotations

from collections.abc import Iterable

from proxy.core.values import Json, Usage

LONGEST_ID = 128
_MICRO = 1_000_000
_MOST = 1 << 53


def usage_of(texts: Iterable[Json]) -> Usage:
    """Merge what several texts say; of two numbers for one thing the later counts."""
    read = written = cost = upstream_id = None
    for text in texts:
        for block in _blocks(text):
            upstream_id = upstream_id or _id(block)
            usage = block.get("usage") or block.get("usageMetadata")
            if isinstance(usage, dict):
                said = _read_tokens(usage), _written_tokens(usage), microusd(usage.get("cost"))
                read = read if said[0] is None else said[0]
                written = written if said[1] is None else said[1]
                cost = cost if said[2] is None else said[2]
    return Usage(read, written, cost, upstream_id)


def _blocks(text: Json) -> list[dict[str, Json]]:
    """A text and the object within it that carries the reply, as events wrap it."""
    if not isinstance(text, dict):
        return []
    blocks = [text]
    for name in ("response", "message", "interaction"):
        inner = text.get(name)
        if isinstance(inner, dict):
            blocks.append(inner)
    return blocks


def _id(block: dict[str, Json]) -> str | None:
    value = block.get("id") or block.get("responseId")
    return value if isinstance(value, str) and 0 < len(value) <= LONGEST_ID and value.isprintable() else None


_IN = ("prompt_tokens", "input_tokens", "promptTokenCount", "total_input_tokens")
_OUT = ("completion_tokens", "output_tokens", "total_output_tokens")
# Anthropic counts what it read from and wrote to its cache beside input_tokens, not within them.
_CACHED = ("cache_read_input_tokens", "cache_creation_input_tokens")
_GOOGLE_OUT = ("candidatesTokenCount", "thoughtsTokenCount")


def _read_tokens(usage: dict[str, Json]) -> int | None:
    read = _first_count(usage, _IN)
    if read is not None:
        for name in _CACHED:
            if name in usage:
                read += _count(usage[name]) or 0
    return read


def _written_tokens(usage: dict[str, Json]) -> int | None:
    written = _first_count(usage, _OUT)
    if written is None and any(name in usage for name in _GOOGLE_OUT):
        written = sum(_count(usage.get(name)) or 0 for name in _GOOGLE_OUT)
    return written


def _first_count(usage: dict[str, Json], names: tuple[str, ...]) -> int | None:
    for name in names:
        number = _count(usage.get(name))
        if number is not None:
            return number
    return None


def _count(value: Json) -> int | None:
    return value if type(value) is int and 0 <= value < _MOST else None


def microusd(value: Json) -> int | None:
    """A price in US dollars, as a body or a header says it, in millionths; None when it says none."""
    # Silence is what most replies say, and an error that is caught costs as much as the rest of a reading.
    if value == "" or isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        amount = float(value)
    except (ValueError, OverflowError):
        return None
    return round(amount * _MICRO) if 0 <= amount < _MICRO else None
