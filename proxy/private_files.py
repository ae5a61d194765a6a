"""secrets by reference, and files that only their owner may read

A secret never stands in the configuration: it stands in an environment variable or in a file of its own.
What is read here is refused when others on the machine could have read or replaced it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from tempfile import mkstemp

from proxy.core.errors import Mistake

OWNER_ONLY = 0o600


def secret_from_environment(name: str, environ: Mapping[str, str]) -> bytes:
    """The value of an environment variable, without surrounding white space.

    Raises `Mistake` when it is unset, empty, or holds anything but visible ASCII. The value is never quoted.
    """
    value = environ.get(name, "").strip()
    if not value:
        raise Mistake(f"The environment variable {name} is not set. Set it to the secret, or name a file.")
    return _one_word(value.encode("utf-8", "surrogateescape"), f"The environment variable {name}")


def secret_from_file(path: Path) -> bytes:
    """The content of a secret file, without surrounding white space.

    Raises `Mistake` when the file cannot be read, others may read it, or it holds anything but visible ASCII.
    """
    value = read_private(path).strip()
    if not value:
        raise Mistake(f"{path} is empty. Write the secret into it.", file=str(path))
    return _one_word(value, str(path))


def read_private(path: Path) -> bytes:
    """The bytes of a file that only its owner (and perhaps its group) may read.

    The permissions are those of the file that was opened, so that it cannot be swapped in between.
    """
    try:
        with path.open("rb") as file:
            refuse_if_open_to_others(path, os.fstat(file.fileno()))
            return file.read()
    except OSError as error:
        raise Mistake(f"{path} cannot be read: {error.strerror}.", file=str(path)) from error


def refuse_if_open_to_others(path: Path, status: os.stat_result) -> None:
    """Raises `Mistake` when users outside the file's owner and group may read or write it."""
    mode = stat.S_IMODE(status.st_mode)
    if mode & 0o007 or mode & stat.S_IWGRP:
        raise Mistake(
            f"{path} can be read or changed by other users (mode {mode:04o}). Run: chmod 600 {path}"
            " (in Kubernetes: defaultMode: 0440 on the volume;"
            f" in Docker or Compose: chmod 600 the file on the host, and chown it to {os.geteuid()}).",
            file=str(path),
        )
    if status.st_uid not in (0, os.geteuid()):
        raise Mistake(f"{path} belongs to another user. Run: chown {os.geteuid()} {path}", file=str(path))


def write_private(path: Path, content: bytes) -> None:
    """Replaces a file whole and durably, for its owner only; a crash leaves the old one or the new one."""
    made, name = mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(made, "wb") as file:
            os.fchmod(file.fileno(), OWNER_ONLY)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def create_private(path: Path, content: bytes) -> bool:
    """Writes a new file, readable by its owner only; False when it exists already and was left alone."""
    made, name = mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(made, "wb") as file:
            os.fchmod(file.fileno(), OWNER_ONLY)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        # A link, unlike a rename, fails when the name is taken: two first starts cannot overwrite each other.
        os.link(name, path)
    except FileExistsError:
        return False
    finally:
        Path(name).unlink(missing_ok=True)
    _sync_folder(path.parent)
    return True


def _sync_folder(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _one_word(value: bytes, where: str) -> bytes:
    if any(not 0x21 <= byte <= 0x7E for byte in value):
        raise Mistake(f"{where} must hold one secret: visible ASCII characters, no spaces or line breaks.")
    return value
