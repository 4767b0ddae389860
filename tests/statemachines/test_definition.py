"""The library's machine of a table, and what is compiled of it: what is not supported is refused by name."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import transitions

from clerestory.statemachines import engine as engine_module
from clerestory.statemachines.contract import Row
from clerestory.statemachines.definition import Definition, TableError, define
from clerestory.statemachines.engine import Dispatch, Engine, Machine
from tests.statemachines.recording import Clock, machine_of, recording_model
from tests.statemachines.walker import TABLE, S, T


def test_a_model_without_a_method_that_the_table_names_is_refused() -> None:
    with pytest.raises(TableError, match="Machine has no method listen, which its table names"):
        Engine(TABLE, Machine, Clock())


@pytest.mark.parametrize(
    "rows",
    [
        (TABLE.rows[0],),
        (TABLE.rows[0], TABLE.rows[1]),
        (TABLE.rows[2], TABLE.rows[0]),
        (TABLE.rows[2], TABLE.rows[2]),
        (TABLE.rows[0], TABLE.rows[2], TABLE.rows[2]),
    ],
    ids=["no default", "two guarded", "default above", "two defaults", "two defaults below a guarded row"],
)
def test_rows_that_are_not_guarded_ones_above_one_default_are_refused(rows: tuple[Row, ...]) -> None:
    with pytest.raises(TableError, match=r"walker: RESTING --CALLED--> .*: guarded rows must be above exactly one"):
        machine_of(replace(TABLE, rows=rows))


PLAIN: dict[str, Any] = {"trigger": "CALLED", "source": "RESTING", "dest": "WALKING"}


def definition(states: Any = tuple(S), row: dict[str, Any] = PLAIN, **features: Any) -> transitions.Machine:
    """One row as the library's own machine, made by the library's own means."""
    features = {"model": None, "initial": "RESTING", "auto_transitions": False, "name": "walker"} | features
    return transitions.Machine(states=list(states), transitions=[row], **features)


def compile_instead(monkeypatch: pytest.MonkeyPatch, made: transitions.Machine) -> None:
    """Have the engine compile `made` where it would define the table of one row."""
    table = replace(TABLE, rows=(Row(S.RESTING, T.CALLED, S.WALKING),))
    monkeypatch.setattr(engine_module, "define", lambda table: made)
    machine_of(table)


def test_a_plain_definition_of_the_library_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    compile_instead(monkeypatch, definition())


REFUSED: dict[str, Callable[[], transitions.Machine]] = {
    "prepare_event": lambda: definition(prepare_event="listen"),
    "before_state_change": lambda: definition(before_state_change="listen"),
    "after_state_change": lambda: definition(after_state_change="listen"),
    "finalize_event": lambda: definition(finalize_event="listen"),
    "on_exception": lambda: definition(on_exception="listen"),
    "on_final": lambda: definition(on_final="listen"),
    "send_event": lambda: definition(send_event=True),
    "ignore_invalid_triggers": lambda: definition(ignore_invalid_triggers=True),
    "queued": lambda: definition(queued=True),
    "on_enter of WALKING": lambda: definition(["RESTING", {"name": "WALKING", "on_enter": "look"}, "GONE"]),
    "on_exit of RESTING": lambda: definition([{"name": "RESTING", "on_exit": "look"}, "WALKING", "GONE"]),
    "prepare": lambda: definition(row=PLAIN | {"prepare": "listen"}),
    "before": lambda: definition(row=PLAIN | {"before": "listen"}),
    "another model_attribute": lambda: definition(model_attribute="place"),
    "ignore_invalid_triggers of RESTING": lambda: definition(
        [{"name": "RESTING", "ignore_invalid_triggers": True}, "WALKING", "GONE"]
    ),
    "a callable as condition": lambda: definition(row=PLAIN | {"conditions": bool}),
    "unless": lambda: definition(row=PLAIN | {"unless": "is_dry"}),
    "more than one condition": lambda: definition(row=PLAIN | {"conditions": ["is_dry", "is_sunny"]}),
    "more than one action": lambda: definition(row=PLAIN | {"after": ["skip", "stroll"]}),
    "internal transitions": lambda: definition(row=PLAIN | {"dest": None}),
}


@pytest.mark.parametrize("feature", REFUSED)
def test_a_feature_of_the_library_that_is_not_compiled_is_refused_by_name(
    feature: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(TableError, match=f"the compiler does not support .*{feature}"):
        compile_instead(monkeypatch, REFUSED[feature]())


def test_a_definition_with_a_transition_that_is_no_row_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    made = definition()
    made.add_transition("CALLED", "WALKING", "GONE")
    with pytest.raises(TableError, match="walker: its definition has transitions without a row: WALKING on CALLED"):
        compile_instead(monkeypatch, made)


def test_a_definition_without_a_transition_for_a_row_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TableError, match="walker: its definition has no transition for RESTING on CALLED"):
        compile_instead(monkeypatch, definition(row=PLAIN | {"trigger": "SENT_AWAY"}))


def test_several_features_are_refused_in_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TableError, match=r"does not support on_final, send_event, queued$"):
        compile_instead(monkeypatch, definition(on_final="listen", send_event=True, queued=True))


def test_the_definition_has_the_states_and_rows_of_the_table_and_nothing_else() -> None:
    made = define(TABLE)
    assert list(made.states) == [state.name for state in S]
    assert [state.name for state in made.states.values() if state.final] == ["GONE"]
    assert made.initial == "RESTING"
    assert list(made.events) == [trigger.name for trigger in T]
    found = [
        (found.source, name, found.dest) for name, event in made.events.items() for found in made.get_transitions(name)
    ]
    assert sorted(found) == sorted((row.source, row.trigger, row.dest) for row in TABLE.rows)


def test_the_definition_has_no_model_and_is_shared_by_all_machines() -> None:
    model = recording_model(TABLE)
    engine = Engine(TABLE, model, Clock(), dispatch=Dispatch.TRANSITIONS)
    for descriptor in range(3):
        engine.fire(model(engine, descriptor), T.CALLED)
    assert engine.definition.models == []


def test_a_definition_without_an_engine_is_for_drawing_and_does_not_run() -> None:
    machine = machine_of(TABLE)
    made: Definition = define(TABLE)
    with pytest.raises(AssertionError, match="only for drawing"):
        made.events[T.CALLED].trigger(machine)
