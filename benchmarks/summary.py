"""Statistics of a few rounds: the median, and how far the rounds lie apart.

Means are deliberately not here: one disturbed round on a shared machine moves a mean, not a median.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some rounds, the lowest and highest of them, and how many there were."""

    median: float
    low: float
    high: float
    rounds: int

    @property
    def width(self) -> float:
        """How far the rounds lie apart, as a part of the median; 0 for a single round."""
        return (self.high - self.low) / self.median if self.median else 0.0


def spread(values: Sequence[float]) -> Spread:
    """Summarise the rounds' values. Raises ValueError when there is none."""
    if not values:
        raise ValueError("no round was measured")
    return Spread(median(values), min(values), max(values), len(values))


def figure(value: float) -> str:
    """A number with about three digits that matter, for people: 0.423, 5.31, 26.4, 312, 74,000."""
    size = abs(value)
    if size == 0:
        return "0"
    if size >= 10_000:
        return f"{round(value, -2):,.0f}"
    if size >= 1_000:
        return f"{round(value, -1):,.0f}"
    if size >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if size >= 10 else f"{value:.2f}" if size >= 1 else f"{value:.3f}"


def band(values: Spread) -> str:
    """The spread as a cell: `25.1-31.0`; empty for a single round, which has none."""
    return "" if values.rounds == 1 else f"{figure(values.low)}-{figure(values.high)}"


def duration(seconds: float) -> str:
    """A duration in the unit that suits it: `410 µs`, `2.1 ms`, `1.3 s`."""
    if seconds < 1e-3:
        return f"{figure(seconds * 1e6)} µs"
    return f"{figure(seconds * 1e3)} ms" if seconds < 1 else f"{figure(seconds)} s"


def size(count: float) -> str:
    """A number of bytes in KiB or MiB."""
    return f"{figure(count / 1024)} KiB" if count < 1024 * 1024 else f"{figure(count / 1024 / 1024)} MiB"
