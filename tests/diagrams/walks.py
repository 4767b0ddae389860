"""Random walks of every machine, as our engine takes them: what an exported definition is held against.

A walk is a list of steps. Each step sets the guards, then fires a trigger, which need not have a row in the state.
"""

import random
from collections import Counter
from typing import NamedTuple

from clerestory.statemachines.contract import Name, Table
from tests.statemachines.recording import machine_of

LENGTH = 30


class Step(NamedTuple):
    """`trigger` under the `guards` that hold; then the machine is in `state`, and has done `action`, if any. `seconds`
    is the deadline of the state that it left."""

    trigger: str
    guards: list[str]
    state: str
    action: str
    seconds: float


def walks_of(table: Table, steps: int) -> list[list[Step]]:
    """Walks from the initial state, of so many steps in all. Each ends in a final state, or after LENGTH steps."""
    chance = random.Random(table.name)
    fired: Counter[tuple[Name, Name]] = Counter()
    walks: list[list[Step]] = []
    while sum(map(len, walks)) < steps:
        walks.append(_walk(table, chance, fired))
    return walks


def _walk(table: Table, chance: random.Random, fired: Counter[tuple[Name, Name]]) -> list[Step]:
    machine = machine_of(table)
    guards = sorted({row.guard for row in table.rows} - {""})
    steps: list[Step] = []
    while len(steps) < LENGTH and not machine.node.final:
        machine.yes = {guard for guard in guards if chance.random() < 0.5}
        trigger = _trigger(table, machine.state, chance, fired)
        fired[machine.state, trigger] += 1
        machine.calls.clear()
        deadline = getattr(table.spec(machine.state).deadline, "seconds", 0.0)
        if machine.accepts(trigger):
            machine.engine.fire(machine, trigger)
        done = [call for call in machine.calls if not call.endswith("?")]
        steps.append(Step(trigger, sorted(machine.yes), machine.state, "".join(done), deadline))
    return steps


def _trigger(table: Table, state: Name, chance: random.Random, fired: Counter[tuple[Name, Name]]) -> Name:
    """Mostly one that has a row here, of those that were fired least, and one that does not end the machine, so that
    walks are long. Time passes only where there is a deadline."""
    if chance.random() < 0.05:
        return chance.choice([trigger for trigger in table.triggers if trigger != "DEADLINE_PASSED"])
    rows = [row for row in table.rows if row.source is state]
    staying = [row.trigger for row in rows if row.ends is None]
    triggers = staying if staying and chance.random() < 0.95 else [row.trigger for row in rows]
    return min(triggers, key=lambda trigger: (fired[state, trigger], chance.random()))


def edges_of(table: Table, walks: list[list[Step]]) -> set[tuple[str, str, str]]:
    """The (state, trigger, state) that the walks have passed: how much of the table they show."""
    passed = set()
    for walk in walks:
        source: str = table.initial
        for step in walk:
            passed.add((source, step.trigger, step.state))
            source = step.state
    return passed
