"""from settings to a running proxy: one process alone, or a parent with workers"""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

import orjson
import uvloop

from proxy import logs
from proxy.admin import Admin
from proxy.config import Settings
from proxy.runtime import require_sound_runtime
from proxy.settings import ListenSettings
from proxy.wiring import assemble, version
from proxy.worker import Worker

_BACKLOG = 1024


def serve(settings: Settings, ports_file: Path | None = None) -> None:
    """Run until a signal ends it. `ports_file` gets `{"port": …, "admin_port": …}` once it listens."""
    logs.set_up(settings.logs.level)
    require_sound_runtime()
    if settings.unsafe:
        logs.logger().warning("unsafe_settings", unsafe=list(settings.unsafe))
    uvloop.run(_serve_alone(settings, ports_file))


async def _serve_alone(settings: Settings, ports_file: Path | None) -> None:
    sock, tls = listening_socket(settings.listen), listening_tls(settings.listen)
    assembly = assemble(settings)
    worker = Worker(assembly, refreshes=True)
    await worker.start()

    async def metrics() -> bytes:
        return assembly.metrics.text()

    admin = Admin(worker.readiness, metrics)
    await admin.start(settings.admin.host, settings.admin.port)
    await worker.listen(sock, tls)
    announce(settings, sock, admin.port, ports_file)
    await worker.run()
    await admin.stop()


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
