"""What decisions rest on is read whole and replaced whole, or stays as it was."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from proxy.core.errors import Mistakes
from proxy.keys import Scope, open_keys
from proxy.revision import Revision
from proxy.revisions import Broken, Reload, Revisions
from proxy.sources import Quarantine
from proxy.wiring import read_sources
from tests.assembled import settings_in
from tests.fuzz.forwarding import AT
from tests.running import POLICIES, _adopt

# -- reloads ---------------------------------------------------------------------------------------

GATEWAY = "http://127.0.0.1:9"


class Watched:
    """The files of an operator, what is in force, and each report of a change."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.patch = patch
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
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Watched:
    return Watched(tmp_path, monkeypatch)


def test_the_first_revision_is_reported_with_nothing_before_it(watched: Watched) -> None:
    assert [(report.revision, report.before) for report in watched.reports] == [(watched.current, None)]


def test_looking_at_files_that_have_not_changed_changes_nothing(watched: Watched) -> None:
    before = watched.current
    watched.revisions.look(again=True)
    watched.revisions.look(again=True)
    os.utime(watched.folder / "policies" / "open.yaml", (1, 1))
    watched.revisions.look(again=True)
    assert watched.current is before
    assert len(watched.reports) == 1


def test_a_reload_swaps_the_revision_whole_and_leaves_the_one_before_as_it_was(watched: Watched) -> None:
    before, policies = watched.current, watched.current.policies
    watched.write("policies/more.yaml", POLICIES["open"].replace("policy: open", "policy: more"))
    watched.revisions.look(again=True)
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
    watched.revisions.look(again=True)
    assert watched.current is before
    assert watched.revisions.mistakes == watched.reports[-1].mistakes != ()
    assert watched.reports[-1].revision is before
    reports = len(watched.reports)
    watched.revisions.look(again=True)
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
    watched.revisions.look(again=True)
    watched.write("policies/open.yaml", POLICIES["open"])
    watched.revisions.look(again=True)
    assert watched.revisions.mistakes == ()
    assert watched.reports[-1].mistakes == ()
    assert watched.current.digest == before


def test_a_good_change_beside_a_broken_file_waits_for_it(watched: Watched) -> None:
    _broken_policy(watched)
    watched.write("policies/more.yaml", POLICIES["open"].replace("policy: open", "policy: more"))
    watched.revisions.look(again=True)
    assert "more" not in watched.ids()
    watched.write("policies/open.yaml", POLICIES["open"])
    watched.revisions.look(again=True)
    assert "more" in watched.ids()


def test_a_revoked_key_and_a_lifted_attestation_are_changes_too(watched: Watched) -> None:
    digests = [watched.current.digest]
    keys = open_keys(watched.settings.keys_file, watched.settings.pepper_file)
    keys.revoke(keys.entries()[0].id, at=AT)
    watched.revisions.look(again=True)
    digests.append(watched.current.digest)
    assert len(watched.current.callers.entries) == len(keys.entries()) - 1
    (watched.folder / "attestations.yaml").unlink()
    watched.revisions.look(again=True)
    digests.append(watched.current.digest)
    assert watched.current.attestations == ()
    assert len(set(digests)) == 3


def _unsearchable_folder(watched: Watched) -> None:
    """The system lets nobody look at the attestations: not even whether they are there."""
    real = Path.stat

    def stat(self: Path, **options: bool) -> os.stat_result:
        if self.name == "attestations.yaml":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))
        return real(self, **options)

    watched.patch.setattr(Path, "stat", stat)


def _quarantine_of_another_shape(watched: Watched) -> None:
    watched.write("data/quarantine.json", "null")


@pytest.mark.parametrize(
    "breaks",
    [
        _broken_policy,
        _broken_contracts,
        _broken_quarantine,
        _no_policy,
        _unsearchable_folder,
        _quarantine_of_another_shape,
    ],
)
def test_a_revoked_key_is_out_at_once_whatever_else_cannot_be_taken(
    breaks: Callable[[Watched], None], watched: Watched
) -> None:
    before = watched.current
    breaks(watched)
    watched.revisions.look(again=True)
    keys = open_keys(watched.settings.keys_file, watched.settings.pepper_file)
    gone, *others = keys.entries()
    keys.revoke(gone.id, at=AT)
    keys.create(Scope("late"), at=AT)
    watched.revisions.look(again=True)
    in_force = {caller.key_id for caller in watched.current.callers.entries.values()}
    assert in_force == {each.id for each in others}, "what is new waits until all can be taken"
    assert watched.current.policies == before.policies
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
    watched.revisions.look(again=True)
    assert watched.current.quarantined == frozenset()


def test_a_route_is_put_to_rest_also_while_a_file_cannot_be_taken(watched: Watched) -> None:
    before, route = watched.current, watched.current.catalogue.routes[0].id
    _broken_policy(watched)
    watched.revisions.quarantine(route)
    assert watched.current.quarantined == {route}
    assert watched.current.policies == before.policies
    assert watched.current.digest != before.digest
    assert before.quarantined == frozenset()
    watched.revisions.look(again=True)
    assert watched.current.quarantined == {route}
    watched.write("policies/open.yaml", POLICIES["open"])
    watched.revisions.look(again=True)
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


async def test_a_policy_that_is_just_being_written_is_taken_when_it_is_whole(watched: Watched) -> None:
    """Half of a policy may read as a whole one that asks for less."""
    before, whole = watched.current, POLICIES["mission"]
    half = whole[: whole.index("  training:")]
    watched.write("policies/mission.yaml", half)
    await watched.revisions.follow()
    watched.write("policies/mission.yaml", whole.replace("policy: us", "policy: anew"))
    await watched.revisions.follow()
    assert watched.current is before
    assert len(watched.reports) == 1
    await watched.revisions.follow()
    assert {str(policy.id)[:4] for policy in watched.current.policies} >= {"anew"}


async def test_half_a_policy_is_taken_at_once_by_whoever_says_that_the_files_are_whole(
    watched: Watched,
) -> None:
    watched.write("policies/open.yaml", POLICIES["open"].replace("Nothing", "No word"))
    watched.revisions.look(again=True)
    assert len(watched.reports) == 2


async def test_a_mistake_stays_told_until_what_mends_it_has_settled(watched: Watched) -> None:
    _broken_policy(watched)
    for _ in range(2):
        await watched.revisions.follow()
    assert watched.revisions.mistakes
    watched.write("policies/open.yaml", POLICIES["open"].replace("Nothing", "No word"))
    await watched.revisions.follow()
    assert watched.revisions.mistakes
    await watched.revisions.follow()
    assert not watched.revisions.mistakes


async def test_a_revoked_key_does_not_wait_for_a_policy_that_is_being_written(watched: Watched) -> None:
    watched.write("policies/open.yaml", POLICIES["open"].replace("Nothing", "No word"))
    keys = open_keys(watched.settings.keys_file, watched.settings.pepper_file)
    left = len(watched.current.callers.entries) - 1
    keys.revoke(keys.entries()[0].id, at=AT)
    await watched.revisions.follow()
    assert len(watched.current.callers.entries) == left


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
