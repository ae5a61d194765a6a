"""Checkpoints against the published note vector, and everything that must not pass for one."""

from __future__ import annotations

import base64
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core import checkpoint as cp
from proxy.core import tree
from proxy.core.errors import Untrusted

VECTOR = orjson.loads((Path(__file__).parents[1] / "vectors/notes.json").read_bytes())
SIGNER = cp.Signer("ringfence.example", bytes(range(32)))
HEAD = cp.Checkpoint("ringfence.example/r0/w0/000001", 5, tree.leaf_hash(b"a root"))
NOTE = SIGNER.sign(HEAD.text())


def published_signer() -> cp.Signer:
    material = base64.b64decode(VECTOR["signer"].split("+", 4)[4])
    return cp.Signer("PeterNeumann", material[1:])


def test_the_published_note_is_reproduced_byte_for_byte():
    assert str(published_signer().verifier) == VECTOR["verifier"]
    assert published_signer().sign(VECTOR["text"]) == VECTOR["note"]


def test_the_published_note_verifies_and_a_changed_letter_does_not():
    key = cp.VerifierKey.parse(VECTOR["verifier"])
    key.check(cp.parse_note(VECTOR["note"].encode()))
    with pytest.raises(Untrusted, match="not valid"):
        key.check(cp.parse_note(VECTOR["note"].replace("answer", "Answer").encode()))


def test_a_checkpoint_comes_back_as_it_was_signed():
    assert SIGNER.verifier.open(cp.parse_note(NOTE.encode())) == HEAD


def test_signatures_by_others_are_ignored_and_alone_prove_nothing():
    stranger = cp.Signer("witness.example", b"w" * 32)
    line = stranger.sign(HEAD.text()).removeprefix(HEAD.text() + "\n")
    assert SIGNER.verifier.open(cp.parse_note((NOTE + line).encode())) == HEAD
    with pytest.raises(Untrusted, match="no signature by ringfence"):
        SIGNER.verifier.open(cp.parse_note(stranger.sign(HEAD.text()).encode()))


def test_another_key_of_the_same_name_is_a_stranger():
    namesake = cp.Signer(SIGNER.name, b"n" * 32)
    with pytest.raises(Untrusted, match="no signature by"):
        SIGNER.verifier.open(cp.parse_note(namesake.sign(HEAD.text()).encode()))


@given(st.integers(0, len(NOTE.encode()) - 1), st.integers(0, 7))
def test_no_flipped_bit_survives(at, bit):
    raw = bytearray(NOTE.encode())
    raw[at] ^= 1 << bit
    with pytest.raises(Untrusted):
        SIGNER.verifier.open(cp.parse_note(bytes(raw)))


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_refused_in_words(raw):
    with pytest.raises(Untrusted):
        SIGNER.verifier.open(cp.parse_note(raw))


@given(
    st.text("abc./0123", min_size=1, max_size=40),
    st.integers(0, (1 << 63) - 1),
    st.binary(min_size=32, max_size=32),
)
def test_every_checkpoint_survives_being_written_and_read(origin, size, root):
    head = cp.Checkpoint(origin, size, root)
    assert SIGNER.verifier.open(cp.parse_note(SIGNER.sign(head.text()).encode())) == head


ROOT = base64.b64encode(HEAD.root).decode()


@pytest.mark.parametrize(
    "text",
    [
        f"\n5\n{ROOT}\n",
        f"log\n05\n{ROOT}\n",
        f"log\n-5\n{ROOT}\n",
        f"log\n+5\n{ROOT}\n",
        f"log\n5 \n{ROOT}\n",
        f"log\n\u0665\n{ROOT}\n",
        f"log\n{1 << 63}\n{ROOT}\n",
        f"log\n{'9' * 30}\n{ROOT}\n",
        f"log\n5\n{ROOT[:-4]}\n",
        f"log\n5\n {ROOT}\n",
        f"log\n5\n{ROOT}",
        f"log\n5\n{ROOT}\nan extension\n",
        "log\n5\n",
        "",
    ],
)
def test_a_signed_text_that_is_no_checkpoint_is_refused(text):
    with pytest.raises(Untrusted):
        cp.parse_checkpoint(text)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"no signature\n", "empty line"),
        (NOTE.encode().replace(b"\n", b"\r\n"), "empty line"),
        (NOTE[:-1].encode(), "empty line"),
        (NOTE.replace("\u2014", "-").encode(), "em dash"),
        (NOTE.replace("\u2014 ringfence.example", "\u2014 ring+fence").encode(), "plus signs"),
        ((NOTE.rstrip("\n") + "\x00\n").encode(), "empty line"),
        (NOTE.encode() + b"\xff\n", "UTF-8"),
        (HEAD.text().encode() + b"\n" + "\u2014 x AAAAAAA=\n".encode() * 17, "more than 16"),
        (b"x" * (cp.MAX_NOTE + 1), "larger than"),
    ],
)
def test_malformed_notes_are_named_for_what_is_wrong(raw, words):
    with pytest.raises(Untrusted, match=words):
        cp.parse_note(raw)


@pytest.mark.parametrize("key", ["", "name", "name+id", "Peter N+c74f20a3+AR", VECTOR["verifier"] + "A"])
def test_malformed_verifier_keys_are_refused(key):
    with pytest.raises(Untrusted):
        cp.VerifierKey.parse(key)


def test_no_part_of_a_verifier_key_can_be_exchanged():
    name, key_id, material = VECTOR["verifier"].split("+", 2)
    other = cp.VerifierKey(name, b"k" * 32)
    for line in (
        f"PeterNeuman+{key_id}+{material}",
        f"{name}+c74f20a4+{material}",
        f"{name}+{key_id}+{str(other).split('+', 2)[2]}",
        f"{name}+{key_id}+{base64.b64encode(b'Z' + b'k' * 32).decode()}",
    ):
        with pytest.raises(Untrusted):
            cp.VerifierKey.parse(line)


def test_a_signer_never_shows_its_seed():
    assert "seed" not in repr(SIGNER)
    assert repr(SIGNER.seed) not in repr(SIGNER)


def test_a_proof_file_survives_being_written_and_read_and_holds():
    leaves = [tree.leaf_hash(bytes([n])) for n in range(5)]
    note = SIGNER.sign(cp.Checkpoint("log", 5, tree.root(leaves)).text())
    proof = cp.parse_proof(cp.write_proof(3, tree.inclusion_proof(leaves, 3), note).encode())
    head = SIGNER.verifier.open(cp.parse_note(proof.note.encode()))
    assert tree.verify_inclusion(leaves[3], proof.index, size=head.size, proof=proof.hashes, head=head.root)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "c2sp.org/tlog-proof@v2\nindex 0\n\n",
        "c2sp.org/tlog-proof@v1\nindex 00\n\n",
        "c2sp.org/tlog-proof@v1\nindex 1\n!!\n\n",
        "c2sp.org/tlog-proof@v1\n\n",
        "c2sp.org/tlog-proof@v1\nindex 0\n" + f"{ROOT}\n" * 64 + "\n",
    ],
)
def test_a_malformed_proof_file_is_refused(text):
    with pytest.raises(Untrusted):
        cp.parse_proof(text.encode())
