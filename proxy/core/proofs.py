"""one record's place in a signed log: a proof is made from the log's leaves, and checked without them

Source of the text form: https://c2sp.org/tlog-proof.
"""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from proxy.core.checkpoint import (
    Checkpoint,
    VerifierKey,
    parse_checkpoint,
    parse_note,
    parse_proof,
    write_proof,
)
from proxy.core.errors import Untrusted
from proxy.core.tree import inclusion_proof, leaf_hash, root, verify_inclusion


def prove(leaves: Sequence[bytes], index: int, note: str) -> str:
    """The text that ties leaf `index` to a signed head over the first of these leaf hashes.

    Raises Untrusted when the head does not cover that leaf, or is not one over these leaves.
    """
    head = parse_checkpoint(parse_note(note.encode()).text)
    covered = leaves[: head.size]
    if not index < head.size <= len(leaves):
        raise Untrusted(f"a head over {head.size} records does not cover number {index} of {len(leaves)}")
    if root(covered) != head.root:
        raise Untrusted(f"the log does not fit its signed head over {head.size} records")
    return write_proof(index, inclusion_proof(covered, index), note)


def check(proof: bytes, record: bytes, key: VerifierKey) -> Checkpoint:
    """The signed head under which `record`, byte for byte, stands where it says; else raises Untrusted."""
    given = parse_proof(proof)
    head = key.open(parse_note(given.note.encode()))
    log, seq = _place(record)
    if (log, seq) != (head.origin, given.index):
        raise Untrusted(f"the record is {log}#{seq}, but the proof is of {head.origin}#{given.index}")
    leaf = leaf_hash(record)
    if not verify_inclusion(leaf, given.index, size=head.size, proof=given.hashes, head=head.root):
        raise Untrusted(
            "the signed log holds another record in that place: this one or the proof was changed, or it is"
            " not byte for byte what `audit show --json` prints"
        )
    return head


def _place(record: bytes) -> tuple[str, int]:
    try:
        held = orjson.loads(record)
        return str(held["log"]), int(held["seq"])
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        raise Untrusted("the record is not an audit record in JSON") from None
