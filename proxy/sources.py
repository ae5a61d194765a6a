"""where the parts of a revision come from: files, each read again only when it has changed"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import orjson

from proxy.catalogue_sync import bundled, read_kept
from proxy.core import strict_yaml
from proxy.core.attestations import Attestation, read_attestations
from proxy.core.callers import CallerTable
from proxy.core.catalog import Catalogue
from proxy.core.errors import Mistake, Mistakes
from proxy.core.places import Countries
from proxy.core.policy import Policy, read_policies, with_waivers
from proxy.core.strict_yaml import Document
from proxy.core.values import RouteId
from proxy.core.waivers import Waiver, read_waivers
from proxy.keys import KeyFile
from proxy.private_files import OWNER_ONLY, write_private

T = TypeVar("T")


class Source(Generic[T]):
    """One part of a revision: `stamp` tells one state of its files from another, `read` reads them.

    `digest` names the content that was read last. Files of a part that `settles` are read when two looks
    found them in the same state: half of a policy that is just being written may read as a whole, laxer one.
    """

    def __init__(
        self,
        what: str,
        stamp: Callable[[], Hashable],
        read: Callable[[], tuple[T, str]],
        *,
        settles: bool = False,
    ) -> None:
        self.what = what
        self._stamp = stamp
        self._read = read
        self._settles = settles
        self._seen: Hashable = object()
        self._next: Hashable = None
        self._wrong: Mistake | Mistakes | None = None
        self._value: T | None = None
        self.digest = ""

    def stamp(self) -> Hashable:
        """The state of its files; files that may not even be looked at are in a state too."""
        try:
            return self._stamp()
        except OSError as error:
            return error.errno

    def value(self) -> T:
        """The part as its files have it now; raises `Mistakes` or `Mistake` and then keeps nothing."""
        stamp, before = self.stamp(), self._value
        if before is not None and stamp == self._seen:
            self._next = self._wrong = None
            return before
        if before is not None and self._settles and stamp != self._next:
            return self._as_before(before, stamp)
        try:
            value, digest = self._taken()
        except (Mistake, Mistakes) as wrong:
            self._wrong = wrong
            raise
        if before is not None and self._settles and self.stamp() != stamp:
            # Somebody has written on while it was read.
            return self._as_before(before, object())
        self._value, self.digest, self._seen, self._next, self._wrong = value, digest, stamp, None, None
        return value

    def _as_before(self, value: T, stamp: Hashable) -> T:
        """What there was at the last look, be it a mistake, until the next one finds the same state again."""
        self._next = stamp
        if self._wrong is not None:
            raise self._wrong
        return value

    @property
    def waiting(self) -> bool:
        """Whether its files have changed and are looked at once more before they are read."""
        return self._next is not None

    def hurry(self) -> None:
        """Take the present state for a settled one: somebody says that it is."""
        self._next = self.stamp()

    def _taken(self) -> tuple[T, str]:
        try:
            return self._read()
        except OSError as error:
            # Whatever the system refuses is a mistake of this part: the others must not wait for it.
            where = f"{error.filename} (of the {self.what})" if error.filename else f"the {self.what}"
            raise Mistake(f"{where} cannot be read: {error.strerror}") from None


@dataclass(frozen=True, slots=True)
class Contracts:
    """What an attestation file holds."""

    attestations: tuple[Attestation, ...] = ()
    waivers: tuple[Waiver, ...] = ()


def policy_source(paths: Sequence[Path], countries: Countries) -> Source[tuple[Policy, ...]]:
    """The policies of files and folders; none at all is a mistake, for it would look like a choice."""

    def read() -> tuple[tuple[Policy, ...], str]:
        files = policy_files(paths)
        if not files:
            shown = ", ".join(map(str, paths))
            raise Mistakes([Mistake(f"there is no policy in {shown}; without one nothing is allowed")])
        documents = [_document(file) for file in files]
        return read_policies(documents, countries), _digest(documents)

    return Source("policies", lambda: tuple(map(_stamp, policy_files(paths))), read, settles=True)


def policy_files(paths: Iterable[Path]) -> list[Path]:
    """The policy files among files and folders: `*.yaml` and `*.yml` but suites and attestations.

    Raises OSError for a folder that cannot be looked into: its policies must not count as gone.
    """
    found: list[Path] = []
    for path in paths:
        found += _policies_in(path) if path.is_dir() else [path]
    return found


def _policies_in(folder: Path) -> list[Path]:
    # Not `glob`: to it, a folder that may not be looked into holds nothing.
    files = [folder / name for name in sorted(os.listdir(folder)) if name.endswith((".yaml", ".yml"))]
    return [file for file in files if _is_policy(file)]


def _is_policy(file: Path) -> bool:
    return not file.stem.endswith("_test") and not file.stem.startswith("attestations")


def contract_source(file: Path, countries: Countries) -> Source[Contracts]:
    """Attestations and waivers; a missing file means none."""

    def read() -> tuple[Contracts, str]:
        if not file.exists():
            return Contracts(), ""
        document = _document(file)
        found = Contracts(read_attestations(document, countries), read_waivers(document))
        return found, _digest([document])

    return Source("attestations", lambda: _stamp(file), read, settles=True)


def key_source(keys: KeyFile) -> Source[CallerTable]:
    """The caller keys in force."""

    def read() -> tuple[CallerTable, str]:
        table = keys.load()
        rows = sorted(f"{mark} {caller}" for mark, caller in table.entries.items())
        return table, hashlib.sha256("\n".join(rows).encode()).hexdigest()

    return Source("keys", keys.stamp, read)


def catalogue_source(data_dir: Path, base_url: str) -> Source[Catalogue]:
    """The last good catalogue of this gateway, else the snapshot that ships with the product."""
    file = data_dir / "catalogue" / "current.json"

    def read() -> tuple[Catalogue, str]:
        kept = read_kept(file)
        same = kept is not None and kept.source.startswith(base_url.rstrip("/") + "/")
        found = kept if kept is not None and same else bundled()
        return found, f"{found.digest} {found.fetched_at.isoformat()}"

    return Source("catalogue", lambda: _stamp(file), read)


class Quarantine:
    """Routes that the gateway served by another route than the approved one, until somebody clears them.

    Kept in a file, so that every worker and every start sees the same; what cannot be written down
    still holds in this process.
    """

    def __init__(self, data_dir: Path) -> None:
        self._file = data_dir / "quarantine.json"
        self._here: frozenset[RouteId] = frozenset()
        self._read: frozenset[RouteId] = frozenset()

    def add(self, route: RouteId) -> None:
        """Take a route out of use; a file that has become unreadable is made anew from what it said."""
        self._here |= {route}
        try:
            with self._alone():
                self._read = self._known() | self._here
                write_private(self._file, orjson.dumps(sorted(self._read)))
        except OSError:
            return
        # From here on the file says it, and whoever clears the file clears it for every worker.
        self._here = frozenset()

    def _known(self) -> frozenset[RouteId]:
        try:
            return self._written()
        except Mistake:
            return self._read

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Of workers that add routes at the same time, none may undo what another has added."""
        lock = os.open(self._file.with_suffix(".lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, OWNER_ONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def clear(self) -> None:
        """Put every route back into use."""
        self._here = frozenset()
        self._file.unlink(missing_ok=True)

    def source(self) -> Source[frozenset[RouteId]]:
        """The routes in quarantine, as a part of a revision."""

        def read() -> tuple[frozenset[RouteId], str]:
            self._read = self._written()
            found = self._read | self._here
            return found, ",".join(sorted(found))

        return Source("quarantine", lambda: (_stamp(self._file), self._here), read)

    def _written(self) -> frozenset[RouteId]:
        try:
            routes = orjson.loads(self._file.read_bytes())
            if not isinstance(routes, list) or not all(isinstance(route, str) for route in routes):
                raise ValueError
        except FileNotFoundError:
            return frozenset()
        except (OSError, ValueError):
            raise Mistake(
                f"{self._file} is not readable; the next catalogue that is fetched makes it anew"
            ) from None
        return frozenset(map(RouteId, routes))


def with_contracts(policies: tuple[Policy, ...], contracts: Contracts, file: Path) -> tuple[Policy, ...]:
    """The policies with the waivers of the attestation file."""
    return with_waivers(policies, contracts.waivers, str(file))


def _document(file: Path) -> Document:
    try:
        return strict_yaml.load(file.read_bytes(), str(file))
    except OSError as error:
        raise Mistakes([Mistake(f"{file} cannot be read: {error.strerror}")]) from None


def _stamp(file: Path) -> Hashable:
    try:
        status = file.stat()
    except OSError as error:
        return str(file), error.errno
    return str(file), status.st_mtime_ns, status.st_ino, status.st_size


def _digest(documents: Iterable[Document]) -> str:
    hashed = hashlib.sha256()
    for document in documents:
        hashed.update(orjson.dumps(document.data, option=orjson.OPT_SORT_KEYS) + b"\n")
    return hashed.hexdigest()
