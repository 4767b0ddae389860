"""`engine`: what a transition costs, compiled and by the library, and what recording it costs.

The same two tables everywhere: the connection's happy path (three transitions, two guards asked), and a ladder whose
rows have three guards above their default, all of which say no. Models do nothing but hand back the next trigger, so
what is measured is dispatch. Stock `transitions` is used as its documentation shows: one Machine, the model's triggers
bound to it as methods, conditions and `after` callbacks by name.

What recording costs is found by leaving lines out of `Engine.walk` itself: its source is taken, the named lines are
dropped, and the rest is compiled. So the loop that is measured is the one that runs, and a line that is no longer there
is an error here.
"""

import inspect
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from enum import auto
from types import MethodType
from typing import Any

import transitions

from benchmarks.builds import RECORDING, WALK, Build, lines_without
from benchmarks.plot import Kind, Row, bars
from benchmarks.report import Report, Table
from benchmarks.suites.plan import Plan, in_turn
from benchmarks.summary import Spread, band, figure, spread
from clerestory.statemachines import connection
from clerestory.statemachines import contract as c
from clerestory.statemachines import engine as engines

LEAD = """Microseconds of one transition, in one process, on one CPU: median of interleaved rounds. *Happy path*:
`HEAD_RECEIVED`, `OUTPUT_READY`, `OUTPUT_FLUSHED` of the connection's table, actions and guards that do nothing, three
transitions. *Guarded*: three guards say no before the default row is taken. *Stock* is the library `transitions` as its
documentation shows it, without any recording; the compiled engine records history, dwell time and count unless said
otherwise."""


class Ladder(c.Name):
    """The states of the guarded table."""

    LEFT = auto()
    RIGHT = auto()
    OUT = auto()


class Step(c.Name):
    """Its only trigger."""

    STEPPED = auto()


def _ladder() -> c.Table:
    guards = ("is_ill", "is_late", "is_lost")
    ways = ((Ladder.LEFT, Ladder.RIGHT), (Ladder.RIGHT, Ladder.LEFT))
    rows = [c.Row(source, Step.STEPPED, Ladder.OUT, guard) for source, _ in ways for guard in guards]
    rows += [c.Row(source, Step.STEPPED, dest, action="rest") for source, dest in ways]
    rows.sort(key=lambda row: row.source)
    wait = c.Unbounded("it is measured")
    specs = tuple(c.Spec(state, c.Interest.NOTHING, wait, "", "", final=state is Ladder.OUT) for state in Ladder)
    return c.Table("ladder", Ladder, Step, Ladder.LEFT, specs, tuple(rows), frozenset())


LADDER = _ladder()
HAPPY = (connection.Trigger.HEAD_RECEIVED, connection.Trigger.OUTPUT_READY, connection.Trigger.OUTPUT_FLUSHED)
NEXT = {"call_handler": connection.Trigger.OUTPUT_READY, "queue_output": connection.Trigger.OUTPUT_FLUSHED}


def methods(table: c.Table, *, hand_back: bool) -> dict[str, Callable[..., Any]]:
    """Methods for every name in `table`: guards say no, but for `may_keep_alive`; actions do nothing."""
    named: dict[str, Callable[..., Any]] = {}
    for row in table.rows:
        named[row.guard] = _says_yes if row.guard == "may_keep_alive" else _says_no
        named[row.action] = _answers(NEXT.get(row.action) if hand_back else None)
    named |= {spec.when_ready: _answers(None) for spec in table.specs}
    named.pop("", None)
    return named


def _says_yes(_self: object) -> bool:
    return True


def _says_no(_self: object) -> bool:
    return False


def _answers(trigger: c.Name | None) -> Callable[..., c.Name | None]:
    def action(_self: object, _ready: int = 0) -> c.Name | None:
        return trigger

    return action


def compiled(table: c.Table, dispatch: engines.Dispatch) -> tuple[engines.Engine, engines.Machine]:
    """An engine for `table`, and a machine on it."""
    model = type("Model", (engines.Machine,), {"__slots__": (), **methods(table, hand_back=True)})
    engine = engines.Engine(table, model, time.monotonic, dispatch=dispatch)
    return engine, model(engine, 0)


def stock(table: c.Table) -> Any:
    """A model of the stock library with its triggers bound, on the same rows."""
    model = type("Model", (), methods(table, hand_back=False))()
    rows = [
        {
            "trigger": row.trigger.name,
            "source": row.source,
            "dest": row.dest,
            "conditions": row.guard or None,
            "after": row.action or None,
        }
        for row in table.rows
    ]
    states = [str(spec.state) for spec in table.specs]
    transitions.Machine(model, states, transitions=rows, initial=str(table.initial), auto_transitions=False)
    return model


def without(engine: engines.Engine, *parts: str) -> Callable[[engines.Machine, c.Name | None], None]:
    """`engine.fire` without these parts of the recording. Raises LookupError when a line is no longer there."""
    unwanted = tuple(line for part in parts for line in RECORDING[part])
    lines = textwrap.dedent(inspect.getsource(inspect.unwrap(engines.Engine.walk))).splitlines()
    scope: dict[str, Any] = dict(vars(engines))
    exec("\n".join(lines_without(lines, WALK[1], unwanted)), scope)
    fire: Callable[[engines.Machine, c.Name | None], None] = MethodType(scope["walk"], engine)
    return fire


Runner = Callable[[int], float]
"""Given how many passes, the seconds they took."""


def by_engine(table: c.Table, triggers: tuple[c.Name, ...], dispatch: engines.Dispatch, *parts: str) -> Runner:
    """Passes through our engine, without these parts of the recording. A pass fires once and runs to completion."""
    engine, machine = compiled(table, dispatch)
    fire = without(engine, *parts) if parts else engine.fire

    def run(passes: int) -> float:
        first = triggers[0]
        begun = time.process_time()
        for _ in range(passes):
            fire(machine, first)
        return time.process_time() - begun

    return run


def by_build(path: str) -> Runner:
    """Passes through our engine compiled to C, in a process of its own (see the end of this file)."""

    def run(passes: int) -> float:
        environment = {**os.environ, **Build(compiled=True).environment()}
        command = [sys.executable, "-m", __name__, path, str(passes)]
        return float(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)

    return run


def by_stock(table: c.Table, triggers: tuple[c.Name, ...]) -> Runner:
    """Passes through the stock library: each trigger is called on the model."""
    model = stock(table)
    calls = [getattr(model, trigger.name) for trigger in triggers]

    def run(passes: int) -> float:
        begun = time.process_time()
        for _ in range(passes):
            for call in calls:
                call()
        return time.process_time() - begun

    return run


PATHS: dict[str, tuple[c.Table, tuple[c.Name, ...]]] = {
    "happy path": (connection.TABLE, HAPPY),
    "guarded": (LADDER, (Step.STEPPED,)),
}
COMPILED, IN_C, OURS, STOCK = "compiled", "compiled, and to C by mypyc", "`--dispatch transitions`", "stock transitions"
LEFT_OUT = {
    "without history": ("history",),
    "without dwell times": ("dwell",),
    "without counts": ("count",),
    "without any recording": ("clock", "dwell", "history", "count"),
}


def runners() -> dict[tuple[str, str], Runner]:
    """Everything that is measured, by path and row."""
    found: dict[tuple[str, str], Runner] = {}
    for path, (table, triggers) in PATHS.items():
        found[path, COMPILED] = by_engine(table, triggers, engines.Dispatch.COMPILED)
        for name, parts in LEFT_OUT.items():
            found[path, name] = by_engine(table, triggers, engines.Dispatch.COMPILED, *parts)
        if not Build(compiled=True).missing():
            found[path, IN_C] = by_build(path)
        found[path, OURS] = by_engine(table, triggers, engines.Dispatch.TRANSITIONS)
        found[path, STOCK] = by_stock(table, triggers)
    return found


def run(plan: Plan) -> Report:
    """Measure all rows in interleaved rounds."""
    chosen = {key: runner for key, runner in runners().items() if plan.wants(*key)}
    if not chosen:
        raise LookupError(f"--only {','.join(plan.only)}: no row of this suite has that in its name")
    rounds, seconds = plan.rounds_or(15, 5), plan.seconds_or(0.2, 0.04)
    found: dict[tuple[str, str], list[float]] = {key: [] for key in chosen}
    plan.progress.expect(rounds)
    passes = {key: _passes(runner, seconds) for key, runner in chosen.items()}
    for turn in range(rounds):
        for path, row in in_turn(list(chosen), turn):
            count = passes[path, row] * len(PATHS[path][1])
            found[path, row].append(chosen[path, row](passes[path, row]) * 1e6 / count)
        plan.progress.step("all rows once")
    return make_report({key: spread(values) for key, values in found.items()})


def _passes(runner: Runner, seconds: float) -> int:
    """How many passes take about so many seconds; warms up, too."""
    runner(2000)
    return max(1000, int(2000 * seconds / max(runner(2000), 1e-6)))


def make_report(found: dict[tuple[str, str], Spread]) -> Report:
    """Tables and plot of the rows' microseconds a transition."""
    report = Report("engine", "What a transition costs", LEAD)
    for path in PATHS:
        table = Table(
            f"One transition, {path}", ("dispatch", "µs", "rounds", "of compiled", "recording saved, µs", "stock ÷ it")
        )
        base, slowest = found.get((path, COMPILED)), found.get((path, STOCK))
        for (of, row), cost in found.items():
            if of != path:
                continue
            saved = figure(base.median - cost.median) if base and row in LEFT_OUT else ""
            relative = f"{cost.median / base.median:.2f}" if base else ""
            times = f"{slowest.median / cost.median:.1f}" if slowest else ""
            table.rows.append((row, figure(cost.median), band(cost), relative, saved, times))
        if base and slowest:
            report.ratios[f"{path}: {COMPILED} ÷ {STOCK}"] = base.median / slowest.median
        if table.rows:
            report.tables.append(table)
    rows = [
        Row(name.strip("`"), [found.get((path, name)) for path in PATHS], Kind.OURS if name != STOCK else Kind.PEER)
        for name in (IN_C, COMPILED, *LEFT_OUT, OURS, STOCK)
        if any((path, name) in found for path in PATHS)
    ]
    lead = "Microseconds, dispatch only: actions and guards do nothing. Less is better."
    report.plots["engine"] = bars("One transition", lead, rows, tuple(PATHS), "µs")
    return report


if __name__ == "__main__":
    walk = by_engine(*PATHS[sys.argv[1]], engines.Dispatch.COMPILED)
    walk(2000)
    print(walk(int(sys.argv[2])))
