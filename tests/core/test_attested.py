"""An attestation in force shows instead of the catalogue's claim, and nothing else changes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from proxy.core.attested import Attested, gateway_posture
from proxy.core.values import Basis, Route
from tests.core.test_attestations import ENTRY, read
from tests.judging import AT, Shelf, route

BARE = route("openai/x", retention__application_state=None, retention__abuse_logs={"kept": "content"})


def laid(one: Route, *entries: dict[str, Any], at: datetime = AT) -> Route:
    return Attested(Shelf(one), read(*entries), at).routes[0]


def test_it_lays_its_claims_over_those_of_the_catalogue_and_no_others() -> None:
    found = laid(BARE, ENTRY)
    for name in ("retention.application_state", "retention.abuse_logs"):
        claim = found.posture[name]
        assert claim.value == {"kept": "none"}
        assert claim.basis is Basis.ATTESTATION
        assert claim.source == "attestation:a1"
        assert claim.valid_until == datetime(2026, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    assert found.posture["retention.cache"] == BARE.posture["retention.cache"]


@pytest.mark.parametrize(
    ("at", "holds"),
    [
        (datetime(2026, 10, 31, 23, 59, tzinfo=UTC), False),
        (datetime(2026, 11, 1, tzinfo=UTC), True),
        (datetime(2026, 12, 31, 23, 59, tzinfo=UTC), True),
        (datetime(2027, 1, 1, tzinfo=UTC), False),
    ],
)
def test_outside_of_its_days_it_is_no_claim(at: datetime, holds: bool) -> None:
    assert (laid(BARE, ENTRY, at=at) != BARE) is holds


def test_an_attestation_about_the_gateway_is_about_no_route() -> None:
    claims = [{"claim": "gateway_zero_content_retention", "clause": "Rule of 0 days"}]
    found = read({**ENTRY, "subject": {"gateway": "opper"}, "claims": claims})
    assert not found[0].subject.covers(BARE)
    posture = gateway_posture({"location": "SE", "content_retention": None}, found, AT)
    assert posture["content_retention"].value == {"kept": "none"}
    assert posture["location"].value == {"places": ["SE"], "beside": []}
    later = gateway_posture({"location": "SE"}, found, AT + timedelta(days=60))
    assert later["content_retention"].value is None


def test_places_and_days_of_verification_come_from_the_attestation_itself() -> None:
    claims = [
        {"claim": "inference_location", "clause": "Annex", "places": ["SE", "EU"]},
        {"claim": "evidence_reviewed", "clause": "Own review"},
    ]
    found = laid(BARE, {**ENTRY, "claims": claims})
    assert found.posture["inference_location"].value == {"places": ["SE", "EU"], "beside": []}
    assert found.posture["evidence"].value == "2026-11-01T00:00:00+00:00"


def test_of_two_that_speak_on_one_dimension_the_one_that_holds_longer_counts() -> None:
    longer = {**ENTRY, "id": "b2", "valid_until": "2027-06-30"}
    for entries in ((ENTRY, longer), (longer, ENTRY)):
        assert laid(BARE, *entries).posture["retention.abuse_logs"].source == "attestation:b2"


def test_a_view_lays_attestations_over_pins_pools_kin_and_all_routes_alike() -> None:
    shelf = Shelf(BARE, route("azure/x"))
    view = Attested(shelf, read(ENTRY), AT)
    seen = [*view.candidates("openai/x").routes, view.candidates("x").routes[0], view.kin("azure/x")[0]]
    seen.append(view.routes[0])
    assert {one.posture["retention.abuse_logs"].source for one in seen} == {"attestation:a1"}
    assert view.routes[1] is shelf.routes[1]


def test_a_view_says_until_when_it_holds() -> None:
    entries = (ENTRY, {**ENTRY, "id": "later", "verified_at": "2026-12-01", "valid_until": "2027-01-01"})
    assert Attested(Shelf(), read(*entries), AT).until == datetime(2026, 12, 1, tzinfo=UTC)
    assert Attested(Shelf(), (), AT).until is None
