"""The story of a worker's channel: orders come by it, and its end makes the worker end alone."""

import pytest

from clerestory.statemachines.contract import Cause
from clerestory.statemachines.engine import Dispatch
from clerestory.statemachines.lifeline import TABLE, State, Trigger
from tests.statemachines.recording import BOTH, machine_of

S, T = State, Trigger


@pytest.mark.parametrize("dispatch", BOTH)
def test_without_a_supervisor_the_worker_ends_alone(dispatch: Dispatch) -> None:
    machine = machine_of(TABLE, dispatch)
    assert not machine.is_overdue(1e12)
    machine.engine.fire(machine, T.SUPERVISOR_GONE)
    assert (machine.state, machine.calls, machine.cause) == (S.CLOSED, ["end_alone"], Cause.SERVER)


def test_its_end_with_the_worker_does_nothing() -> None:
    machine = machine_of(TABLE)
    machine.engine.fire(machine, T.CLOSE_ORDERED)
    assert (machine.state, machine.calls) == (S.CLOSED, [])
