"""The stories of an upstream's health checks, told to the bare table."""

import pytest

from clerestory.statemachines.contract import Cause
from clerestory.statemachines.engine import Dispatch
from clerestory.statemachines.probe import ANSWER, INTERVAL, TABLE, State, Trigger
from tests.statemachines.recording import BOTH, Clock, machine_in, machine_of

S, T = State, Trigger
both = pytest.mark.parametrize("dispatch", BOTH)


@both
@pytest.mark.parametrize(
    ("trigger", "action"),
    [
        (T.ANSWERED, "judge"),
        (T.REFUSED, "count_failure"),
        (T.NOT_ASKED, ""),
        (T.DEADLINE_PASSED, "leave_failed"),
        (T.CLOSE_ORDERED, "leave"),
    ],
)
def test_however_a_probe_ends_the_next_one_comes(dispatch: Dispatch, trigger: Trigger, action: str) -> None:
    machine = machine_of(TABLE, dispatch, Clock())
    assert (machine.state, machine.node.deadline) == (S.RESTING, INTERVAL)
    machine.engine.fire(machine, T.DEADLINE_PASSED)
    assert (machine.state, machine.node.deadline, machine.calls) == (S.ASKING, ANSWER, ["ask"])
    machine.engine.fire(machine, trigger)
    assert (machine.state, machine.calls[1:]) == (S.RESTING, [action] * bool(action))


@both
def test_an_order_to_close_begins_the_rest_anew(dispatch: Dispatch) -> None:
    machine = machine_in(TABLE, S.RESTING, dispatch)
    machine.engine.fire(machine, T.CLOSE_ORDERED)
    assert machine.state is S.RESTING


@both
@pytest.mark.parametrize(("state", "calls"), [(S.RESTING, []), (S.ASKING, ["leave"])])
def test_it_ends_when_nobody_asks_any_more(dispatch: Dispatch, state: State, calls: list[str]) -> None:
    machine = machine_in(TABLE, state, dispatch)
    machine.engine.fire(machine, T.POOL_CLOSED)
    assert (machine.state, machine.cause, machine.calls) == (S.CLOSED, Cause.SERVER, calls)
