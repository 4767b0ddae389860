"""The stories of an inquiry: it is answered, or it ends without an answer, in time."""

import pytest

from clerestory.statemachines.contract import Cause
from clerestory.statemachines.engine import Dispatch
from clerestory.statemachines.inquiry import ANSWER, TABLE, State, Trigger
from tests.statemachines.recording import BOTH, machine_in, machine_of

S, T = State, Trigger


@pytest.mark.parametrize("dispatch", BOTH)
def test_it_asks_and_is_answered(dispatch: Dispatch) -> None:
    machine = machine_of(TABLE, dispatch)
    for trigger in (T.REQUEST_SENT, T.ANSWER_RECEIVED):
        machine.engine.fire(machine, trigger)
    assert (machine.state, machine.cause) == (S.ENDED, Cause.SERVER)


@pytest.mark.parametrize("state", [S.ASKING, S.AWAITING_ANSWER])
@pytest.mark.parametrize(
    ("trigger", "cause"),
    [(T.CONNECTION_LOST, Cause.SERVER), (T.CLOSE_ORDERED, Cause.CLIENT), (T.DEADLINE_PASSED, Cause.DEADLINE)],
)
def test_it_ends_wherever_it_is(state: State, trigger: Trigger, cause: Cause) -> None:
    machine = machine_in(TABLE, state)
    machine.engine.fire(machine, trigger)
    assert (machine.state, machine.cause) == (S.ENDED, cause)


@pytest.mark.parametrize("state", [S.ASKING, S.AWAITING_ANSWER])
def test_nobody_is_waited_for_longer_than_the_deadline(state: State) -> None:
    machine = machine_in(TABLE, state)
    assert not machine.is_overdue(machine.since + ANSWER.seconds - 0.001)
    assert machine.is_overdue(machine.since + ANSWER.seconds)
