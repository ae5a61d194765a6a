"""Each part of a revision is read again when its files have changed, and named by what was read."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import orjson
import pytest

from proxy.catalogue_sync import CatalogueSync, SyncSettings
from proxy.core.errors import Mistake, Mistakes
from proxy.core.values import RouteId
from proxy.keys import Scope, open_keys
from proxy.sources import (
    Contracts,
    Quarantine,
    Source,
    catalogue_source,
    contract_source,
    key_source,
    policy_files,
    policy_source,
    with_contracts,
)
from tests.bypass.fixture import catalogue
from tests.judging import AT, COUNTRIES
from tests.running import POLICIES, _attestations

WAIVER = """\
waivers:
  - id: until-march
    policy: open
    dimension: training
    routes: [example-open/*]
    because: A trial with data that is public anyway.
    approved_by: Head of Data Protection
    approved_at: 2026-11-01
    valid_until: 2026-11-30
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in POLICIES.items():
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
    return tmp_path


# -- reading again ---------------------------------------------------------------------------------


class Counted:
    """A source that counts its readings, and fails when it is told to."""

    def __init__(self) -> None:
        self.stamp, self.read, self.fails = 1, 0, False
        self.source: Source[int] = Source("a part", lambda: self.stamp, self._read)

    def _read(self) -> tuple[int, str]:
        if self.fails:
            raise Mistake("not now")
        self.read += 1
        return self.read, f"digest {self.read}"


def test_a_part_is_read_once_for_each_state_of_its_files() -> None:
    part = Counted()
    assert [part.source.value() for _ in range(3)] == [1, 1, 1]
    part.stamp = 2
    assert part.source.value() == 2
    assert part.source.digest == "digest 2"


def test_a_part_that_could_not_be_read_is_tried_again_although_its_files_stayed() -> None:
    part = Counted()
    part.fails = True
    for _ in range(2):
        with pytest.raises(Mistake):
            part.source.value()
    part.fails = False
    assert part.source.value() == 1
    part.stamp, part.fails = 2, True
    for _ in range(2):
        with pytest.raises(Mistake):
            part.source.value()
    part.fails = False
    assert part.source.value() == 2


def mistake(read: Callable[[], object]) -> str:
    """What an operator is told of files that cannot be taken."""
    with pytest.raises(Mistakes) as raised:
        read()
    return "\n".join(map(str, raised.value.found))


# -- policies --------------------------------------------------------------------------------------


def test_a_folder_is_its_policies_without_suites_and_attestations(folder: Path) -> None:
    suites = ("open_test.yaml", "open_test.yml")
    for name in (*suites, "attestations.yaml", "attestations.example.yml", "notes.txt"):
        (folder / name).write_text("nonsense")
    (folder / "deeper").mkdir()
    (folder / "deeper" / "more.yaml").write_text("nonsense")
    assert [file.name for file in policy_files([folder])] == ["confirmed.yaml", "mission.yaml", "open.yaml"]
    named = folder / "open_test.yaml"
    assert policy_files([named]) == [named]


def test_either_ending_of_a_policy_file_puts_it_in_force(folder: Path) -> None:
    (folder / "open.yaml").rename(folder / "open.yml")
    assert [policy.id for policy in policy_source([folder], COUNTRIES).value()][1:2] == ["open"]


def test_policies_of_several_places_are_read_together(folder: Path, tmp_path: Path) -> None:
    source = policy_source([folder / "open.yaml", folder / "mission.yaml"], COUNTRIES)
    assert [policy.id for policy in source.value()] == ["open", "us-zdr-no-training"]


def test_no_policy_at_all_is_a_mistake(tmp_path: Path) -> None:
    assert "without one nothing is allowed" in mistake(policy_source([tmp_path], COUNTRIES).value)


def test_a_policy_file_that_is_not_there_is_a_mistake_that_names_it(tmp_path: Path) -> None:
    assert "gone.yaml cannot be read" in mistake(policy_source([tmp_path / "gone.yaml"], COUNTRIES).value)


def test_what_is_written_on_while_it_is_read_is_read_once_more() -> None:
    states = iter([1, 2, 2, 3, 3, 3, 3])
    contents = iter(["old", "half", "whole"])
    source: Source[str] = Source("a part", lambda: next(states), lambda: (next(contents), ""), settles=True)
    assert [source.value() for _ in range(5)] == ["old", "old", "old", "old", "whole"]


def test_a_folder_that_cannot_be_looked_into_does_not_count_as_empty(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside another folder, its policies would be gone without a word, and what they forbid allowed."""
    closed = tmp_path / "closed"
    closed.mkdir()
    (closed / "strict.yaml").write_text(POLICIES["mission"].replace("policy: us", "policy: strict-us"))
    source = policy_source([folder, closed], COUNTRIES)
    before, seen = source.value(), source.stamp()
    for name in ("listdir", "scandir"):
        monkeypatch.setattr(os, name, _refusing(closed, getattr(os, name)))
    assert source.stamp() != seen
    source.hurry()
    with pytest.raises(Mistake, match=f"closed .* cannot be read: {os.strerror(errno.EACCES)}"):
        source.value()
    monkeypatch.undo()
    assert source.value() == before


def _refusing(closed: Path, real: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def refused(path: Any) -> Any:
        if Path(path) == closed:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return real(path)

    return refused


def test_the_digest_is_of_what_a_file_says_and_not_of_how_it_is_written(folder: Path) -> None:
    def digest() -> str:
        source = policy_source([folder / "open.yaml"], COUNTRIES)
        source.value()
        return source.digest

    before = digest()
    file = folder / "open.yaml"
    file.write_text("# a comment\n" + POLICIES["open"].replace(": forbidden", ":    forbidden"))
    assert digest() == before
    file.write_text(POLICIES["open"].replace("Nothing", "No word"))
    assert digest() != before


@pytest.mark.parametrize("change", ["new file", "removed file", "new text", "replaced whole"])
def test_every_change_of_a_folder_changes_its_stamp(change: str, folder: Path) -> None:
    source = policy_source([folder], COUNTRIES)
    before, file = source.stamp(), folder / "open.yaml"
    assert source.stamp() == before
    status = file.stat()
    if change == "new file":
        (folder / "more.yaml").write_text("x")
    elif change == "removed file":
        file.unlink()
    elif change == "new text":
        file.write_text(POLICIES["open"] + "\n")
    else:
        beside = folder / "new"
        beside.write_bytes(file.read_bytes())
        os.utime(beside, ns=(status.st_atime_ns, status.st_mtime_ns))
        beside.replace(file)
    assert source.stamp() != before


# -- attestations and waivers ----------------------------------------------------------------------


def test_a_missing_attestation_file_means_none(tmp_path: Path) -> None:
    assert contract_source(tmp_path / "attestations.yaml", COUNTRIES).value() == Contracts()


def test_attestations_and_waivers_come_from_one_file(folder: Path) -> None:
    file = folder / "attestations.yaml"
    file.write_text(_attestations() + WAIVER)
    found = contract_source(file, COUNTRIES).value()
    assert len(found.attestations) == 2
    policies = with_contracts(policy_source([folder], COUNTRIES).value(), found, file)
    assert {policy.id: len(policy.waivers) for policy in policies} == {
        "open": 1, "us-zdr-no-training": 0, "confirmed": 0,
    }  # fmt: skip


def test_a_waiver_of_a_policy_that_there_is_not_is_a_mistake(folder: Path) -> None:
    file = folder / "attestations.yaml"
    file.write_text(WAIVER.replace("policy: open", "policy: opne"))
    found = contract_source(file, COUNTRIES).value()
    policies = policy_source([folder], COUNTRIES).value()
    assert "opne" in mistake(lambda: with_contracts(policies, found, file))


# -- keys ------------------------------------------------------------------------------------------


def test_each_change_of_the_keys_has_a_digest_of_its_own_and_none_shows_a_key(tmp_path: Path) -> None:
    keys = open_keys(tmp_path / "keys.json", tmp_path / "pepper")
    source, digests = key_source(keys), []
    for step in ("none", "one", "revoked"):
        if step == "one":
            entry, secret = keys.create(Scope("web"), at=AT)
        elif step == "revoked":
            keys.revoke(entry.id, at=AT)
        assert len(source.value().entries) == (step == "one")
        digests.append(source.digest)
        assert step != "one" or secret not in repr(source.value())
    assert digests[0] == digests[2] != digests[1]


# -- catalogue -------------------------------------------------------------------------------------

BASE = "https://gateway.example"


def keep(data_dir: Path, base_url: str) -> None:
    """A catalogue as an earlier run kept it."""
    sync = CatalogueSync(SyncSettings(base_url, data_dir))
    body = catalogue()
    sync._keep(body, sync._read(body, sync.catalogue, True), sync.catalogue)


def test_without_a_kept_catalogue_the_shipped_one_is_in_force(tmp_path: Path) -> None:
    source = catalogue_source(tmp_path, BASE)
    assert source.value().route("openai/gpt-image-1") is not None
    assert source.value().digest in source.digest


def test_the_kept_catalogue_of_this_gateway_is_in_force_and_that_of_another_is_not(tmp_path: Path) -> None:
    keep(tmp_path, BASE)
    assert catalogue_source(tmp_path, BASE).value().route("azure/gpt-5.5") is not None
    assert len(catalogue_source(tmp_path, BASE + "/").value().routes) == 5
    for other in ("https://gateway.exam", "https://other.example", BASE + ".evil.test"):
        assert len(catalogue_source(tmp_path, other).value().routes) != 5


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff"])
def test_a_kept_catalogue_that_cannot_be_read_leaves_the_shipped_one(content: bytes, tmp_path: Path) -> None:
    keep(tmp_path, BASE)
    (tmp_path / "catalogue" / "current.json").write_bytes(content)
    assert catalogue_source(tmp_path, BASE).value().route("openai/gpt-image-1") is not None


# -- quarantine ------------------------------------------------------------------------------------

A, B = RouteId("a/x"), RouteId("b/y")


def test_routes_in_quarantine_are_shared_through_their_file(tmp_path: Path) -> None:
    one, other = Quarantine(tmp_path), Quarantine(tmp_path)
    seen = other.source()
    assert seen.value() == frozenset()
    one.add(B)
    other.add(A)
    assert one.source().value() == other.source().value() == seen.value() == {A, B}
    assert orjson.loads((tmp_path / "quarantine.json").read_bytes()) == [A, B]
    one.clear()
    assert Quarantine(tmp_path).source().value() == frozenset()


def test_a_route_that_one_worker_clears_is_back_in_use_in_the_one_that_had_added_it(tmp_path: Path) -> None:
    """One worker fetches the catalogue for all; the others would refuse the route until they end."""
    fetching, other = Quarantine(tmp_path), Quarantine(tmp_path)
    source = other.source()
    other.add(A)
    assert source.value() == {A}
    fetching.clear()
    assert source.value() == fetching.source().value() == frozenset()
    other.add(B)
    assert source.value() == fetching.source().value() == {B}


def test_of_workers_that_add_routes_at_the_same_time_none_undoes_another(tmp_path: Path) -> None:
    workers = [Quarantine(tmp_path) for _ in range(8)]
    with ThreadPoolExecutor(len(workers)) as pool:
        for number in range(10):
            names = [RouteId(f"a/{number}-{worker}") for worker in range(len(workers))]
            list(pool.map(lambda worker, name: worker.add(name), workers, names))
    assert len(Quarantine(tmp_path).source().value()) == 80


def test_what_cannot_be_written_down_still_holds_in_this_process(tmp_path: Path) -> None:
    here = Quarantine(tmp_path / "gone")
    source = here.source()
    before = source.stamp()
    here.add(A)
    assert source.stamp() != before
    assert source.value() == {A}


@pytest.mark.parametrize("content", [b"[", b"{", b"\xff", b"null", b"5", b'"a/x"', b'{"a/x": 1}', b"[null]"])
def test_a_quarantine_that_cannot_be_read_is_a_mistake_that_says_what_to_do(
    content: bytes, tmp_path: Path
) -> None:
    (tmp_path / "quarantine.json").write_bytes(content)
    with pytest.raises(Mistake, match="catalogue that is fetched"):
        Quarantine(tmp_path).source().value()


def test_a_served_mismatch_is_believed_even_when_the_file_is_broken(tmp_path: Path) -> None:
    """Whoever adds a route must not fail because of what an operator did to the file."""
    Quarantine(tmp_path).add(B)
    here = Quarantine(tmp_path)
    source = here.source()
    assert source.value() == {B}
    (tmp_path / "quarantine.json").write_bytes(b"[")
    here.add(A)
    assert source.value() == Quarantine(tmp_path).source().value() == {A, B}
