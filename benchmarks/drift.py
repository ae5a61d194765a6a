"""whether a series of samples stays flat: robust slopes, and bounds in words"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

_MOST_PAIRED = 400


@dataclass(slots=True)
class Series:
    """A quantity sampled over time; `at` is seconds, in rising order."""

    name: str
    unit: str
    at: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    def add(self, at: float, value: float) -> None:
        """One more sample."""
        self.at.append(at)
        self.values.append(value)

    def since(self, at: float) -> Series:
        """The samples from a moment on."""
        first = next((n for n, each in enumerate(self.at) if each >= at), len(self.at))
        return Series(self.name, self.unit, self.at[first:], self.values[first:])


@dataclass(frozen=True, slots=True)
class Drift:
    """How much a series grew from its first sample to its last, by its slope; `level` is its median."""

    series: Series
    level: float
    growth: float

    def complaint(self, most: float) -> str:
        """Why this is not flat, or "": it grew by more than `most`."""
        if self.growth <= most:
            return ""
        name, unit = self.series.name, self.series.unit
        return f"{name} grew by {self.growth:.1f} {unit} around {self.level:.1f}, more than {most:.1f}"


def drift(series: Series) -> Drift:
    """The drift by Theil-Sen regression: the median slope over all pairs, which no peak can bend.

    Raises ValueError for fewer than ten samples.
    """
    if len(series.at) < 10:
        raise ValueError(f"{series.name} was sampled {len(series.at)} times, which says nothing")
    at, values = _thinned(series.at), _thinned(series.values)
    slope = statistics.median(
        (values[b] - values[a]) / (at[b] - at[a]) for a in range(len(at)) for b in range(a + 1, len(at))
    )
    return Drift(series, statistics.median(series.values), slope * (series.at[-1] - series.at[0]))


def _thinned(values: Sequence[float]) -> Sequence[float]:
    """Evenly spread samples, so few that all pairs can be looked at."""
    return values[:: max(1, len(values) // _MOST_PAIRED)]
