"""The stories of the x-ray's watchdog, told to the bare table."""

import pytest

from clerestory.statemachines.contract import Cause
from clerestory.statemachines.engine import Dispatch
from clerestory.statemachines.watchdog import ANSWER, REST, TABLE, State, Trigger
from tests.statemachines.recording import BOTH, Clock, machine_in, machine_of

S, T = State, Trigger
both = pytest.mark.parametrize("dispatch", BOTH)


@both
def test_a_loop_that_answers_is_asked_again_after_a_while(dispatch: Dispatch) -> None:
    machine = machine_of(TABLE, dispatch, Clock())
    for _ in range(2):
        assert (machine.state, machine.node.deadline) == (S.RESTING, REST)
        machine.engine.fire(machine, T.DEADLINE_PASSED)
        assert (machine.state, machine.node.deadline) == (S.ASKING, ANSWER)
        machine.engine.fire(machine, T.ANSWERED)
    assert machine.calls == ["ask", "ask"]


@both
def test_one_that_stands_in_a_step_is_told_once_and_again_when_it_turns(dispatch: Dispatch) -> None:
    machine = machine_in(TABLE, S.ASKING, dispatch)
    machine.yes = {"is_in_step"}
    machine.engine.fire(machine, T.DEADLINE_PASSED)
    assert (machine.state, machine.node.deadline) == (S.BLOCKED, None)
    machine.engine.fire(machine, T.ANSWERED)
    assert (machine.state, machine.calls) == (S.RESTING, ["is_in_step?", "report_blocked", "report_unblocked"])


@both
def test_one_that_waits_and_gets_no_processor_is_waited_for(dispatch: Dispatch) -> None:
    machine = machine_in(TABLE, S.ASKING, dispatch)
    machine.engine.fire(machine, T.DEADLINE_PASSED)
    assert (machine.state, machine.calls) == (S.ASKING, ["is_in_step?"])


@both
@pytest.mark.parametrize("state", [S.RESTING, S.ASKING, S.BLOCKED])
def test_it_ends_with_the_x_ray(dispatch: Dispatch, state: State) -> None:
    machine = machine_in(TABLE, state, dispatch)
    machine.engine.fire(machine, T.CLOSE_ORDERED)
    assert (machine.state, machine.cause, machine.calls) == (S.CLOSED, Cause.SERVER, [])
