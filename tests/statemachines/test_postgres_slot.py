"""The stories of one who waits for a session: he gets one, leaves, or is told that he waits in vain."""

import pytest

from statemachines.contract import Cause
from statemachines.engine import Dispatch
from statemachines.postgres_slot import SLOT, TABLE, State, Trigger
from tests.statemachines.recording import BOTH, Clock, machine_of

S, T = State, Trigger


@pytest.mark.parametrize("dispatch", BOTH)
@pytest.mark.parametrize(
    ("trigger", "cause", "calls"),
    [
        (T.SESSION_FREE, Cause.SERVER, []),
        (T.ASKER_LEFT, Cause.CLIENT, ["withdraw"]),
        (T.DATABASE_LOST, Cause.UPSTREAM, ["refuse"]),
        (T.DEADLINE_PASSED, Cause.DEADLINE, ["refuse"]),
        (T.CLOSE_ORDERED, Cause.OPERATOR, ["refuse"]),
    ],
)
def test_he_waits_until_something_ends_it(dispatch: Dispatch, trigger: Trigger, cause: Cause, calls: list[str]) -> None:
    machine = machine_of(TABLE, dispatch, Clock())
    assert (machine.state, machine.node.deadline, machine.node.spec.phrase()) == (S.WAITING, SLOT, "a free session")
    machine.engine.fire(machine, trigger)
    assert (machine.state, machine.cause, machine.calls) == (S.DONE, cause, calls)
