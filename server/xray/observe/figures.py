"""Counts, rates and dwell times, derived from the machines' tables: never kept beside them.

An engine's edges count their transitions and its nodes how long machines stayed. Several engines may run one table (a
listener has its own): they are added up by the table's name. Engines are remembered once they were seen, and a loop
knows all that there have been, so that what ended machines have done still counts.
"""

from itertools import accumulate

from clerestory.statemachines.contract import Table
from clerestory.statemachines.engine import BUCKETS, Engine
from clerestory.statemachines.tables import TABLES

Dwell = list[int]
"""Stays by bucket: bucket b counts those of less than 2**b microseconds (statemachines.engine.BUCKETS)."""


class Figures:
    """What the engines that have been seen have counted."""

    def __init__(self) -> None:
        self._engines: dict[int, Engine] = {}

    def see(self, *engines: Engine) -> None:
        """Remember these."""
        for engine in engines:
            self._engines[id(engine)] = engine

    def tables(self) -> dict[str, Table]:
        """The tables by name: those that we know of, and those of the engines that have been seen."""
        return {**TABLES, **{engine.table.name: engine.table for engine in self._engines.values()}}

    def edges(self) -> dict[str, list[int]]:
        """Transitions by table, in the order of its rows; 0 where no machine of that kind has been seen."""
        found = {name: [0] * len(table.rows) for name, table in TABLES.items()}
        for engine in self._engines.values():
            counts = found.setdefault(engine.table.name, [0] * len(engine.edges))
            for position, edge in enumerate(engine.edges):
                counts[position] += edge.count
        return found

    def dwell(self) -> dict[str, dict[str, Dwell]]:
        """Finished stays by table and state."""
        found: dict[str, dict[str, Dwell]] = {}
        for engine in self._engines.values():
            states = found.setdefault(engine.table.name, {})
            for node in engine.nodes:
                if node.final:
                    continue
                before = states.get(node.state, [0] * BUCKETS)
                states[node.state] = [a + b for a, b in zip(before, node.dwell, strict=True)]
        return found


def quantile(dwell: Dwell, share: float) -> float | None:
    """Seconds that this share of the stays did not exceed, up to a factor of two; None where there were none."""
    total = sum(dwell)
    if not total:
        return None
    seen = accumulate(dwell)
    bucket = next(position for position, count in enumerate(seen) if count >= share * total)
    return float(2**bucket) / 1e6


def total(dwell: Dwell) -> float:
    """Seconds of all the stays, each taken as the middle of its bucket: at most half too many or a quarter too few."""
    return sum(count * 0.75 * float(1 << bucket) for bucket, count in enumerate(dwell) if count) / 1e6


def rates(before: dict[str, list[int]], after: dict[str, list[int]], seconds: float) -> dict[str, list[float]]:
    """Transitions a second by row, between two looks."""
    return {
        name: [
            round((count - old) / seconds, 2)
            for count, old in zip(counts, before.get(name, [0] * len(counts)), strict=True)
        ]
        for name, counts in after.items()
    }
