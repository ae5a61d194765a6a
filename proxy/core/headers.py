"""which header fields may cross the proxy, and in which direction

Everything unlisted is dropped and nothing is renamed, so a credential, a cookie or a header that
steers the gateway cannot travel on by being forgotten. Headers that opt into behaviour are judged
value by value.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, cast

from proxy.core.errors import Mistake, Unreadable
from proxy.core.fields import LONGEST_NAME, Fields
from proxy.core.values import Headers, Json

Verdict: TypeAlias = Literal["admit", "drop", "refuse"]

# Names are chosen by strangers: the memo must not grow with what they invent.
_MEMO_LIMIT = 512
# One line of printable ASCII; other bytes are read differently from server to server.
_PLAIN = re.compile(rb"[\x20-\x7e]{0,1024}")
_VISIBLE, _LONGEST = bytes(range(0x20, 0x7F)), 1024
_SECTIONS = {"schema_version", "date_seen", "sources", "request", "response", "judged", "agents"}


@dataclass(frozen=True, slots=True)
class Opinion:
    """What the table says of one value of a judged header."""

    verdict: Verdict
    why: str


class _Crosses(dict[bytes, bool]):
    """Names as they came -> whether the table lists them for the gateway."""

    def __init__(self, listed: frozenset[bytes]) -> None:
        super().__init__()
        self._listed = listed

    def __missing__(self, name: bytes) -> bool:
        crosses = name.lower() in self._listed
        if len(self) < _MEMO_LIMIT and len(name) <= LONGEST_NAME:
            self[name] = crosses
        return crosses


@dataclass(frozen=True, slots=True)
class HeaderTable:
    """The compiled table; names are lower-case bytes, prefixes too."""

    request: frozenset[bytes]
    response: frozenset[bytes]
    response_prefixes: tuple[bytes, ...]
    judged: Mapping[bytes, Mapping[str, Opinion]]
    agents: tuple[tuple[bytes, str], ...]
    _memo: dict[bytes, bool] = field(default_factory=dict, compare=False, repr=False)
    _admitted_whole: set[tuple[bytes, bytes]] = field(default_factory=set, compare=False, repr=False)
    _crosses: _Crosses = field(init=False, compare=False, repr=False)
    _opting: tuple[bytes, ...] = field(init=False, compare=False, repr=False)
    _programs: re.Pattern[bytes] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        prefixes = b"|".join(b"(" + re.escape(prefix) + b")" for prefix, _ in self.agents)
        object.__setattr__(self, "_crosses", _Crosses(self.request))
        object.__setattr__(self, "_opting", tuple(self.judged))
        object.__setattr__(self, "_programs", re.compile(prefixes or b"(?!)"))

    def judge(self, fields: Fields) -> None:
        """Refuse what must not be dropped in silence.

        Raises `Unreadable`: `unknown_value` for an opt-in value that no table lists,
        `feature_refused` for one that is refused, `ambiguous_member` for a header that stands twice
        with different values.
        """
        if fields.repeated or self._opts_in(fields):
            self._judge_each(fields.pairs)

    def upstream(self, fields: Fields) -> Headers:
        """The fields that may go to the gateway, in their order and case."""
        if not self._opts_in(fields):
            crosses = self._crosses
            kept = [pair for pair in fields.pairs if crosses[pair[0]]]
            # What is plain as a whole, and no longer than one value may be, is plain in every part.
            whole = b"".join([value for _, value in kept])
            if len(whole) <= _LONGEST and not whole.translate(None, _VISIBLE):
                return tuple(kept)
        return self._upstream_each(fields.pairs)

    def downstream(self, pairs: Iterable[tuple[bytes, bytes]]) -> Headers:
        """The fields of a reply that may go back to the caller, in their order and case."""
        return tuple([(name, value) for name, value in pairs if self._returns(name)])

    def agent(self, fields: Fields) -> str:
        """The calling program by a name from the table, `other` when the table does not know it."""
        found = self._programs.match(fields.first.get(b"user-agent", b""))
        return self.agents[found.lastindex - 1][1] if found and found.lastindex else "other"

    def _opts_in(self, fields: Fields) -> bool:
        return not fields.first.keys().isdisjoint(self._opting)

    def _judge_each(self, headers: Headers) -> None:
        seen: dict[bytes, bytes] = {}
        for name, value in headers:
            lower = name.lower()
            if lower in self.judged:
                if (lower, value) not in self._admitted_whole:
                    self._judge_value(lower, value)
            elif lower in self.request and lower != b"accept" and seen.setdefault(lower, value) != value:
                shown = lower.decode("ascii")
                words = f"The header {shown} stands twice. Send it once."
                raise Unreadable("ambiguous_member", words, param=shown)

    def _judge_value(self, name: bytes, value: bytes) -> None:
        items = _items(value)
        for item in items:
            self._judge(name, item)
        self._remember(name, value, items)

    def _remember(self, name: bytes, value: bytes, items: Sequence[str]) -> None:
        """Keep a value made of admitted items only: it says nothing but what the table says."""
        admitted = all(self.judged[name][item].verdict == "admit" for item in items)
        if admitted and len(value) <= _LONGEST and len(self._admitted_whole) < _MEMO_LIMIT:
            self._admitted_whole.add((name, value))

    def _upstream_each(self, headers: Headers) -> Headers:
        kept = []
        for name, value in headers:
            if self._crosses[name]:
                if _PLAIN.fullmatch(value):
                    kept.append((name, value))
            elif (lower := name.lower()) in self.judged and (rest := self._admitted(lower, value)):
                kept.append((name, rest))
        return tuple(kept)

    def _returns(self, name: bytes) -> bool:
        known = self._memo.get(name)
        if known is None:
            lower = name.lower()
            known = lower in self.response or lower.startswith(self.response_prefixes)
            if len(self._memo) < _MEMO_LIMIT:
                self._memo[name] = known
        return known

    def _judge(self, name: bytes, item: str) -> None:
        header, opinion = name.decode("ascii"), self.judged[name].get(item)
        if opinion is None:
            raise Unreadable(
                "unknown_value",
                f'The {header} value "{item[:80]}" is in no table, so nobody has judged what it does. '
                "Leave it out, or ask whoever runs this proxy to have it judged.",
                param=header,
            )
        if opinion.verdict == "refuse":
            words = f'The {header} value "{item}" is refused: {opinion.why}. Leave it out.'
            raise Unreadable("feature_refused", words, param=header)

    def _admitted(self, name: bytes, value: bytes) -> bytes:
        if (name, value) in self._admitted_whole:
            return value
        opinions, items = self.judged[name], _items(value)
        kept = [item for item in items if item in opinions and opinions[item].verdict == "admit"]
        return value if len(kept) == len(items) else ",".join(kept).encode("ascii")


def _items(value: bytes) -> list[str]:
    # Latin-1 takes every byte, so a strange value stays a value and is found in no table.
    return [item.strip(" \t") for item in value.decode("latin-1").split(",") if item.strip(" \t")]


def compile_headers(parsed: Json) -> HeaderTable:
    """Build the table from `tables/headers.yaml` as parsed; raises `Mistake` where it is malformed."""
    table = _mapping(parsed, "the header table")
    if unknown := set(table) - _SECTIONS:
        raise Mistake(f"the header table has no section {sorted(unknown)[0]!r}")
    sources = _mapping(table.get("sources"), "sources")
    rows = {part: _rows(table.get(part), part) for part in ("request", "response", "agents")}
    for row in rows["request"] + rows["response"]:
        _sourced(row, sources)
    return HeaderTable(
        request=frozenset(_lower(row, "name") for row in rows["request"]),
        response=frozenset(_lower(row, "name") for row in rows["response"] if "name" in row),
        response_prefixes=tuple(_lower(row, "prefix") for row in rows["response"] if "prefix" in row),
        judged=_judged(table.get("judged"), sources),
        agents=tuple((_text(row, "prefix").encode("ascii"), _text(row, "name")) for row in rows["agents"]),
    )


def _judged(section: Json, sources: Mapping[str, Json]) -> dict[bytes, dict[str, Opinion]]:
    judged: dict[bytes, dict[str, Opinion]] = {}
    for header, rows in _mapping(section, "judged").items():
        opinions: dict[str, Opinion] = {}
        for row in _rows(rows, header):
            _sourced(row, sources)
            verdict, value = _text(row, "verdict"), _text(row, "value")
            if verdict not in ("admit", "drop", "refuse"):
                raise Mistake(f"{header}: {verdict!r} is no verdict; use admit, drop or refuse")
            if value in opinions:
                raise Mistake(f"{header}: {value!r} is listed twice")
            opinions[value] = Opinion(cast(Verdict, verdict), _text(row, "why"))
        judged[header.lower().encode("ascii")] = opinions
    return judged


def _mapping(value: Json, what: str) -> dict[str, Json]:
    if not isinstance(value, dict):
        raise Mistake(f"{what} must be a mapping")
    return value


def _rows(value: Json, what: str) -> list[dict[str, Json]]:
    if not isinstance(value, list):
        raise Mistake(f"{what} must be a list")
    return [_mapping(row, f"a row of {what}") for row in value]


def _text(row: Mapping[str, Json], key: str) -> str:
    value = row.get(key)
    if not isinstance(value, str) or not value:
        raise Mistake(f"a row of the header table needs {key!r}: {sorted(row)}")
    return value


def _lower(row: Mapping[str, Json], key: str) -> bytes:
    return _text(row, key).lower().encode("ascii")


def _sourced(row: Mapping[str, Json], sources: Mapping[str, Json]) -> None:
    if _text(row, "source") not in sources:
        raise Mistake(f"the header table names no source {row['source']!r}")
