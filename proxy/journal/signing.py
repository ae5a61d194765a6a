"""the journal's two secrets: the key that signs heads, the key that makes pseudonyms

Both are made on first use in files of mode 0600. The signing key has the text form of Go's note package,
`PRIVATE+KEY+name+id+base64`, so that other tools can use it.
"""

from __future__ import annotations

import base64
import binascii
import os
from pathlib import Path

from proxy.core.checkpoint import ED25519, Signer
from proxy.core.errors import Mistake
from proxy.core.pseudonyms import Pseudonyms
from proxy.private_files import create_private, secret_from_file

_START = "PRIVATE+KEY+"


def load_signer(path: Path, name: str) -> Signer:
    """The signing key in a file, made there when the file does not exist; `name` is the deployment."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        create_private(path, _written(Signer(name, os.urandom(32))).encode() + b"\n")
    return _read(secret_from_file(path).decode("ascii"), name, path)


def _written(signer: Signer) -> str:
    material = base64.b64encode(bytes([ED25519]) + signer.seed).decode()
    return f"{_START}{signer.name}+{signer.verifier.key_id.hex()}+{material}"


def _read(line: str, name: str, path: Path) -> Signer:
    parts = line.removeprefix(_START).split("+", 2)
    try:
        material = base64.b64decode(parts[2], validate=True)
    except (IndexError, binascii.Error):
        material = b""
    if not line.startswith(_START) or material[:1] != bytes([ED25519]) or len(material) != 33:
        raise Mistake(f"{path} does not hold a signing key ({_START}name+id+base64).", file=str(path))
    signer = Signer(parts[0], material[1:])
    if signer.name != name:
        raise Mistake(
            f"{path} holds the key of {signer.name!r}, but this deployment is called {name!r}."
            " Set audit.deployment back, or name another signing_key_file.",
            file=str(path),
        )
    return signer


def load_pseudonyms(path: Path) -> Pseudonyms:
    """The pseudonym secret in a file, made there when the file does not exist."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        create_private(path, base64.b64encode(os.urandom(32)) + b"\n")
    secret = secret_from_file(path)
    if len(secret) < 32:
        raise Mistake(f"{path} holds fewer than 32 characters; a secret that short can be guessed.")
    return Pseudonyms(secret)
