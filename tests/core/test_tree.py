"""The tree against published vectors, against the definition in the RFC, and against broken variants."""

from __future__ import annotations

import hashlib
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core import tree

VECTORS = orjson.loads((Path(__file__).parents[1] / "vectors/rfc6962.json").read_bytes())
LEAVES = [tree.leaf_hash(bytes.fromhex(leaf)) for leaf in VECTORS["leaves"]]
ROOTS = [bytes.fromhex(value) for value in VECTORS["roots"]]
INCLUSIONS = [(v["index"], v["size"], [bytes.fromhex(h) for h in v["proof"]]) for v in VECTORS["inclusion"]]
CONSISTENCIES = [
    (v["old_size"], v["size"], [bytes.fromhex(h) for h in v["proof"]]) for v in VECTORS["consistency"]
]

leaf_lists = st.lists(st.binary(min_size=1, max_size=4), min_size=1, max_size=70).map(
    lambda records: [tree.leaf_hash(record) for record in records]
)


def defined_root(leaves: list[bytes]) -> bytes:
    """MTH as RFC 6962 section 2.1 writes it, by recursion and without any of our functions."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(b"\x01" + defined_root(leaves[:split]) + defined_root(leaves[split:])).digest()


def test_the_empty_tree_has_the_published_root():
    assert tree.root([]).hex() == VECTORS["empty_root"]


@pytest.mark.parametrize("size", range(1, 9))
def test_roots_equal_the_published_vectors(size):
    assert tree.root(LEAVES[:size]) == ROOTS[size - 1]


@pytest.mark.parametrize(("index", "size", "proof"), INCLUSIONS)
def test_inclusion_proofs_equal_the_published_vectors_and_verify(index, size, proof):
    assert tree.inclusion_proof(LEAVES[:size], index) == proof
    assert tree.verify_inclusion(LEAVES[index], index, size=size, proof=proof, head=ROOTS[size - 1])


@pytest.mark.parametrize(("old", "size", "proof"), CONSISTENCIES)
def test_consistency_proofs_equal_the_published_vectors_and_verify(old, size, proof):
    assert tree.consistency_proof(LEAVES[:size], old) == proof
    assert tree.verify_consistency(old, size, proof=proof, old_head=ROOTS[old - 1], head=ROOTS[size - 1])


@given(leaf_lists)
def test_the_root_is_the_one_that_the_rfc_defines(leaves):
    assert tree.root(leaves) == defined_root(leaves)


@given(leaf_lists, st.data())
def test_a_restored_frontier_goes_on_as_if_nothing_had_happened(leaves, data):
    cut = data.draw(st.integers(0, len(leaves)))
    first = tree.Frontier()
    for leaf in leaves[:cut]:
        first.append(leaf)
    second = tree.Frontier.restore(first.size, first.state())
    for leaf in leaves[cut:]:
        second.append(leaf)
    assert second.root() == defined_root(leaves)
    assert first.root() == defined_root(leaves[:cut])


@pytest.mark.parametrize(("size", "state"), [(1, b""), (3, b"x" * 32), (-1, b""), (4, b"x" * 31)])
def test_a_frontier_state_that_does_not_fit_its_size_is_refused(size, state):
    with pytest.raises(ValueError, match="needs"):
        tree.Frontier.restore(size, state)


@given(leaf_lists, st.data())
def test_every_leaf_has_a_proof_which_holds_for_nothing_else(leaves, data):
    size = len(leaves)
    index = data.draw(st.integers(0, size - 1))
    head, proof = defined_root(leaves), tree.inclusion_proof(leaves, index)
    assert tree.verify_inclusion(leaves[index], index, size=size, proof=proof, head=head)

    other = tree.leaf_hash(b"another record")
    wrong = [
        (other, index, size, proof, head),
        (leaves[index], index, size, proof, other),
        (leaves[index], index, size, [*proof, other], head),
        (leaves[index], index, size, [*proof, b""], head),
        (leaves[index], index, size, [other, *proof], head),
        (leaves[index], size, size, proof, head),
        (leaves[index], -1, size, proof, head),
        *[(leaves[index], index, size, _flipped(proof, at), head) for at in range(len(proof))],
    ]
    if proof:
        wrong += [(leaves[index], index, size, cut, head) for cut in (proof[:-1], proof[1:])]
    assert not any(
        tree.verify_inclusion(leaf, at, size=n, proof=hashes, head=top) for leaf, at, n, hashes, top in wrong
    )


@given(st.lists(st.binary(min_size=1, max_size=4), min_size=2, max_size=70, unique=True), st.data())
def test_a_proof_of_one_place_is_no_proof_of_another(records, data):
    leaves = [tree.leaf_hash(record) for record in records]
    index = data.draw(st.integers(0, len(leaves) - 1))
    other = data.draw(st.integers(0, len(leaves) - 1).filter(lambda at: at != index))
    proof = tree.inclusion_proof(leaves, index)
    assert not tree.verify_inclusion(
        leaves[index], other, size=len(leaves), proof=proof, head=defined_root(leaves)
    )


@given(leaf_lists, st.data())
def test_any_two_heads_of_a_growing_log_are_consistent_and_no_others(leaves, data):
    size = len(leaves)
    old = data.draw(st.integers(1, size))
    old_head, head = defined_root(leaves[:old]), defined_root(leaves)
    proof = tree.consistency_proof(leaves, old)
    assert tree.verify_consistency(old, size, proof=proof, old_head=old_head, head=head)

    other = tree.leaf_hash(b"another log")
    wrong = [
        (old, size, proof, other, head),
        (old, size, proof, old_head, other),
        (old, size, [*proof, other], old_head, head),
        (old, size, [other, *proof], old_head, head),
        (size + 1, size, proof, old_head, head),
        (old, old - 1, proof, old_head, head),
        *[(old, size, _flipped(proof, at), old_head, head) for at in range(len(proof))],
        *([(old, size, proof[:-1], old_head, head)] if proof else []),
    ]
    assert not any(
        tree.verify_consistency(a, b, proof=hashes, old_head=before, head=after)
        for a, b, hashes, before, after in wrong
    )


@given(leaf_lists, st.data())
def test_a_rewritten_record_breaks_consistency_with_every_head_that_covered_it(leaves, data):
    old = data.draw(st.integers(1, len(leaves)))
    at = data.draw(st.integers(0, old - 1))
    forged = [*leaves[:at], tree.leaf_hash(b"rewritten!"), *leaves[at + 1 :]]
    proof = tree.consistency_proof(forged, old)
    assert not tree.verify_consistency(
        old, len(leaves), proof=proof, old_head=defined_root(leaves[:old]), head=defined_root(forged)
    )


def test_the_log_of_nothing_is_extended_by_every_log_and_only_under_its_own_root():
    head = tree.root(LEAVES)
    assert tree.verify_consistency(0, 8, proof=[], old_head=tree.EMPTY_ROOT, head=head)
    assert not tree.verify_consistency(0, 8, proof=[], old_head=head, head=head)
    assert not tree.verify_consistency(0, 8, proof=[head], old_head=tree.EMPTY_ROOT, head=head)


def test_sizes_near_the_largest_are_answered_without_long_work():
    size = (1 << 63) - 1
    assert not tree.verify_inclusion(LEAVES[0], size - 1, size=size, proof=[ROOTS[0]] * 63, head=ROOTS[0])
    assert not tree.verify_consistency(1, size, proof=[ROOTS[0]] * 63, old_head=ROOTS[0], head=ROOTS[1])


# -- broken variants: each is a mistake that real implementations made, and each is caught ----------


def _without_prefixes(leaves: list[bytes]) -> bytes:
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << ((len(leaves) - 1).bit_length() - 1)
    return hashlib.sha256(_without_prefixes(leaves[:split]) + _without_prefixes(leaves[split:])).digest()


def _duplicating_the_odd_leaf(leaves: list[bytes]) -> bytes:
    level = leaves
    while len(level) > 1:
        level = [*level, level[-1]] if len(level) % 2 else level
        level = [tree.node_hash(level[i], level[i + 1]) for i in range(0, len(level), 2)]
    return level[0]


def _halving(leaves: list[bytes]) -> bytes:
    if len(leaves) == 1:
        return leaves[0]
    split = len(leaves) // 2
    return tree.node_hash(_halving(leaves[:split]), _halving(leaves[split:]))


@pytest.mark.parametrize("broken", [_without_prefixes, _duplicating_the_odd_leaf, _halving])
def test_the_vectors_catch_a_tree_built_differently(broken):
    assert any(broken(LEAVES[:size]) != ROOTS[size - 1] for size in range(1, 9))


def test_a_verifier_that_ignores_surplus_hashes_would_be_caught():
    def sloppy(leaf: bytes, index: int, *, size: int, proof: list[bytes], head: bytes) -> bool:
        needed = (size - 1).bit_length()
        return tree.verify_inclusion(leaf, index, size=size, proof=proof[:needed], head=head)

    proof = [*tree.inclusion_proof(LEAVES, 5), ROOTS[0]]
    assert sloppy(LEAVES[5], 5, size=8, proof=proof, head=ROOTS[7])
    assert not tree.verify_inclusion(LEAVES[5], 5, size=8, proof=proof, head=ROOTS[7])


def test_proofs_of_what_is_not_there_cannot_be_made():
    with pytest.raises(IndexError, match="no leaf 8"):
        tree.inclusion_proof(LEAVES, 8)
    with pytest.raises(IndexError, match="no tree of 9"):
        tree.consistency_proof(LEAVES, 9)


def _flipped(proof: list[bytes], at: int) -> list[bytes]:
    changed = bytes([proof[at][0] ^ 8]) + proof[at][1:]
    return [*proof[:at], changed, *proof[at + 1 :]]
