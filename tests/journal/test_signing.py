"""The journal's secrets are made once, for their owner alone, and a file that holds none is named."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.checkpoint import Checkpoint, Signer, VerifierKey, parse_note
from proxy.core.errors import Mistake
from proxy.journal.signing import _read, _written, load_pseudonyms, load_signer
from tests.journal import kit

NAME = "example"
SHORT = base64.b64encode(b"k" * 32).decode()
OTHER_TYPE = base64.b64encode(b"\x02" + b"k" * 32).decode()


def kept(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("load", [lambda path: load_signer(path, NAME), load_pseudonyms])
def test_a_secret_is_made_in_a_folder_that_need_not_exist_for_its_owner_alone(tmp_path: Path, load) -> None:
    path = tmp_path / "new" / "secret"
    load(path)
    assert path.stat().st_mode & 0o777 == 0o600
    before = path.read_bytes()
    load(path)
    assert path.read_bytes() == before


def test_the_key_that_was_made_signs_what_its_public_half_opens_after_a_restart(tmp_path: Path) -> None:
    first = load_signer(tmp_path / "signing.key", NAME)
    head = Checkpoint(f"{NAME}/r0/w0/000001", 3, b"\x07" * 32)
    note = parse_note(first.sign(head.text()).encode())
    again = load_signer(tmp_path / "signing.key", NAME)
    assert again.verifier.open(note) == head
    assert VerifierKey.parse(str(again.verifier)) == first.verifier


@given(st.binary(min_size=32, max_size=32), st.from_regex(r"[a-z0-9][a-z0-9._-]{0,20}", fullmatch=True))
def test_a_key_reads_back_from_its_text(seed: bytes, name: str) -> None:
    signer = Signer(name, seed)
    written = _written(signer)
    assert written.startswith(f"PRIVATE+KEY+{name}+{signer.verifier.key_id.hex()}+")
    assert _read(written, name, Path("signing.key")) == signer


@pytest.mark.parametrize(
    "text",
    [
        "hello",
        f"PRIVATE+KEY+{NAME}",
        f"PRIVATE+KEY+{NAME}+00000000+!!!!",
        f"PRIVATE+KEY+{NAME}+00000000+{SHORT}",
        f"PRIVATE+KEY+{NAME}+00000000+{OTHER_TYPE}",
        str(Signer(NAME, b"k" * 32).verifier),
    ],
    ids=["words", "no key", "no base64", "too short", "another type", "the public half"],
)
def test_what_is_no_signing_key_is_named_by_its_file_and_not_quoted(tmp_path: Path, text: str) -> None:
    path = kept(tmp_path / "signing.key", text)
    with pytest.raises(Mistake, match="does not hold a signing key") as caught:
        load_signer(path, NAME)
    assert str(path) in str(caught.value)
    assert text not in str(caught.value)


def test_the_key_of_another_deployment_is_refused_with_both_names(tmp_path: Path) -> None:
    load_signer(tmp_path / "signing.key", "other")
    with pytest.raises(Mistake, match=r"'other'.*'example'"):
        load_signer(tmp_path / "signing.key", NAME)


def test_a_pseudonym_secret_that_could_be_guessed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Mistake, match="fewer than 32 characters"):
        load_pseudonyms(kept(tmp_path / "pseudonym.key", "x" * 31))
    load_pseudonyms(kept(tmp_path / "pseudonym.key", "x" * 32))


def test_the_same_file_gives_the_same_pseudonyms_and_another_file_others(tmp_path: Path) -> None:
    one, again = load_pseudonyms(tmp_path / "one"), load_pseudonyms(tmp_path / "one")
    other = load_pseudonyms(tmp_path / "other")
    assert one.person("10.0.0.9") == again.person("10.0.0.9") != other.person("10.0.0.9")


@pytest.mark.parametrize("load", [lambda path: load_signer(path, NAME), load_pseudonyms])
def test_a_secret_that_others_may_read_is_not_taken(tmp_path: Path, load) -> None:
    path = tmp_path / "secret"
    load(path)
    path.chmod(0o644)
    with pytest.raises(Mistake, match="chmod"):
        load(path)


# -- beside logs that another key has signed ---------------------------------------------------------


async def _log_in(folder: Path) -> None:
    journal = kit.opened(folder)
    await journal.append(kit.refusal())
    await journal.close()


@pytest.mark.parametrize("lost", [True, False])
async def test_logs_are_not_gone_on_with_under_a_key_that_did_not_sign_them(tmp_path: Path, lost) -> None:
    await _log_in(tmp_path)
    key, published = tmp_path / "audit/signing.key", tmp_path / "audit/verifier.vkey"
    before = published.read_bytes()
    key.unlink()
    if not lost:
        load_signer(key, "ringfence")
    with pytest.raises(Mistake, match="Put that signing key back"):
        kit.opened(tmp_path)
    assert (key.exists(), published.read_bytes()) == (not lost, before)
    assert kit.verified(tmp_path) == 0


async def test_logs_whose_key_is_lost_are_moved_away_and_stay_proven(tmp_path: Path) -> None:
    await _log_in(tmp_path)
    (tmp_path / "audit/signing.key").unlink()
    (tmp_path / "kept").mkdir()
    (tmp_path / "audit").rename(tmp_path / "kept/audit")
    await _log_in(tmp_path)
    assert (kit.verified(tmp_path / "kept"), kit.verified(tmp_path)) == (0, 0)


@pytest.mark.parametrize("half", [b"", b"ringf", b"\xff"])
async def test_a_public_half_that_a_crash_left_unfinished_is_written_anew(tmp_path: Path, half) -> None:
    await _log_in(tmp_path)
    published = tmp_path / "audit/verifier.vkey"
    before = published.read_bytes()
    published.write_bytes(half)
    await _log_in(tmp_path)
    assert published.read_bytes() == before
