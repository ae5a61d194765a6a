"""Who served is told by two headers; what they name is the approved row, another one, or nothing we know."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.catalog import Catalogue
from proxy.core.confirm import Confirmation, Told, Verdict, confirm, told
from proxy.core.fields import Fields, Pairs
from tests.core.test_catalog import catalogue, row

ROWS: list[dict[str, Any]] = [
    row("acme/atlas-1", model="atlas"),
    row("acme/atlas-1:eu", model="atlas"),
    row("acme/team/atlas-1", model="atlas"),
    row("other/atlas-1", model="atlas"),
    row("other/meadow-2", model="meadow"),
    row("slug/boreal-1", provider="boreal-corp", model="boreal"),
]
KNOWN = catalogue(*ROWS)


def verdict(
    model: str, provider: str, *, approved: str = "acme/atlas-1", known: Catalogue = KNOWN
) -> Verdict:
    route = known.route(approved)
    assert route is not None
    return confirm([route], known, Told(model, provider)).verdict


@pytest.mark.parametrize(
    ("model", "provider", "expected"),
    [
        # Opper says its own id of the model and the provider's slug.
        ("atlas-1", "acme", Verdict.CONFIRMED),
        ("acme/atlas-1", "", Verdict.CONFIRMED),
        ("acme/atlas-1", "acme", Verdict.CONFIRMED),
        # Another row.
        ("atlas-1", "other", Verdict.MISMATCH),
        ("atlas-1:eu", "acme", Verdict.MISMATCH),
        ("meadow-2", "other", Verdict.MISMATCH),
        ("other/atlas-1", "", Verdict.MISMATCH),
        ("team/atlas-1", "acme", Verdict.MISMATCH),
        # No row, but enough to see that it is not the approved one.
        ("atlas-9", "other", Verdict.MISMATCH),
        ("", "other", Verdict.MISMATCH),
        ("meadow-2", "", Verdict.MISMATCH),
        ("meadow", "", Verdict.MISMATCH),
        ("acme/atlas-1", "other", Verdict.MISMATCH),
        # Nothing that a row can be told from.
        ("", "", Verdict.UNCONFIRMED),
        ("atlas-1", "", Verdict.UNCONFIRMED),
        ("atlas", "", Verdict.UNCONFIRMED),
        ("", "acme", Verdict.UNCONFIRMED),
        ("atlas-9", "acme", Verdict.UNCONFIRMED),
        ("atlas-1", "nobody-we-know", Verdict.UNCONFIRMED),
        ("nothing", "nobody-we-know", Verdict.UNCONFIRMED),
    ],
)
def test_what_the_headers_name_is_held_against_the_approved_row(
    model: str, provider: str, expected: Verdict
) -> None:
    assert verdict(model, provider) is expected


# -- what an answer's head tells -------------------------------------------------------------------

MODEL, PROVIDER = b"X-Opper-Served-Model", b"X-Opper-Served-Provider"


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        (((MODEL, b"atlas-1"), (PROVIDER, b"acme")), Told("atlas-1", "acme")),
        (((b"x-opper-served-model", b" atlas-1 "),), Told("atlas-1", "")),
        ((), Told("", "")),
        (((MODEL, b"a"), (MODEL, b"a")), Told("a", "")),
        # A field that stands there empty says nothing, and so contradicts nothing.
        (((MODEL, b""), (MODEL, b"a"), (PROVIDER, b"b"), (PROVIDER, b" ")), Told("a", "b")),
        (((b"Vary", b"x"), (MODEL, b"a"), (b"Vary", b"y")), Told("a", "")),
        (((MODEL, b"a"), (PROVIDER, b"p"), (MODEL, b"b")), Told("a, b", "p", clear=False)),
        (((PROVIDER, b"p"), (PROVIDER, b"q"), (PROVIDER, b"p")), Told("", "p, q", clear=False)),
        # Names are compared exactly, as everywhere: another case is another name.
        (((MODEL, b"a"), (MODEL, b"A")), Told("a, A", "", clear=False)),
    ],
)
def test_a_head_tells_one_thing_or_is_not_clear(pairs: Pairs, expected: Told) -> None:
    assert told(Fields(pairs)) == expected


@given(
    st.lists(st.sampled_from(KNOWN.routes), min_size=1), st.lists(st.sampled_from(KNOWN.routes), min_size=2)
)
def test_an_answer_that_names_two_rows_confirms_neither_in_any_order(approved, served) -> None:
    parts = [row.id.partition("/") for row in served]
    pairs = [pair for slug, _, model in parts for pair in ((PROVIDER, slug), (MODEL, model))]
    found = confirm(approved, KNOWN, told(Fields(tuple((name, said.encode()) for name, said in pairs))))
    if len({row.id for row in served}) > 1:
        assert found == (Verdict.MISMATCH, None)
    else:
        assert found.verdict is not Verdict.UNCONFIRMED


def test_several_names_in_one_line_are_no_row_of_ours() -> None:
    assert verdict("atlas-1, meadow-2", "acme, other") is Verdict.UNCONFIRMED


def test_the_row_that_served_is_named_where_it_can_be_told() -> None:
    route = KNOWN.route("acme/atlas-1")
    assert route is not None
    found = confirm([route], KNOWN, Told("meadow-2", "other"))
    assert found == Confirmation(Verdict.MISMATCH, KNOWN.routes[4].id)
    assert confirm([route], KNOWN, Told("", "other")).served is None


def test_a_name_in_another_case_is_not_a_row_of_ours() -> None:
    assert verdict("ATLAS-1", "acme") is Verdict.UNCONFIRMED


@given(st.lists(st.sampled_from(KNOWN.routes), min_size=1), st.sampled_from(KNOWN.routes))
def test_every_approved_row_that_serves_is_confirmed_and_no_other_ever_is(approved, served) -> None:
    slug, _, model = served.id.partition("/")
    found = confirm(approved, KNOWN, Told(model, slug))
    assert found == (Verdict.CONFIRMED if served in approved else Verdict.MISMATCH, served.id)


@pytest.mark.parametrize(
    ("model", "provider", "expected"),
    [
        ("atlas-1", "acme", Verdict.CONFIRMED),
        ("meadow-2", "other", Verdict.CONFIRMED),
        ("atlas-1", "other", Verdict.MISMATCH),
        ("", "slug", Verdict.UNCONFIRMED),
        ("", "boreal-corp", Verdict.MISMATCH),
        # Each fits one of the two by itself.
        ("", "acme", Verdict.UNCONFIRMED),
        ("", "other", Verdict.UNCONFIRMED),
        ("atlas", "", Verdict.UNCONFIRMED),
        ("meadow", "", Verdict.UNCONFIRMED),
        # The provider of one and the model of the other are neither.
        ("meadow-2", "acme", Verdict.MISMATCH),
        ("atlas", "other", Verdict.MISMATCH),
    ],
)
def test_of_several_approved_rows_one_has_to_fit_as_a_whole(
    model: str, provider: str, expected: Verdict
) -> None:
    approved = [row for row in KNOWN.routes if row.id in ("acme/atlas-1", "other/meadow-2")]
    assert confirm(approved, KNOWN, Told(model, provider)).verdict is expected


@given(st.text(max_size=8), st.text(max_size=8))
def test_nothing_but_the_approved_row_itself_confirms(model: str, provider: str) -> None:
    found = verdict(model, provider)
    named = (model == "acme/atlas-1" and provider in ("", "acme")) or (model, provider) == ("atlas-1", "acme")
    assert named or found is not Verdict.CONFIRMED


def test_what_one_catalogue_names_says_nothing_of_another() -> None:
    smaller = catalogue(row("acme/atlas-1", model="atlas"))
    for _ in range(2):
        assert verdict("atlas-9", "other") is Verdict.MISMATCH
        assert verdict("meadow", "") is Verdict.MISMATCH
        assert verdict("atlas-9", "other", known=smaller) is Verdict.UNCONFIRMED
        assert verdict("meadow", "", known=smaller) is Verdict.UNCONFIRMED
