"""The stories of a look-up: it finds addresses, fails, or takes too long."""

import pytest

from clerestory.statemachines.contract import Cause
from clerestory.statemachines.engine import Dispatch
from clerestory.statemachines.resolution import RESOLVE, TABLE, State, Trigger
from tests.statemachines.recording import BOTH, Clock, machine_of

S, T = State, Trigger


@pytest.mark.parametrize("dispatch", BOTH)
@pytest.mark.parametrize(
    ("trigger", "cause", "action"),
    [
        (T.ADDRESSES_FOUND, Cause.SERVER, "tell"),
        (T.LOOK_UP_FAILED, Cause.UPSTREAM, "tell"),
        (T.DEADLINE_PASSED, Cause.DEADLINE, "give_up"),
        (T.CLOSE_ORDERED, Cause.OPERATOR, "give_up"),
    ],
)
def test_a_look_up_has_a_deadline_and_every_end_is_told(
    dispatch: Dispatch, trigger: Trigger, cause: Cause, action: str
) -> None:
    machine = machine_of(TABLE, dispatch, Clock())
    assert (machine.state, machine.node.deadline, machine.node.spec.phrase()) == (S.ASKING, RESOLVE, "the resolver")
    machine.engine.fire(machine, trigger)
    assert (machine.state, machine.cause, machine.calls) == (S.DONE, cause, [action])
