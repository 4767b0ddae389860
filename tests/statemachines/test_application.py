"""The stories of an application's task: it answers, streams, waits for us, is left, and is ended."""

import pytest

from clerestory.statemachines.application import APPLICATION, LEAVE, STREAM, TABLE, State, Trigger
from clerestory.statemachines.contract import Cause, Unbounded
from clerestory.statemachines.engine import Dispatch
from tests.statemachines.recording import BOTH, Clock, machine_in, machine_of

S, T = State, Trigger
both = pytest.mark.parametrize("dispatch", BOTH)
UNANSWERED = (S.RUNNING, S.AWAITING_BODY, S.AWAITING_DISCONNECT, S.PRODUCING, S.AWAITING_ROOM, S.CONVERSING)


@both
def test_it_answers_and_returns_in_its_first_step(dispatch: Dispatch) -> None:
    machine = machine_of(TABLE, dispatch, Clock())
    assert (machine.state, machine.node.deadline) == (S.RUNNING, APPLICATION)
    machine.engine.fire(machine, T.TASK_ENDED)
    assert (machine.state, machine.cause, machine.calls) == (S.DONE, Cause.SERVER, [])


@both
def test_it_reads_a_body_streams_an_answer_and_runs_on(dispatch: Dispatch) -> None:
    machine = machine_of(TABLE, dispatch, Clock())
    way = [
        (T.BODY_REQUESTED, S.AWAITING_BODY),
        (T.BODY_GIVEN, S.RUNNING),
        (T.DISCONNECT_WANTED, S.AWAITING_DISCONNECT),
        (T.PIECE_GIVEN, S.PRODUCING),
        (T.ROOM_WANTED, S.AWAITING_ROOM),
        (T.ROOM_MADE, S.PRODUCING),
        (T.PIECE_GIVEN, S.PRODUCING),
        (T.ANSWER_ENDED, S.RUNNING_ON),
        (T.TASK_ENDED, S.DONE),
    ]
    for trigger, state in way:
        machine.engine.fire(machine, trigger)
        assert machine.state == state
    assert machine.calls == []


@both
@pytest.mark.parametrize("state", UNANSWERED)
def test_whoever_has_not_answered_is_told_before_it_is_cancelled(dispatch: Dispatch, state: State) -> None:
    for trigger, cause in ((T.CLIENT_LEFT, Cause.CLIENT), (T.DRAIN_STARTED, Cause.OPERATOR)):
        machine = machine_in(TABLE, state, dispatch)
        machine.engine.fire(machine, trigger)
        assert (machine.state, machine.cause, machine.calls) == (S.LEAVING, cause, ["tell_leaving"])
        assert machine.node.deadline is LEAVE
        machine.engine.fire(machine, T.DEADLINE_PASSED)
        assert (machine.state, machine.calls) == (S.CANCELLING, ["tell_leaving", "cancel"])
        machine.engine.fire(machine, T.TASK_ENDED)
        assert machine.state == S.DONE


@both
@pytest.mark.parametrize("state", [S.RUNNING, S.AWAITING_DISCONNECT, S.PRODUCING])
def test_what_it_does_by_itself_has_a_deadline_and_is_refused(dispatch: Dispatch, state: State) -> None:
    machine = machine_in(TABLE, state, dispatch)
    assert machine.node.deadline is (STREAM if state is S.PRODUCING else APPLICATION)
    machine.engine.fire(machine, T.DEADLINE_PASSED)
    assert (machine.state, machine.cause, machine.calls) == (S.LEAVING, Cause.DEADLINE, ["refuse_late"])


@pytest.mark.parametrize("state", [S.AWAITING_BODY, S.AWAITING_ROOM])
def test_what_it_waits_for_from_a_client_has_the_clients_deadline(state: State) -> None:
    deadline = TABLE.spec(state).deadline
    assert isinstance(deadline, Unbounded)
    assert "the client has a deadline" in deadline.why


@both
def test_a_cancelled_task_that_does_not_end_is_given_up(dispatch: Dispatch) -> None:
    machine = machine_in(TABLE, S.CANCELLING, dispatch)
    machine.engine.fire(machine, T.DEADLINE_PASSED)
    assert (machine.state, machine.calls) == (S.DONE, ["abandon"])


@both
def test_work_behind_the_answer_is_neither_told_nor_late_and_can_be_cancelled(dispatch: Dispatch) -> None:
    machine = machine_in(TABLE, S.RUNNING_ON, dispatch)
    assert machine.node.deadline is None
    assert not any(machine.accepts(trigger) for trigger in (T.CLIENT_LEFT, T.DRAIN_STARTED, T.DEADLINE_PASSED))
    machine.engine.fire(machine, T.CLOSE_ORDERED)
    assert (machine.state, machine.calls) == (S.CANCELLING, ["cancel"])


@both
def test_a_websocket_has_deadlines_of_its_own_and_may_be_left_behind(dispatch: Dispatch) -> None:
    machine = machine_of(TABLE, dispatch, Clock())
    machine.engine.fire(machine, T.WEBSOCKET_ACCEPTED)
    assert (machine.state, machine.node.deadline) == (S.CONVERSING, None)
    machine.engine.fire(machine, T.ANSWER_ENDED)
    assert machine.state == S.RUNNING_ON
    machine.engine.fire(machine, T.TASK_ENDED)
    assert (machine.state, machine.calls) == (S.DONE, [])
