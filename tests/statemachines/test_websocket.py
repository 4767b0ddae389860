"""The stories of a WebSocket: it opens, is silent, is slow, is closed by either side, and breaks."""

import pytest

from clerestory.statemachines.checks import unlike_model
from clerestory.statemachines.contract import Cause, Unbounded, Way
from clerestory.statemachines.engine import Dispatch
from clerestory.statemachines.websocket import CLOSE, PING, PONG, SEND, TABLE, TAKE, Model, State, Trigger
from tests.statemachines.recording import BOTH, Clock, Recording, machine_in, machine_of

S, T = State, Trigger
both = pytest.mark.parametrize("dispatch", BOTH)
TALKING = (S.OPEN, S.AWAITING_PONG, S.AWAITING_ROOM, S.AWAITING_APPLICATION)
READING = (S.OPEN, S.AWAITING_PONG, S.AWAITING_ROOM)


def at(state: State, dispatch: Dispatch, *yes: str) -> Recording:
    """A WebSocket in `state`, of which the guards `yes` hold."""
    machine = machine_in(TABLE, state, dispatch)
    machine.yes = set(yes)
    return machine


def did(machine: Recording) -> list[str]:
    """The actions that it has done."""
    return [call for call in machine.calls if not call.endswith("?")]


def test_the_model_offers_what_the_table_names_and_nothing_else() -> None:
    assert unlike_model(TABLE, Model) == []


@both
def test_it_opens_and_is_closed_by_the_application(dispatch: Dispatch) -> None:
    machine = machine_of(TABLE, dispatch, Clock())
    assert (machine.state, isinstance(machine.engine.initial.spec.deadline, Unbounded)) == (S.OPENING, True)
    way = [(T.SWITCHED, S.OPEN), (T.CLOSE_SENT, S.CLOSING), (T.CLOSE_RECEIVED, S.DISCONNECTING)]
    for trigger, state in way:
        machine.engine.fire(machine, trigger)
        assert machine.state == state
    assert machine.node.deadline is CLOSE
    machine.engine.fire(machine, T.CONNECTION_ENDED)
    assert (machine.state, did(machine)) == (S.CLOSED, [])


@both
def test_it_is_closed_by_the_client(dispatch: Dispatch) -> None:
    machine = at(S.OPEN, dispatch)
    machine.engine.fire(machine, T.CLOSE_RECEIVED)
    assert (machine.state, machine.cause, machine.node.deadline) == (S.PEER_CLOSING, Cause.CLIENT, CLOSE)
    machine.engine.fire(machine, T.CONNECTION_ENDED)
    assert machine.state == S.CLOSED


@both
def test_the_silent_are_sent_a_ping_and_given_up_without_an_answer(dispatch: Dispatch) -> None:
    machine = at(S.OPEN, dispatch)
    assert machine.node.deadline is PING
    machine.engine.fire(machine, T.DEADLINE_PASSED)
    assert (machine.state, machine.node.deadline, did(machine)) == (S.AWAITING_PONG, PONG, ["send_ping"])
    machine.engine.fire(machine, T.CLIENT_HEARD)
    assert machine.state == S.OPEN
    machine.engine.fire(machine, T.DEADLINE_PASSED)
    machine.engine.fire(machine, T.DEADLINE_PASSED)
    assert (machine.state, machine.cause) == (S.DISCONNECTING, Cause.DEADLINE)
    assert did(machine) == ["send_ping", "send_ping", "give_up_silent"]


@both
def test_a_client_that_does_not_read_is_waited_for_and_then_cut(dispatch: Dispatch) -> None:
    machine = at(S.OPEN, dispatch)
    machine.engine.fire(machine, T.ROOM_WANTED)
    assert (machine.state, machine.node.deadline) == (S.AWAITING_ROOM, SEND)
    machine.engine.fire(machine, T.ROOM_MADE)
    assert machine.state == S.OPEN
    machine.engine.fire(machine, T.ROOM_WANTED)
    machine.engine.fire(machine, T.DEADLINE_PASSED)
    assert (machine.state, machine.cause, did(machine)) == (S.DISCONNECTING, Cause.DEADLINE, ["cut_slow"])


@both
def test_an_application_that_does_not_receive_stops_the_reading_and_is_given_up(dispatch: Dispatch) -> None:
    machine = at(S.OPEN, dispatch)
    machine.engine.fire(machine, T.QUEUE_FILLED)
    assert (machine.state, machine.node.deadline) == (S.AWAITING_APPLICATION, TAKE)
    machine.engine.fire(machine, T.QUEUE_TAKEN)
    assert machine.state == S.OPEN
    machine.engine.fire(machine, T.QUEUE_FILLED)
    machine.engine.fire(machine, T.DEADLINE_PASSED)
    assert (machine.state, machine.cause, did(machine)) == (S.DISCONNECTING, Cause.DEADLINE, ["give_up_stalled"])


@both
def test_behind_the_room_a_full_queue_is_waited_for(dispatch: Dispatch) -> None:
    machine = at(S.AWAITING_APPLICATION, dispatch, "is_full")
    machine.engine.fire(machine, T.ROOM_WANTED)
    assert machine.state == S.AWAITING_ROOM
    machine.engine.fire(machine, T.ROOM_MADE)
    assert machine.state == S.AWAITING_APPLICATION


@both
@pytest.mark.parametrize("state", TALKING)
def test_whatever_it_waits_for_the_server_may_close_it(dispatch: Dispatch, state: State) -> None:
    machine = at(state, dispatch)
    machine.engine.fire(machine, T.CLOSE_SENT)
    assert (machine.state, machine.cause) == (S.CLOSING, Cause.SERVER)


@both
@pytest.mark.parametrize("state", READING)
def test_a_client_that_breaks_the_protocol_is_not_waited_for(dispatch: Dispatch, state: State) -> None:
    machine = at(state, dispatch)
    machine.engine.fire(machine, T.PROTOCOL_BROKEN)
    assert (machine.state, machine.cause) == (S.DISCONNECTING, Cause.CLIENT)


@both
@pytest.mark.parametrize("state", [*TALKING, S.PEER_CLOSING, S.DISCONNECTING])
def test_what_has_come_before_the_end_may_still_be_taken(dispatch: Dispatch, state: State) -> None:
    for trigger, way in ((T.ALL_TAKEN, Way.NORMAL), (T.APPLICATION_ENDED, Way.NORMAL), (T.DEADLINE_PASSED, Way.FAULT)):
        machine = at(state, dispatch, "has_untaken")
        machine.engine.fire(machine, T.CONNECTION_ENDED)
        assert machine.state == S.UNTAKEN
        machine.engine.fire(machine, trigger)
        assert (machine.state, machine.history[-1][1].row.way) == (S.CLOSED, way)


@both
@pytest.mark.parametrize("state", [S.CLOSING, S.PEER_CLOSING, S.DISCONNECTING])
def test_a_closing_handshake_that_does_not_end_is_cut(dispatch: Dispatch, state: State) -> None:
    machine = at(state, dispatch)
    assert machine.node.deadline is CLOSE
    machine.engine.fire(machine, T.DEADLINE_PASSED)
    assert (machine.state, did(machine)) == (S.CLOSED, ["cut"])


@both
@pytest.mark.parametrize("state", [state for state in S if state is not S.CLOSED])
def test_an_operator_may_cut_it(dispatch: Dispatch, state: State) -> None:
    machine = at(state, dispatch)
    machine.engine.fire(machine, T.CLOSE_ORDERED)
    assert (machine.state, did(machine)) == (S.CLOSED, [] if state is S.UNTAKEN else ["cut"])
