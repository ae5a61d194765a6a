"""what the system does not let this program use, in words: whose it is, and what to run"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from proxy.core.errors import Mistake

_DENIED = (errno.EACCES, errno.EPERM)
_ROOM = "Make room there, or set data_dir to another folder."
_IN_A_CONTAINER = "(for a container: on its host, for the folder that is mounted there)"


def require_own(folder: Path) -> None:
    """Make a folder for this user only where it is missing, and try that it can be written.

    Raises `Mistake` that says whom it must belong to, and what to run.
    """
    # Not above: every command loads this module, and `serve` hears no stop before.
    from tempfile import TemporaryFile

    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        if error.errno in _DENIED and _is_missing(folder):
            uid, gid = os.geteuid(), os.getegid()
            says = f"{folder} is missing, and user {uid}, who runs this, may not make it"
            do = f"Run as root: install -d -m 700 -o {uid} -g {gid} {folder} {_IN_A_CONTAINER}"
        else:
            says, do = refusal(folder, error) or (f"{folder} cannot be written: {error.strerror}", _ROOM)
        raise Mistake(f"{says}. {do}", file=str(folder)) from error


def require_open(folder: Path) -> None:
    """Raises `Mistake` when a folder is there and may not be looked into."""
    try:
        with os.scandir(folder):
            pass
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        if (mistake := mistake_of(error)) is not None:
            raise mistake from error
        raise


def mistake_of(error: OSError) -> Mistake | None:
    """A refusal of the system as the operator's mistake; None when it is none, or about no file."""
    if not isinstance(error.filename, str | Path):
        return None
    told = refusal(Path(error.filename), error)
    return None if told is None else Mistake(f"{told[0]}. {told[1]}", file=str(error.filename))


def refusal(path: Path, error: OSError) -> tuple[str, str] | None:
    """What is wrong with a path that may not be used, and what to do; None for any other error."""
    if error.errno == errno.EROFS:
        return f"{path} cannot be written: it is mounted read-only", (
            "Mount it so that it can be written, or set data_dir to a folder that can be."
        )
    if error.errno not in _DENIED:
        return None
    uid, gid = os.geteuid(), os.getegid()
    place, found = _reached(path)
    owner = f"{place} belongs to user {found.st_uid} (mode {stat.S_IMODE(found.st_mode):04o})"
    is_folder = stat.S_ISDIR(found.st_mode)
    if found.st_uid == uid:
        if found.st_mode & 0o600 == 0o600 and (found.st_mode & 0o100 or not is_folder):
            # It is ours and open to us: something else than whose it is stands in the way.
            return None
        return f"{path} may not be used: {owner}", f"Run: chmod u+rw{'x' if is_folder else ''} {place}"
    if place != path:
        # It may be /root or /etc: nothing to be given away on our advice.
        says = f"{path} is out of reach for user {uid}, who runs this: {owner}"
        return says, f"Let that user into {place}, or name a place elsewhere."
    says = f"{owner}, and user {uid}, who runs this, may not use it: it must belong to user {uid}"
    return says, f"Run as root: chown {'-R ' if is_folder else ''}{uid}:{gid} {place} {_IN_A_CONTAINER}"


def _reached(path: Path) -> tuple[Path, os.stat_result]:
    """The path, or the innermost one above it that can be looked at."""
    for place in (path, *path.absolute().parents):
        try:
            return place, place.stat()
        except OSError:
            continue
    raise FileNotFoundError(path)


def _is_missing(path: Path) -> bool:
    try:
        path.lstat()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return False
