"""What decisions rest on is remembered no longer than all of it holds."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from jiter import from_json

from proxy.core.catalog import read_catalogue
from proxy.core.dialects.reading import unknown_members
from proxy.core.values import Call, Edit, Effect, PolicyId, Signal
from proxy.core.weight import weigh
from proxy.revision import _HEAVIEST, Revision
from tests.bypass.fixture import catalogue
from tests.fuzz.forwarding import AT, CALLER
from tests.fuzz.forwarding import revision as fixture_revision
from tests.judging import call

GOOD = "azure/gpt-5.5"
SECOND, INSTANT = timedelta(seconds=1), timedelta(microseconds=1)
YEARS = timedelta(days=3650)


def revision(**changes: Any) -> Revision:
    """The fixture's revision, fresh, with what a test changes; its catalogue does not age."""
    return replace(fixture_revision(), **{"max_age": YEARS, **changes})


def ask(model: str = GOOD, **fields: Any) -> Call:
    return call(model, **fields)


# -- a verdict is remembered -----------------------------------------------------------------------


def test_an_equal_call_gets_the_very_same_decision() -> None:
    now = revision()
    first = now.decide(ask(), CALLER, AT)
    assert first.allowed
    assert now.decide(ask(), CALLER, AT + SECOND) is first
    assert now.decide(ask("openai/gpt-5.5"), CALLER, AT) is not first


def test_callers_do_not_share_verdicts() -> None:
    now = revision()
    bound = replace(CALLER, policies=(PolicyId("missing"),))
    assert now.decide(ask(), CALLER, AT).allowed
    assert now.decide(ask(), bound, AT).reason == "no_matching_policy"


def test_a_revision_knows_nothing_of_what_another_decided() -> None:
    one = revision()
    first = one.decide(ask(), CALLER, AT)
    other = revision()
    assert other.decide(ask(), CALLER, AT) is not first
    assert other.decide(ask(), CALLER, AT) == first


def test_a_call_that_cannot_be_remembered_is_judged_each_time() -> None:
    effect = Effect("row.x", (Signal.APP_STATE,), "store", "kept", (Edit(("store",), "set", [False]),))
    now = revision()
    first, second = (now.decide(ask(effects=(effect,)), CALLER, AT) for _ in range(2))
    assert first == second
    assert first is not second


def test_what_is_remembered_does_not_grow_without_end() -> None:
    now = revision()
    first = ask("nobody/first")
    verdict = now.decide(first, CALLER, AT)
    most = _HEAVIEST // weigh(first, verdict)
    for number in range(most + 100):
        now.decide(ask(f"nobody/{number}"), CALLER, AT)
    assert 0 < len(now.view(AT).verdicts) <= most
    assert now.decide(first, CALLER, AT) == verdict


def test_what_a_sender_made_large_is_judged_each_time_and_remembered_by_nobody() -> None:
    now = revision()
    large = ask(effects=unknown_members([("input", n, "x" * 99) for n in range(1000)]))
    assert now.decide(large, CALLER, AT).reason == "unknown_member"
    assert not now.view(AT).verdicts
    assert now.decide(ask(), CALLER, AT) is now.decide(ask(), CALLER, AT)


# -- and no longer than it holds -------------------------------------------------------------------


def lapse(now: Revision) -> datetime:
    return min(each.valid_until for each in now.attestations)


@pytest.mark.parametrize("warm", [timedelta(hours=1), SECOND, INSTANT], ids=str)
def test_a_lapsed_attestation_counts_no_more_from_that_very_instant(warm: timedelta) -> None:
    now = revision()
    end = lapse(now)
    before = now.decide(ask(), CALLER, end - warm)
    assert before.allowed
    assert before.until == end
    assert now.decide(ask(), CALLER, end - INSTANT).allowed
    assert now.decide(ask(), CALLER, end).reason == "requirement_unknown"


def test_an_attestation_counts_from_its_first_instant_and_not_before() -> None:
    now = revision()
    begin = now.attestations[0].verified_at
    assert not now.decide(ask(), CALLER, begin - INSTANT).allowed
    assert now.decide(ask(), CALLER, begin).allowed


def test_a_clock_that_was_set_back_meets_no_verdict_of_the_future() -> None:
    now = revision()
    assert not now.decide(ask(), CALLER, lapse(now)).allowed
    assert now.decide(ask(), CALLER, AT).allowed
    assert not now.decide(ask(), CALLER, lapse(now)).allowed


@pytest.mark.parametrize("warm", [timedelta(), SECOND, timedelta(hours=1)], ids=str)
def test_a_catalogue_that_is_too_old_claims_nothing_from_that_very_instant(warm: timedelta) -> None:
    now = revision(max_age=timedelta(days=1))
    end = AT + timedelta(days=1)
    assert now.decide(ask(), CALLER, end - warm).allowed
    assert now.decide(ask(), CALLER, end).allowed
    assert now.decide(ask(), CALLER, end + INSTANT).reason == "catalogue_stale"


def test_when_nothing_is_left_that_could_lapse_verdicts_are_still_given() -> None:
    now = revision(max_age=timedelta(hours=1))
    assert not now.decide(ask(), CALLER, lapse(now) + timedelta(days=1000)).allowed


def test_a_catalogue_from_far_in_the_future_is_not_believed_either() -> None:
    now = revision(max_age=timedelta(hours=1))
    early = AT - timedelta(hours=1)
    assert now.decide(ask(), CALLER, early).allowed
    assert now.decide(ask(), CALLER, early - INSTANT).reason == "catalogue_stale"


def test_a_route_that_retires_claims_nothing_from_that_very_instant() -> None:
    retires = AT + timedelta(seconds=30)
    rows: Any = from_json(catalogue())
    for row in rows["models"]:
        if row["id"] == GOOD:
            row["retired_at"] = retires.isoformat()
    now = revision(catalogue=read_catalogue(rows, source="fixture", fetched_at=AT))
    known = now.catalogue.route(GOOD)
    assert known is not None
    assert known.retired_at == retires
    assert now.decide(ask(), CALLER, AT).allowed
    assert now.decide(ask(), CALLER, retires - INSTANT).allowed
    assert not now.decide(ask(), CALLER, retires).allowed


# -- lists -----------------------------------------------------------------------------------------


async def test_a_list_shows_exactly_the_routes_that_a_pin_of_them_would_be_allowed() -> None:
    now = revision()
    shown = {route.id for route in await now.visible(CALLER, AT)}
    allowed = {r.id for r in now.catalogue.routes if now.decide(ask(r.id), CALLER, AT).allowed}
    assert shown == allowed
    assert GOOD in shown
    assert await now.visible(CALLER, AT) is await now.visible(CALLER, AT)


async def test_a_list_is_empty_where_nothing_would_be_allowed() -> None:
    now = revision()
    assert await now.visible(CALLER, lapse(now)) == ()
    assert await now.visible(replace(CALLER, policies=(PolicyId("missing"),)), AT) == ()
    assert await revision(policies=()).visible(CALLER, AT) == ()
    quarantined = frozenset(route.id for route in now.catalogue.routes)
    assert await revision(quarantined=quarantined).visible(CALLER, AT) == ()


def test_a_record_may_name_what_the_catalogue_names() -> None:
    known = revision().grounds.known
    assert all(name in known for name in (GOOD, "gpt-5.5-eu", "azure"))
    assert "" not in known
