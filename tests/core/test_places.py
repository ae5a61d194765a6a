"""Places are compared as sets of countries, never as labels."""

from __future__ import annotations

import pytest

from proxy.core.errors import Mistake
from proxy.core.places import Area, area, consistent, fold, read_countries, within
from proxy.core.strict_yaml import load
from proxy.core.values import Json, Outcome
from tests.judging import COUNTRIES, ROOT

MET, UNMET, UNKNOWN = Outcome.MET, Outcome.UNMET, Outcome.UNKNOWN
EU = area(["EU"], COUNTRIES)
SE = area(["SE"], COUNTRIES)
US = area(["US"], COUNTRIES)


def test_the_sets_have_their_known_sizes_and_nest_as_they_should() -> None:
    sets = COUNTRIES.sets
    assert {name: len(members) for name, members in sets.items()} == {
        "EU": 27, "EEA": 30, "EFTA": 4, "EU_ADEQUACY": 15,
    }  # fmt: skip
    assert sets["EEA"] - sets["EU"] == {"IS", "LI", "NO"}
    assert sets["EFTA"] == {"CH", "IS", "LI", "NO"}
    assert "US" not in sets["EU_ADEQUACY"]
    assert not sets["EU_ADEQUACY"] & sets["EU"]


def test_every_set_and_label_carries_its_source() -> None:
    data = load((ROOT / "proxy/tables/countries.yaml").read_bytes(), "countries.yaml").data
    assert isinstance(data, dict)
    for block in ("sets", "labels"):
        rows = data[block]
        assert isinstance(rows, dict)
        assert all(
            isinstance(row, dict) and str(row["source"]).startswith("https://") for row in rows.values()
        )
    assert data["version"]


@pytest.mark.parametrize(
    ("words", "permitted", "outcome"),
    [
        (["Sweden"], EU, MET),
        (["SE"], EU, MET),
        (["EU"], EU, MET),
        (["eu"], EU, MET),
        (["EU"], SE, UNMET),
        (["EEA"], EU, UNMET),
        (["EU"], area(["EEA"], COUNTRIES), MET),
        (["Norway"], EU, UNMET),
        (["Switzerland"], area(["EEA"], COUNTRIES), UNMET),
        (["United States"], US, MET),
        (["  united   STATES "], US, MET),
        (["USA"], US, MET),
        (["SE", "US"], EU, UNMET),
        (["SE", "DE"], EU, MET),
        (["GLOBAL"], EU, UNMET),
        (["Atlantis"], EU, UNKNOWN),
        (["SE", "Atlantis"], EU, UNKNOWN),
        (["US", "Atlantis"], EU, UNMET),
        ([], EU, UNKNOWN),
    ],
)
def test_a_place_is_within_when_all_its_countries_are(
    words: list[str], permitted: Area, outcome: Outcome
) -> None:
    assert within(words, permitted) is outcome


def test_global_is_within_nothing_not_even_every_country() -> None:
    everywhere = area(sorted(COUNTRIES.codes), COUNTRIES)
    assert within(["GLOBAL"], everywhere) is UNMET
    assert within(["United States"], everywhere) is MET


@pytest.mark.parametrize(
    ("beside", "permitted", "outcome"),
    [(["EU"], SE, MET), (["US"], SE, UNMET), (["GLOBAL"], SE, UNMET), (["?"], SE, UNKNOWN), ([], SE, MET)],
)
def test_wider_words_must_leave_room_for_the_place(
    beside: list[str], permitted: Area, outcome: Outcome
) -> None:
    assert consistent(beside, permitted) is outcome


def test_no_two_countries_share_a_spelling() -> None:
    data = load((ROOT / "proxy/tables/countries.yaml").read_bytes(), "countries.yaml").data
    assert isinstance(data, dict)
    countries = data["countries"]
    assert isinstance(countries, dict)
    spelt = [fold(str(name)) for names in countries.values() if isinstance(names, list) for name in names]
    assert len(spelt) == len(set(spelt))
    assert len(countries) == 249


@pytest.mark.parametrize("data", [None, {}, {"version": "1", "sets": {}, "labels": {}}])
def test_a_malformed_table_is_a_mistake(data: Json) -> None:
    with pytest.raises(Mistake):
        read_countries(data)


def test_a_set_with_an_unknown_country_is_a_mistake() -> None:
    with pytest.raises(Mistake, match="XX"):
        read_countries(
            {
                "version": "1",
                "countries": {"SE": ["Sweden"]},
                "labels": {},
                "sets": {"XX": {"members": ["ZZ"]}},
            }
        )
