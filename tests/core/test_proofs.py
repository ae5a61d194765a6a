"""A proof convinces whoever holds a record, the text and a key, and nobody of anything else."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from proxy.core import tree
from proxy.core.checkpoint import Signer, parse_proof, write_proof
from proxy.core.errors import Untrusted
from proxy.core.proofs import check, prove
from tests.core.test_verify import KEY, SIGNER, STRANGER, Log, refusal

LOGS = [Log(*[refusal(n) for n in range(size)]) for size in range(9)]


def leaves_of(log: Log) -> list[bytes]:
    return [tree.leaf_hash(body) for body in log.bodies]


def proof_of(log: Log, index: int, size: int | None = None, *, by: Signer = SIGNER) -> bytes:
    return prove(leaves_of(log), index, log.head(size, by=by).decode()).encode()


places = st.integers(0, 8).flatmap(
    lambda n: st.tuples(st.just(LOGS[n]), st.integers(0, n), st.integers(1, n + 1))
)


@given(places)
def test_every_record_under_a_head_is_proven_by_it_and_no_other_is(place: tuple[Log, int, int]) -> None:
    log, index, size = place
    if index >= size:
        with pytest.raises(Untrusted, match="does not cover"):
            proof_of(log, index, size)
        return
    proof = proof_of(log, index, size)
    head = check(proof, log.bodies[index], KEY)
    assert (head.origin, head.size) == (log.name, size)
    for other, body in enumerate(log.bodies):
        if other != index:
            with pytest.raises(Untrusted):
                check(proof, body, KEY)


@given(places, st.data())
def test_no_changed_bit_of_a_record_passes(place: tuple[Log, int, int], data: st.DataObject) -> None:
    log, index, _ = place
    body = bytearray(log.bodies[index])
    body[data.draw(st.integers(0, len(body) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(Untrusted):
        check(proof_of(log, index), bytes(body), KEY)


@given(places, st.data())
def test_no_changed_byte_of_a_proof_passes(place: tuple[Log, int, int], data: st.DataObject) -> None:
    log, index, _ = place
    proof = bytearray(proof_of(log, index))
    at = data.draw(st.integers(0, len(proof) - 1))
    changed = data.draw(st.integers(0, 255))
    assume(proof[at] != changed)
    proof[at] = changed
    with pytest.raises(Untrusted):
        check(bytes(proof), log.bodies[index], KEY)


def test_a_head_by_another_key_proves_nothing() -> None:
    log = LOGS[4]
    with pytest.raises(Untrusted, match="signature"):
        check(proof_of(log, 2, by=STRANGER), log.bodies[2], KEY)


def test_the_head_of_another_log_proves_nothing_here() -> None:
    log, other = LOGS[4], Log(*[refusal(n) for n in range(4)], writer="example/r1/w0")
    with pytest.raises(
        Untrusted, match=re.escape("the record is example/r0/w0/000001#2, but the proof is of")
    ):
        check(proof_of(other, 2), log.bodies[2], KEY)


def test_a_record_in_another_layout_is_not_the_one_that_was_hashed() -> None:
    log = LOGS[2]
    spaced = log.bodies[1].replace(b",", b", ")
    with pytest.raises(Untrusted, match="byte for byte"):
        check(proof_of(log, 1), spaced, KEY)


@pytest.mark.parametrize(
    "record", [b"", b"hello", b"[]", b"7", b"{}", b'{"log":"x"}', b'{"log":"x","seq":{}}']
)
def test_what_is_no_record_is_said_to_be_none(record: bytes) -> None:
    with pytest.raises(Untrusted, match="not an audit record"):
        check(proof_of(LOGS[1], 0), record, KEY)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_proof_has_as_many_hashes_as_the_path_is_long(count: int) -> None:
    log = LOGS[6]
    whole = parse_proof(proof_of(log, 3))
    assert len(whole.hashes) == 3
    cut = replace(whole, hashes=(*whole.hashes, whole.hashes[0])[: count if count < 3 else 4])
    with pytest.raises(Untrusted):
        check(write_proof(cut.index, cut.hashes, cut.note).encode(), log.bodies[3], KEY)


def test_no_proof_is_made_of_a_log_that_does_not_fit_its_head() -> None:
    log, other = LOGS[5], Log(*[refusal(n + 50) for n in range(5)])
    with pytest.raises(Untrusted, match="does not fit its signed head over 6 records"):
        prove(leaves_of(other), 2, log.head().decode())


def test_a_log_that_has_grown_proves_by_the_head_that_it_had() -> None:
    grown = LOGS[8]
    assert check(proof_of(grown, 1, 3), grown.bodies[1], KEY).size == 3
