"""The stories of a circuit breaker, told to the bare table."""

import pytest

from clerestory.statemachines.breaker import DOWN, TABLE, State, Trigger
from clerestory.statemachines.contract import Cause
from clerestory.statemachines.engine import Dispatch
from tests.statemachines.recording import BOTH, Clock, machine_in, machine_of

S, T = State, Trigger
both = pytest.mark.parametrize("dispatch", BOTH)


@both
def test_what_fails_is_left_alone_tried_and_brought_back(dispatch: Dispatch) -> None:
    machine = machine_of(TABLE, dispatch, Clock())
    story = [
        (T.TRIPPED, S.DOWN, ["open"]),
        (T.DEADLINE_PASSED, S.TRYING, []),
        (T.TRIPPED, S.DOWN, ["lengthen"]),
        (T.DEADLINE_PASSED, S.TRYING, []),
        (T.RECOVERED, S.UP, ["restore"]),
    ]
    for trigger, state, calls in story:
        machine.calls.clear()
        machine.engine.fire(machine, trigger)
        assert (machine.state, machine.calls) == (state, calls)
    assert machine_in(TABLE, S.DOWN, dispatch).node.deadline == DOWN


@both
@pytest.mark.parametrize("state", [S.UP, S.DOWN, S.TRYING])
def test_what_fails_its_checks_is_left_alone_until_one_passes(dispatch: Dispatch, state: State) -> None:
    machine = machine_in(TABLE, state, dispatch)
    machine.engine.fire(machine, T.CHECK_FAILED)
    assert State(machine.state) is S.UNHEALTHY
    assert machine.calls == (["shun"] if state is S.UP else []), "it is told once that it is down"
    assert not machine.accepts(T.RECOVERED)
    machine.engine.fire(machine, T.CHECK_PASSED)
    assert State(machine.state) is S.UP


@both
@pytest.mark.parametrize("state", [state for state in S if state is not S.CLOSED])
def test_it_ends_when_nobody_asks_any_more(dispatch: Dispatch, state: State) -> None:
    machine = machine_in(TABLE, state, dispatch)
    machine.engine.fire(machine, T.RETIRED)
    assert (machine.state, machine.cause) == (S.CLOSED, Cause.SERVER)
