"""Measuring several servers side by side: rounds interleaved, each round with processes of its own.

A new process for each round, because a Python process has its luck with memory and hashing for life. Before its first
measurement a server's answers are verified and it is warmed up; one that fails is listed with what it said, and the
others go on.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import product

from benchmarks import load
from benchmarks.catalogue import Entry
from benchmarks.load import EVERY, Fields, Outcome, Workload
from benchmarks.processes import Server, ServerFailed
from benchmarks.suites.plan import Plan, in_turn
from benchmarks.summary import Spread, duration, figure, spread

WARMING = 0.3
"""Seconds of load before the first measurement: caches, pools and specialised bytecode are made in them."""


@dataclass(frozen=True, slots=True)
class Case:
    """One row: a server under a workload."""

    server: str
    workload: str
    fields: Fields


@dataclass(slots=True)
class Measured:
    """What was found for each case, a value for each round; and why a server is not among them."""

    outcomes: dict[Case, list[Outcome]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)

    def of(self, case: Case, value: Callable[[Outcome], float]) -> Spread | None:
        """The spread of `value` over the rounds; None where the case was not measured."""
        found = self.outcomes.get(case)
        return spread([value(outcome) for outcome in found]) if found else None

    def cost(self, case: Case) -> Spread | None:
        """CPU microseconds a request."""
        return self.of(case, lambda outcome: outcome.cost)

    def rate(self, case: Case) -> Spread | None:
        """Requests a second."""
        return self.of(case, lambda outcome: outcome.rate)

    def errors(self, case: Case) -> str:
        """All errors of all rounds, `3 read, 1 timeout`; `0` when there was none."""
        total: dict[str, int] = {}
        for outcome in self.outcomes.get(case, []):
            for kind, count in outcome.errors.items():
                total[kind] = total.get(kind, 0) + count
        return ", ".join(f"{count} {kind}" for kind, count in total.items()) or "0"

    def ratio(self, case: Case, against: Case) -> float | None:
        """CPU a request of one over that of the other, medians."""
        ours, theirs = self.cost(case), self.cost(against)
        return ours.median / theirs.median if ours and theirs and theirs.median else None

    def ratios(
        self, ours: Sequence[str], others: Sequence[str], workloads: Sequence[str], fields: Sequence[Fields]
    ) -> dict[str, float]:
        """CPU a request of each of ours over each of the others', by a name that says all of it."""
        found: dict[str, float] = {}
        for workload, kind, own, other in product(workloads, fields, ours, others):
            ratio = self.ratio(Case(own, workload, kind), Case(other, workload, kind))
            if ratio is not None:
                found[f"{EVERY[workload].title}, fields {kind}: {own} ÷ {other}"] = ratio
        return found

    def paired(self, case: Case, against: Case) -> list[float]:
        """CPU a request of one over that of the other, of each round in which both were measured."""
        pairs = zip(self.outcomes.get(case, ()), self.outcomes.get(against, ()), strict=False)
        return [ours.cost / theirs.cost for ours, theirs in pairs]


def measure(
    plan: Plan,
    entries: Sequence[Entry],
    workloads: Sequence[str],
    fields: Sequence[Fields],
    rounds: int,
    seconds: float,
) -> Measured:
    """Measure every entry under each of the workloads it takes part in."""
    found = Measured()
    present = []
    for entry in entries:
        missing = entry.missing(plan.peers)
        if missing:
            found.absent[entry.name] = f"not installed; needs {missing}"
            plan.progress.say(f"{entry.name}: {found.absent[entry.name]}")
        else:
            present.append(entry)
    steps = sum(len([name for name in workloads if name in entry.workloads]) for entry in present)
    plan.progress.expect(steps * len(fields) * rounds)
    for turn in range(rounds):
        for entry in in_turn(present, turn):
            if entry.name not in found.absent:
                _one_round(plan, found, entry, workloads, fields, seconds, f"round {turn + 1} of {rounds}")
    return found


def _one_round(
    plan: Plan,
    found: Measured,
    entry: Entry,
    workloads: Sequence[str],
    fields: Sequence[Fields],
    seconds: float,
    turn: str,
) -> None:
    """Start `entry`, measure it under all workloads, stop it."""
    try:
        with entry.start(plan.data, plan.scratch, plan.peers) as server:
            for name in (name for name in workloads if name in entry.workloads):
                for kind in fields:
                    case = Case(entry.name, name, kind)
                    outcome = _measure_one(server, EVERY[name], kind, seconds, first=case not in found.outcomes)
                    found.outcomes.setdefault(case, []).append(outcome)
                    plan.progress.step(f"{turn}  {entry.name:26}  {name}, fields {kind}: {told(outcome)}")
    except ServerFailed as failure:
        found.absent[entry.name] = f"failed: {failure}"
        plan.progress.say(f"{entry.name}: {failure}")


def _measure_one(server: Server, workload: Workload, kind: Fields, seconds: float, *, first: bool) -> Outcome:
    if first:
        load.verify(server, workload, kind)
    load.run(server, workload, kind, WARMING)
    return load.run(server, workload, kind, seconds)


def told(outcome: Outcome) -> str:
    """One measurement, for the progress line."""
    trouble = f", errors {outcome.errors}" if outcome.errors else ""
    return f"{outcome.rate:,.0f}/s, {figure(outcome.cost)} µs CPU, p99 {duration(outcome.p99)}{trouble}"
