"""figures -> bars, tables and the results file"""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Any

from benchmarks.contestants import BARE, RINGFENCE
from benchmarks.measure import Spread, calibration_ms, ratios, spreads
from benchmarks.scenarios import Figure


@dataclass(frozen=True, slots=True)
class Bar:
    """What a figure of the proxy must not exceed: a ratio to the bare pass-through, or a plain number."""

    figure: str
    at_most: float
    relative: bool = True


BARS = (
    Bar("chat_fresh", 0.75),
    Bar("chunk", 0.9),
    Bar("memory", 1.2),
    Bar("stall", 2.0, relative=False),
)


@dataclass(frozen=True, slots=True)
class Held:
    """A bar beside what was measured."""

    bar: Bar
    measured: Spread

    @property
    def met(self) -> bool:
        """Ratios by the median of the rounds; the longest stall by the worst round."""
        value = self.measured.median if self.bar.relative else self.measured.high
        return value <= self.bar.at_most

    def line(self) -> str:
        """One line for the terminal."""
        verdict = "met   " if self.met else "MISSED"
        sort = f"x {BARE}" if self.bar.relative else "ms"
        return f"{verdict} {self.bar.figure}: {_span(self.measured)} {sort} (bar {self.bar.at_most})"


def hold(figures: Mapping[str, Figure]) -> list[Held]:
    """Every bar whose figure was measured with the proxy in it."""
    held = []
    for bar in BARS:
        figure = figures.get(bar.figure)
        if figure is None or RINGFENCE not in figure.rounds[0]:
            continue
        by = ratios(figure.rounds, BARE) if bar.relative else spreads(figure.rounds)
        held.append(Held(bar, by[RINGFENCE]))
    return held


def table(figures: Mapping[str, Figure]) -> str:
    """Markdown: per figure and contestant the number, and the ratio to the yardstick."""
    lines = ["| figure | program | median [low-high] | x bare aiohttp |", "| --- | --- | --: | --: |"]
    for figure in figures.values():
        over = ratios(figure.rounds, BARE) if _comparable(figure) else {}
        for name, spread in spreads(figure.rounds).items():
            ratio = _span(over[name]) if name in over else "1" if over else "-"
            lines.append(f"| {figure.title} | {name} | {_span(spread)} {figure.unit} | {ratio} |")
    return "\n".join(lines)


def results(figures: Mapping[str, Figure], held: Sequence[Held], absent: Sequence[str]) -> dict[str, Any]:
    """Everything, for the results file."""
    return {
        "machine": machine(),
        "absent": list(absent),
        "figures": {name: asdict(figure) for name, figure in figures.items()},
        "ratios": {
            name: {who: asdict(spread) for who, spread in ratios(figure.rounds, BARE).items()}
            for name, figure in figures.items()
            if _comparable(figure)
        },
        "bars": [{**asdict(each.bar), "measured": asdict(each.measured), "met": each.met} for each in held],
    }


def machine() -> dict[str, Any]:
    """What the figures were taken on, and how busy it was."""
    return {
        "python": platform.python_version(),
        "kernel": platform.release(),
        "architecture": platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "load": os.getloadavg(),
        "calibration_ms": round(calibration_ms(), 1),
        "versions": {name: metadata.version(name) for name in ("aiohttp", "uvloop", "jiter", "orjson")},
    }


def _comparable(figure: Figure) -> bool:
    return figure.proportional and BARE in figure.rounds[0]


def _span(spread: Spread) -> str:
    return f"{_number(spread.median)} [{_number(spread.low)}-{_number(spread.high)}]"


def _number(value: float) -> str:
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
