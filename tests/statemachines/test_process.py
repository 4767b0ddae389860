"""The stories of a process: it starts, serves, drains and stops."""

import pytest

from clerestory.statemachines.contract import Cause
from clerestory.statemachines.engine import Dispatch
from clerestory.statemachines.process import DRAIN, LAST, TABLE, State, Trigger
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
    assert (machine.state, machine.calls, machine.cause) == (
        S.AWAITING_LAST_REQUESTS,
        ["announce", "close_listeners"],
        None,
    )
    machine.engine.fire(machine, T.LISTENERS_CLOSED)
    assert machine.state is S.AWAITING_LAST_REQUESTS
    assert machine.calls[2:] == ["has_nothing_under_way?", "announce_drain"]
    assert not machine.is_overdue(clock.now + LAST.seconds - 0.001)
    assert machine.is_overdue(clock.now + LAST.seconds)
    machine.engine.fire(machine, T.DEADLINE_PASSED)
    assert (machine.state, machine.calls[4:]) == (S.DRAINING, ["close_idle"])
    assert not machine.is_overdue(clock.now + DRAIN.seconds - 0.001)
    assert machine.is_overdue(clock.now + DRAIN.seconds)


@both
def test_a_drain_without_connections_stops_when_the_backlog_has_been_taken(dispatch: Dispatch) -> None:
    machine = machine_in(TABLE, S.SERVING, dispatch)
    machine.yes = {"has_nothing_under_way"}
    machine.engine.fire(machine, T.SIGNAL_RECEIVED)
    machine.engine.fire(machine, T.LISTENERS_CLOSED)
    assert (machine.state, machine.calls, machine.cause) == (
        S.STOPPED,
        ["close_listeners", "has_nothing_under_way?", "stop_idle"],
        Cause.OPERATOR,
    )


@both
@pytest.mark.parametrize(("trigger", "action"), [(T.CONNECTIONS_ENDED, "stop"), (T.SIGNAL_RECEIVED, "cut_off")])
def test_last_requests_are_not_waited_for_without_connections_or_after_a_second_signal(
    dispatch: Dispatch, trigger: Trigger, action: str
) -> None:
    machine = machine_in(TABLE, S.AWAITING_LAST_REQUESTS, dispatch)
    machine.engine.fire(machine, trigger)
    assert (machine.state, machine.calls, machine.cause) == (S.STOPPED, [action], Cause.OPERATOR)


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
