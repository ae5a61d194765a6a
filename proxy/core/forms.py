"""filling a form from a YAML mapping: every mistake collected, each at its place

Policies, attestations, waivers and suites are forms: mappings with a closed list of fields. A form
never raises half-way; whoever reads one asks `Mistakes` to be raised at the end.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import TypeVar

from proxy.core.errors import Mistake, Mistakes
from proxy.core.nearest import did_you_mean
from proxy.core.strict_yaml import Document
from proxy.core.values import Json, Pointer

T = TypeVar("T")

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
NAME_PATTERN = "^[a-z0-9][a-z0-9._-]{0,63}$"


class Form:
    """One mapping of a document. Methods return a usable stand-in where they note a mistake."""

    def __init__(
        self, doc: Document, pointer: Pointer, fields: Iterable[str], *, into: list[Mistake] | None = None
    ) -> None:
        """Open the mapping at `pointer`, noting every field that is not in `fields`."""
        self.doc = doc
        self.pointer = pointer
        self.mistakes = into if into is not None else []
        value = _follow(doc.data, pointer)
        self.data: Mapping[str, Json] = value if isinstance(value, dict) else {}
        allowed = tuple(fields)
        if not isinstance(value, dict):
            self.wrong((), f"write a mapping with {', '.join(allowed)}")
        for name in self.data:
            if name not in allowed:
                known = did_you_mean(name, allowed) or f"; it takes {', '.join(allowed)}"
                self.wrong((name,), f"unknown field {name!r}{known}", at_key=True)

    def wrong(self, at: Pointer, message: str, *, at_key: bool = False) -> None:
        """Note a mistake at a pointer relative to this form."""
        self.mistakes.append(self.doc.mistake((*self.pointer, *at), message, at_key=at_key))

    def within(self, *at: str | int, fields: Iterable[str]) -> Form:
        """Open a mapping inside this one; its mistakes are noted here."""
        return Form(self.doc, (*self.pointer, *at), fields, into=self.mistakes)

    def need(self, name: str, why: str) -> bool:
        """Tell whether a field is there, noting its absence."""
        if self.data.get(name) is None:
            self.wrong((), f"{name} is missing: {why}")
            return False
        return True

    def text(self, name: str, *, why: str = "", limit: int = 500) -> str:
        """Take a text; with `why` it is mandatory."""
        if name not in self.data and not why:
            return ""
        if why and not self.need(name, why):
            return ""
        value = self.data[name]
        if not isinstance(value, str) or not value.strip():
            shown = "empty" if isinstance(value, str) else kind_of(value)
            self.wrong((name,), f"{name} must be text, not {shown}")
            return ""
        if len(value) > limit or not value.isprintable():
            self.wrong((name,), f"{name} must be one line of at most {limit} characters")
        return value.strip()

    def name(self, name: str, why: str) -> str:
        """Take a mandatory name: lower-case letters, digits, `.`, `_`, `-`."""
        value = self.text(name, why=why)
        if value and not _NAME.fullmatch(value):
            self.wrong((name,), f"{value!r} must be lower-case letters, digits, '.', '_' and '-', at most 64")
        return value

    def flag(self, name: str, *, default: bool) -> bool:
        """Take a boolean."""
        value = self.data.get(name, default)
        if not isinstance(value, bool):
            self.wrong((name,), f"{name} must be true or false, not {kind_of(value)}")
            return default
        return value

    def choice(self, name: str, words: Iterable[str], default: str) -> str:
        """Take one word of a closed list."""
        allowed = tuple(words)
        value = self.data.get(name, default)
        if value not in allowed:
            shown = repr(value) if isinstance(value, str) else kind_of(value)
            self.wrong((name,), f"{shown} is not one of {', '.join(allowed)}{did_you_mean(value, allowed)}")
            return default
        return str(value)

    def texts(self, name: str, *, valid: Iterable[str] | None = None) -> tuple[str, ...]:
        """Take a list of distinct texts, each of a closed list when `valid` is given."""
        value = self.data.get(name)
        if value is None and name not in self.data:
            return ()
        if not isinstance(value, list):
            self.wrong((name,), f"{name} must be a list, not {kind_of(value)}")
            return ()
        allowed = tuple(valid) if valid is not None else None
        found: list[str] = []
        for i, item in enumerate(value):
            if not isinstance(item, str) or not item.strip():
                self.wrong((name, i), f"write text here, not {kind_of(item)}")
            elif allowed is not None and item not in allowed:
                hint = did_you_mean(item, allowed)
                self.wrong((name, i), f"{item!r} is not one of {', '.join(allowed)}{hint}")
            elif item in found:
                self.wrong((name, i), f"{item!r} stands twice")
            else:
                found.append(item)
        return tuple(found)

    def patterns(self, name: str, fitting: re.Pattern[str], why: str) -> tuple[str, ...]:
        """Take a list of patterns; one that can fit nothing would look like a rule and be none."""
        found, value = self.texts(name), self.data.get(name)
        for i, pattern in enumerate(value if isinstance(value, list) else []):
            if pattern in found and not fitting.fullmatch(str(pattern)):
                self.wrong((name, i), f"{pattern!r} {why}")
        return found

    def instant(self, name: str, why: str, *, end_of_day: bool = False) -> datetime | None:
        """Take a mandatory date or a date with time and zone.

        A bare date stands for its first instant in UTC, with `end_of_day` for its last one.
        """
        if not self.need(name, why):
            return None
        found = read_instant(self.data[name], end_of_day=end_of_day)
        if found is None:
            self.wrong((name,), f"{name} must be a date such as 2026-11-22, or a time with its zone")
        return found

    def each(self, name: str, read: Callable[[int], T | None]) -> tuple[T, ...]:
        """Read every entry of a list with `read`, which takes the index; None entries are left out."""
        value = self.data.get(name)
        if value is None and name not in self.data:
            return ()
        if not isinstance(value, list):
            self.wrong((name,), f"{name} must be a list, not {kind_of(value)}")
            return ()
        found = (read(i) for i in range(len(value)))
        return tuple(item for item in found if item is not None)

    def done(self) -> None:
        """Raise everything that was noted, or return."""
        if self.mistakes:
            raise Mistakes(self.mistakes)


def read_instant(value: Json, *, end_of_day: bool = False) -> datetime | None:
    """Read an instant in UTC out of a file; None when it is none, or has a time without a zone."""
    if not isinstance(value, str):
        return None
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return None
    if _DATE.fullmatch(value):
        day = found.replace(tzinfo=UTC)
        return day.replace(hour=23, minute=59, second=59, microsecond=999_999) if end_of_day else day
    try:
        return found.astimezone(UTC) if found.tzinfo else None
    except OverflowError:
        # A zone can push the first or last day of the calendar out of it.
        return None


def kind_of(value: Json) -> str:
    """Name the type of a value as a person would."""
    if isinstance(value, bool):
        return str(value).lower()
    names = {type(None): "nothing", str: "text", int: "a number", float: "a number", list: "a list"}
    return names.get(type(value), "a mapping")


def _follow(data: Json, pointer: Pointer) -> Json:
    for step in pointer:
        if isinstance(data, dict) and isinstance(step, str):
            data = data.get(step)
        elif isinstance(data, list) and isinstance(step, int) and step < len(data):
            data = data[step]
        else:
            return None
    return data
