"""where the time goes: the proxy under load, sampled from outside or traced from inside

`python -m benchmarks.hotspots --kind chat`. With py-spy (`pip install py-spy`) the program is sampled while
it runs as always; without it, cProfile traces every call, which makes small functions look dearer than
they are. The table is on standard output, the raw profile beside it in `var/`.
"""

from __future__ import annotations

import argparse
import io
import pstats
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from benchmarks import contestants, deployment, scenarios
from benchmarks.contestants import Contestant, Cores, Running
from benchmarks.scenarios import Setting

_SCRATCH = Path(__file__).resolve().parent.parent / "var"
_LOADS = {
    "chat": scenarios.CHAT_FRESH,
    "agent": scenarios.AGENT,
    "image": scenarios.IMAGE,
    "stream": scenarios.CHUNK,
}
_RATE = 500
_ROWS = 45


class Shares:
    """Samples by function: on top of the stack (self), and anywhere in it (inclusive)."""

    def __init__(self, stacks: Iterable[str]) -> None:
        self.total = 0
        self.own: Counter[str] = Counter()
        self.inclusive: Counter[str] = Counter()
        self.files: Counter[str] = Counter()
        for line in stacks:
            frames, _, count = line.rpartition(" ")
            self._add(frames.split(";"), int(count))

    def _add(self, frames: list[str], count: int) -> None:
        self.total += count
        named = [_without_line(frame) for frame in frames]
        self.own[named[-1]] += count
        self.files[named[-1].partition("(")[2].rstrip(")")] += count
        for name in set(named):
            self.inclusive[name] += count

    def table(self) -> str:
        """Three short lists, in per cent of all samples."""
        parts = (
            ("self, by file", self.files),
            ("self, by function", self.own),
            ("inclusive", self.inclusive),
        )
        lines = [f"{self.total} samples"]
        for title, counts in parts:
            lines.append(f"\n{title}")
            most = counts.most_common(_ROWS)
            lines += [f"  {count * 100 / self.total:5.1f} %  {name}" for name, count in most]
        return "\n".join(lines)


def _without_line(frame: str) -> str:
    """`read (proxy/relay.py:44)` without the line, so that a function is one row."""
    return frame.rsplit(":", 1)[0] + ")" if frame.endswith(")") and ":" in frame else frame


def sampled(program: Running, setting: Setting, kind: scenarios.Kind, sampler: str) -> str:
    """Sample the running program while it is loaded."""
    raw = setting.work / "stacks.txt"
    command = [
        sampler,
        "record",
        "--nonblocking",
        "--format",
        "raw",
        "--rate",
        str(_RATE),
        "--output",
        str(raw),
    ]
    duration = max(1, int(setting.seconds) - 1)
    pinned = ["taskset", "-c", str(setting.cores.load)]
    with subprocess.Popen(
        [*pinned, *command, "--duration", str(duration), "--pid", str(program.pid)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as recorder:
        scenarios.load(setting, program.contestant.port, kind.arguments, setting.seconds)
        _, complaint = recorder.communicate(timeout=60)
    if recorder.returncode:
        raise contestants.NotStarted(f"py-spy failed: {complaint.decode(errors='replace')[-500:]}")
    return Shares(raw.read_text().splitlines()).table()


def traced(contestant: Contestant, output: Path) -> Contestant:
    """The same program under cProfile, which writes its figures when the program ends."""
    python, *rest = contestant.argv
    return replace(contestant, argv=[python, "-m", "cProfile", "-o", str(output), *rest])


def _trace_table(output: Path) -> str:
    text = io.StringIO()
    pstats.Stats(str(output), stream=text).sort_stats("tottime").print_stats(_ROWS)
    return text.getvalue()


def profile(given: argparse.Namespace) -> str:
    """Start mock and program, load it, and return the table."""
    _SCRATCH.mkdir(exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="hotspots-", dir=_SCRATCH))
    models = work / "models.json"
    models.write_bytes(deployment.models())
    cores = Cores.choose()
    sampler = shutil.which(given.py_spy)
    with Running(contestants.upstream(models), cores.load, work / "mock.log") as mock:
        mock.wait_until_it_answers()
        port = mock.contestant.port
        setting = Setting(cores, work, port, rounds=1, seconds=given.seconds, streams=0)
        subject = _subject(given.program, work, port)
        trace = work / "profile.pstats"
        with setting.start(subject if sampler else traced(subject, trace)) as program:
            program.wait_until_it_answers()
            scenarios.load(setting, subject.port, _LOADS[given.kind].arguments, 1.0)
            if sampler:
                return sampled(program, setting, _LOADS[given.kind], sampler)
            scenarios.load(setting, subject.port, _LOADS[given.kind].arguments, given.seconds)
    return _trace_table(trace)


def _subject(program: str, work: Path, upstream_port: int) -> Contestant:
    if program == "bare":
        return contestants.bare(upstream_port)
    made = deployment.deploy(work / "ringfence", upstream_port)
    return contestants.ringfence(made.config, made.port, dict(made.environment))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hotspots", description=__doc__)
    parser.add_argument("--kind", choices=sorted(_LOADS), default="chat")
    parser.add_argument("--program", choices=("ringfence", "bare"), default="ringfence")
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--py-spy", default="py-spy", help="the sampler, where it is not on the PATH")
    with suppress(BrokenPipeError):
        sys.stdout.write(profile(parser.parse_args()) + "\n")


if __name__ == "__main__":
    main()
