"""The stories of a WSGI application's call: it answers, streams, waits for us, is left, and is refused."""

import pytest

from clerestory.statemachines.contract import Cause, Unbounded
from clerestory.statemachines.engine import Dispatch
from clerestory.statemachines.wsgi import APPLICATION, QUEUE, STREAM, TABLE, State, Trigger
from tests.statemachines.recording import BOTH, Clock, machine_in, machine_of

S, T = State, Trigger
both = pytest.mark.parametrize("dispatch", BOTH)


@both
def test_it_is_given_a_thread_and_answers(dispatch: Dispatch) -> None:
    machine = machine_of(TABLE, dispatch, Clock())
    assert (machine.state, machine.node.deadline) == (S.QUEUED, QUEUE)
    machine.engine.fire(machine, T.THREAD_GIVEN)
    assert (machine.state, machine.node.deadline) == (S.RUNNING, APPLICATION)
    machine.engine.fire(machine, T.CALL_ENDED)
    assert (machine.state, machine.cause, machine.calls) == (S.DONE, Cause.SERVER, [])


@both
def test_it_reads_a_body_streams_and_closes(dispatch: Dispatch) -> None:
    machine = machine_of(TABLE, dispatch, Clock())
    way = [
        (T.THREAD_GIVEN, S.RUNNING),
        (T.BODY_REQUESTED, S.AWAITING_BODY),
        (T.BODY_GIVEN, S.RUNNING),
        (T.PIECE_GIVEN, S.PRODUCING),
        (T.ROOM_WANTED, S.AWAITING_ROOM),
        (T.ROOM_MADE, S.PRODUCING),
        (T.ANSWER_ENDED, S.LEAVING),
        (T.CALL_ENDED, S.DONE),
    ]
    for trigger, state in way:
        machine.engine.fire(machine, trigger)
        assert machine.state == state


@both
def test_a_body_that_is_read_behind_the_beginning_leads_back_to_producing(dispatch: Dispatch) -> None:
    machine = machine_in(TABLE, S.AWAITING_BODY, dispatch)
    machine.yes.add("has_begun")
    machine.engine.fire(machine, T.BODY_GIVEN)
    assert (machine.state, machine.node.deadline) == (S.PRODUCING, STREAM)


@both
@pytest.mark.parametrize("state", [S.RUNNING, S.AWAITING_BODY, S.PRODUCING, S.AWAITING_ROOM])
def test_a_call_whose_client_has_left_is_told_and_waited_for(dispatch: Dispatch, state: State) -> None:
    machine = machine_in(TABLE, state, dispatch)
    machine.engine.fire(machine, T.CLIENT_LEFT)
    assert (machine.state, machine.cause, machine.calls) == (S.LEAVING, Cause.CLIENT, ["tell_leaving"])
    machine.engine.fire(machine, T.CALL_ENDED)
    assert machine.state == S.DONE


@both
@pytest.mark.parametrize("state", [S.RUNNING, S.PRODUCING])
def test_what_it_does_by_itself_has_a_deadline_and_is_refused(dispatch: Dispatch, state: State) -> None:
    machine = machine_in(TABLE, state, dispatch)
    machine.engine.fire(machine, T.DEADLINE_PASSED)
    assert (machine.state, machine.cause, machine.calls) == (S.LEAVING, Cause.DEADLINE, ["refuse"])


@pytest.mark.parametrize("state", [S.AWAITING_BODY, S.AWAITING_ROOM])
def test_what_it_waits_for_from_a_client_has_the_clients_deadline(state: State) -> None:
    deadline = TABLE.spec(state).deadline
    assert isinstance(deadline, Unbounded)
    assert "the client has a deadline" in deadline.why


@both
@pytest.mark.parametrize(
    ("trigger", "action"),
    [(T.CLIENT_LEFT, "withdraw"), (T.DEADLINE_PASSED, "refuse_queued"), (T.CLOSE_ORDERED, "refuse_queued")],
)
def test_what_no_thread_has_taken_is_taken_back(dispatch: Dispatch, trigger: Trigger, action: str) -> None:
    machine = machine_in(TABLE, S.QUEUED, dispatch)
    machine.script(**{action: T.WITHDRAWN})
    machine.engine.fire(machine, trigger)
    assert (machine.state, machine.calls) == (S.DONE, [action])


@both
@pytest.mark.parametrize("state", [S.RUNNING, S.AWAITING_BODY, S.QUEUED, S.LEAVING])
def test_a_drain_lets_what_has_not_answered_go_on(dispatch: Dispatch, state: State) -> None:
    assert not machine_in(TABLE, state, dispatch).accepts(T.DRAIN_STARTED)
