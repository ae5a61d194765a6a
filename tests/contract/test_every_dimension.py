"""What every posture dimension has to do, whoever adds it."""

from __future__ import annotations

import importlib
import pkgutil
import re
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import proxy.core.dimensions as package
from proxy.core.attestations import CLAIMS
from proxy.core.dimensions import DIMENSIONS, GATEWAY_DIMENSIONS, Dimension, Misread, NoDemand, posture
from proxy.core.dimensions.base import UNKNOWN_RANK, PlaceDimension
from proxy.core.rows import unstated
from proxy.core.values import Basis, Claim, Outcome
from tests.judging import AT, COUNTRIES, MET, STRICT, UNMET, claim

EVERY = (*DIMENSIONS, *GATEWAY_DIMENSIONS)
every_dimension = pytest.mark.parametrize("dimension", EVERY, ids=lambda d: d.name)
every_route_dimension = pytest.mark.parametrize("dimension", DIMENSIONS, ids=lambda d: d.name)

words = st.sampled_from(
    [
        "none",
        "None disclosed",
        "No",
        "true",
        "EU",
        "GLOBAL",
        "Sweden",
        "SCCs",
        "unknown",
        "Enterprise",
        "30 days",
        "",
    ]
)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-5, 400)
    | st.floats(allow_nan=False)
    | words
    | st.text(max_size=9)
)
keys = st.sampled_from(
    [
        "compliance",
        "route",
        "zdr",
        "logging",
        "moderation",
        "caching",
        "training",
        "data_handling",
        "gdpr",
        "verification",
        "status",
        "default",
        "country",
        "countries",
        "residency",
        "region",
        "inference_location",
        "storage_location",
        "content_storage",
        "dpa_available",
        "third_party_access",
        "transfer_mechanism",
        "last_verified_at",
        "retention_days",
        "subprocessors",
        "human_review",
        "location",
        "content_retention",
    ]
)
anything: st.SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=6),
    max_leaves=25,
)
rows = st.dictionaries(keys, anything, max_size=8)


def asked_by_strict(dimension: Dimension) -> Any:
    value: Any = STRICT
    for step in dimension.name.split("."):
        value = value[step]
    return dimension.parse(value, COUNTRIES)


def test_every_module_of_the_folder_stands_in_a_tuple() -> None:
    modules = {part.name for part in pkgutil.iter_modules(package.__path__)} - {"base"}
    listed = {type(dimension).__module__.rsplit(".", 1)[1] for dimension in EVERY}
    assert modules == listed


def test_every_class_of_a_module_stands_in_a_tuple() -> None:
    for part in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"{package.__name__}.{part.name}")
        own = {
            thing
            for thing in vars(module).values()
            if isinstance(thing, type)
            and issubclass(thing, Dimension)
            and thing.__module__ == module.__name__
        }
        if part.name != "base":
            assert own
            assert own <= {type(dimension) for dimension in EVERY}


def test_names_are_distinct() -> None:
    assert len({d.name for d in DIMENSIONS}) == len(DIMENSIONS)


@every_dimension
def test_it_says_what_it_is_about(dimension: Dimension) -> None:
    assert dimension.title
    assert dimension.asks.endswith(".")
    assert dimension.examples


@every_dimension
def test_its_examples_parse_and_any_is_no_demand(dimension: Dimension) -> None:
    for value in dimension.examples:
        assert dimension.parse(value, COUNTRIES).asked
    assert isinstance(dimension.parse("any", COUNTRIES), NoDemand)


NONSENSE: list[Any] = [None, True, 7, "", "nonsense", [], {}, {"nonsense": 1}, [None], {"within": {}}]


@every_dimension
@pytest.mark.parametrize("value", NONSENSE)
def test_a_requirement_that_cannot_be_understood_is_a_misreading(dimension: Dimension, value: Any) -> None:
    with pytest.raises(Misread) as caught:
        dimension.parse(value, COUNTRIES)
    assert all(message for _, message in caught.value.wrongs)


@every_dimension
def test_an_empty_row_claims_nothing_and_never_passes(dimension: Dimension) -> None:
    found = dimension.read({})
    assert found.value is None
    assert found.basis is Basis.UNKNOWN
    for value in dimension.examples:
        requirement = dimension.parse(value, COUNTRIES)
        judged = dimension.judge(requirement, found, at=AT)
        expected = Outcome.MET if isinstance(requirement, NoDemand) else Outcome.UNKNOWN
        assert judged.outcome is expected
        assert bool(judged.remedy) is (expected is Outcome.UNKNOWN)


@every_route_dimension
def test_it_comes_out_met_and_unmet_and_says_what_would_help(dimension: Dimension) -> None:
    requirement = asked_by_strict(dimension)
    met = dimension.judge(requirement, claim(MET[dimension.name]), at=AT)
    unmet = dimension.judge(requirement, claim(UNMET[dimension.name]), at=AT)
    assert (met.outcome, met.remedy) == (Outcome.MET, "")
    assert unmet.outcome is Outcome.UNMET
    assert unmet.remedy
    assert met.asked == unmet.asked == requirement.asked


@every_route_dimension
def test_a_claim_that_has_lapsed_is_no_claim(dimension: Dimension) -> None:
    requirement = asked_by_strict(dimension)
    value = MET[dimension.name]
    before = dimension.judge(requirement, claim(value, until=AT + timedelta(seconds=1)), at=AT)
    after = dimension.judge(requirement, claim(value, until=AT), at=AT)
    assert before.outcome is Outcome.MET
    assert before.until is not None
    assert before.until <= AT + timedelta(days=90)
    assert after.outcome is Outcome.UNKNOWN
    assert "lapsed" in after.claimed


@every_route_dimension
def test_a_claim_of_unknown_basis_never_passes_whatever_its_value(dimension: Dimension) -> None:
    doubtful = Claim(MET[dimension.name], Basis.UNKNOWN, "a rumour", "catalogue")
    assert dimension.judge(asked_by_strict(dimension), doubtful, at=AT).outcome is Outcome.UNKNOWN


@every_dimension
@settings(max_examples=50)
@given(row=rows)
def test_reading_any_row_and_judging_it_never_raises(dimension: Dimension, row: Any) -> None:
    found = dimension.read(row)
    assert (found.value is None) is (found.basis is Basis.UNKNOWN)
    assert isinstance(dimension.rank(found), int)
    for value in dimension.examples:
        judged = dimension.judge(dimension.parse(value, COUNTRIES), found, at=AT)
        assert judged.outcome in (Outcome.MET, Outcome.UNMET, Outcome.UNKNOWN)


@every_dimension
@settings(max_examples=50)
@given(value=anything)
def test_judging_a_claim_of_any_shape_never_raises(dimension: Dimension, value: Any) -> None:
    odd = Claim(value, Basis.CATALOGUE, "odd", "test")
    for asked in dimension.examples:
        dimension.judge(dimension.parse(asked, COUNTRIES), odd, at=AT)
    dimension.rank(odd)


@every_dimension
def test_unknown_ranks_laxest(dimension: Dimension) -> None:
    assert dimension.rank(unstated()) == UNKNOWN_RANK
    if dimension.name in MET:
        # One country is as narrow as another, so places may rank alike.
        assert dimension.rank(claim(MET[dimension.name])) <= dimension.rank(claim(UNMET[dimension.name]))


@every_dimension
def test_what_an_attestation_may_say_is_in_the_vocabulary_and_is_judged(dimension: Dimension) -> None:
    prefix = "gateway." if dimension in GATEWAY_DIMENSIONS else ""
    for assertable in dimension.attestable:
        assert (prefix + dimension.name, assertable) in CLAIMS[assertable.word]
        assert assertable.meaning
        if not assertable.takes:
            assert dimension.rank(claim(assertable.value)) < UNKNOWN_RANK


@every_dimension
def test_its_schema_takes_its_examples_and_not_nonsense(dimension: Dimension) -> None:
    for value in dimension.examples:
        assert fits(dimension.schema(), value), value
    for value in NONSENSE[:5]:
        assert not fits(dimension.schema(), value), value


def test_a_posture_has_a_claim_for_every_dimension() -> None:
    assert list(posture({})) == [d.name for d in DIMENSIONS]


def test_places_are_the_only_dimensions_that_attest_places() -> None:
    taking = {d.name for d in EVERY for a in d.attestable if a.takes == "places"}
    assert taking == {d.name for d in EVERY if isinstance(d, PlaceDimension)}


def fits(schema: Any, value: Any) -> bool:
    """Check a value against the few schema words that dimensions use."""

    known = {
        "oneOf",
        "enum",
        "const",
        "type",
        "properties",
        "required",
        "additionalProperties",
        "items",
        "minItems",
    }
    assert set(schema) <= known | {"pattern"}, "teach this checker the new word"
    kinds = {"object": dict, "array": list, "string": str}
    if "oneOf" in schema and sum(fits(each, value) for each in schema["oneOf"]) != 1:
        return False
    if "enum" in schema and value not in schema["enum"]:
        return False
    if "const" in schema and value != schema["const"]:
        return False
    if "type" in schema and not isinstance(value, kinds[schema["type"]]):
        return False
    if "pattern" in schema and not re.search(schema["pattern"], value):
        return False
    if schema.get("type") == "object":
        properties = schema["properties"]
        if not set(schema.get("required", ())) <= set(value) <= set(properties):
            return False
        return all(fits(properties[name], item) for name, item in value.items())
    if schema.get("type") == "array":
        return len(value) >= schema.get("minItems", 0) and all(fits(schema["items"], item) for item in value)
    return True


@every_dimension
def test_every_attestation_that_a_remedy_names_meets_what_was_asked(dimension: Dimension) -> None:
    for example in dimension.examples:
        requirement = dimension.parse(example, COUNTRIES)
        judged = dimension.judge(requirement, unstated(), at=AT)
        if isinstance(requirement, NoDemand):
            continue
        named = [each for each in dimension.attestable if re.search(rf"\b{each.word}\b", judged.remedy)]
        assert named
        for each in named:
            claimed = dimension.judge(requirement, claim(each.value), at=AT)
            assert each.takes or claimed.outcome is Outcome.MET, (example, each.word)
