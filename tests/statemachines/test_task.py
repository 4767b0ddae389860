"""The stories of a task: it runs from one operation to the next, until it returns, raises, or is ended."""

import pytest

from clerestory.statemachines.contract import Cause
from clerestory.statemachines.engine import Dispatch
from clerestory.statemachines.task import TABLE, State, Trigger
from tests.statemachines.recording import BOTH, machine_of

S, T = State, Trigger
both = pytest.mark.parametrize("dispatch", BOTH)


@both
def test_it_goes_from_operation_to_operation_until_it_returns(dispatch: Dispatch) -> None:
    machine = machine_of(TABLE, dispatch)
    assert (machine.state, machine.node.spec.phrase()) == (S.READY, "its turn")
    machine.script(step=[None, None, T.RETURNED])
    machine.engine.fire(machine, T.STARTED)
    assert (machine.state, machine.node.spec.phrase()) == (S.AWAITING_OPERATION, "an operation")
    machine.engine.fire(machine, T.OPERATION_ENDED)
    assert machine.state is S.AWAITING_OPERATION
    machine.engine.fire(machine, T.OPERATION_ENDED)
    assert (machine.state, machine.cause, machine.calls) == (S.DONE, Cause.SERVER, ["step"] * 3)


@both
@pytest.mark.parametrize("outcome", [T.RETURNED, T.FAILED])
def test_one_that_awaits_nothing_is_over_at_once(dispatch: Dispatch, outcome: Trigger) -> None:
    machine = machine_of(TABLE, dispatch)
    machine.script(step=outcome)
    machine.engine.fire(machine, T.STARTED)
    assert (machine.state, machine.cause, machine.calls) == (S.DONE, Cause.SERVER, ["step"])


@both
@pytest.mark.parametrize("begins", [False, True])
def test_it_is_given_up_wherever_it_is(dispatch: Dispatch, begins: bool) -> None:
    machine = machine_of(TABLE, dispatch)
    if begins:
        machine.engine.fire(machine, T.STARTED)
    machine.engine.fire(machine, T.CLOSE_ORDERED)
    assert (machine.state, machine.cause) == (S.DONE, Cause.OPERATOR)
    assert machine.calls == ["step"] * begins + ["give_up"]


@both
def test_one_whose_client_has_left_has_a_grace_over_however_many_operations(dispatch: Dispatch) -> None:
    machine = machine_of(TABLE, dispatch)
    machine.yes = {"is_in_time"}
    machine.engine.fire(machine, T.STARTED)
    machine.engine.fire(machine, T.CLIENT_LEFT)
    assert (machine.state, machine.node.spec.phrase()) == (S.LEAVING, "the end of the coroutine")
    machine.engine.fire(machine, T.OPERATION_ENDED)
    assert machine.state is S.LEAVING
    machine.yes = set()
    machine.engine.fire(machine, T.OPERATION_ENDED)
    assert (machine.state, machine.cause) == (S.DONE, Cause.DEADLINE)


@both
@pytest.mark.parametrize(
    ("trigger", "cause"),
    [(T.RETURNED, Cause.CLIENT), (T.FAILED, Cause.SERVER)],
)
def test_one_whose_client_has_left_may_end_by_itself(dispatch: Dispatch, trigger: Trigger, cause: Cause) -> None:
    machine = machine_of(TABLE, dispatch)
    machine.script(step=[None, trigger])
    machine.yes = {"is_in_time"}
    machine.engine.fire(machine, T.STARTED)
    machine.engine.fire(machine, T.CLIENT_LEFT)
    machine.engine.fire(machine, T.OPERATION_ENDED)
    assert (machine.state, machine.cause) == (S.DONE, cause)


@both
@pytest.mark.parametrize(
    ("trigger", "cause"),
    [(T.DEADLINE_PASSED, Cause.DEADLINE), (T.CLOSE_ORDERED, Cause.OPERATOR)],
)
def test_one_whose_client_has_left_is_given_up(dispatch: Dispatch, trigger: Trigger, cause: Cause) -> None:
    machine = machine_of(TABLE, dispatch)
    machine.engine.fire(machine, T.STARTED)
    machine.engine.fire(machine, T.CLIENT_LEFT)
    machine.engine.fire(machine, trigger)
    assert (machine.state, machine.cause, machine.calls[-1]) == (S.DONE, cause, "give_up")
