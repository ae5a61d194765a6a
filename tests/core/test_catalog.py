from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from proxy.core.catalog import Catalogue, diff, read_catalogue
from proxy.core.dimensions import DIMENSIONS
from proxy.core.values import Basis, Candidates, Reference

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
NAMES = [dimension.name for dimension in DIMENSIONS]


def row(identity: str, **more: Any) -> dict[str, Any]:
    return {"id": identity, "provider": identity.partition("/")[0], "type": "llm", "model": "atlas", **more}


def catalogue(*rows: Any, at: datetime = AT) -> Catalogue:
    return read_catalogue({"models": list(rows), "total": len(rows)}, source="test", fetched_at=at)


def ids(candidates: Candidates) -> list[str]:
    return [route.id for route in candidates.routes]


US: dict[str, Any] = {
    "country": "United States",
    "compliance": {"training": False, "zdr": {"logging": False, "moderation": False}},
}


# -- references ------------------------------------------------------------------------------------


def test_a_pin_is_its_one_row():
    found = catalogue(row("a/atlas"), row("b/atlas")).candidates("a/atlas")
    assert (found.reference, ids(found)) == (Reference.PIN, ["a/atlas"])


def test_a_pin_is_compared_with_case():
    found = catalogue(row("a/vendor/Atlas-XL")).candidates("a/vendor/atlas-xl")
    assert (found.reference, found.routes) == (Reference.UNKNOWN, ())


def test_a_bare_name_is_every_pooled_row_of_the_model():
    known = catalogue(
        row("b/atlas"), row("a/atlas"), row("c/atlas", pooled=False), row("d/other", model="other")
    )
    found = known.candidates("atlas")
    assert (found.reference, ids(found)) == (Reference.POOL, ["a/atlas", "b/atlas"])


def test_a_row_whose_pooled_is_not_understood_counts_as_pooled():
    assert ids(catalogue(row("a/atlas", pooled="no")).candidates("atlas")) == ["a/atlas"]


def test_a_row_without_a_pool_name_is_in_the_pool_of_its_own_model_id():
    rows = {"id": "a/atlas-9", "model_id": "atlas-9"}
    assert ids(catalogue(rows).candidates("atlas-9")) == ["a/atlas-9"]


def test_an_alias_is_every_row_that_lists_it():
    known = catalogue(row("a/atlas", aliases=["newest"]), row("b/atlas", aliases=["newest", "other"]))
    found = known.candidates("newest")
    assert (found.reference, ids(found)) == (Reference.ALIAS, ["a/atlas", "b/atlas"])


def test_a_name_that_is_both_pool_and_alias_stands_for_all_of_them():
    known = catalogue(row("a/atlas"), row("b/other", model="other", aliases=["atlas"]))
    found = known.candidates("atlas")
    assert (found.reference, ids(found)) == (Reference.POOL, ["a/atlas", "b/other"])


def test_a_dynamic_route_is_never_looked_up():
    known = catalogue(row("a/atlas", aliases=["dynamic/mine"]))
    assert known.candidates("dynamic/mine") == Candidates(Reference.DYNAMIC, ())


def test_a_row_cannot_claim_an_id_in_the_dynamic_namespace():
    known = catalogue(row("dynamic/mine"), row("Dynamic/mine"))
    assert (known.routes, known.dropped) == ((), 2)


def test_blank_references_are_empty():
    assert {catalogue(row("a/b")).candidates(text).reference for text in ("", " ", "\t\n")} == {
        Reference.EMPTY
    }


def test_kin_of_a_route_are_its_model_and_its_successors_without_itself():
    known = catalogue(
        row("a/old", model="old", successor="mid"),
        row("b/old", model="old"),
        row("a/mid", model="mid", successor="a/new"),
        row("a/new", model="new", successor="old"),
        row("a/solo", model="old", pooled=False),
        row("a/else", model="else"),
    )
    assert [each.id for each in known.kin("a/old")] == ["a/mid", "a/new", "a/solo", "b/old"]


# -- rows ------------------------------------------------------------------------------------------


def test_rows_without_a_usable_id_are_dropped_and_counted():
    bad = [
        None,
        7,
        "",
        "bare",
        "a/",
        "/a",
        "a//b",
        "a/b c",
        "a/../b",
        "a/b?c",
        "a/b#c",
        "a/é",
        "a/" + "b" * 300,
        ["a/b"],
    ]
    known = catalogue(row("a/b"), "not a row", None, *({"id": each} for each in bad))
    assert (len(known.routes), known.dropped) == (1, len(bad) + 2)


def test_rows_that_repeat_an_id_and_agree_are_one():
    known = catalogue(row("a/b", **US), row("a/b", **US))
    assert (len(known.routes), known.contradictory, known.dropped) == (1, (), 0)
    assert known.routes[0].posture["training"].basis is Basis.CATALOGUE


def test_rows_that_contradict_each_other_claim_nothing_where_they_differ():
    worse = {**US, "compliance": {**US["compliance"], "training": True}}
    known = catalogue(row("a/b", **US, successor="x"), row("a/b", **worse, successor="y"))
    found = known.route("a/b")
    assert found is not None
    assert known.contradictory == ("a/b",)
    assert found.posture["training"].basis is Basis.UNKNOWN
    assert found.posture["training"].value is None
    assert found.posture["inference_location"].basis is Basis.CATALOGUE
    assert found.successor is None


def test_a_claim_that_only_one_of_two_rows_makes_is_unknown():
    known = catalogue(row("a/b", **US), row("a/b"))
    found = known.route("a/b")
    assert found is not None
    assert {claim.basis for claim in found.posture.values()} == {Basis.UNKNOWN}


# -- age -------------------------------------------------------------------------------------------


def test_a_fresh_catalogue_is_believed_as_it_is():
    known = catalogue(row("a/b", **US))
    assert known.aged(AT + timedelta(hours=24), timedelta(hours=24)) is known


def test_an_old_catalogue_keeps_its_routes_and_loses_every_claim():
    known = catalogue(row("a/b", **US))
    aged = known.aged(AT + timedelta(hours=24, seconds=1), timedelta(hours=24))
    assert [each.id for each in aged.routes] == ["a/b"]
    assert {claim.value for claim in aged.routes[0].posture.values()} == {None}
    assert {claim.basis for claim in aged.candidates("atlas").routes[0].posture.values()} == {Basis.UNKNOWN}
    assert aged.digest == known.digest


def test_a_catalogue_from_the_future_is_not_believed_either():
    aged = catalogue(row("a/b", **US)).aged(AT - timedelta(days=2), timedelta(hours=24))
    assert {claim.basis for claim in aged.routes[0].posture.values()} == {Basis.UNKNOWN}


def test_a_retired_row_claims_nothing_because_its_successor_may_be_served():
    known = catalogue(row("a/b", **US, retired_at="2026-03-01T13:00:00Z"), row("c/d", **US))
    day = timedelta(hours=24)
    assert known.aged(AT, day) is known
    aged = known.aged(AT + timedelta(hours=1), day)
    found = [each.posture["training"].basis for each in aged.routes]
    assert found == [Basis.UNKNOWN, Basis.CATALOGUE]


# -- digest and diff -------------------------------------------------------------------------------


def test_the_digest_names_the_facts_and_not_their_order_or_moment():
    one = catalogue(row("a/b", **US), row("c/d"))
    two = catalogue(row("c/d"), dict(reversed(list(row("a/b", **US).items()))), at=AT + timedelta(days=1))
    assert one.digest == two.digest
    assert one.digest.startswith("sha256:")
    assert len(one.digest) == 71


def test_the_digest_tells_one_from_true():
    assert catalogue(row("a/b", x=1)).digest != catalogue(row("a/b", x=True)).digest


def test_a_diff_says_what_became_worse_and_better_and_what_came_and_went():
    trains = {**US, "compliance": {**US["compliance"], "training": True}}
    old = catalogue(row("a/worse", **US), row("a/better", **trains), row("a/gone"), row("a/same", **US))
    new = catalogue(row("a/worse", **trains), row("a/better", **US), row("a/new"), row("a/same", **US))
    found = diff(old, new)
    assert [(each.route, each.dimension) for each in found.worse] == [("a/worse", "training")]
    assert [(each.route, each.dimension) for each in found.better] == [("a/better", "training")]
    assert (found.gone, found.new, found.moved) == (("a/gone",), ("a/new",), ())


def test_equal_catalogues_differ_in_nothing():
    known = catalogue(row("a/b", **US))
    assert not diff(known, known)


# -- junk ------------------------------------------------------------------------------------------

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
JUNK = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
MEMBERS = st.sampled_from(
    [
        "id",
        "name",
        "type",
        "provider",
        "model",
        "model_id",
        "aliases",
        "successor",
        "pricing",
        "context_window",
        "max_output_tokens",
        "pooled",
        "retired_at",
        "access",
        "country",
        "region",
        "compliance",
        "route",
        "policy",
    ]
)


@given(st.lists(st.dictionaries(MEMBERS, JUNK, max_size=8) | JUNK, max_size=5), st.lists(MEMBERS, max_size=4))
def test_no_row_can_crash_the_reading(rows, renamed):
    for identity, each in zip(("a/b", "a/b", "c/d"), rows, strict=False):
        if isinstance(each, dict):
            each["id"] = identity
    known = catalogue(*rows)
    assert len(known.routes) + known.dropped <= len(rows)
    assert all(list(each.posture) == NAMES for each in known.routes)
    diff(known, catalogue())


@given(JUNK)
def test_no_answer_can_crash_the_reading(payload):
    assert read_catalogue(payload, source="test", fetched_at=AT).digest


@given(st.data())
def test_a_second_row_for_an_id_never_makes_a_claim_that_the_first_did_not(data):
    compliance = st.fixed_dictionaries(
        {},
        optional={
            name: st.sampled_from([True, False, None, "US", "none", "yes"])
            for name in (
                "training",
                "logging",
                "moderation",
                "caching",
                "content_storage",
                "country",
                "dpa_available",
            )
        },
    )
    first, second = (row("a/b", compliance=data.draw(compliance)) for _ in range(2))
    alone, both = catalogue(first).route("a/b"), catalogue(first, second).route("a/b")
    assert alone is not None
    assert both is not None
    for name in NAMES:
        if both.posture[name].value is not None:
            assert both.posture[name].value == alone.posture[name].value
