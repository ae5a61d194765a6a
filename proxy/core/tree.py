"""RFC 6962 hashes, roots, inclusion and consistency proofs

Leaves are record bytes. Sizes and indices count records from 0. Every hash is 32 bytes of SHA-256.
Source: https://www.rfc-editor.org/rfc/rfc6962#section-2.1 and, for the verification of proofs,
https://www.rfc-editor.org/rfc/rfc9162#section-2.1.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

HASH_SIZE = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()

_sha256 = hashlib.sha256


def leaf_hash(record: bytes) -> bytes:
    """The hash of one record, kept apart from node hashes by its 0x00 prefix."""
    return _sha256(b"\x00" + record).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of two subtrees, kept apart from leaf hashes by its 0x01 prefix."""
    return _sha256(b"\x01" + left + right).digest()


class Frontier:
    """The roots of the full subtrees that a growing log consists of, largest first.

    It is all that a writer has to remember: one hash per set bit of the size.
    """

    __slots__ = ("_peaks", "size")

    def __init__(self) -> None:
        self.size = 0
        self._peaks: list[bytes] = []

    def append(self, leaf: bytes) -> None:
        """Adds the hash of the next record."""
        size = self.size
        while size & 1:
            leaf = node_hash(self._peaks.pop(), leaf)
            size >>= 1
        self._peaks.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        """The tree head over everything appended so far."""
        if not self._peaks:
            return EMPTY_ROOT
        head = self._peaks[-1]
        for peak in self._peaks[-2::-1]:
            head = node_hash(peak, head)
        return head

    def copy(self) -> Frontier:
        """An independent frontier at the same size."""
        return Frontier.restore(self.size, self.state())

    def state(self) -> bytes:
        """The subtree roots, concatenated, for `restore`."""
        return b"".join(self._peaks)

    @staticmethod
    def restore(size: int, state: bytes) -> Frontier:
        """The frontier that gave `state` at `size`; raises ValueError when the two do not fit."""
        if size < 0 or len(state) != size.bit_count() * HASH_SIZE:
            raise ValueError(f"a frontier of {size} records needs {size.bit_count()} hashes")
        frontier = Frontier()
        frontier.size = size
        frontier._peaks = [state[i : i + HASH_SIZE] for i in range(0, len(state), HASH_SIZE)]
        return frontier


def root(leaves: Sequence[bytes]) -> bytes:
    """The tree head over these leaf hashes."""
    frontier = Frontier()
    for leaf in leaves:
        frontier.append(leaf)
    return frontier.root()


def inclusion_proof(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The sibling hashes from a leaf up to the root over all `leaves`, nearest first."""
    if not 0 <= index < len(leaves):
        raise IndexError(f"no leaf {index} in a tree of {len(leaves)}")
    if len(leaves) == 1:
        return []
    split = _split(len(leaves))
    if index < split:
        return [*inclusion_proof(leaves[:split], index), root(leaves[split:])]
    return [*inclusion_proof(leaves[split:], index - split), root(leaves[:split])]


def consistency_proof(leaves: Sequence[bytes], old_size: int) -> list[bytes]:
    """The hashes that show the tree over all `leaves` to extend the one over the first `old_size`."""
    if not 0 < old_size <= len(leaves):
        raise IndexError(f"no tree of {old_size} within one of {len(leaves)}")
    return _subproof(leaves, old_size, known=True)


def _subproof(leaves: Sequence[bytes], old_size: int, *, known: bool) -> list[bytes]:
    if old_size == len(leaves):
        return [] if known else [root(leaves)]
    split = _split(len(leaves))
    if old_size <= split:
        return [*_subproof(leaves[:split], old_size, known=known), root(leaves[split:])]
    return [*_subproof(leaves[split:], old_size - split, known=False), root(leaves[:split])]


def _split(size: int) -> int:
    """The largest power of two below `size`, which is at least 2."""
    return int(1 << ((size - 1).bit_length() - 1))


def verify_inclusion(leaf: bytes, index: int, *, size: int, proof: Sequence[bytes], head: bytes) -> bool:
    """Whether `proof` ties the leaf hash at `index` to the tree head `head` over `size` records."""
    if not 0 <= index < size or not _are_hashes([leaf, head, *proof]):
        return False
    position, last, found = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if position & 1 or position == last:
            found = node_hash(sibling, found)
            while position and not position & 1:
                position, last = position >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        position, last = position >> 1, last >> 1
    return last == 0 and found == head


def verify_consistency(
    old_size: int, size: int, *, proof: Sequence[bytes], old_head: bytes, head: bytes
) -> bool:
    """Whether `proof` shows that the head at `size` only appended to the one at `old_size`."""
    if not 0 <= old_size <= size or not _are_hashes([old_head, head, *proof]):
        return False
    if old_size == size:
        return not proof and old_head == head
    if old_size == 0:
        # Everything extends nothing, yet only the one true head of nothing is accepted.
        return not proof and old_head == EMPTY_ROOT
    return _climbs_to(old_size, size, proof=proof, old_head=old_head, head=head)


def _climbs_to(old_size: int, size: int, *, proof: Sequence[bytes], old_head: bytes, head: bytes) -> bool:
    """RFC 9162 section 2.1.4.2, with 0 < old_size < size."""
    path = list(proof) if old_size & (old_size - 1) else [old_head, *proof]
    if not path:
        return False
    position, last = old_size - 1, size - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    old_found = found = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if position & 1 or position == last:
            old_found, found = node_hash(sibling, old_found), node_hash(sibling, found)
            while position and not position & 1:
                position, last = position >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        position, last = position >> 1, last >> 1
    return last == 0 and old_found == old_head and found == head


def _are_hashes(values: Sequence[bytes]) -> bool:
    return all(len(value) == HASH_SIZE for value in values)
