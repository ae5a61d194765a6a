"""C2SP checkpoint text: write, sign, parse, verify

A checkpoint states a log's size and root as a note signed with Ed25519. The origin is the log's id,
epoch included, because a log must never sign two heads of which neither extends the other, and each
epoch is a tree of its own; the key's name is the deployment's, so that one verifier key serves all.
Sources: https://c2sp.org/tlog-checkpoint, https://c2sp.org/signed-note, https://c2sp.org/tlog-proof.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from typing_extensions import override

from proxy.core.errors import Untrusted
from proxy.core.tree import HASH_SIZE

ED25519 = 1
MAX_NOTE = 64 * 1024
MAX_SIGNATURES = 16
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_SIGNATURE_START = "\u2014 "


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A log's head: which log, how many records, and the root over them."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """The note text that is signed, three lines."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line of a note: the key's name, its 4-byte id, and the signature."""

    name: str
    key_id: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class Note:
    """A text and the signatures under it, none of them checked yet."""

    text: str
    signatures: tuple[Signature, ...]


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """The public half of a signing key, written `name+key id+base64`."""

    name: str
    public: bytes

    def __post_init__(self) -> None:
        _check_name(self.name)
        if len(self.public) != HASH_SIZE:
            raise Untrusted("an Ed25519 public key has 32 bytes")

    @property
    def key_id(self) -> bytes:
        """The first four bytes of SHA-256(name, newline, type, key)."""
        named = self.name.encode() + b"\n" + bytes([ED25519]) + self.public
        return hashlib.sha256(named).digest()[:4]

    @override
    def __str__(self) -> str:
        material = base64.b64encode(bytes([ED25519]) + self.public).decode()
        return f"{self.name}+{self.key_id.hex()}+{material}"

    @staticmethod
    def parse(line: str) -> VerifierKey:
        """Reads the `name+id+key` form; raises Untrusted when any part does not fit the others."""
        parts = line.strip().split("+", 2)
        if len(parts) != 3:
            raise Untrusted("a verifier key reads name+id+key; copy the whole line")
        material = _base64(parts[2], "the verifier key")
        if material[:1] != bytes([ED25519]):
            raise Untrusted("the verifier key is not of type Ed25519 (1)")
        key = VerifierKey(parts[0], material[1:])
        if key.key_id.hex() != parts[1]:
            raise Untrusted("the verifier key's id does not belong to its name and key")
        return key

    def open(self, note: Note) -> Checkpoint:
        """The checkpoint in a note that this key signed; raises Untrusted for any other note."""
        self.check(note)
        return parse_checkpoint(note.text)

    def check(self, note: Note) -> None:
        """Raises Untrusted unless this key signed the note."""
        mine = [s for s in note.signatures if s.name == self.name and s.key_id == self.key_id]
        if not mine:
            raise Untrusted(f"the note has no signature by {self.name}+{self.key_id.hex()}")
        public = Ed25519PublicKey.from_public_bytes(self.public)
        for signature in mine:
            try:
                public.verify(signature.value, note.text.encode())
            except InvalidSignature:
                raise Untrusted(f"the signature by {self.name} is not valid for this text") from None


@dataclass(frozen=True, slots=True)
class Signer:
    """A named Ed25519 key, made from its 32-byte seed."""

    name: str
    seed: bytes = field(repr=False)

    @property
    def verifier(self) -> VerifierKey:
        """The key to hand to those who check."""
        return VerifierKey(self.name, self._private().public_key().public_bytes_raw())

    def sign(self, text: str) -> str:
        """The signed note over `text`, which ends in a newline."""
        signature = self.verifier.key_id + self._private().sign(text.encode())
        return f"{text}\n{_SIGNATURE_START}{self.name} {base64.b64encode(signature).decode()}\n"

    def _private(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.seed)


def parse_note(raw: bytes) -> Note:
    """Splits a signed note; raises Untrusted for anything that the specification does not allow."""
    if len(raw) > MAX_NOTE:
        raise Untrusted(f"a note of {len(raw)} bytes is larger than {MAX_NOTE}")
    try:
        whole = raw.decode()
    except UnicodeDecodeError:
        raise Untrusted("a note is UTF-8 text") from None
    text, found, tail = whole.rpartition("\n\n")
    if _CONTROL.search(whole) or not found or not text or not tail.endswith("\n"):
        raise Untrusted("a note is text, an empty line, and signature lines")
    lines = tail[:-1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise Untrusted(f"a note with more than {MAX_SIGNATURES} signatures")
    return Note(text + "\n", tuple(_signature(line) for line in lines))


def parse_checkpoint(text: str) -> Checkpoint:
    """Reads a note's text as a checkpoint; extension lines are refused, since nobody can audit them."""
    lines = text.split("\n")
    if len(lines) != 4 or lines[3] or not lines[0] or not _SIZE.fullmatch(lines[1]):
        raise Untrusted("a checkpoint is three lines: origin, size, root")
    size, root = int(lines[1]), _base64(lines[2], "the root")
    if size >= 1 << 63 or len(root) != HASH_SIZE:
        raise Untrusted("a checkpoint has a size below 2^63 and a root of 32 bytes")
    return Checkpoint(lines[0], size, root)


@dataclass(frozen=True, slots=True)
class Proof:
    """That one record is in a log: its index, the hashes up to the root, and the signed head."""

    index: int
    hashes: tuple[bytes, ...]
    note: str


_PROOF_START = "c2sp.org/tlog-proof@v1"


def write_proof(index: int, hashes: Sequence[bytes], note: str) -> str:
    """The text of an offline proof; `note` is the signed checkpoint as it was published."""
    siblings = "".join(f"{base64.b64encode(value).decode()}\n" for value in hashes)
    return f"{_PROOF_START}\nindex {index}\n{siblings}\n{note}"


def parse_proof(raw: bytes) -> Proof:
    """Reads an offline proof without extra data; raises Untrusted for anything else."""
    try:
        head, found, note = raw[: MAX_NOTE * 2].decode().partition("\n\n")
    except UnicodeDecodeError:
        raise Untrusted("a proof is UTF-8 text") from None
    lines = head.split("\n")
    if not found or len(lines) < 2 or lines[0] != _PROOF_START or len(lines) > 2 + 63:
        raise Untrusted(f"a proof starts with {_PROOF_START!r} and has at most 63 hashes")
    word, _, number = lines[1].partition(" ")
    if word != "index" or not _SIZE.fullmatch(number):
        raise Untrusted("a proof's second line is `index` and a number")
    return Proof(int(number), tuple(_base64(line, "a hash") for line in lines[2:]), note)


def _signature(line: str) -> Signature:
    name, found, encoded = line.removeprefix(_SIGNATURE_START).partition(" ")
    if not line.startswith(_SIGNATURE_START) or not found:
        raise Untrusted("a signature line is an em dash, a key name and base64")
    _check_name(name)
    value = _base64(encoded, "a signature")
    if len(value) < 5:
        raise Untrusted("a signature has a 4-byte key id and a value")
    return Signature(name, value[:4], value[4:])


def _check_name(name: str) -> None:
    if not name or "+" in name or any(letter.isspace() for letter in name):
        raise Untrusted("a key name is not empty and has neither spaces nor plus signs")


def _base64(encoded: str, what: str) -> bytes:
    try:
        value = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise Untrusted(f"{what} is not base64") from None
    # Two spellings of one value would let a note change without its signature noticing.
    if base64.b64encode(value).decode() != encoded:
        raise Untrusted(f"{what} is not canonical base64")
    return value
