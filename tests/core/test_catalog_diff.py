from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from proxy.core.catalog import Catalogue, diff, read_catalogue
from proxy.core.dimensions import DIMENSIONS
from proxy.core.values import Json

AT = datetime(2026, 3, 1, tzinfo=UTC)


def catalogue(**compliance: Json) -> Catalogue:
    rows: list[Json] = [{"id": "a/b", "compliance": compliance}]
    return read_catalogue({"models": rows}, source="test", fetched_at=AT)


def test_a_claim_that_became_unknown_is_worse_and_one_that_became_known_is_better():
    known, silent = catalogue(training=False), catalogue()
    assert [each.dimension for each in diff(known, silent).worse] == ["training"]
    assert [each.dimension for each in diff(silent, known).better] == ["training"]
    assert diff(known, silent).worse[0].after == "unknown"


def test_one_country_for_another_is_neither_worse_nor_better():
    found = diff(catalogue(country="Sweden"), catalogue(country="Norway"))
    assert [(each.dimension, each.before, each.after) for each in found.moved] == [
        ("inference_location", "Sweden", "Norway")
    ]
    assert not found.worse
    assert not found.better


ANY = st.fixed_dictionaries(
    {},
    optional={
        "training": st.sampled_from([True, False, None, "Conditional"]),
        "logging": st.sampled_from([True, False, "Abuse monitoring (30-day retention)"]),
        "country": st.sampled_from(["Sweden", "United States", ""]),
        "dpa_available": st.sampled_from([True, False, "DPA available"]),
        "transfer_mechanism": st.sampled_from(["SCCs", "unknown", None]),
    },
)


@given(ANY, ANY)
def test_what_is_worse_one_way_is_better_the_other_way(one, two):
    there, back = diff(catalogue(**one), catalogue(**two)), diff(catalogue(**two), catalogue(**one))
    assert [each.dimension for each in there.worse] == [each.dimension for each in back.better]
    assert [each.dimension for each in there.moved] == [each.dimension for each in back.moved]


@given(ANY, ANY)
def test_changes_come_in_the_order_of_the_dimensions(one, two):
    order = [dimension.name for dimension in DIMENSIONS]
    found = diff(catalogue(**one), catalogue(**two))
    for side in (found.worse, found.better, found.moved):
        assert [each.dimension for each in side] == sorted((each.dimension for each in side), key=order.index)
