"""Metrics of several processes as those of one: Prometheus' text exposition is read, added up, and written. Pure.

A server is one target, however many workers it has: what is counted is added up, without a label for the worker, as
Prometheus' own client libraries do. A label would make each histogram as many times as large, and new series with each
worker that is replaced. What tells workers apart are a few metrics of their own (`clerestory_worker_...`).

A worker that has ended has counted all the same: what it counted last is kept (`counters`), so that no sum ever falls;
Prometheus would take that for a new start.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

COUNTING = ("counter", "histogram")
"""The types whose samples only grow."""

MOST = frozenset(
    {
        "clerestory_info",
        "clerestory_loop_answer_seconds",
        "clerestory_loop_blocked_seconds",
        "clerestory_loop_pause_seconds",
        "clerestory_uptime_seconds",
    }
)
"""Gauges of which the largest is told; of others the sum."""

LEAST = frozenset({"clerestory_draining", "clerestory_upstream_up", "process_start_time_seconds"})
"""Gauges of which the smallest is told: it drains when all do, and an upstream is up when it is for all."""


@dataclass(slots=True)
class Family:
    """One metric: its type, its line of help, and its samples by name and labels, as they are written."""

    kind: str
    text: str
    samples: dict[str, float] = field(default_factory=dict)

    @property
    def grows(self) -> bool:
        """Whether its samples only grow."""
        return self.kind in COUNTING


Families = dict[str, Family]


def read(page: str) -> Families:
    """The families of an exposition of ours."""
    found: Families = {}
    text, family = "", Family("untyped", "")
    for line in page.splitlines():
        if line.startswith("# HELP "):
            _, _, _, text = line.split(" ", 3)
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ", 3)
            family = found[name] = Family(kind, text)
        elif line and not line.startswith("#"):
            sample, _, value = line.rpartition(" ")
            family.samples[sample] = _number(value)
    return found


def write(families: Families) -> str:
    """They as an exposition."""
    lines: list[str] = []
    for name, family in families.items():
        lines += [f"# HELP {name} {family.text}", f"# TYPE {name} {family.kind}"]
        lines += [f"{sample} {value}" for sample, value in family.samples.items()]
    return "\n".join(lines) + "\n"


def summed(pages: Iterable[Families]) -> Families:
    """The same metrics of all of them, as of one process."""
    found: Families = {}
    for families in pages:
        for name, family in families.items():
            into = found.get(name)
            if into is None:
                found[name] = Family(family.kind, family.text, dict(family.samples))
            else:
                _add(into.samples, family.samples, name)
    return found


def _add(into: dict[str, float], samples: dict[str, float], name: str) -> None:
    for sample, value in samples.items():
        before = into.get(sample)
        if before is None:
            into[sample] = value
        elif name in MOST:
            into[sample] = max(before, value)
        elif name in LEAST:
            into[sample] = min(before, value)
        else:
            into[sample] = before + value


def counters(families: Families) -> dict[str, list[object]]:
    """What only grows, and is not 0, as JSON has it."""
    return {
        name: [family.kind, family.text, {sample: value for sample, value in family.samples.items() if value}]
        for name, family in families.items()
        if family.grows
    }


def from_counters(found: dict[str, list[object]]) -> Families:
    """Families of what `counters` has made of them. Raises ValueError or TypeError for what it has not made."""
    families: Families = {}
    for name, (kind, text, samples) in found.items():
        if not isinstance(samples, dict) or not all(isinstance(value, int | float) for value in samples.values()):
            raise TypeError(name)
        families[name] = Family(str(kind), str(text), samples)
    return families


def bound(family: Family, most: int) -> None:
    """Forget the samples beyond so many: the latest that have come."""
    for sample in list(family.samples)[most:]:
        del family.samples[sample]


def _number(text: str) -> float:
    try:
        return int(text)
    except ValueError:
        return float(text)
