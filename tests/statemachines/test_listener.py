"""The stories of a listening socket: it pauses where it could not accept, and comes back."""

import pytest

from clerestory.statemachines.contract import Cause, Interest
from clerestory.statemachines.engine import Dispatch
from clerestory.statemachines.listener import PAUSE, REFUSAL, TABLE, State, Trigger
from tests.statemachines.recording import BOTH, Clock, machine_in, machine_of

S, T = State, Trigger

both = pytest.mark.parametrize("dispatch", BOTH)


@both
@pytest.mark.parametrize("reason", [T.CAPACITY_REACHED, T.DESCRIPTORS_EXHAUSTED])
def test_it_pauses_when_it_can_not_accept_and_comes_back_when_a_connection_ends(
    dispatch: Dispatch, reason: Trigger
) -> None:
    machine = machine_of(TABLE, dispatch)
    machine.engine.fire(machine, reason)
    assert machine.state is S.PAUSED
    assert machine.node.spec.waits_for is Interest.NOTHING, "a readable socket that cannot accept would spin"
    machine.engine.fire(machine, T.CONNECTION_ENDED)
    assert machine.passed[-1].dest is S.ACCEPTING


@both
def test_after_a_pause_it_accepts_again_when_there_is_room(dispatch: Dispatch) -> None:
    clock = Clock()
    machine = machine_of(TABLE, dispatch, clock)
    machine.engine.fire(machine, T.CAPACITY_REACHED)
    assert not machine.is_overdue(clock.now + 0.999)
    assert machine.is_overdue(clock.now + PAUSE.seconds)
    machine.yes = {"has_room"}
    machine.engine.fire(machine, T.DEADLINE_PASSED)
    assert (machine.state, machine.calls[1:]) == (S.ACCEPTING, ["has_room?"])


@both
def test_after_a_pause_without_room_it_refuses_those_who_wait_and_whoever_comes(dispatch: Dispatch) -> None:
    clock = Clock()
    machine = machine_of(TABLE, dispatch, clock)
    machine.engine.fire(machine, T.CAPACITY_REACHED)
    clock.now += 1
    machine.engine.fire(machine, T.DEADLINE_PASSED)
    assert (machine.state, machine.calls) == (S.REFUSING, ["is_overrun?", "has_room?", "refuse_waiting"])
    assert machine.node.spec.waits_for is Interest.READABLE
    assert machine.is_overdue(clock.now + REFUSAL.seconds)
    machine.engine.fire(machine, T.DEADLINE_PASSED)
    assert (machine.state, machine.calls[3:]) == (S.REFUSING, ["has_room?", "tell_refused"])
    machine.engine.fire(machine, T.CONNECTION_ENDED)
    assert machine.state is S.ACCEPTING


@both
def test_clients_who_have_waited_through_a_pause_already_do_not_wait_through_another(dispatch: Dispatch) -> None:
    machine = machine_of(TABLE, dispatch)
    machine.yes = {"is_overrun"}
    machine.engine.fire(machine, T.CAPACITY_REACHED)
    assert (machine.state, machine.calls) == (S.REFUSING, ["is_overrun?", "refuse_waiting"])


@both
def test_while_it_refuses_it_looks_for_room_and_does_not_spin_without_a_descriptor(dispatch: Dispatch) -> None:
    machine = machine_in(TABLE, S.REFUSING, dispatch)
    machine.yes = {"has_room"}
    machine.engine.fire(machine, T.DEADLINE_PASSED)
    assert machine.state is S.ACCEPTING
    machine = machine_in(TABLE, S.REFUSING, dispatch)
    machine.engine.fire(machine, T.DESCRIPTORS_EXHAUSTED)
    assert machine.state is S.PAUSED


@both
@pytest.mark.parametrize("state", [S.ACCEPTING, S.PAUSED, S.REFUSING])
def test_a_drain_closes_it_in_every_state(dispatch: Dispatch, state: State) -> None:
    machine = machine_in(TABLE, state, dispatch)
    machine.engine.fire(machine, T.DRAIN_STARTED)
    assert (machine.state, machine.cause) == (S.CLOSED, Cause.OPERATOR)
    took = ["accept_backlog"] if state is S.ACCEPTING else ["refuse_backlog"]
    assert machine.calls == took, "closing would reset those who have come before"


def test_the_end_of_a_connection_is_of_no_interest_while_it_accepts() -> None:
    machine = machine_of(TABLE)
    assert not machine.accepts(T.CONNECTION_ENDED)
    assert not machine.is_overdue(1e12)
