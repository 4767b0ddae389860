"""The stories of a piece of work: it waits for a thread, a thread is at it, and whoever asked may leave meanwhile."""

import pytest

from clerestory.statemachines.contract import Cause, Unbounded
from clerestory.statemachines.engine import Dispatch
from clerestory.statemachines.work import QUEUE, TABLE, State, Trigger
from tests.statemachines.recording import BOTH, Clock, machine_in, machine_of

S, T = State, Trigger
both = pytest.mark.parametrize("dispatch", BOTH)


@both
def test_it_waits_for_a_thread_and_then_for_its_end(dispatch: Dispatch) -> None:
    machine = machine_of(TABLE, dispatch, Clock())
    assert (machine.state, machine.node.deadline) == (S.QUEUED, QUEUE)
    assert machine.node.spec.phrase() == "a free thread"
    machine.engine.fire(machine, T.THREAD_GIVEN)
    assert (machine.state, machine.node.deadline) == (S.RUNNING, None)
    assert machine.node.spec.phrase() == "the end of the function"
    machine.engine.fire(machine, T.WORK_ENDED)
    assert (machine.state, machine.cause, machine.calls) == (S.DONE, Cause.SERVER, [])


@both
@pytest.mark.parametrize(
    ("trigger", "action", "cause"),
    [
        (T.CALLER_LEFT, "withdraw", Cause.CLIENT),
        (T.DEADLINE_PASSED, "refuse", Cause.DEADLINE),
        (T.CLOSE_ORDERED, "refuse", Cause.OPERATOR),
    ],
)
def test_what_no_thread_has_taken_ends_at_once(dispatch: Dispatch, trigger: Trigger, action: str, cause: Cause) -> None:
    machine = machine_of(TABLE, dispatch, Clock())
    machine.script(**{action: T.WITHDRAWN})
    machine.engine.fire(machine, trigger)
    assert (machine.state, machine.cause, machine.calls) == (S.DONE, cause, [action])


@both
def test_where_a_thread_was_faster_it_is_abandoned_until_its_end(dispatch: Dispatch) -> None:
    machine = machine_of(TABLE, dispatch, Clock())
    machine.engine.fire(machine, T.CALLER_LEFT)
    assert (machine.state, machine.calls) == (S.ABANDONED, ["withdraw"])
    machine.engine.fire(machine, T.WORK_ENDED)
    assert (machine.state, machine.cause) == (S.DONE, Cause.CLIENT)


@both
def test_nothing_can_stop_what_runs_not_even_an_operator(dispatch: Dispatch) -> None:
    for trigger, cause, calls in ((T.CALLER_LEFT, Cause.CLIENT, []), (T.CLOSE_ORDERED, Cause.OPERATOR, ["refuse"])):
        machine = machine_in(TABLE, S.RUNNING, dispatch)
        machine.engine.fire(machine, trigger)
        assert (machine.state, machine.cause, machine.calls) == (S.ABANDONED, cause, calls)
        assert not machine.accepts(T.CLOSE_ORDERED)


def test_no_state_that_holds_a_thread_has_a_deadline_that_could_not_be_kept() -> None:
    for state in (S.RUNNING, S.ABANDONED):
        deadline = TABLE.spec(state).deadline
        assert isinstance(deadline, Unbounded)
        assert "a thread cannot be stopped" in deadline.why
