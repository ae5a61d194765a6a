"""Caller keys: only keyed hashes are stored, changes are seen, and nothing weak or twice comes in."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.callers import fingerprint
from proxy.core.errors import Mistake
from proxy.core.values import Caller, PolicyId
from proxy.keys import SHORTEST, KeyFile, Scope, Stamp, open_keys

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = datetime(2026, 3, 2, 12, tzinfo=UTC)
HELD = b"op-live-0123456789abcdefghij"
WEB = Scope("web", "acme", (PolicyId("us-zdr-no-training"),))


@pytest.fixture
def keys(tmp_path: Path) -> KeyFile:
    return opened(tmp_path)


def opened(folder: Path) -> KeyFile:
    return open_keys(folder / "keys.json", folder / "pepper")


def found(keys: KeyFile, secret: bytes) -> Caller | None:
    return keys.load().find(fingerprint(secret, keys.pepper))


def test_a_created_key_names_its_caller_and_says_its_own_id(keys: KeyFile) -> None:
    entry, secret = keys.create(WEB, at=AT)
    prefix, key_id, random = secret.split("-", 2)
    assert (prefix, key_id, len(random)) == ("rf", entry.id, 43)
    assert found(keys, secret.encode()) == Caller("acme", "web", entry.id, (PolicyId("us-zdr-no-training"),))


def test_no_two_keys_are_alike(keys: KeyFile) -> None:
    made = [keys.create(WEB, at=AT) for _ in range(20)]
    assert len({entry.id for entry, _ in made}) == len({secret for _, secret in made}) == 20


def test_an_adopted_key_works_as_its_clients_hold_it_and_not_with_a_byte_more_or_less(keys: KeyFile) -> None:
    entry = keys.adopt(HELD, WEB, at=AT)
    caller = found(keys, HELD)
    assert caller is not None
    assert caller.key_id == entry.id
    assert found(keys, HELD + b"x") is None
    assert found(keys, HELD[:-1]) is None


def test_no_file_holds_a_key(tmp_path: Path) -> None:
    keys = opened(tmp_path)
    _, secret = keys.create(WEB, at=AT)
    keys.adopt(HELD, WEB, at=AT)
    for path in tmp_path.iterdir():
        assert secret.rsplit("-", 1)[1].encode() not in path.read_bytes()
        assert HELD not in path.read_bytes()


def test_every_file_is_for_its_owner_only(tmp_path: Path) -> None:
    opened(tmp_path).create(WEB, at=AT)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["keys.json", "keys.json.lock", "pepper"]
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def test_a_revoked_key_is_out_of_force_and_stays_on_the_list(keys: KeyFile) -> None:
    entry, secret = keys.create(WEB, at=AT)
    other, _ = keys.create(WEB, at=AT)
    keys.revoke(entry.id, at=LATER)
    assert found(keys, secret.encode()) is None
    assert [(each.id, each.revoked) for each in keys.entries()] == [(entry.id, LATER), (other.id, None)]


def test_revoking_twice_or_what_never_was_says_so(keys: KeyFile) -> None:
    entry, _ = keys.create(WEB, at=AT)
    keys.revoke(entry.id, at=LATER)
    with pytest.raises(Mistake, match="was revoked on 2026-03-02"):
        keys.revoke(entry.id, at=LATER)
    with pytest.raises(Mistake, match="is not known"):
        keys.revoke("nobody", at=LATER)


def test_a_revoked_key_cannot_be_adopted_again(keys: KeyFile) -> None:
    entry = keys.adopt(HELD, WEB, at=AT)
    with pytest.raises(Mistake, match="in force already"):
        keys.adopt(HELD, WEB, at=AT)
    keys.revoke(entry.id, at=LATER)
    with pytest.raises(Mistake, match="cannot come back"):
        keys.adopt(HELD, WEB, at=LATER)


@pytest.mark.parametrize(
    "weak", [b"", b"short", b"x" * 40, b"abababababababababababab", HELD + b" ", b"\xc3\xa9" * 20, HELD * 100]
)
def test_a_key_that_can_be_guessed_or_sent_in_two_ways_is_not_adopted(keys: KeyFile, weak: bytes) -> None:
    with pytest.raises(Mistake) as caught:
        keys.adopt(weak, WEB, at=AT)
    assert not weak or weak.decode() not in str(caught.value)
    assert keys.entries() == ()


@given(st.binary(max_size=SHORTEST - 1))
def test_nothing_shorter_than_the_shortest_is_adopted(weak: bytes) -> None:
    with pytest.raises(Mistake):
        KeyFile(Path("/nowhere"), b"pepper").adopt(weak, WEB, at=AT)


@pytest.mark.parametrize("name", ["", "a b", "-a", "a/b", "a\n", "é", "x" * 65])
def test_a_name_that_could_not_stand_in_a_record_is_refused(name: str) -> None:
    with pytest.raises(Mistake):
        Scope(name)
    with pytest.raises(Mistake):
        Scope("web", "acme", (PolicyId(name),))


def test_the_stamp_changes_with_every_change_and_only_then(keys: KeyFile) -> None:
    stamps = [keys.stamp()]
    entry, _ = keys.create(WEB, at=AT)
    stamps.append(keys.stamp())
    keys.load()
    assert keys.stamp() == stamps[-1]
    keys.revoke(entry.id, at=AT)
    stamps.append(keys.stamp())
    assert stamps[0] == Stamp()
    assert len(set(stamps)) == 3


def test_no_file_means_no_keys(keys: KeyFile) -> None:
    assert keys.load().entries == {}


def test_a_second_process_sees_the_keys_of_the_first(tmp_path: Path) -> None:
    _, secret = opened(tmp_path).create(WEB, at=AT)
    assert found(opened(tmp_path), secret.encode()) is not None


def test_a_lost_pepper_is_not_made_anew_over_keys_that_need_it(tmp_path: Path) -> None:
    opened(tmp_path).create(WEB, at=AT)
    (tmp_path / "pepper").unlink()
    with pytest.raises(Mistake, match="Restore it from a backup"):
        opened(tmp_path)
    assert not (tmp_path / "pepper").exists()


def test_a_wrong_pepper_is_noticed_at_once(tmp_path: Path) -> None:
    opened(tmp_path).create(WEB, at=AT)
    (tmp_path / "pepper").write_text("another-pepper")
    with pytest.raises(Mistake, match="another pepper"):
        opened(tmp_path).load()


@pytest.mark.parametrize("name", ["keys.json", "pepper"])
def test_files_that_others_may_read_are_refused(tmp_path: Path, name: str) -> None:
    opened(tmp_path).create(WEB, at=AT)
    (tmp_path / name).chmod(0o644)
    with pytest.raises(Mistake, match="chmod 600"):
        opened(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"version": 1, "pepper": "x", "keyz": []}'])
def test_a_broken_key_file_is_an_error_and_not_an_empty_one(tmp_path: Path, content: bytes) -> None:
    keys = opened(tmp_path)
    keys.create(WEB, at=AT)
    keys.path.write_bytes(content)
    with pytest.raises(Mistake, match=r"not a key file|another pepper"):
        keys.load()


def test_a_pepper_from_the_environment_needs_no_file(tmp_path: Path) -> None:
    keys = open_keys(
        tmp_path / "keys.json", tmp_path / "pepper", pepper_env="PEPPER", environ={"PEPPER": "p" * 32}
    )
    keys.create(WEB, at=AT)
    assert keys.pepper == b"p" * 32
    assert not (tmp_path / "pepper").exists()


def test_writers_at_the_same_time_lose_no_key(tmp_path: Path) -> None:
    opened(tmp_path)
    script = (
        "import sys; from datetime import UTC, datetime; from pathlib import Path\n"
        "from proxy.keys import Scope, open_keys\n"
        "folder = Path(sys.argv[1]); keys = open_keys(folder / 'keys.json', folder / 'pepper')\n"
        "for _ in range(10): keys.create(Scope('web'), at=datetime(2026, 1, 1, tzinfo=UTC))\n"
    )
    writers = [subprocess.Popen([sys.executable, "-c", script, str(tmp_path)]) for _ in range(4)]
    assert [writer.wait() for writer in writers] == [0, 0, 0, 0]
    assert len(opened(tmp_path).entries()) == 40
