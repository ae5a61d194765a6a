"""`python -m benchmarks.overload`: three times as much as the proxy can do, and what becomes of it

Each round measures the capacity (closed loop), then sends three times that rate (open loop), then measures
the capacity again; goodput and capacity are compared inside the round, so that a machine shared with others
disturbs both. Ends with 1 when a promise is broken. `--quick` is a smoke run that judges everything but the
ratio. Loopback only.
"""

from __future__ import annotations

import argparse
import itertools
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from benchmarks import contestants, deployment
from benchmarks.books import Books, balance, sightings
from benchmarks.contestants import Contestant, Cores, Running, free_port
from benchmarks.measure import Spread, cpu_seconds
from benchmarks.probes import Probes

TIMES = 3.0
LEAST = 0.8
LONGEST_CHECK = 2.0
"""Seconds within which a health check has to be answered, however full the proxy is."""
_SCRATCH = Path(__file__).resolve().parent.parent / "var"
_NUMBERS = 10_000_000


@dataclass(frozen=True, slots=True)
class Round:
    """Requests per second: what the proxy can do, what it was sent, what it did in time.

    `per_cpu` compares the same two per second of CPU time that the proxy was given.
    """

    capacity: float
    offered: float
    goodput: float
    per_cpu: float
    surge: dict[str, Any]

    @property
    def ratio(self) -> float:
        """The share of the capacity that was left."""
        return self.goodput / self.capacity


@dataclass(slots=True)
class Result:
    """Everything that was seen in one run."""

    rounds: list[Round] = field(default_factory=list)
    checks: list[float] = field(default_factory=list)
    shapes: set[str] = field(default_factory=set)
    complaints: list[str] = field(default_factory=list)
    books: Books = field(default_factory=Books)


@dataclass(slots=True)
class Arena:
    """A proxy under load, and how long a phase takes."""

    cores: Cores
    port: int
    proxy: Running
    seconds: float
    ramp: float
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(_NUMBERS, _NUMBERS))

    def closed(self) -> tuple[float, float]:
        """Answers per second, and per second of CPU."""
        before = cpu_seconds(self.proxy.pid)
        found = self._surge("--seconds", self.seconds / 2, "--connections", 64)
        if found["failed"] or not found["good"]:
            raise RuntimeError(f"the capacity cannot be measured: {found['complaint']}")
        used = cpu_seconds(self.proxy.pid) - before
        return found["good"] / (self.seconds / 2), found["good"] / max(used, 0.01)

    def round(self) -> Round:
        """Capacity, three times as much, capacity."""
        before, per_cpu = self.closed()
        used = cpu_seconds(self.proxy.pid)
        surge = self._surge(
            "--rate", before * TIMES, "--seconds", self.seconds, "--ramp", self.ramp, "--connections", 2000
        )
        used = max(cpu_seconds(self.proxy.pid) - used, 0.01)
        after, per_cpu_after = self.closed()
        return Round(
            capacity=(before + after) / 2,
            offered=surge["offered"] / (self.seconds + self.ramp),
            goodput=surge["steady"] / self.seconds,
            per_cpu=surge["good"] / used / ((per_cpu + per_cpu_after) / 2),
            surge=surge,
        )

    def _surge(self, *arguments: object) -> dict[str, Any]:
        command = ["taskset", "-c", self.cores.load, sys.executable, "-m", "benchmarks.surge"]
        command += ["--port", self.port, "--first", next(self._numbers), *arguments]
        words = [str(part) for part in command]
        done = subprocess.run(words, stdout=subprocess.PIPE, check=True, timeout=300)
        found: dict[str, Any] = orjson.loads(done.stdout)
        return found


def witness(models: Path, audit: Path, noted: Path) -> Contestant:
    """The mock gateway that keeps books."""
    port = free_port()
    arguments = ["--port", port, "--models", models, "--audit", audit, "--sightings", noted]
    argv = [sys.executable, "-m", "benchmarks.witness", *map(str, arguments)]
    return Contestant("witness", argv, port)


def measure(work: Path, *, rounds: int, seconds: float, ramp: float) -> Result:
    """Start everything, load it, end it, and hold the books against each other."""
    cores, result = Cores.choose(), Result()
    models, noted = work / "models.json", work / "sightings"
    models.write_bytes(deployment.models())
    gateway = witness(models, work / "ringfence" / "data" / "audit", noted)
    made = deployment.deploy(work / "ringfence", gateway.port)
    proxy = contestants.ringfence(made.config, made.port, dict(made.environment))
    with Running(gateway, cores.load, work / "witness.log"):
        with Running(proxy, cores.proxy, work / "ringfence.log") as running:
            running.wait_until_it_answers()
            arena = Arena(cores, made.port, running, seconds, ramp)
            arena.closed()
            for _ in range(rounds):
                with Probes(made.port, made.admin_port) as probes:
                    result.rounds.append(arena.round())
                result.checks += probes.seconds
                result.shapes |= probes.shapes
                result.complaints += probes.complaints
        result.books = balance(made.config, work / "ringfence" / "data", sightings(noted))
    return result


def complaints(result: Result, *, judged: bool) -> list[str]:
    """Every promise that was broken, in words; the ratio only when `judged`."""
    found = [*result.complaints, *result.books.complaints]
    surges = [each.surge for each in result.rounds]
    found += [f"{s['failed']} requests failed: {s['complaint']}" for s in surges if s["failed"]]
    if not sum(surge["shed"] for surge in surges):
        found.append("nothing was shed: the load was no overload, so nothing was tested")
    if result.shapes != {"openai", "anthropic", "google"}:
        found.append(f"refusals were only seen in these shapes: {', '.join(sorted(result.shapes))}")
    if not result.checks or max(result.checks) > LONGEST_CHECK:
        longest = max(result.checks, default=0.0)
        found.append(f"a health check took {longest:.1f} s, more than {LONGEST_CHECK:.0f} s")
    if result.books.seen < sum(surge["good"] for surge in surges):
        found.append("more answers were served than requests seen by the gateway")
    ratio = Spread.of([each.ratio for each in result.rounds]).median
    if judged and ratio < LEAST:
        found.append(f"goodput is {ratio:.2f} times the capacity, less than {LEAST}")
    return found


def table(result: Result) -> str:
    """The figures, for people."""
    lines = ["capacity/s  offered/s  goodput/s  ratio  per CPU  answers p50/p99 ms  shed p50/p99 ms"]
    for each in result.rounds:
        answered, shed = each.surge["answer_ms"], each.surge["shed_ms"]
        lines.append(
            f"{each.capacity:10.0f} {each.offered:10.0f} {each.goodput:10.0f} {each.ratio:6.2f}"
            f" {each.per_cpu:8.2f} {answered.get('p50', 0):10.0f} / {answered.get('p99', 0):<6.0f}"
            f"{shed.get('p50', 0):8.0f} / {shed.get('p99', 0):<6.0f}"
        )
    ratio = Spread.of([each.ratio for each in result.rounds])
    slowest = max(result.checks, default=0.0)
    books = result.books
    lines += [
        f"goodput over capacity: {ratio.median:.2f} (lowest {ratio.low:.2f}, highest {ratio.high:.2f})",
        f"health checks: {len(result.checks)} answered, the slowest in {slowest:.2f} s",
        f"audit: {books.seen} requests at the gateway, {books.kinds['intent']} intents,"
        f" {books.kinds['outcome']} outcomes, {books.shed} counted as shed; verified",
    ]
    return "\n".join(lines)


def run(given: argparse.Namespace) -> int:
    """Carry out what the command line asks for; the exit code."""
    _SCRATCH.mkdir(exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="overload-", dir=_SCRATCH))
    rounds, seconds, ramp = (1, 3.0, 1.0) if given.quick else (given.rounds, given.seconds, 2.0)
    result = measure(work, rounds=rounds, seconds=seconds, ramp=ramp)
    found = complaints(result, judged=not given.quick)
    print(table(result))
    for complaint in found:
        print(f"!! {complaint}")
    if found:
        print(f"Logs and books are in {work}.")
        return 1
    shutil.rmtree(work, ignore_errors=True)
    return 0


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.overload", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=6.0, help="of overload that count, per round")
    parser.add_argument("--quick", action="store_true", help="a smoke run: the ratio is not judged")
    sys.exit(run(parser.parse_args(arguments)))


if __name__ == "__main__":
    main()
