"""`python -m benchmarks.run`: start everything, measure in interleaved rounds, print and write the figures

`--check` compares with the bars and ends with 1 when one is missed; `--quick` is a smoke run that only
proves that the benchmark works.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import orjson

from benchmarks import contestants, deployment, report, scenarios
from benchmarks.contestants import Contestant, Cores, Running
from benchmarks.scenarios import Figure, Setting

_HERE = Path(__file__).resolve().parent
_SCRATCH = _HERE.parent / "var"
_KINDS = {
    "chat_fresh": scenarios.CHAT_FRESH,
    "chat_repeated": scenarios.CHAT_REPEATED,
    "agent": scenarios.AGENT,
    "image": scenarios.IMAGE,
    "chunk": scenarios.CHUNK,
}
FIGURES = (*_KINDS, "latency", "memory", "stall", "startup")


@dataclass(frozen=True, slots=True)
class Line:
    """The contestants of a run; `absent` says in words who could not take part."""

    all: tuple[Contestant, ...]
    absent: tuple[str, ...]

    @property
    def watchable(self) -> tuple[Contestant, ...]:
        """Those whose event loop is Python's."""
        return tuple(each for each in self.all if each.name in (contestants.BARE, contestants.RINGFENCE))


def line_up(work: Path, upstream_port: int, given: argparse.Namespace) -> Line:
    """Everyone who can take part."""
    absent = []
    found = [contestants.bare(upstream_port)]
    if not given.quick:
        found.append(contestants.bare(upstream_port, on_uvloop=True))
    web_server = contestants.nginx(upstream_port, work, given.nginx)
    if web_server is None:
        absent.append("nginx is not installed (`apt install nginx`, or --nginx PATH): on without it")
    else:
        found.append(web_server)
    if given.without_proxy:
        absent.append("the proxy was left out (--without-proxy)")
    else:
        made = deployment.deploy(work / "ringfence", upstream_port)
        found.append(contestants.ringfence(made.config, made.port, dict(made.environment)))
    return Line(tuple(found), tuple(absent))


def measure(setting: Setting, line: Line, wanted: tuple[str, ...]) -> dict[str, Figure]:
    """The wanted figures, in the order in which they are defined."""
    figures: dict[str, Figure] = {}
    side_by_side = [name for name in FIGURES if name in wanted and (name in _KINDS or name == "latency")]
    if side_by_side:
        with ExitStack() as stack:
            programs = {each.name: stack.enter_context(setting.start(each)) for each in line.all}
            for program in programs.values():
                program.wait_until_it_answers()
            for name in side_by_side:
                _note(f"measuring {name} ...")
                figures[name] = _side_by_side(name, setting, programs)
    alone: Mapping[str, Callable[[], Figure]] = {
        "memory": lambda: scenarios.memory(setting, line.all),
        "stall": lambda: scenarios.stall(setting, line.watchable),
        "startup": lambda: scenarios.startup(setting, line.all),
    }
    for name, take in alone.items():
        if name in wanted:
            _note(f"measuring {name} ...")
            figures[name] = take()
    return figures


def _side_by_side(name: str, setting: Setting, programs: Mapping[str, Running]) -> Figure:
    kind = _KINDS.get(name)
    return scenarios.latency(setting, programs) if kind is None else scenarios.cpu(setting, programs, kind)


def run(given: argparse.Namespace) -> int:
    """Carry out what the command line asks for; the exit code."""
    wanted = tuple(given.only.split(",")) if given.only else FIGURES
    if unknown := sorted(set(wanted) - set(FIGURES)):
        _note(f"There is no figure named {', '.join(unknown)}; there are {', '.join(FIGURES)}.")
        return 2
    _SCRATCH.mkdir(exist_ok=True)
    # The audit log must lie on a real disk: an fsync in a memory file system costs nothing.
    work = Path(tempfile.mkdtemp(prefix="bench-", dir=_SCRATCH))
    models = work / "models.json"
    models.write_bytes(deployment.models())
    cores = Cores.choose()
    if cores.proxy == cores.load:
        _note("Only one core: proxy and load client share it, so read the CPU figures only.")
    try:
        with Running(contestants.upstream(models), cores.load, work / "mock.log") as mock:
            mock.wait_until_it_answers()
            setting = _setting(given, cores, work, mock.contestant.port)
            line = line_up(work, mock.contestant.port, given)
            for absent in line.absent:
                _note(f"!! {absent}")
            figures = measure(setting, line, wanted)
    except (contestants.NotStarted, scenarios.Spoilt) as error:
        _note(f"The run is void. {error}\nLogs are in {work}.")
        return 1
    shutil.rmtree(work, ignore_errors=True)
    return _publish(given, figures, line)


def _setting(given: argparse.Namespace, cores: Cores, work: Path, port: int) -> Setting:
    if given.quick:
        return Setting(cores, work, port, rounds=1, seconds=0.5, streams=20)
    return Setting(cores, work, port, given.rounds, given.seconds, streams=1000)


def _publish(given: argparse.Namespace, figures: Mapping[str, Figure], line: Line) -> int:
    held = report.hold(figures)
    sys.stdout.write(report.table(figures) + "\n")
    if given.quick:
        _note("A quick run: it proves that the benchmark works and says nothing about speed.")
        return 0
    written = report.results(figures, held, line.absent)
    given.output.write_bytes(orjson.dumps(written, option=orjson.OPT_INDENT_2) + b"\n")
    sys.stdout.write("\n" + "\n".join(each.line() for each in held) + "\n")
    return 1 if given.check and not (held and all(each.met for each in held)) else 0


def _note(text: str) -> None:
    sys.stderr.write(text + "\n")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="of load per contestant and round")
    parser.add_argument("--only", default="", help=f"some of {','.join(FIGURES)}")
    parser.add_argument("--nginx", help="the nginx program, where it is not on the PATH")
    parser.add_argument("--without-proxy", action="store_true", help="only the yardsticks")
    parser.add_argument("--output", type=Path, default=_HERE / "results.json")
    parser.add_argument("--quick", action="store_true", help="a smoke run: no bars, nothing written")
    parser.add_argument("--check", action="store_true", help="exit 1 when a bar is missed")
    sys.exit(run(parser.parse_args()))


if __name__ == "__main__":
    main()
