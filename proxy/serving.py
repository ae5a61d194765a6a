"""from settings to a running proxy: one process alone, or a parent with workers"""

from __future__ import annotations

import signal
import socket
import ssl
import sys
from pathlib import Path

import orjson
import uvloop

from proxy import logs
from proxy.access import mistake_of, require_own
from proxy.admin import Admin
from proxy.config import Settings
from proxy.core.errors import RingfenceError
from proxy.handover import Channel, Letter, Report, Told
from proxy.runtime import require_sound_runtime
from proxy.settings import ListenSettings
from proxy.stops import keep_stops, let_stops_in, to_the_end
from proxy.supervisor import FIRST, Supervisor
from proxy.wiring import assemble, version
from proxy.worker import Worker

_BACKLOG = 1024


def serve(settings: Settings, ports_file: Path | None = None) -> None:
    """Run until a signal ends it. `ports_file` gets `{"port": …, "admin_port": …}` once it listens."""
    logs.set_up(settings.logs.level)
    require_sound_runtime()
    require_own(settings.data_dir)
    if settings.unsafe:
        logs.logger().warning("unsafe_settings", unsafe=list(settings.unsafe))
    run = _serve_alone if settings.workers == 1 else _serve_with_workers
    uvloop.run(to_the_end(run(settings, ports_file)))


async def _serve_alone(settings: Settings, ports_file: Path | None) -> None:
    # From here on there is a log to close.
    keep_stops()
    sock, tls = listening_socket(settings.listen), listening_tls(settings.listen)
    assembly = assemble(settings)
    worker = Worker(assembly, refreshes=True)
    await worker.start()

    async def readiness() -> Report:
        return worker.report()

    async def metrics() -> bytes:
        return assembly.metrics.text()

    admin = Admin(readiness, metrics)
    await admin.start(settings.admin.host, settings.admin.port)
    await let_stops_in()
    if not worker.stopping:
        await worker.listen(sock, tls)
        announce(settings, sock, admin.port, ports_file)
    else:
        sock.close()
    await worker.run()
    await admin.stop()


async def _serve_with_workers(settings: Settings, ports_file: Path | None) -> None:
    sock = listening_socket(settings.listen)
    supervisor = Supervisor(settings, run_worker)
    await supervisor.start()
    admin = Admin(supervisor.readiness, supervisor.metrics)
    await admin.start(settings.admin.host, settings.admin.port)
    await let_stops_in()
    if not supervisor.stopping:
        announce(settings, sock, admin.port, ports_file)
    await supervisor.run(sock)
    await admin.stop()


def run_worker(settings: Settings, name: str, end: socket.socket) -> None:
    """One of several workers: connections come from its parent through `end`."""
    logs.set_up(settings.logs.level)
    # Ctrl-C reaches every process of a terminal; only the parent may act on it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        uvloop.run(to_the_end(_work(settings, name, end)))
    except RingfenceError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(3)
    except OSError as error:
        if (mistake := mistake_of(error)) is None:
            raise
        sys.stderr.write(f"{mistake}\n")
        sys.exit(3)


async def _work(settings: Settings, name: str, end: socket.socket) -> None:
    stops = (signal.SIGTERM,)
    keep_stops(stops)
    tls = listening_tls(settings.listen)
    assembly = assemble(settings, worker=name)
    # The first worker fetches the catalogue; the others are told to look when it is there.
    worker = Worker(assembly, refreshes=name == FIRST, stops=stops)
    await worker.start()

    def closed() -> None:
        channel.say(Letter.CLOSED)

    def hear(letter: Letter, _body: bytes, connection: socket.socket | None) -> None:
        if letter is Letter.CONNECTION and connection is not None:
            worker.take(connection, tls, closed)
        elif letter is Letter.LOOK:
            worker.look()
            channel.say(Letter.UP)
        elif letter is Letter.TELL:
            told = Told(**worker.report(), metrics=assembly.metrics.snapshot())
            channel.say(Letter.TOLD, orjson.dumps(told))

    def leaving() -> None:
        channel.say(Letter.LEAVING)

    channel = Channel(end, hear, worker.stop)
    worker.at_parting(leaving)
    if name == FIRST:
        channel.say(Letter.UP)
    await worker.run()
    channel.close()


def announce(settings: Settings, sock: socket.socket, admin_port: int, ports_file: Path | None) -> None:
    """Say that clients may come."""
    port = sock.getsockname()[1]
    logs.logger().info(
        "listening", host=settings.listen.host, port=port, admin_port=admin_port, version=version()
    )
    if ports_file is not None:
        beside = ports_file.with_name(ports_file.name + ".new")
        beside.write_bytes(orjson.dumps({"port": port, "admin_port": admin_port}))
        beside.replace(ports_file)


def listening_socket(settings: ListenSettings) -> socket.socket:
    """Bind the client port; raises OSError when it is taken."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    return socket.create_server((settings.host, settings.port), family=family, backlog=_BACKLOG)


def listening_tls(settings: ListenSettings) -> ssl.SSLContext | None:
    """TLS 1.2 or later for clients, or None for plain HTTP."""
    if settings.tls_cert_file is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(settings.tls_cert_file, settings.tls_key_file)
    context.set_alpn_protocols(["http/1.1"])
    return context
