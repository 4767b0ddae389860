"""The story of the wake-up descriptor: it watches, and closes when the loop ends."""

import pytest

from clerestory.statemachines.contract import Cause
from clerestory.statemachines.engine import Dispatch
from clerestory.statemachines.wakeup import TABLE, State, Trigger
from tests.statemachines.recording import BOTH, machine_of


@pytest.mark.parametrize("dispatch", BOTH)
def test_it_watches_without_a_deadline_until_it_is_ordered_to_close(dispatch: Dispatch) -> None:
    machine = machine_of(TABLE, dispatch)
    assert machine.state is State.WATCHING
    assert not machine.is_overdue(1e12)
    machine.engine.fire(machine, Trigger.CLOSE_ORDERED)
    assert (machine.passed[-1].dest, machine.cause) == (State.CLOSED, Cause.OPERATOR)


def test_a_wake_up_runs_the_callbacks_and_changes_nothing() -> None:
    machine = machine_of(TABLE)
    assert machine.node.when_ready(machine, 0x001) is None
    assert (machine.state, machine.calls, list(machine.history)) == (State.WATCHING, ["run_callbacks"], [])
