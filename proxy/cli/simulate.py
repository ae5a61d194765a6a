"""`ringfence simulate`: run the Opper simulator as a program of its own"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from pathlib import Path
from typing import Any

import click
import orjson

from proxy.simulator import Options, Simulator, read_scenario


@click.command("simulate")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8181, show_default=True, help="Port of the API; 0 takes any free one.")
@click.option("--control-port", type=int, help="Port of the control API (0: any free one); off when absent.")
@click.option("--control-path", is_flag=True, help="Serve the control API under /_simulator/ too.")
@click.option("--print-port", is_flag=True, help="Print one JSON line with the ports once they listen.")
@click.option("--key", "keys", multiple=True, help="A key to accept, beside any that starts with op-.")
@click.option("--only-these-keys", is_flag=True, help="Accept no key but those given with --key.")
@click.option("--sdk-key-forms", is_flag=True, help="Also take x-api-key, x-goog-api-key and ?key=.")
@click.option("--pace-ms", type=float, default=20.0, show_default=True, help="Time between streamed events.")
@click.option(
    "--witness",
    "witness_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Append every received request to this file, as JSON lines.",
)
@click.option(
    "--scenario",
    "scenarios",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A scenario file (JSON) for agents; may be repeated.",
)
def command(scenarios: tuple[Path, ...], print_port: bool, keys: tuple[str, ...], **options: Any) -> None:
    """Run a server that behaves like the documented Opper API.

    It holds the bundled catalogue and fictional routes under `example-*`, and
    answers without any model. Prompts steer it with markers such as [[say:Hello]].
    """
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_run(Options(keys=frozenset(keys), **options), scenarios, print_port))


async def _run(options: Options, scenarios: tuple[Path, ...], print_port: bool) -> None:
    simulator = Simulator(options)
    for each in scenarios:
        try:
            simulator.scenarios.append(read_scenario(orjson.loads(each.read_bytes())))
        except ValueError as error:
            raise click.ClickException(f"{each}: {error}") from None
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with simulator:
        if print_port:
            line = {"base_url": simulator.base_url, "port": simulator.port}
            if options.control_port is not None or options.control_path:
                line |= {"control_url": simulator.control_url, "control_port": simulator.control_port}
            click.echo(orjson.dumps(line).decode())
        else:
            click.echo(f"The Opper simulator listens on {simulator.base_url}; stop it with Ctrl-C.")
        await stop.wait()
