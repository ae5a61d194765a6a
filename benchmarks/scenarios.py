"""what is measured: each figure in interleaved rounds, every contestant once per round"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson

from benchmarks import wire
from benchmarks.contestants import Contestant, Cores, Running, watched
from benchmarks.loader import LONGEST_SECONDS
from benchmarks.measure import cpu_seconds, rss_kb
from benchmarks.watched import Stalls, stalls

Round = dict[str, float]


class Spoilt(Exception):
    """An answer was missing or wrong: the figure would be of something else than was asked for."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure: per round, a number per contestant; `beside` holds what else was seen.

    `proportional` is False for differences, which may be near zero or below: their ratios mean nothing.
    """

    title: str
    unit: str
    rounds: list[Round]
    beside: dict[str, Any] = field(default_factory=dict)
    proportional: bool = True


@dataclass(frozen=True, slots=True)
class Setting:
    """Where a run takes place and how long it takes."""

    cores: Cores
    work: Path
    upstream_port: int
    rounds: int
    seconds: float
    streams: int

    def start(self, contestant: Contestant) -> Running:
        """Start a program on the core for the proxies."""
        return Running(contestant, self.cores.proxy, self.work / f"{contestant.name.replace(' ', '-')}.log")

    def pace(self, chunks: int, pace_ms: int) -> None:
        """Tell the mock how its streams run."""
        url = f"http://127.0.0.1:{self.upstream_port}/bench?chunks={chunks}&pace_ms={pace_ms}"
        urllib.request.urlopen(urllib.request.Request(url, method="PUT"), timeout=5).close()

    def loader(self, port: int, *arguments: object) -> subprocess.Popen[bytes]:
        """Start a load client on the other core."""
        pinned = ("taskset", "-c", self.cores.load)
        command = (*pinned, sys.executable, "-m", "benchmarks.loader", "--port", port, *arguments)
        return subprocess.Popen(
            [str(part) for part in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )


@dataclass(frozen=True, slots=True)
class Kind:
    """A sort of request under closed-loop load: the loader's arguments, and what one unit of work is."""

    title: str
    unit: str
    arguments: Sequence[object]
    counted: str = "answered"


def _load_of(kind: str, connections: int, *more: object) -> Sequence[object]:
    return ("--kind", kind, "--connections", connections, *more)


_REQUEST, _CHUNK = "us CPU/request", "us CPU/chunk"
CHAT_FRESH = Kind("1 KB chat request, every head new", _REQUEST, _load_of("chat", 64))
CHAT_REPEATED = Kind("1 KB chat request, head repeated", _REQUEST, _load_of("chat", 64, "--repeated"))
AGENT = Kind("76 KB agent turn", _REQUEST, _load_of("agent", 16))
IMAGE = Kind("5 MB image in the request", _REQUEST, _load_of("image", 4))
CHUNK = Kind("streamed chunk, 50 streams at 20 ms", _CHUNK, _load_of("stream", 50), "chunks")


def cpu(setting: Setting, programs: Mapping[str, Running], kind: Kind) -> Figure:
    """CPU time of each program's tree per unit of work."""
    setting.pace(wire.STREAM_CHUNKS, wire.STREAM_PACE_MS)
    for program in programs.values():
        load(setting, program.contestant.port, kind.arguments, 0.5)
    rounds: list[Round] = []
    seen: dict[str, list[Any]] = {name: [] for name in programs}
    for _ in range(setting.rounds):
        each: Round = {}
        for name, program in programs.items():
            before = cpu_seconds(program.pid)
            result = load(setting, program.contestant.port, kind.arguments, setting.seconds)
            each[name] = (cpu_seconds(program.pid) - before) * 1e6 / result[kind.counted]
            seen[name].append(result)
        rounds.append(each)
    return Figure(kind.title, kind.unit, rounds, {name: _beside(results) for name, results in seen.items()})


def latency(setting: Setting, programs: Mapping[str, Running]) -> Figure:
    """Median latency of 1 KB requests at 100 a second, less that of the mock without a proxy between."""
    rounds: list[Round] = []
    for _ in range(setting.rounds):
        direct = _median_latency(setting, setting.upstream_port)
        each = {
            name: _median_latency(setting, program.contestant.port) - direct
            for name, program in programs.items()
        }
        rounds.append(each)
    return Figure("added median latency, 100 requests/s", "us", rounds, proportional=False)


def _median_latency(setting: Setting, port: int) -> float:
    result = load(setting, port, _load_of("chat", 32, "--rate", 100), setting.seconds)
    median: float = result["latency_us"]["p50"]
    return median


def memory(setting: Setting, contestants: Sequence[Contestant]) -> Figure:
    """Resident memory per open stream: fresh programs, warmed, then so many streams with a chunk each 5 s."""
    rounds: list[Round] = []
    idle: dict[str, list[float]] = {contestant.name: [] for contestant in contestants}
    for _ in range(min(setting.rounds, 3)):
        each: Round = {}
        for contestant in contestants:
            before, after = _open_streams(setting, contestant)
            idle[contestant.name].append(before)
            each[contestant.name] = (after - before) / setting.streams
        rounds.append(each)
    beside = {"warm RSS, MB": {name: round(statistics.median(kb) / 1024, 1) for name, kb in idle.items()}}
    return Figure(f"memory per open stream, {setting.streams} streams", "KB", rounds, beside)


def _open_streams(setting: Setting, contestant: Contestant) -> tuple[float, float]:
    with setting.start(contestant) as program:
        program.wait_until_it_answers()
        setting.pace(wire.STREAM_CHUNKS, wire.STREAM_PACE_MS)
        load(setting, contestant.port, _load_of("chat", 8), 0.5)
        before = rss_kb(program.pid)
        setting.pace(chunks=20, pace_ms=5000)
        holding = setting.loader(
            contestant.port, "--kind", "stream", "--connections", setting.streams, "--seconds", 30, "--hold"
        )
        assert holding.stdout is not None
        said = orjson.loads(holding.stdout.readline())
        if said["live"] != setting.streams or said["failed"]:
            opened = f"{said['live']} of {setting.streams} streams opened"
            raise Spoilt(f"{contestant.name}: {opened}. {said['complaint']}")
        after = rss_kb(program.pid)
        holding.communicate()
        return before, after


def startup(setting: Setting, contestants: Sequence[Contestant]) -> Figure:
    """Seconds from the start of a program to its first answered chat request."""
    rounds: list[Round] = []
    for _ in range(setting.rounds):
        each: Round = {}
        for contestant in contestants:
            with setting.start(contestant) as program:
                each[contestant.name] = program.wait_until_it_answers()
        rounds.append(each)
    return Figure("start to first answer", "s", rounds)


def stall(setting: Setting, contestants: Sequence[Contestant]) -> Figure:
    """The event loop's longest stall of its own making while 5 MB bodies come and 50 streams run."""
    rounds: list[Round] = []
    beside: dict[str, list[Any]] = {contestant.name: [] for contestant in contestants}
    setting.pace(wire.STREAM_CHUNKS, wire.STREAM_PACE_MS)
    for _ in range(min(setting.rounds, 3)):
        each: Round = {}
        for contestant in contestants:
            seen, transit = _stalled(setting, contestant)
            each[contestant.name] = seen.thread
            beside[contestant.name].append(asdict(seen) | {"chunk_transit_us": transit})
        rounds.append(each)
    return Figure("longest stall of the loop, 5 MB bodies beside 50 streams", "ms", rounds, beside)


def _stalled(setting: Setting, contestant: Contestant) -> tuple[Stalls, dict[str, float]]:
    report = setting.work / "stalls.json"
    report.unlink(missing_ok=True)
    with setting.start(watched(contestant, report)) as program:
        program.wait_until_it_answers()
        load(setting, contestant.port, IMAGE.arguments, 1.0)
        since = time.monotonic_ns()
        with ExitStack() as stack:
            loader = setting.loader(contestant.port, *CHUNK.arguments, "--seconds", setting.seconds)
            streams = stack.enter_context(loader)
            load(setting, contestant.port, _load_of("image", 2), setting.seconds)
            transit = _read(contestant.name, streams)["transit_us"]
        until = time.monotonic_ns()
    if not report.exists():
        raise Spoilt(f"{contestant.name}: its loop was watched and no report was left")
    return stalls(report, since, until), transit


def load(setting: Setting, port: int, arguments: Sequence[object], seconds: float) -> dict[str, Any]:
    """Put a load on a port and wait for what came of it; `Spoilt` when an answer was not whole."""
    seconds = min(seconds, LONGEST_SECONDS)
    return _read(f"port {port}", setting.loader(port, *arguments, "--seconds", seconds))


def _read(name: str, loader: subprocess.Popen[bytes]) -> dict[str, Any]:
    output, _ = loader.communicate(timeout=LONGEST_SECONDS + 60)
    if loader.returncode:
        raise Spoilt(f"{name}: the load client ended with {loader.returncode}")
    result: dict[str, Any] = orjson.loads(output)
    if result["failed"] or not result["answered"]:
        raise Spoilt(f"{name}: {result['failed']} answers failed. {result['complaint']}")
    return result


def _beside(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Latencies and counts of a contestant's rounds, in medians."""

    def pick(group: str, name: str) -> float:
        return round(statistics.median(float(result[group].get(name, 0.0)) for result in results), 1)

    return {
        "answered": sum(result["answered"] for result in results),
        "chunks": sum(result["chunks"] for result in results),
        "latency_us": {name: pick("latency_us", name) for name in ("p50", "p99")},
        "transit_us": {name: pick("transit_us", name) for name in ("p50", "p99")},
    }
