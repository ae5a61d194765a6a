"""A gateway that cannot be found, reached, or believed."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests import running
from tests.authority import Authority
from tests.faults.kit import Broken, ask, broken, code, holds, needs, outcomes, status, until
from tests.faults.pipe import Pipe

QUICK: dict[str, Any] = {"connect_timeout": "1s", "first_byte_timeout": "1s", "between_events_timeout": "1s"}


@asynccontextmanager
async def piped(tmp_path: Path) -> AsyncIterator[tuple[Broken, Pipe]]:
    """A proxy whose gateway is reached through a line that can be cut."""
    with running._loop() as loop, running._simulator(loop) as simulator:
        pipe = Pipe(simulator.port)
        await pipe.start()
        with broken(tmp_path / "proxy", config={"gateway": QUICK}, gateway=pipe.url, starts=False) as stage:
            stage.simulator, stage.loop = simulator, loop
            await asyncio.to_thread(stage.start)
            assert await _serves(stage)
            yield stage, pipe
            await pipe.heal()
            await until(lambda: _serves(stage))
            await asyncio.to_thread(holds, stage)
        await pipe.refuse()


async def _serves(stage: Broken) -> bool:
    return status(await ask(stage)) == 200


@pytest.mark.fault("F25")
async def test_a_refused_connect_is_502_at_once(tmp_path: Path) -> None:
    async with piped(tmp_path) as (stage, pipe):
        await pipe.refuse()
        begun = time.monotonic()
        answered = await ask(stage)
        assert (status(answered), code(answered)) == (502, "upstream_unreachable")
        assert time.monotonic() - begun < 0.9


@pytest.mark.fault("F25")
async def test_a_connect_that_hangs_is_504_at_its_limit(tmp_path: Path) -> None:
    async with piped(tmp_path) as (stage, pipe):
        await pipe.swallow()
        begun = time.monotonic()
        answered = await ask(stage)
        assert (status(answered), code(answered)) == (504, "upstream_timeout")
        assert 0.8 < time.monotonic() - begun < 4


@pytest.mark.fault("F27")
async def test_a_half_open_pooled_connection_costs_one_timeout_and_no_second_try(tmp_path: Path) -> None:
    async with piped(tmp_path) as (stage, pipe):
        seen = len(stage.seen)
        pipe.hold()
        answered = await ask(stage)
        assert status(answered) == 504
        assert len(stage.seen) == seen
        assert outcomes(stage)[-1]["end"] == "timeout"


# -- names -----------------------------------------------------------------------------------------

NAME = "gateway.ringfence.test"


def _with_hosts(hosts: Path) -> Sequence[str]:
    """Run with a file of one's own in the place of /etc/hosts, and no name server."""
    quiet = hosts.with_name("resolv.conf")
    quiet.write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
    bind = f"mount --bind {hosts} /etc/hosts && mount --bind {quiet} /etc/resolv.conf"
    cage = [needs("unshare"), "-m", "sh", "-c", f'{bind} && exec "$@"', "sh"]
    probe = subprocess.run([*cage, "true"], capture_output=True)
    if probe.returncode:
        pytest.skip(f"needs root for a mount namespace: {probe.stderr.decode().strip()}")
    return cage


@asynccontextmanager
async def named(tmp_path: Path, address: str, **gateway: Any) -> AsyncIterator[tuple[Broken, Path]]:
    """A proxy whose gateway has a name that a file resolves."""
    hosts = tmp_path / "hosts"
    hosts.write_text(f"127.0.0.1 localhost\n{address} {NAME}\n")
    cage = _with_hosts(hosts)
    with running._loop() as loop, running._simulator(loop) as simulator:
        url = f"http://{NAME}:{simulator.port}"
        config = {"gateway": {**QUICK, "unsafe_plain_http": True, **gateway}}
        with broken(tmp_path / "proxy", config=config, gateway=url, prefix=cage, starts=False) as stage:
            stage.simulator, stage.loop = simulator, loop
            await asyncio.to_thread(stage.start)
            yield stage, hosts


@pytest.mark.fault("F23")
async def test_a_name_that_no_longer_resolves_is_502_or_504_without_a_storm(tmp_path: Path) -> None:
    async with named(tmp_path, "127.0.0.1", allow_private_addresses=True) as (stage, hosts):
        assert await _serves(stage)
        hosts.write_text("127.0.0.1 localhost\n")
        stage.on_loop(_hang_up(stage))
        begun, seen = time.monotonic(), len(stage.seen)
        answered = await ask(stage)
        assert code(answered) in ("upstream_unreachable", "upstream_timeout")
        assert time.monotonic() - begun < 4
        assert len(stage.seen) == seen
        hosts.write_text(f"127.0.0.1 localhost\n127.0.0.1 {NAME}\n")
        await until(lambda: _serves(stage))
        await asyncio.to_thread(holds, stage)


async def _hang_up(stage: Broken) -> None:
    for runner in stage.simulator._runners:
        for connection in runner.server.connections if runner.server else ():
            if connection.transport is not None:
                connection.transport.close()


@pytest.mark.fault("F24")
async def test_a_name_that_turns_to_a_private_address_gets_no_request(tmp_path: Path) -> None:
    async with named(tmp_path, "127.0.0.1", allow_private_addresses=False) as (stage, _):
        answered = await ask(stage)
        assert status(answered) in (403, 502)
        assert not stage.simulator.witness.seen, "not even the catalogue may be asked for there"
        await asyncio.to_thread(holds, stage)


# -- certificates ----------------------------------------------------------------------------------


@pytest.mark.fault("F26")
@pytest.mark.parametrize("flaw", ["none", "unknown issuer", "wrong name", "expired", "plain text"])
async def test_a_gateway_whose_certificate_does_not_hold_gets_no_request(tmp_path: Path, flaw: str) -> None:
    authority = Authority(tmp_path / "ca")
    believed = authority if flaw != "unknown issuer" else Authority(tmp_path / "other")
    received = bytearray()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.extend(await reader.read(65_536))
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()

    name = "elsewhere.test" if flaw == "wrong name" else "localhost"
    context = None if flaw == "plain text" else authority.server(name, expired=flaw == "expired")
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    url = f"https://localhost:{server.sockets[0].getsockname()[1]}"
    config = {"gateway": {**QUICK, "ca_file": str(believed.file)}}
    async with server:
        with broken(tmp_path / "proxy", config=config, gateway=url, starts=False) as stage:
            await asyncio.to_thread(stage.start)
            said = stage.said()
    asked = b"GET /v3/models" in bytes(received)
    assert asked is (flaw == "none")
    assert running.UPSTREAM_KEY.encode() not in bytes(received) or flaw == "none"
    assert "unreachable" in said or flaw == "none"
