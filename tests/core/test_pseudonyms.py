"""A commitment can be checked by whoever holds the secret, and says nothing to anybody else."""

from __future__ import annotations

import hashlib
import hmac
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core import pseudonyms
from proxy.core.pseudonyms import Pseudonyms
from proxy.core.record_schema import PSEUDONYM, SEALED

SECRET = b"a secret of at least 16 bytes"
any_text = st.text(st.characters() | st.characters(categories=["Cs"]), max_size=40)
secrets = st.binary(min_size=16, max_size=80)


def by_hand(secret: bytes, role: bytes, content: bytes) -> str:
    """What an auditor computes with nothing but the secret: HMAC under a key of the role."""
    role_key = hmac.new(secret, role, hashlib.sha256).digest()
    return hmac.new(role_key, content, hashlib.sha256).hexdigest()[:32]


@given(secrets, st.binary(max_size=200), st.integers(0, 999_999))
def test_a_body_can_be_matched_by_whoever_holds_the_secret(secret: bytes, content: bytes, epoch: int) -> None:
    made = Pseudonyms(secret, epoch=epoch).body(content)
    assert made == f"h:{epoch}:{by_hand(secret, b'body', content)}"


@given(any_text)
def test_people_and_chosen_strings_can_be_matched_too(text: str) -> None:
    raw = text.encode("utf-8", "surrogatepass")
    assert Pseudonyms(SECRET).person(text) == f"h:1:{by_hand(SECRET, b'peer', raw)}"
    assert Pseudonyms(SECRET).sealed(text) == {
        "len": len(raw),
        "mac": f"h:1:{by_hand(SECRET, b'name', raw)}",
    }


@given(any_text, st.binary(max_size=40))
def test_every_commitment_has_the_form_that_records_take(text: str, content: bytes) -> None:
    made = Pseudonyms(SECRET)
    assert PSEUDONYM(made.person(text))
    assert PSEUDONYM(made.body(content))
    assert SEALED(made.sealed(text))


@given(st.lists(st.binary(max_size=20), max_size=6))
def test_what_was_committed_to_before_does_not_show_in_what_comes_after(before: list[bytes]) -> None:
    used = Pseudonyms(SECRET)
    for content in before:
        used.body(content)
    assert used.body(b"the same") == Pseudonyms(SECRET).body(b"the same")


@given(st.lists(any_text, max_size=12))
def test_people_are_told_apart_whoever_was_seen_before(people: list[str]) -> None:
    used = Pseudonyms(SECRET)
    for person in people:
        assert used.person(person) == Pseudonyms(SECRET).person(person)


def test_the_people_that_are_remembered_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pseudonyms, "_MOST_PEOPLE", 4)
    used = Pseudonyms(SECRET)
    for number in range(20):
        assert used.person(f"10.0.0.{number}") == Pseudonyms(SECRET).person(f"10.0.0.{number}")
        assert len(used._people) <= 4


def test_a_plain_hash_of_a_guess_matches_nothing() -> None:
    made = Pseudonyms(SECRET).body(b"yes")
    plain = {hashlib.new(name, b"yes").hexdigest() for name in ("md5", "sha1", "sha256", "sha512")}
    assert not any(made.rpartition(":")[2] in each for each in plain)


@given(st.text(string.ascii_letters, min_size=17, max_size=30))
def test_the_secret_is_not_in_what_a_programmer_prints(secret: str) -> None:
    assert secret not in repr(Pseudonyms(secret.encode()))
