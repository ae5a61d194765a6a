"""What decisions rest on is read whole, replaced whole, and remembered no longer than all of it holds."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from jiter import from_json

from proxy.core.catalog import read_catalogue
from proxy.core.errors import Mistakes
from proxy.core.values import Call, Edit, Effect, PolicyId, Signal
from proxy.keys import Scope, open_keys
from proxy.revisions import Broken, Reload, Revision, Revisions
from proxy.sources import Quarantine
from proxy.wiring import read_sources
from tests.assembled import settings_in
from tests.bypass.fixture import catalogue
from tests.fuzz.forwarding import AT, CALLER
from tests.fuzz.forwarding import revision as fixture_revision
from tests.judging import call
from tests.running import POLICIES, _adopt

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
    for number in range(5000):
        now.decide(ask(f"nobody/{number}"), CALLER, AT)
    assert 0 < len(now.view(AT).verdicts) <= 4096


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


# -- reloads ---------------------------------------------------------------------------------------

GATEWAY = "http://127.0.0.1:9"


class Watched:
    """The files of an operator, what is in force, and each report of a change."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings = settings_in(folder, GATEWAY)
        _adopt(folder)
        self.quarantine = Quarantine(self.settings.data_dir)
        self.reports: list[Reload] = []
        sources, _ = read_sources(self.settings, self.quarantine)
        self.revisions = Revisions(sources, self.quarantine, self.reports.append)

    @property
    def current(self) -> Revision:
        return self.revisions.current

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text, encoding="utf-8")

    def ids(self) -> list[str]:
        return [policy.id for policy in self.current.policies]


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


def test_the_first_revision_is_reported_with_nothing_before_it(watched: Watched) -> None:
    assert [(report.revision, report.before) for report in watched.reports] == [(watched.current, None)]


def test_looking_at_files_that_have_not_changed_changes_nothing(watched: Watched) -> None:
    before = watched.current
    watched.revisions.look()
    watched.revisions.look(again=True)
    os.utime(watched.folder / "policies" / "open.yaml", (1, 1))
    watched.revisions.look()
    assert watched.current is before
    assert len(watched.reports) == 1


def test_a_reload_swaps_the_revision_whole_and_leaves_the_one_before_as_it_was(watched: Watched) -> None:
    before, policies = watched.current, watched.current.policies
    watched.write("policies/more.yaml", POLICIES["open"].replace("policy: open", "policy: more"))
    watched.revisions.look()
    assert watched.current is not before
    assert watched.current.digest != before.digest
    assert "more" in watched.ids()
    assert before.policies is policies
    assert "more" not in [policy.id for policy in before.policies]
    assert (watched.reports[-1].revision, watched.reports[-1].before) == (watched.current, before)


def _broken_policy(watched: Watched) -> None:
    watched.write("policies/open.yaml", POLICIES["open"].replace("training", "trianing"))


def _broken_contracts(watched: Watched) -> None:
    watched.write("attestations.yaml", "attestations: [{id: x}]")


def _broken_keys(watched: Watched) -> None:
    watched.write("data/keys.json", "{")


def _broken_quarantine(watched: Watched) -> None:
    watched.write("data/quarantine.json", "[")


def _no_policy(watched: Watched) -> None:
    for file in (watched.folder / "policies").iterdir():
        file.rename(file.with_suffix(".off"))


def _same_policy_twice(watched: Watched) -> None:
    watched.write("policies/twin.yaml", POLICIES["open"])


BREAKS = [_broken_policy, _broken_contracts, _broken_keys, _broken_quarantine, _no_policy, _same_policy_twice]


@pytest.mark.parametrize("breaks", BREAKS)
def test_a_file_that_cannot_be_taken_leaves_the_revision_in_force_and_is_told(
    breaks: Callable[[Watched], None], watched: Watched
) -> None:
    before = watched.current
    breaks(watched)
    watched.revisions.look()
    assert watched.current is before
    assert watched.revisions.mistakes == watched.reports[-1].mistakes != ()
    assert watched.reports[-1].revision is before
    reports = len(watched.reports)
    watched.revisions.look()
    assert len(watched.reports) == reports


@pytest.mark.parametrize("breaks", BREAKS[:2] + BREAKS[4:])
def test_a_proxy_does_not_start_on_files_that_it_cannot_take(
    breaks: Callable[[Watched], None], watched: Watched
) -> None:
    breaks(watched)
    sources, _ = read_sources(watched.settings, watched.quarantine)
    with pytest.raises(Mistakes):
        Revisions(sources, watched.quarantine, watched.reports.append)


def test_a_mended_file_is_told_even_when_it_says_what_it_said_before(watched: Watched) -> None:
    before = watched.current.digest
    _broken_policy(watched)
    watched.revisions.look()
    watched.write("policies/open.yaml", POLICIES["open"])
    watched.revisions.look()
    assert watched.revisions.mistakes == ()
    assert watched.reports[-1].mistakes == ()
    assert watched.current.digest == before


def test_a_good_change_beside_a_broken_file_waits_for_it(watched: Watched) -> None:
    _broken_policy(watched)
    watched.write("policies/more.yaml", POLICIES["open"].replace("policy: open", "policy: more"))
    watched.revisions.look()
    assert "more" not in watched.ids()
    watched.write("policies/open.yaml", POLICIES["open"])
    watched.revisions.look()
    assert "more" in watched.ids()


def test_a_revoked_key_and_a_lifted_attestation_are_changes_too(watched: Watched) -> None:
    digests = [watched.current.digest]
    keys = open_keys(watched.settings.keys_file, watched.settings.pepper_file)
    keys.revoke(keys.entries()[0].id, at=AT)
    watched.revisions.look()
    digests.append(watched.current.digest)
    assert len(watched.current.callers.entries) == len(keys.entries()) - 1
    (watched.folder / "attestations.yaml").unlink()
    watched.revisions.look()
    digests.append(watched.current.digest)
    assert watched.current.attestations == ()
    assert len(set(digests)) == 3


@pytest.mark.parametrize("breaks", [_broken_policy, _broken_contracts, _broken_quarantine, _no_policy])
def test_a_revoked_key_is_out_at_once_whatever_else_cannot_be_taken(
    breaks: Callable[[Watched], None], watched: Watched
) -> None:
    before = watched.current
    breaks(watched)
    watched.revisions.look()
    keys = open_keys(watched.settings.keys_file, watched.settings.pepper_file)
    gone, *others = keys.entries()
    keys.revoke(gone.id, at=AT)
    keys.create(Scope("late"), at=AT)
    watched.revisions.look()
    in_force = {caller.key_id for caller in watched.current.callers.entries.values()}
    assert in_force == {each.id for each in others}, "what is new waits until all can be taken"
    assert watched.current.policies is before.policies
    assert watched.current.digest != before.digest
    assert watched.reports[-1].mistakes
    assert (watched.reports[-1].before, watched.reports[-1].revision) == (before, watched.current)
    kept = watched.current
    watched.revisions.look(again=True)
    assert watched.current is kept


async def test_what_could_not_be_read_for_a_moment_is_read_again_and_told_once(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine without free descriptors changes no file that would call for another look."""
    real = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda self: _out_of_descriptors())
    watched.write("policies/more.yaml", POLICIES["open"].replace("policy: open", "policy: more"))
    for _ in range(3):
        await watched.revisions.follow()
    assert watched.revisions.mistakes
    assert len(watched.reports) == 2
    monkeypatch.setattr(Path, "read_bytes", real)
    await watched.revisions.follow()
    assert not watched.revisions.mistakes
    assert "more" in watched.ids()


def _out_of_descriptors() -> bytes:
    raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


def test_a_quarantined_route_is_out_at_once_and_stays_out_over_a_restart(watched: Watched) -> None:
    route = watched.current.catalogue.routes[0].id
    watched.revisions.quarantine(route)
    assert watched.current.quarantined == {route}
    sources, _ = read_sources(watched.settings, Quarantine(watched.settings.data_dir))
    assert sources.read().quarantined == {route}
    watched.quarantine.clear()
    watched.revisions.look()
    assert watched.current.quarantined == frozenset()


def test_a_route_is_put_to_rest_also_while_a_file_cannot_be_taken(watched: Watched) -> None:
    before, route = watched.current, watched.current.catalogue.routes[0].id
    _broken_policy(watched)
    watched.revisions.quarantine(route)
    assert watched.current.quarantined == {route}
    assert watched.current.policies is before.policies
    assert watched.current.digest != before.digest
    assert before.quarantined == frozenset()
    watched.revisions.look()
    assert watched.current.quarantined == {route}
    watched.write("policies/open.yaml", POLICIES["open"])
    watched.revisions.look()
    assert watched.current.quarantined == {route}
    assert not watched.revisions.mistakes


async def test_a_watch_takes_over_what_changes_and_outlives_what_is_broken(watched: Watched) -> None:
    watching = asyncio.create_task(watched.revisions.watch(0.001))

    async def told(number: int) -> Reload:
        while len(watched.reports) < number:  # noqa: ASYNC110 - the watch tells nobody else
            await asyncio.sleep(0.001)
        return watched.reports[-1]

    _broken_policy(watched)
    assert (await told(2)).mistakes
    watched.write("policies/open.yaml", POLICIES["open"].replace("Nothing", "No word"))
    found = await told(3)
    assert not found.mistakes
    assert found.before is not None
    assert found.revision.digest != found.before.digest
    watching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watching


async def test_a_slow_reading_does_not_undo_what_was_taken_over_in_the_meantime(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, go_on = threading.Event(), threading.Event()
    attempt = watched.revisions._attempt

    def slow() -> Revision | Broken:
        found = attempt()
        read.set()
        go_on.wait()
        return found

    monkeypatch.setattr(watched.revisions, "_attempt", slow)
    watched.write("policies/open.yaml", POLICIES["open"].replace("Nothing", "No word"))
    following = asyncio.create_task(watched.revisions.follow())
    await asyncio.to_thread(read.wait)
    monkeypatch.setattr(watched.revisions, "_attempt", attempt)
    route = watched.current.catalogue.routes[0].id
    watched.revisions.quarantine(route)
    go_on.set()
    await following
    assert watched.current.quarantined == {route}
