"""caller keys: create, adopt, revoke; keyed hashes only

The key itself is shown once, when it is made, and kept nowhere. What is stored is its HMAC-SHA-256 under a
pepper that lies in a file of its own, so the key file alone does not even allow guessing.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from proxy.core.callers import LONGEST, CallerTable, fingerprint
from proxy.core.errors import Mistake
from proxy.core.values import Caller, Fingerprint, PolicyId
from proxy.private_files import (
    OWNER_ONLY,
    create_private,
    read_private,
    refuse_if_open_to_others,
    secret_from_environment,
    secret_from_file,
    write_private,
)

SHORTEST = 20
"""Characters of the shortest key that may be adopted: 20 random ones are beyond guessing."""
FEWEST_DIFFERENT = 8
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_ID_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
_SELF_CHECK = b"ringfence: this text under the pepper shows that it is still the same pepper"


class Entry(BaseModel):
    """One key as stored: who holds it and its keyed hash."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    id: str
    fingerprint: str
    organisation: str
    project: str
    policies: tuple[str, ...] = ()
    created: AwareDatetime
    adopted: bool = False
    revoked: AwareDatetime | None = None

    def caller(self) -> Caller:
        """The value that a request with this key goes on with."""
        return Caller(self.organisation, self.project, self.id, tuple(map(PolicyId, self.policies)))


class Entries(BaseModel):
    """The key file's content. `pepper` is a hash that shows under which pepper the fingerprints were made."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    version: int = 1
    pepper: str
    keys: tuple[Entry, ...] = ()


@dataclass(frozen=True, slots=True)
class Scope:
    """Whom a key belongs to, and the policies that are bound to it beside those that match by themselves."""

    project: str
    organisation: str = "default"
    policies: tuple[PolicyId, ...] = ()

    def __post_init__(self) -> None:
        for name in (self.project, self.organisation, *self.policies):
            if not _NAME.fullmatch(name):
                raise Mistake(
                    "Names of projects, organisations and policies are 1 to 64 letters, digits, dots,"
                    " hyphens and underscores, and begin with a letter or digit."
                )


@dataclass(frozen=True, slots=True)
class Stamp:
    """Tells one state of the key file from another without reading it. All zero: there is no file."""

    modified_ns: int = 0
    inode: int = 0
    size: int = 0


class KeyFile:
    """The keys of a deployment, in one JSON file that is replaced whole; several may read and write it."""

    def __init__(self, path: Path, pepper: bytes) -> None:
        self.path = path
        self.pepper = pepper

    def stamp(self) -> Stamp:
        """The file's present state; compare it with the one before the last `load`."""
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return Stamp()
        return Stamp(status.st_mtime_ns, status.st_ino, status.st_size)

    def load(self) -> CallerTable:
        """Every key in force, by fingerprint. Raises `Mistake` when the file cannot be trusted or read."""
        return CallerTable(
            {Fingerprint(entry.fingerprint): entry.caller() for entry in self.entries() if not entry.revoked}
        )

    def entries(self) -> tuple[Entry, ...]:
        """Every key that was ever registered, revoked ones too, oldest first."""
        return self._read().keys

    def create(self, scope: Scope, *, at: datetime) -> tuple[Entry, str]:
        """A new key: its entry, and the key itself, which can never be shown again."""
        with self._changing() as known:
            key_id = _new_id(known)
            secret = f"rf-{key_id}-{secrets.token_urlsafe(32)}"
            entry = self._entry(key_id, secret.encode(), scope, at=at, adopted=False)
            self._write((*known, entry))
        return entry, secret

    def adopt(self, secret: bytes, scope: Scope, *, at: datetime) -> Entry:
        """Registers a key that clients hold already. Raises `Mistake` when it is weak, known or revoked."""
        _refuse_weak(secret)
        with self._changing() as known:
            _refuse_known(fingerprint(secret, self.pepper), known)
            entry = self._entry(_new_id(known), secret, scope, at=at, adopted=True)
            self._write((*known, entry))
        return entry

    def revoke(self, key_id: str, *, at: datetime) -> Entry:
        """Takes a key out of force. Raises `Mistake` when no such key is in force."""
        with self._changing() as known:
            found = next((entry for entry in known if entry.id == key_id), None)
            if found is None or found.revoked:
                state = "is not known" if found is None else f"was revoked on {found.revoked:%Y-%m-%d}"
                raise Mistake(f"The key {key_id} {state}. `ringfence keys list` shows the keys in force.")
            gone = found.model_copy(update={"revoked": at})
            self._write(tuple(gone if entry is found else entry for entry in known))
        return gone

    def _entry(self, key_id: str, secret: bytes, scope: Scope, *, at: datetime, adopted: bool) -> Entry:
        return Entry(
            id=key_id,
            fingerprint=fingerprint(secret, self.pepper),
            organisation=scope.organisation,
            project=scope.project,
            policies=scope.policies,
            created=at,
            adopted=adopted,
        )

    def _read(self) -> Entries:
        try:
            content = read_private(self.path) if self.path.exists() else None
            found = Entries.model_validate_json(content) if content is not None else None
        except ValidationError:
            raise Mistake(
                f"{self.path} is not a key file that this version wrote. Restore it from a backup.",
                file=str(self.path),
            ) from None
        if found is None:
            return Entries(pepper=self._pepper_check())
        if found.pepper != self._pepper_check():
            raise Mistake(
                f"{self.path} was written with another pepper, so none of its keys would be recognised."
                " Restore the pepper file that belongs to it, or move the key file away and issue new keys.",
                file=str(self.path),
            )
        return found

    def _write(self, keys: tuple[Entry, ...]) -> None:
        whole = Entries(pepper=self._pepper_check(), keys=keys)
        write_private(self.path, whole.model_dump_json(indent=1).encode() + b"\n")

    def _pepper_check(self) -> str:
        return fingerprint(_SELF_CHECK, self.pepper)

    @contextmanager
    def _changing(self) -> Iterator[tuple[Entry, ...]]:
        lock = os.open(self.path.with_name(self.path.name + ".lock"), os.O_CREAT | os.O_RDWR, OWNER_ONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield self.entries()
        finally:
            os.close(lock)


def open_keys(
    path: Path, pepper_file: Path, *, pepper_env: str | None = None, environ: Mapping[str, str] | None = None
) -> KeyFile:
    """The key file with its pepper, which is made on first use.

    Raises `Mistake` when the pepper is missing although keys were hashed with it, or others may read it.
    """
    if pepper_env is not None:
        return KeyFile(path, secret_from_environment(pepper_env, os.environ if environ is None else environ))
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.exists():
        refuse_if_open_to_others(path, path.stat())
    if not pepper_file.exists():
        if path.exists():
            raise Mistake(
                f"{pepper_file} is missing, and without it no key in {path} is recognised."
                " Restore it from a backup.",
                file=str(pepper_file),
            )
        pepper_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        create_private(pepper_file, secrets.token_hex(32).encode() + b"\n")
    return KeyFile(path, secret_from_file(pepper_file))


def _new_id(known: Sequence[Entry]) -> str:
    taken = {entry.id for entry in known}
    while True:
        fresh = "".join(secrets.choice(_ID_LETTERS) for _ in range(8))
        if fresh not in taken:
            return fresh


def _refuse_weak(secret: bytes) -> None:
    if len(secret) > LONGEST or any(not 0x21 <= byte <= 0x7E for byte in secret):
        raise Mistake(f"This cannot be a key: a key is up to {LONGEST} visible ASCII characters, no spaces.")
    if len(secret) < SHORTEST or len(set(secret)) < FEWEST_DIFFERENT:
        raise Mistake(
            f"This key is too easy to guess: it needs {SHORTEST} characters, {FEWEST_DIFFERENT} of them"
            " different. Use `ringfence keys create` for a new one."
        )


def _refuse_known(found: Fingerprint, known: Sequence[Entry]) -> None:
    for entry in known:
        if entry.fingerprint == found:
            what = "was revoked; a revoked key cannot come back" if entry.revoked else "is in force already"
            raise Mistake(f"This key is registered as {entry.id} and {what}.")
