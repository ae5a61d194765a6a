"""the journal's two secrets: the key that signs heads, the key that makes pseudonyms

Both are made on first use in files of mode 0600. The signing key has the text form of Go's note package,
`PRIVATE+KEY+name+id+base64`, so that other tools can use it.
"""

from __future__ import annotations

import base64
import binascii
import os
from pathlib import Path

from proxy.core.checkpoint import ED25519, Signer, VerifierKey
from proxy.core.errors import Mistake, Untrusted
from proxy.core.pseudonyms import Pseudonyms
from proxy.journal.settings import JournalSettings
from proxy.private_files import create_private, secret_from_file

_START = "PRIVATE+KEY+"


def load_signer(path: Path, name: str, *, published: Path | None = None) -> Signer:
    """The signing key in a file, made there when the file does not exist; `name` is the deployment.

    `published` is where its public half lies beside the logs. Raises Mistake for another key than that one:
    with two keys under one name, every older log would look like one that a stranger signed.
    """
    known = None if published is None else _published(published, name)
    if not path.exists():
        if known is not None:
            raise _other_key(f"{path} is missing", published, path)
        path.parent.mkdir(parents=True, exist_ok=True)
        create_private(path, _written(Signer(name, os.urandom(32))).encode() + b"\n")
    signer = _read(secret_from_file(path).decode("ascii"), name, path)
    if known not in (None, signer.verifier):
        raise _other_key(f"{path} holds another key", published, path)
    return signer


def load_own_signer(settings: JournalSettings, folder: Path) -> Signer:
    """The signing key of the logs in an audit folder; its public half lies there from then on."""
    published = folder / "verifier.vkey"
    path = settings.signing_key_file or folder / "signing.key"
    signer = load_signer(path, settings.deployment, published=published)
    if _published(published, signer.name) != signer.verifier:
        published.write_text(f"{signer.verifier}\n", "utf-8")
    return signer


def _published(path: Path, name: str) -> VerifierKey | None:
    """The key that the logs here can be verified with, when it is this deployment's."""
    try:
        known = VerifierKey.parse(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, Untrusted):
        # A crash may have left half of it; it is written anew.
        return None
    return known if known.name == name else None


def _other_key(what: str, published: Path | None, path: Path) -> Mistake:
    home = None if published is None else published.parent
    return Mistake(
        f"{what}, but the logs in {home} are signed with the key of {published}. Put that signing key back."
        f" If it is lost, move {home} away as a whole and keep it: the next start begins a new one, and the"
        " old logs stay proven by the key that lies with them.",
        file=str(path),
    )


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
