"""The compiled dispatch and the library's own do the same: shown by walking random tables, and ours, under both."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clerestory.statemachines import checks
from clerestory.statemachines.contract import Cause, Deadline, Interest, Name, Row, Spec, Table, Unbounded
from clerestory.statemachines.engine import HISTORY, Dispatch, Engine, Machine, UnexpectedTrigger
from clerestory.statemachines.tables import TABLES
from tests.statemachines.recording import Clock

PATIENCE = Deadline("wait", "wait_timeout", 1.0, "for the test")
GUARDS = ("is_red", "is_green", "is_blue")
ACTIONS = ("", "push", "pull")


class Boom(Exception):
    """What an action or a guard raises."""


def names(kind: str, members: list[str]) -> type[Name]:
    make: Callable[..., type[Name]] = cast("Any", Name)
    return make(kind, {member: member for member in members})


@st.composite
def tables(draw: st.DrawFn) -> Table:
    """A table on which every check holds: a chain of states, and random rows over it, guarded ones above a default."""
    count = draw(st.integers(1, 4))
    states = names("State", [f"S{index}" for index in range(count)] + ["END"])
    extra = draw(st.integers(0, 3))
    triggers = names("Trigger", ["NEXT", "GONE", "DEADLINE_PASSED", *(f"T{index}" for index in range(extra))])
    *waiting, end = list(states)
    rows: list[Row] = []
    for index, state in enumerate(waiting):
        following = waiting[(index + 1) % count]
        for trigger in triggers:
            if trigger in ("NEXT", "GONE", "DEADLINE_PASSED") or index == 0 or draw(st.booleans()):
                ends = trigger == "GONE"
                default = end if ends else following if trigger == "NEXT" else draw(st.sampled_from(waiting))
                rows += draw(guarded(state, trigger, waiting))
                rows.append(Row(state, trigger, default, "", draw(st.sampled_from(ACTIONS)), ends=_cause(ends)))
    specs = [Spec(state, Interest.READABLE, PATIENCE, "look", "it waits") for state in waiting]
    specs.append(Spec(end, Interest.NOTHING, Unbounded("it is final"), "", "it is over", final=True))
    return Table("random", states, triggers, waiting[0], tuple(specs), tuple(rows), frozenset({triggers["GONE"]}))


def _cause(ends: bool) -> Cause | None:
    return Cause.CLIENT if ends else None


@st.composite
def guarded(draw: st.DrawFn, state: Name, trigger: Name, dests: list[Name]) -> list[Row]:
    guards = draw(st.lists(st.sampled_from(GUARDS), max_size=3, unique=True))
    return [
        Row(state, trigger, draw(st.sampled_from(dests)), guard, draw(st.sampled_from(ACTIONS))) for guard in guards
    ]


@dataclass(frozen=True)
class Walk:
    """What is fired from outside, and what guards and actions do when their turn comes; then no, and None."""

    fired: list[Name]
    answers: list[bool | None]
    outcomes: list[Name | str | None]


@st.composite
def walks(draw: st.DrawFn, triggers: type[Name]) -> Walk:
    """A walk; an answer of None, and the outcome "boom", stand for an error."""
    members = st.sampled_from(list(triggers))
    return Walk(
        draw(st.lists(members, min_size=1, max_size=12)),
        draw(st.lists(st.sampled_from([True, False, True, False, True, False, None]), max_size=16)),
        draw(st.lists(st.one_of(st.none(), members, members, st.just("boom")), max_size=16)),
    )


class Scripted(Machine):
    """A model of any table: whatever guard or action is asked for answers from the walk's script."""

    def __init__(self, engine: Engine, walk: Walk) -> None:
        super().__init__(engine, 3)
        self.trace: list[tuple[str, Name]] = []
        self.answers = iter(walk.answers)
        self.outcomes = iter(walk.outcomes)

    def answer(self, guard: str) -> bool:
        self.trace.append((guard, self.state))
        answer = next(self.answers, False)
        if answer is None:
            raise Boom(guard)
        return answer

    def act(self, action: str) -> Name | None:
        self.trace.append((action, self.state))
        outcome = next(self.outcomes, None)
        if outcome == "boom":
            raise Boom(action)
        return cast("Name | None", outcome)


def model_of(table: Table) -> type[Scripted]:
    guards = {row.guard for row in table.rows}
    made: dict[str, object] = {}
    for name in checks.methods(table):
        run = Scripted.answer if name in guards else Scripted.act
        made[name] = lambda model, *ready, run=run, name=name: run(model, name)
    return type("Model", (Scripted,), made)


def walk_through(table: Table, walk: Walk, dispatch: Dispatch, observed: bool = False) -> dict[str, Any]:
    """Walk and tell everything that can be told afterwards."""
    seen: list[Row] = []
    observer = (lambda _, edge: seen.append(edge.row)) if observed else None
    model = model_of(table)
    clock = Clock(0.0, tick=0.001)
    engine = Engine(table, model, clock, dispatch=dispatch, observer=observer)
    machine = model(engine, walk)
    stops: list[tuple[Name, str]] = []
    for trigger in walk.fired:
        try:
            engine.fire(machine, trigger)
            stops.append((machine.state, "rests"))
        except (UnexpectedTrigger, Boom) as error:
            stops.append((machine.state, f"{type(error).__name__}: {error}"))
    if observed:
        assert seen[-HISTORY:] == [edge.row for _, edge in machine.history]
    return {
        "stops": stops,
        "guards asked and actions called, each in its state": machine.trace,
        "history": [(when, edge.row) for when, edge in machine.history],
        "since": machine.since,
        "spent": machine.spent,
        "dwell": [node.dwell for node in engine.nodes],
        "counts": [edge.count for edge in engine.edges],
        "clock": clock.now,
    }


def assert_the_same_walk(table: Table, walk: Walk) -> None:
    """By the compiled edges, by the library, and by each with an observer."""
    compiled = walk_through(table, walk, Dispatch.COMPILED)
    assert walk_through(table, walk, Dispatch.TRANSITIONS) == compiled
    assert walk_through(table, walk, Dispatch.COMPILED, observed=True) == compiled
    assert walk_through(table, walk, Dispatch.TRANSITIONS, observed=True) == compiled


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_a_random_machine_does_the_same_under_both_dispatches(data: st.DataObject) -> None:
    table = data.draw(tables())
    walk = data.draw(walks(table.triggers))
    assert_the_same_walk(table, walk)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(tables())
def test_every_check_holds_for_the_random_tables(table: Table) -> None:
    assert {law: found for law, check in checks.CHECKS.items() if (found := check(table))} == {}


@pytest.mark.parametrize("name", TABLES)
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_our_machines_do_the_same_under_both_dispatches(name: str, data: st.DataObject) -> None:
    table = TABLES[name]
    walk = data.draw(walks(table.triggers))
    assert_the_same_walk(table, walk)


@settings(max_examples=60)
@given(data=st.data())
def test_a_connection_that_is_given_only_what_it_accepts_never_errs_and_can_always_be_ended(
    data: st.DataObject,
) -> None:
    table = TABLES["connection"]
    walk = Walk([], data.draw(st.lists(st.booleans(), max_size=30)), [])
    model = model_of(table)
    engine = Engine(table, model, Clock())
    machine = model(engine, walk)
    for _ in range(data.draw(st.integers(0, 30))):
        accepted = [trigger for trigger in table.triggers if machine.accepts(trigger)]
        if accepted:
            engine.fire(machine, data.draw(st.sampled_from(accepted)))
    if not machine.node.final:
        engine.fire(machine, table.triggers["CLOSE_ORDERED"])
    assert machine.node.final
