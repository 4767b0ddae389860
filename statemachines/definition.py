"""A table as a machine of the library `transitions`: this is the definition, which the engine compiles.

One `Definition` is built for each table, without a model: a library machine for each connection would cost 38 KiB.
Everything made for that library works on it: drawing, markup, inspection. The engine compiles it with `rows_of`, and
runs it directly under `--dispatch transitions`. Features of the library that the compiler does not support are refused
here by name, so that a compiled machine always means the same as its definition.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, cast

import transitions

from clerestory.statemachines.contract import Name, Table


class TableError(Exception):
    """A table or a definition that the engine cannot run; the message says what is wrong with it."""


class EngineTransition(transitions.Transition):
    """The library's transition; it changes the state through `Engine.enter`."""

    def _change_state(self, event_data: transitions.EventData) -> None:
        definition = event_data.machine
        assert isinstance(definition, Definition)
        assert definition.enter is not None, "a definition without an engine is only for drawing"
        definition.enter(event_data.model, self)


class Definition(transitions.Machine):
    """A table as the library's own machine, without a model. An action's result is stored: it is the next trigger."""

    transition_cls = EngineTransition
    enter: Callable[[Any, EngineTransition], None] | None = None
    """`Engine.enter`, for a model and the transition it takes."""
    handed_back: Name | None = None

    def callback(self, func: Any, event_data: transitions.EventData) -> None:
        """Call an action, as the library does, and store what it returns."""
        action = cast("Callable[[], Name | None]", self.resolve_callable(func, event_data))
        self.handed_back = action()


class Compiled(NamedTuple):
    """What the definition says about one row, by name: the compiler's input. Guard and action may be empty."""

    transition: transitions.Transition
    source: str
    dest: str
    guard: str
    action: str


def define(table: Table) -> Definition:
    """The shared `transitions.Machine` of `table`."""
    definition = Definition(
        model=None,
        states=[{"name": spec.state, "final": spec.final} for spec in table.specs],
        initial=table.initial,
        auto_transitions=False,
        queued=False,
        name=table.name,
    )
    for row in table.rows:
        definition.add_transition(
            row.trigger.name, row.source, row.dest, conditions=row.guard or None, after=row.action or None
        )
    return definition


def rows_of(definition: transitions.Machine, table: Table) -> list[Compiled]:
    """The definition's transitions in the order of the table's rows. Raises TableError if the two differ, or if
    something is not supported."""
    _refuse_unknown(definition)
    found = []
    for transition in _transitions_of(definition, table):
        _refuse_unknown_in(transition)
        guards = [str(condition.func) for condition in transition.conditions] or [""]
        actions = [str(action) for action in transition.after] or [""]
        found.append(Compiled(transition, str(transition.source), str(transition.dest), guards[0], actions[0]))
    return found


def _transitions_of(definition: transitions.Machine, table: Table) -> list[transitions.Transition]:
    """The definition's transitions in the order of the table's rows. The library keeps those with the same source
    and trigger in the order in which they were added."""
    groups = {
        (state, trigger): list(found)
        for trigger, event in definition.events.items()
        for state, found in event.transitions.items()
    }
    ordered = []
    for row in table.rows:
        found = groups.get((row.source.name, row.trigger.name))
        if not found:
            raise TableError(f"{table.name}: its definition has no transition for {row.source} on {row.trigger}")
        ordered.append(found.pop(0))
    if more := [f"{state} on {trigger}" for (state, trigger), left in groups.items() if left]:
        raise TableError(f"{table.name}: its definition has transitions without a row: {', '.join(more)}")
    return ordered


_MACHINE_CALLBACKS = (
    "prepare_event",
    "before_state_change",
    "after_state_change",
    "finalize_event",
    "on_exception",
    "on_final",
)


def _refuse_unknown(definition: transitions.Machine) -> None:
    refused = [name for name in _MACHINE_CALLBACKS if getattr(definition, name, None)]
    refused += [name for name in ("send_event", "ignore_invalid_triggers") if getattr(definition, name, None)]
    refused += ["queued"] if definition.has_queue else []
    refused += ["another model_attribute"] if definition.model_attribute != "state" else []
    refused += [f"ignore_invalid_triggers of {state.name}" for state in definition.states.values() if _ignores(state)]
    refused += [
        f"{callbacks} of {state.name}"
        for state in definition.states.values()
        for callbacks in ("on_enter", "on_exit")
        if getattr(state, callbacks)
    ]
    if refused:
        raise TableError(f"{definition.name}the compiler does not support {', '.join(refused)}")


def _ignores(state: transitions.State) -> bool:
    return bool(state.ignore_invalid_triggers)


def _refuse_unknown_in(transition: transitions.Transition) -> None:
    refused = [name for name in ("prepare", "before") if getattr(transition, name)]
    refused += ["more than one condition"] if len(transition.conditions) > 1 else []
    refused += (
        ["a callable as condition"] if any(callable(condition.func) for condition in transition.conditions) else []
    )
    refused += ["unless"] if any(not condition.target for condition in transition.conditions) else []
    refused += ["more than one action"] if len(transition.after) > 1 else []
    refused += ["internal transitions"] if transition.dest is None else []
    if refused:
        raise TableError(f"{transition!r}: the compiler does not support {', '.join(refused)}")
