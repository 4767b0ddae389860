"""The stories of one who waits for a slot of a pool: he gets one, leaves, or is told that he waits in vain."""

import pytest

from clerestory.statemachines.contract import Cause, Deadline, Table
from clerestory.statemachines.engine import Dispatch
from clerestory.statemachines.slot import CONNECTION, POSTGRES, SESSION, UPSTREAM, State, Trigger
from tests.statemachines.recording import BOTH, Clock, machine_of

S, T = State, Trigger


@pytest.mark.parametrize(
    ("table", "deadline", "awaits"),
    [(POSTGRES, SESSION, "a free session"), (UPSTREAM, CONNECTION, "a free connection")],
)
@pytest.mark.parametrize("dispatch", BOTH)
@pytest.mark.parametrize(
    ("trigger", "cause", "calls"),
    [
        (T.SLOT_FREED, Cause.SERVER, []),
        (T.CALLER_LEFT, Cause.CLIENT, ["withdraw"]),
        (T.BACKEND_LOST, Cause.UPSTREAM, ["refuse"]),
        (T.DEADLINE_PASSED, Cause.DEADLINE, ["refuse"]),
        (T.CLOSE_ORDERED, Cause.OPERATOR, ["refuse"]),
    ],
)
def test_he_waits_until_something_ends_it(
    table: Table, deadline: Deadline, awaits: str, dispatch: Dispatch, trigger: Trigger, cause: Cause, calls: list[str]
) -> None:
    machine = machine_of(table, dispatch, Clock())
    assert (machine.state, machine.node.deadline, machine.node.spec.phrase()) == (S.WAITING, deadline, awaits)
    machine.engine.fire(machine, trigger)
    assert (machine.state, machine.cause, machine.calls) == (S.DONE, cause, calls)


def test_the_pools_have_deadlines_of_their_own() -> None:
    assert SESSION.option != CONNECTION.option
