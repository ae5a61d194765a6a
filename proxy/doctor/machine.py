"""checks of the machine: interpreter, disk and what a durable record costs on it, descriptors, ports"""

from __future__ import annotations

import errno
import http.client
import os
import resource
import shutil
import socket
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from proxy.config import Settings
from proxy.doctor.finding import Check, Finding, fail, ok, warn
from proxy.runtime import require_sound_runtime
from proxy.stores.base import LogId, StoreFault, writer_name
from proxy.stores.sqlite import LogFile

_NETWORK = (
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "9p",
    "fuse.sshfs",
    "fuse.s3fs",
    "ceph",
    "glusterfs",
    "afs",
)
_PASSING = ("tmpfs", "ramfs", "overlay")
_APPENDS = 30
_RECORD = b"x" * 1500
_SLOW_SECONDS = 0.02
_GIB = 1 << 30
_OTHER_DESCRIPTORS = 128
_ALIVE_SECONDS = 1.0


def machine_checks(settings: Settings) -> Iterator[Check]:
    """Every check of this kind."""
    yield Check("runtime", _runtime)
    yield Check("data folder", partial(_folder, settings))
    yield Check("disk", partial(_disk, settings))
    yield Check("durable record", partial(_append, settings))
    yield Check("descriptors", partial(_descriptors, settings))
    yield Check("ports", partial(_ports, settings))


def _runtime() -> Iterator[Finding]:
    require_sound_runtime()
    yield ok("runtime", "aiohttp has its C parser and no known advisory")


def _folder(settings: Settings) -> Iterator[Finding]:
    folder = settings.data_dir
    with _scratch(folder):
        pass
    kind = file_system(folder)
    if kind in _NETWORK:
        says = f"{folder} lies on {kind}, where locks and syncs may not mean what they say"
        yield fail("data folder", says, "Put data_dir on a local disk.")
    elif kind in _PASSING:
        yield warn("data folder", f"{folder} lies on {kind} and goes with this machine or container",
                   "Mount a disk that stays for data_dir, or the audit log is lost.")  # fmt: skip
    elif folder.exists() and folder.stat().st_mode & 0o007:
        # What is not ours was opened for us by somebody, as a kubelet does: closing it may shut us out.
        ours = folder.stat().st_uid == os.geteuid()
        inside = f"Set data_dir to a folder in it, such as {folder / 'ringfence'}."
        do = f"Run: chmod 700 {folder}" if ours else inside
        yield warn("data folder", f"{folder} is open to other users", do)
    else:
        yield ok("data folder", f"{folder} can be written{f' ({kind})' if kind else ''}")


def _disk(settings: Settings) -> Iterator[Finding]:
    free, reserve = shutil.disk_usage(_existing(settings.data_dir)).free, settings.audit.reserve_bytes
    # The journal gives its reserve up and takes it back at this mark.
    mark = (reserve + reserve // 4) * settings.workers
    says = f"{free / _GIB:.1f} GiB free"
    if free < mark:
        yield fail("disk", f"{says}, less than the audit log's reserve of {mark / _GIB:.2f} GiB",
                   "Make room, or requests are refused when the log cannot be written.")  # fmt: skip
    elif free < _GIB + mark:
        yield warn("disk", says, "Make room: a million requests need about 4 GiB of log.")
    else:
        yield ok("disk", says)


def _append(settings: Settings) -> Iterator[Finding]:
    """What every request pays for its record: the median of durable appends on this very disk."""
    log = LogId(writer_name("doctor", "r0", "w0"), 1)
    with _scratch(settings.data_dir) as folder:
        log.path(folder).parent.mkdir(parents=True)
        try:
            took = _timed(LogFile(log.path(folder), log))
        except StoreFault as fault:
            yield fail("durable record", str(fault), "Put data_dir on a disk that SQLite can sync.")
            return
    middle, worst = statistics.median(took), max(took)
    says = (
        f"{middle * 1000:.2f} ms in the middle, {worst * 1000:.1f} ms at worst, of {len(took)} synced appends"
    )
    if middle > _SLOW_SECONDS:
        yield warn("durable record", says, "Use a faster disk: every request waits for one record.")
    else:
        yield ok("durable record", says)


def _timed(file: LogFile) -> list[float]:
    took = []
    try:
        for seq in range(_APPENDS):
            before = time.perf_counter()
            file.append([(seq, _RECORD)])
            took.append(time.perf_counter() - before)
        if file.size() != _APPENDS:
            raise StoreFault("what was appended cannot be read back")
    finally:
        file.close()
    return took


def _descriptors(settings: Settings) -> Iterator[Finding]:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    need = settings.listen.max_connections + settings.gateway.max_connections + _OTHER_DESCRIPTORS
    if soft != resource.RLIM_INFINITY and soft < need:
        yield warn("descriptors", f"{soft} may be open, but {need} would be with every connection in use",
                   f"Raise the limit (ulimit -n {need}; LimitNOFILE= of systemd), or lower"
                   " listen.max_connections.")  # fmt: skip
    else:
        yield ok("descriptors", f"{soft} may be open, {need} are needed at most")


def _ports(settings: Settings) -> Iterator[Finding]:
    """Both ports are free; or taken by a proxy that answers, which is how a running one is examined."""
    admin = settings.admin
    if admin.port and _alive(admin.host, admin.port):
        yield ok("ports", f"Ringfence is running: it answers at {admin.host}:{admin.port}")
        return
    wanted = (("listen", settings.listen.host, settings.listen.port), ("admin", admin.host, admin.port))
    taken = [each for each in (_taken(*one) for one in wanted) if each is not None]
    yield from taken
    if not taken:
        yield ok("ports", ", ".join(f"{host}:{port or 'any'}" for _, host, port in wanted))


def _taken(setting: str, host: str, port: int) -> Finding | None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        do = f"End what listens there, or set {setting}.port."
        if error.errno == errno.EACCES:
            do = f"Ports below 1024 need a right of their own; set {setting}.port above."
        elif error.errno == errno.EADDRNOTAVAIL:
            do = f"Set {setting}.host to an address of this machine."
        return fail("ports", f"{host}:{port} cannot be listened on: {os.strerror(error.errno or 0)}", do)
    return None


def _alive(host: str, port: int) -> bool:
    connection = http.client.HTTPConnection(
        "127.0.0.1" if host == "0.0.0.0" else host,  # noqa: S104 -- nothing is bound
        port,
        timeout=_ALIVE_SECONDS,
    )
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().read() == b"ok\n"
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """A folder on the disk of the data, gone afterwards; proves that files can be made there."""
    existing = _existing(folder)
    try:
        scratch = TemporaryDirectory(prefix=".doctor-", dir=existing)
    except OSError as error:
        # Its own name says nothing to anybody.
        error.filename = str(existing)
        raise
    with scratch as name:
        yield Path(name)


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists already."""
    folder = folder.absolute()
    return next(each for each in (folder, *folder.parents) if each.exists())


def file_system(folder: Path, mounts: Path = Path("/proc/self/mounts")) -> str:
    """The kind of file system that a folder lies on, "" where that cannot be known."""
    try:
        lines = mounts.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return ""
    path, best = _existing(folder).resolve(), ("", "")
    for line in lines:
        _, place, kind, *_ = line.split(" ")
        place = place.encode().decode("unicode_escape") if "\\" in place else place
        if path.is_relative_to(place) and len(place) >= len(best[0]):
            best = place, kind
    return best[1]
