"""The story of the watch over source files: it looks, and looks again."""

import pytest

from clerestory.statemachines.engine import Dispatch
from clerestory.statemachines.sources import LOOK, TABLE, State, Trigger
from tests.statemachines.recording import BOTH, Clock, machine_of


@pytest.mark.parametrize("dispatch", BOTH)
def test_it_looks_each_time_that_its_deadline_passes(dispatch: Dispatch) -> None:
    clock = Clock()
    machine = machine_of(TABLE, dispatch, clock)
    for _ in range(3):
        assert not machine.is_overdue(clock.now + LOOK.seconds - 0.001)
        clock.now += LOOK.seconds
        assert machine.is_overdue(clock.now)
        machine.engine.fire(machine, Trigger.DEADLINE_PASSED)
    assert (machine.state, machine.calls) == (State.WATCHING, ["look"] * 3)


def test_it_can_be_closed() -> None:
    machine = machine_of(TABLE)
    machine.engine.fire(machine, Trigger.CLOSE_ORDERED)
    assert machine.state is State.CLOSED
