"""A table as a definition for XState 5 (stately.ai), in JSON: `createMachine(definition)` runs it.

- An event is a trigger; the first of a state's transitions whose guard holds is taken, as the first row is.
- Guards and actions are named: `setup({guards, actions})` or `machine.provide(...)` says what they do.
- A deadline is a delayed transition (`after`, in milliseconds), of the default. Where it counts from the last byte that
  moved, `meta.deadline.idle` says so, which `after` cannot.
- `meta` has what a state waits for, and of a transition which kind of row it is and who ended the machine.
- What an action returns is not in it: events come from outside alone.
"""

import json
from typing import Any

from clerestory.statemachines.contract import Deadline, Row, Spec, Table

LATE = "DEADLINE_PASSED"


def to_xstate(table: Table) -> str:
    """A JSON text that ends in a new line."""
    definition = {
        "id": table.name,
        "description": f"{table.name}: made by clerestory diagrams, not by hand",
        "initial": table.initial.name,
        "states": {state.name: _state(table, table.spec(state)) for state in table.states},
    }
    return json.dumps(definition, indent=2, ensure_ascii=False) + "\n"


def _state(table: Table, spec: Spec) -> dict[str, Any]:
    if spec.final:
        return {"type": "final", "description": spec.true_while}
    events: dict[str, list[dict[str, Any]]] = {}
    for row in table.rows:
        if row.source is spec.state:
            events.setdefault(row.trigger.name, []).append(_transition(row))
    state: dict[str, Any] = {"description": spec.true_while, "meta": {"waitsFor": spec.phrase()}}
    deadline = spec.deadline
    if isinstance(deadline, Deadline):
        state["meta"]["deadline"] = _facts(deadline)
        state["after"] = {str(round(deadline.seconds * 1000)): events.pop(LATE)}
    else:
        state["meta"]["unbounded"] = deadline.why
    if events:
        state["on"] = events
    return state


def _facts(deadline: Deadline) -> dict[str, Any]:
    facts: dict[str, Any] = {"name": deadline.name, "option": deadline.option, "seconds": deadline.seconds}
    facts |= {"idle": True} if deadline.idle or deadline.min_rate else {}
    return facts | ({"minRate": deadline.min_rate} if deadline.min_rate else {}) | {"why": deadline.why}


def _transition(row: Row) -> dict[str, Any]:
    made: dict[str, Any] = {"target": row.dest.name}
    made |= {"reenter": True} if row.dest is row.source else {}  # its deadline begins anew
    made |= {"guard": row.guard} if row.guard else {}
    made |= {"actions": [row.action]} if row.action else {}
    made["meta"] = {"way": row.way.value} | ({"ends": row.ends.value} if row.ends is not None else {})
    return made
