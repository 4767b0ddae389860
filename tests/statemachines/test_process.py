"""The stories of a process: it starts, serves, drains and stops."""

import pytest

from statemachines.contract import Cause
from statemachines.engine import Dispatch
from statemachines.process import DRAIN, TABLE, State, Trigger
from tests.statemachines.recording import BOTH, Clock, machine_in, machine_of

S, T = State, Trigger

both = pytest.mark.parametrize("dispatch", BOTH)


@both
def test_it_serves_when_it_listens_and_drains_at_the_first_signal(dispatch: Dispatch) -> None:
    clock = Clock()
    machine = machine_of(TABLE, dispatch, clock)
    machine.engine.fire(machine, T.LISTENING)
    assert (machine.state, machine.calls) == (S.SERVING, ["announce"])
    assert not machine.is_overdue(1e12)
    machine.engine.fire(machine, T.SIGNAL_RECEIVED)
    assert (machine.state, machine.calls, machine.cause) == (S.DRAINING, ["announce", "drain"], None)
    assert not machine.is_overdue(clock.now + DRAIN.seconds - 0.001)
    assert machine.is_overdue(clock.now + DRAIN.seconds)


@both
def test_a_drain_with_nothing_in_flight_stops_at_once(dispatch: Dispatch) -> None:
    machine = machine_in(TABLE, S.SERVING, dispatch)
    machine.script(drain=T.CONNECTIONS_ENDED)
    machine.engine.fire(machine, T.SIGNAL_RECEIVED)
    assert (machine.state, machine.calls, machine.cause) == (S.STOPPED, ["drain", "stop"], Cause.OPERATOR)


@both
@pytest.mark.parametrize(
    ("trigger", "action", "cause"),
    [
        (T.CONNECTIONS_ENDED, "stop", Cause.OPERATOR),
        (T.SIGNAL_RECEIVED, "cut_off", Cause.OPERATOR),
        (T.DEADLINE_PASSED, "cut_off", Cause.DEADLINE),
    ],
)
def test_a_drain_ends_with_the_last_connection_a_second_signal_or_its_deadline(
    dispatch: Dispatch, trigger: Trigger, action: str, cause: Cause
) -> None:
    machine = machine_in(TABLE, S.DRAINING, dispatch)
    machine.engine.fire(machine, trigger)
    assert (machine.state, machine.calls, machine.cause) == (S.STOPPED, [action], cause)


@both
def test_a_start_that_is_interrupted_stops(dispatch: Dispatch) -> None:
    machine = machine_of(TABLE, dispatch)
    machine.engine.fire(machine, T.SIGNAL_RECEIVED)
    assert (machine.state, machine.calls, machine.cause) == (S.STOPPED, ["stop"], Cause.OPERATOR)
