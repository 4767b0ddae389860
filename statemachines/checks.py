"""Proofs over tables: what the contract promises, shown from the data alone, without running a machine.

Each check takes a table and returns the offenders by name; if there are none, the check holds. `report` lists the
results, which `clerestory check` prints. The tests give each check a table that it must refuse.

Some properties cannot be proved from a table:

- A guard's answer is not in the table. So *after a row that ends the machine there is only the way to the end* is
  proved for guards that say no. A guard that could lead back from there is listed as relied on, and its model's test
  must show that it says no once the machine is ending.
- What an action returns is declared (Table.hands_back), not proved: the tests hold every action to it
  (tests/support/held.py). The engine refuses a trigger without a row, by name.
- Whether guards, actions and `when_ready` are methods of the model can only be checked with the model: see
  `unlike_model`.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from typing import NamedTuple

from clerestory.statemachines.contract import Deadline, Interest, Name, Row, Spec, Table, Unbounded

MOST_STATES = 12
"""More cannot be understood at a glance: split the machine. Twelve is what a client's HTTP/1.1 connection needs,
including an exchange in which both sides send at once."""

Check = Callable[[Table], list[str]]


def _finals(table: Table) -> list[Name]:
    return [spec.state for spec in table.specs if spec.final]


def _waiting(table: Table) -> list[Spec]:
    return [spec for spec in table.specs if not spec.final]


def _reach(start: Iterable[Name], rows: Iterable[Row]) -> set[Name]:
    """The states that `rows` lead to from `start`, including `start`."""
    rows = tuple(rows)
    reached, frontier = set(start), set(start)
    while frontier:
        frontier = {row.dest for row in rows if row.source in frontier} - reached
        reached |= frontier
    return reached


def _reach_back(goal: Iterable[Name], rows: Iterable[Row]) -> set[Name]:
    """The states from which `rows` lead to `goal`."""
    return _reach(goal, [Row(row.dest, row.trigger, row.source) for row in rows])


def _show(row: Row) -> str:
    guard = f" [{row.guard}]" if row.guard else ""
    return f"{row.source} {row.trigger}{guard} -> {row.dest}"


def strangers(table: Table) -> list[str]:
    """Names in specs, rows and departures that are not the table's own states and triggers.

    Compared by type: the names of two machines are equal if they are spelled alike.
    """
    states = [table.initial, *(spec.state for spec in table.specs)]
    states += [state for row in table.rows for state in (row.source, row.dest)]
    triggers = [*(row.trigger for row in table.rows), *table.departures]
    strange = {repr(state) for state in states if not isinstance(state, table.states)}
    strange |= {repr(trigger) for trigger in triggers if not isinstance(trigger, table.triggers)}
    return sorted(strange)


def misspecified(table: Table) -> list[str]:
    """States without exactly one spec, and specs that do not say which method reads, or what is awaited."""
    specs = [spec.state for spec in table.specs]
    wrong = [f"{state} has {specs.count(state)} specs" for state in table.states if specs.count(state) != 1]
    wrong += [f"{spec.state} does not say what is true" for spec in table.specs if not spec.true_while]
    wrong += [f"{spec.state} names no method for its descriptor" for spec in _waiting(table) if not _is_told(spec)]
    return wrong


def _is_told(spec: Spec) -> bool:
    """Whether a method handles the descriptor of `spec`; or it waits for none, and says for what instead."""
    return bool(spec.when_ready) or (spec.waits_for is Interest.NOTHING and bool(spec.awaits))


def too_many(table: Table) -> list[str]:
    """The number of states, when it is too large."""
    count = len(table.states)
    return [f"{count} states"] if count > MOST_STATES else []


def unreachable(table: Table) -> list[str]:
    """States that no rows lead to from the initial one."""
    reached = _reach({table.initial}, table.rows)
    return [state for state in table.states if state not in reached]


def unending(table: Table) -> list[str]:
    """States that wait without a deadline and without a reason, or with a deadline that is not a time."""
    wrong = []
    for spec in _waiting(table):
        limit = spec.deadline
        if not limit.why:
            wrong.append(f"{spec.state} does not say why")
        if isinstance(limit, Deadline) and not (limit.seconds > 0 and limit.option):
            wrong.append(f"{spec.state} has {limit.seconds:g} s by option {limit.option!r}")
    return wrong


def untimely(table: Table) -> list[str]:
    """States with a deadline and no row for its passing, or with such a row and no deadline."""
    wrong = []
    for spec in table.specs:
        timed = isinstance(spec.deadline, Deadline)
        has_row = any(row.source is spec.state and row.trigger == "DEADLINE_PASSED" for row in table.rows)
        if timed and not has_row:
            wrong.append(f"{spec.state} has no row for its deadline")
        if has_row and not timed:
            wrong.append(f"{spec.state} has no deadline that could pass")
    return wrong


def deaf(table: Table) -> list[str]:
    """States that ignore that the peer has gone. None if there is no peer."""
    if not table.departures:
        return []
    heeding = {row.source for row in table.rows if row.trigger in table.departures}
    return [spec.state for spec in _waiting(table) if spec.state not in heeding]


def trapped(table: Table) -> list[str]:
    """States from which no rows lead to a final state."""
    freed = _reach_back(_finals(table), table.rows)
    return [spec.state for spec in table.specs if spec.state not in freed]


def revived(table: Table) -> list[str]:
    """Rows that leave a final state; a final state that still waits; no final state at all; an initial one."""
    finals = _finals(table)
    wrong = [_show(row) for row in table.rows if row.source in finals]
    wrong += [f"{state} waits" for state in finals if _still_waits(table.spec(state))]
    wrong += [] if finals else ["no state is final"]
    wrong += [f"{table.initial} is both initial and final"] if table.initial in finals else []
    return wrong


def _still_waits(spec: Spec) -> bool:
    idle = spec.waits_for is Interest.NOTHING and isinstance(spec.deadline, Unbounded)
    return not idle or bool(spec.when_ready)


def undecided(table: Table) -> list[str]:
    """States and triggers whose rows are not guarded rows, each with a guard of its own, directly above one default."""
    wrong, seen = [], set()
    for pair, group in groupby(table.rows, key=lambda row: (row.source, row.trigger)):
        rows = list(group)
        guards = [row.guard for row in rows]
        if pair in seen or guards.count("") != 1 or guards[-1] or len(set(guards)) != len(guards):
            wrong.append(f"{pair[0]} {pair[1]}")
        seen.add(pair)
    return wrong


def scattered(table: Table) -> list[str]:
    """States whose rows are not all together."""
    together = [source for source, _ in groupby(row.source for row in table.rows)]
    return sorted({source for source in together if together.count(source) > 1})


def unused(table: Table) -> list[str]:
    """Triggers without a row."""
    used = {row.trigger for row in table.rows}
    return [trigger for trigger in table.triggers if trigger not in used]


def mishanded(table: Table) -> list[str]:
    """Triggers that a method may return in a state that has no row for them, and declarations that name no method
    of the table or no state in which it is called."""
    rows = {(row.source, row.trigger) for row in table.rows}
    called = {(row.dest, row.action) for row in table.rows if row.action}
    called |= {(spec.state, spec.when_ready) for spec in table.specs if spec.when_ready}
    wrong = [
        f"{method} hands back {trigger} in {state}"
        for state, method in sorted(called)
        for trigger in table.handed_back(state, method)
        if (state, trigger) not in rows
    ]
    known = {method for _, method in called}
    for key in table.hands_back:
        if isinstance(key, tuple):
            wrong += [f"{key[1]} is not called in {key[0]}"] if key not in called else []
        elif key not in known:
            wrong.append(f"{key} is not called")
    return wrong


def unexplained(table: Table) -> list[str]:
    """Rows into a final state that can be reached before any row has said who ended the machine."""
    finals = _finals(table)
    innocent = _reach({table.initial}, [row for row in table.rows if row.ends is None])
    return [_show(row) for row in table.rows if row.dest in finals and row.ends is None and row.source in innocent]


def _farewell(table: Table) -> tuple[set[Name], list[Row]]:
    """The states of a machine that is ending, if no guard leads it back, and the rows that it then takes."""
    taken = [row for row in table.rows if row.ends or not row.guard]
    ending = _reach({row.dest for row in table.rows if row.ends}, taken)
    return ending, [row for row in taken if row.source in ending]


def undead(table: Table) -> list[str]:
    """Rows by which a machine that is ending continues although every guard says no, or loops forever."""
    _, rows = _farewell(table)
    return [_show(row) for row in rows if not row.ends or row.source in _reach({row.dest}, rows)]


def relied_upon(table: Table) -> list[str]:
    """The guarded rows whose guard must say no once the machine is ending: the model's test must show it."""
    ending, _ = _farewell(table)
    return [_show(row) for row in table.rows if row.source in ending and row.guard and not row.ends]


CHECKS: dict[str, Check] = {
    "every name is one of the table's own": strangers,
    "every state has one spec": misspecified,
    f"there are at most {MOST_STATES} states": too_many,
    "every state can be reached": unreachable,
    "every wait has a deadline, or a reason to have none": unending,
    "a deadline's passing is a row exactly where there is a deadline": untimely,
    "every wait ends when the peer goes": deaf,
    "every state leads to a final one": trapped,
    "a final state is the end": revived,
    "guarded rows are directly above their default": undecided,
    "rows are grouped by their source": scattered,
    "every trigger is used": unused,
    "what is handed back has a row": mishanded,
    "every end has a cause": unexplained,
    "after a row that ends there is only the way to the end": undead,
}


def methods(table: Table) -> set[str]:
    """The methods that a table names: guards, actions, and readiness handlers."""
    named = {name for row in table.rows for name in (row.guard, row.action)}
    return (named | {spec.when_ready for spec in table.specs}) - {""}


def unlike_model(table: Table, model: type) -> list[str]:
    """Methods that the table names and `model`, its Protocol, does not have, or the other way round."""
    offered = {name for name in vars(model) if not name.startswith("_")}
    wanted = methods(table)
    return sorted(f"{name} is not in the table" for name in offered - wanted) + sorted(
        f"{name} is not in the model" for name in wanted - offered
    )


class Cell(NamedTuple):
    """One pair of State x Trigger. Without rows, firing it is an UnexpectedTrigger."""

    state: Name
    trigger: Name
    rows: tuple[Row, ...]


def product(table: Table) -> Iterator[Cell]:
    """Every state with every trigger: its rows, in the order in which they are tried."""
    for state in table.states:
        for trigger in table.triggers:
            yield Cell(
                state, trigger, tuple(row for row in table.rows if (row.source, row.trigger) == (state, trigger))
            )


def report(tables: Iterable[Table]) -> tuple[str, bool]:
    """The tables and their checks as text, and whether every check holds."""
    pages, sound = [], True
    for table in tables:
        found = {law: check(table) for law, check in CHECKS.items()}
        sound = sound and not any(found.values())
        blocks = [_heading(table), *_states(table), "", *_product(table), "", *_verdicts(table, found)]
        pages.append("\n".join(blocks))
    pages.append("every check holds" if sound else "BROKEN: see above")
    return "\n\n\n".join(pages) + "\n", sound


def _heading(table: Table) -> str:
    counts = f"{len(table.states)} states, {len(table.triggers)} triggers, {len(table.rows)} rows"
    return f"{table.name}: {counts}\n"


def _columns(lines: list[list[str]]) -> list[str]:
    """`lines` with their cells aligned, two spaces apart and two from the margin."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        ("  " + "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))).rstrip()
        for line in lines
    ]


def _limit(deadline: Deadline | Unbounded) -> str:
    if isinstance(deadline, Unbounded):
        return f"none: {deadline.why}"
    pace = f" idle, or less than {deadline.min_rate} bytes/s" if deadline.min_rate else " idle" * deadline.idle
    return f"{deadline.name}: {deadline.seconds:g} s{pace}"


def _states(table: Table) -> list[str]:
    """A line for each state: its number, what it waits for, until when, and the numbers of the states it leads to."""
    numbers = {state: str(number) for number, state in enumerate(table.states, 1)}
    lines = [["", "state", "waits for", "deadline", "leads to"]]
    for spec in table.specs:
        exits = dict.fromkeys(row.dest for row in table.rows if row.source is spec.state)
        leads = " ".join(numbers.get(state, "?") for state in exits) or "-"
        lines.append([numbers.get(spec.state, "?"), spec.state, spec.phrase(), _limit(spec.deadline), leads])
    return _columns(lines)


def _product(table: Table) -> list[str]:
    """State x Trigger: where each pair leads, in the order in which rows are tried; a dot is an error."""
    numbers = {state: str(number) for number, state in enumerate(table.states, 1)}
    cells = {
        (cell.state, cell.trigger): ",".join(numbers.get(row.dest, "?") for row in cell.rows) or "."
        for cell in product(table)
    }
    head = ["in state, on trigger (. is an error)", *numbers.values()]
    return _columns([head, *([trigger, *(cells[state, trigger] for state in numbers)] for trigger in table.triggers)])


def _verdicts(table: Table, found: dict[str, list[str]]) -> list[str]:
    """A line for each check: ok, or BROKEN and the offenders."""
    lines = []
    for law, offenders in found.items():
        lines.append(f"  {'BROKEN' if offenders else 'ok    '}  {law}")
        if CHECKS[law] is deaf and not table.departures:
            lines[-1] += " (no peer)"
        if CHECKS[law] is undead:
            lines += [f"          which relies on the guard to say no: {row}" for row in relied_upon(table)]
        lines += [f"          {offender}" for offender in offenders]
    return lines
