"""Every machine there is: its full State x Trigger product, and its names against its model's and its docstrings."""

import inspect
import re
import sys
from typing import Any

import pytest

from clerestory.statemachines import checks
from clerestory.statemachines.contract import Deadline, Name, Table
from clerestory.statemachines.engine import Dispatch, UnexpectedTrigger
from clerestory.statemachines.tables import TABLES
from tests.statemachines.recording import BOTH, machine_in
from tests.support.many import for_each

CELLS = [(table, cell) for table in TABLES.values() for cell in checks.product(table)]
each_table = pytest.mark.parametrize("table", TABLES.values(), ids=TABLES.keys())


def model_of(table: Table) -> Any:
    """The Protocol beside the table."""
    return vars(sys.modules[table.states.__module__])["Model"]


@pytest.mark.parametrize("dispatch", BOTH)
@for_each("case", CELLS, what=lambda case: f"{case[0].name}, {case[1].state}, {case[1].trigger}", shares=16)
def test_every_pair_of_state_and_trigger_is_a_row_or_an_error_that_leaves_everything_alone(
    case: tuple[Table, checks.Cell], dispatch: Dispatch
) -> None:
    table, cell = case
    for row in cell.rows:
        machine = machine_in(table, cell.state, dispatch)
        machine.yes = {row.guard}
        machine.engine.fire(machine, cell.trigger)
        assert (machine.state, machine.passed) == (row.dest, [row])
        above = cell.rows[: cell.rows.index(row) + 1]
        assert machine.calls == [f"{tried.guard}?" for tried in above if tried.guard] + [row.action] * bool(row.action)
    if not cell.rows:
        machine = machine_in(table, cell.state, dispatch)
        since = machine.since
        with pytest.raises(UnexpectedTrigger) as caught:
            machine.engine.fire(machine, cell.trigger)
        assert (caught.value.machine, caught.value.state, caught.value.trigger) == (
            table.name,
            cell.state,
            cell.trigger,
        )
        assert str(caught.value) == f"{table.name}: no row for {cell.trigger} in {cell.state}"
        assert (machine.state, machine.since, list(machine.history), machine.calls) == (cell.state, since, [], [])
        assert not any(edge.count for edge in machine.engine.edges)
        assert not any(any(node.dwell) for node in machine.engine.nodes)


@each_table
def test_a_table_names_exactly_its_models_methods(table: Table) -> None:
    assert checks.unlike_model(table, model_of(table)) == []


@each_table
def test_every_method_of_a_model_says_what_it_does(table: Table) -> None:
    methods = [method for name, method in vars(model_of(table)).items() if name in checks.methods(table)]
    assert all(inspect.getdoc(method) for method in methods)


def promised(table: Table, method: str) -> list[Name]:
    """The triggers that the docstring of `method` says it hands back."""
    words = set(re.findall(r"\b[A-Z_]{2,}\b", inspect.getdoc(getattr(model_of(table), method)) or ""))
    return [trigger for trigger in table.triggers if trigger in words]


@each_table
def test_what_an_action_promises_to_hand_back_has_a_row_where_the_action_runs(table: Table) -> None:
    rows = {(row.source, row.trigger) for row in table.rows}
    broken = [
        f"{row.action} hands back {trigger} in {row.dest}"
        for row in table.rows
        if row.action
        for trigger in promised(table, row.action)
        if (row.dest, trigger) not in rows
    ]
    assert broken == []


@each_table
def test_what_is_seen_when_ready_has_a_row_in_a_state_that_looks_so(table: Table) -> None:
    heard: dict[str, set[Name]] = {}
    for spec in table.specs:
        heeded = {row.trigger for row in table.rows if row.source is spec.state}
        heard[spec.when_ready] = heard.get(spec.when_ready, set()) | heeded
    del heard[""]
    assert [(look, found) for look in heard for found in promised(table, look) if found not in heard[look]] == []


@each_table
def test_what_a_docstring_promises_to_hand_back_is_declared(table: Table) -> None:
    """The declaration is what is held against reality (tests.support.held); the docstring is what people read."""
    declared = {key[1] if isinstance(key, tuple) else key: set[Name]() for key in table.hands_back}
    for key, triggers in table.hands_back.items():
        declared[key[1] if isinstance(key, tuple) else key].update(triggers)
    guards = {row.guard for row in table.rows}
    undeclared = [
        f"{method} hands back {trigger}"
        for method in sorted(checks.methods(table) - guards)
        for trigger in promised(table, method)
        if trigger not in declared.get(method, ())
    ]
    assert undeclared == []


@each_table
def test_a_table_is_found_by_its_own_name_which_is_its_modules(table: Table) -> None:
    """Where a module has several, of the same rows, they are kinds of it: `postgres_slot`, `upstream_slot`."""
    assert TABLES[table.name] is table
    module = table.states.__module__
    kinds = [one.name for one in TABLES.values() if one.states.__module__ == module]
    name = module.removeprefix("clerestory.statemachines.")
    assert kinds == [name] or (len(kinds) > 1 and all(kind.endswith(f"_{name}") for kind in kinds))


def test_no_two_deadlines_share_an_option() -> None:
    """Two states of a table may have the same one."""
    deadlines = {spec.deadline for table in TABLES.values() for spec in table.specs}
    options = [deadline.option for deadline in deadlines if isinstance(deadline, Deadline)]
    assert len(options) == len(set(options))


@each_table
def test_every_deadline_says_why_and_so_do_its_rate_and_its_grace(table: Table) -> None:
    for spec in table.specs:
        if isinstance(spec.deadline, Deadline):
            assert spec.deadline.name
            assert spec.deadline.why
            assert bool(spec.deadline.min_rate) == bool(spec.deadline.rate_why) == bool(spec.deadline.grace_why)
            assert bool(spec.deadline.grace) == bool(spec.deadline.min_rate)


def test_every_table_of_the_package_is_registered() -> None:
    found = [
        table
        for name, module in sys.modules.items()
        if name.startswith("clerestory.statemachines.")
        for table in vars(module).values()
        if isinstance(table, Table)
    ]
    assert {table.name for table in found} == set(TABLES)
