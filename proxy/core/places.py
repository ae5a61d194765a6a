"""countries and sets of countries: what a place name in a row or a policy covers

Places are compared as sets of countries, never as labels. The table (codes, names, sets, each with
version and source) is passed in; see `proxy/tables/countries.yaml`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from proxy.core.errors import Mistake
from proxy.core.values import Json, Outcome


@dataclass(frozen=True, slots=True)
class Countries:
    """The place names we know. `words` maps every folded spelling to the countries it covers.

    `everywhere` holds the folded words that stand for no particular place (GLOBAL). `sets` and
    `codes` are what a policy may write.
    """

    version: str
    sets: Mapping[str, frozenset[str]]
    codes: frozenset[str]
    words: Mapping[str, frozenset[str]]
    everywhere: frozenset[str]


@dataclass(frozen=True, slots=True)
class Area:
    """A permitted set of countries, prepared for comparison with the words of rows.

    `inside` holds every word that lies wholly within, `touching` those that lie at least partly
    within, `known` all words that can be placed at all.
    """

    names: tuple[str, ...]
    members: frozenset[str]
    inside: frozenset[str]
    touching: frozenset[str]
    known: frozenset[str]


def fold(word: str) -> str:
    """Fold a place name for comparison."""
    return " ".join(word.casefold().split())


def read_countries(data: Json) -> Countries:
    """Build the table from its parsed YAML, or raise `Mistake` when it contradicts itself."""
    try:
        return _read(data)
    except (KeyError, TypeError, AttributeError) as error:
        raise Mistake(f"the table of countries is malformed near {error}") from error


def _read(data: Any) -> Countries:
    codes = frozenset(data["countries"])
    sets = {name: frozenset(row["members"]) for name, row in data["sets"].items()}
    for name, members in sets.items():
        if not members or not members <= codes:
            raise Mistake(f"the country set {name} is empty or names a country that the table lacks")
    words = {fold(name): frozenset([code]) for code in codes for name in (code, *data["countries"][code])}
    labels = data["labels"].items()
    words |= {fold(label): sets[row["set"]] for label, row in labels if "set" in row}
    everywhere = frozenset(fold(label) for label, row in labels if "set" not in row)
    return Countries(str(data["version"]), sets, codes, words, everywhere)


def area(names: Sequence[str], countries: Countries) -> Area:
    """Build the area that a list of codes and set names permits. The names must be known ones."""
    members: frozenset[str] = frozenset()
    for name in names:
        members |= countries.sets.get(name) or frozenset([name])
    inside = frozenset(word for word, cover in countries.words.items() if cover <= members)
    touching = frozenset(word for word, cover in countries.words.items() if cover & members)
    known = frozenset(countries.words) | countries.everywhere
    return Area(tuple(names), members, inside, touching, known)


def within(words: Iterable[str], permitted: Area) -> Outcome:
    """Tell whether every place lies wholly within an area. Places that nobody can place are unknown."""
    folded = {fold(word) for word in words}
    if not folded:
        return Outcome.UNKNOWN
    if folded <= permitted.inside:
        return Outcome.MET
    return Outcome.UNMET if folded & permitted.known - permitted.inside else Outcome.UNKNOWN


def consistent(words: Iterable[str], permitted: Area) -> Outcome:
    """Tell whether wider words, said beside a country, leave room for the area at all.

    `region: EU` beside `country: Sweden` does; `region: GLOBAL` or `region: US` does not.
    """
    folded = {fold(word) for word in words}
    if folded <= permitted.touching:
        return Outcome.MET
    return Outcome.UNMET if folded & permitted.known - permitted.touching else Outcome.UNKNOWN
