"""The stories of a lifespan: up and down, absent, failed, too slow."""

import pytest

from clerestory.statemachines.contract import Cause
from clerestory.statemachines.engine import Dispatch
from clerestory.statemachines.lifespan import SHUTDOWN, STARTUP, TABLE, State, Trigger
from tests.statemachines.recording import BOTH, Clock, machine_in, machine_of

S, T = State, Trigger
both = pytest.mark.parametrize("dispatch", BOTH)


@both
def test_it_starts_up_and_shuts_down(dispatch: Dispatch) -> None:
    machine = machine_of(TABLE, dispatch, Clock())
    assert (machine.state, machine.node.deadline) == (S.STARTING, STARTUP)
    machine.engine.fire(machine, T.STARTUP_COMPLETE)
    assert (machine.state, machine.node.deadline) == (S.UP, None)
    machine.engine.fire(machine, T.SHUTDOWN_ORDERED)
    assert (machine.state, machine.node.deadline) == (S.STOPPING, SHUTDOWN)
    machine.engine.fire(machine, T.SHUTDOWN_COMPLETE)
    assert machine.state == S.ENDING
    machine.engine.fire(machine, T.TASK_ENDED)
    assert (machine.state, machine.cause) == (S.ENDED, Cause.OPERATOR)
    assert machine.calls == ["tell_started", "order_shutdown", "tell_ended"]


@both
def test_one_that_ends_at_once_is_absent(dispatch: Dispatch) -> None:
    machine = machine_of(TABLE, dispatch, Clock())
    machine.engine.fire(machine, T.TASK_ENDED)
    assert (machine.state, machine.calls) == (S.ENDED, ["tell_started"])


@both
@pytest.mark.parametrize(
    ("trigger", "cause", "calls"),
    [
        (T.STARTUP_FAILED, Cause.SERVER, ["tell_failed"]),
        (T.DEADLINE_PASSED, Cause.DEADLINE, ["tell_failed"]),
        (T.SHUTDOWN_ORDERED, Cause.OPERATOR, ["cancel"]),
    ],
)
def test_a_start_fails_is_late_or_is_not_wanted(
    dispatch: Dispatch, trigger: Trigger, cause: Cause, calls: list[str]
) -> None:
    machine = machine_of(TABLE, dispatch, Clock())
    machine.engine.fire(machine, trigger)
    assert (machine.state, machine.cause, machine.calls) == (S.ENDING, cause, calls)


@both
def test_a_shutdown_fails_or_is_late(dispatch: Dispatch) -> None:
    for trigger, calls in ((T.SHUTDOWN_FAILED, []), (T.DEADLINE_PASSED, ["cancel"])):
        machine = machine_in(TABLE, S.STOPPING, dispatch)
        machine.engine.fire(machine, trigger)
        assert (machine.state, machine.calls) == (S.ENDING, calls)


@both
def test_a_call_that_does_not_end_is_given_up(dispatch: Dispatch) -> None:
    machine = machine_in(TABLE, S.ENDING, dispatch)
    machine.engine.fire(machine, T.DEADLINE_PASSED)
    assert (machine.state, machine.cause, machine.calls) == (S.ENDED, Cause.DEADLINE, ["tell_ended"])
