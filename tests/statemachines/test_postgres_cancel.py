"""The stories of a request to cancel: it goes out, the server closes, and that was it."""

import pytest

from clerestory.statemachines.contract import Cause
from clerestory.statemachines.engine import Dispatch
from clerestory.statemachines.postgres_cancel import CLOSE, SEND, TABLE, State, Trigger
from tests.statemachines.recording import BOTH, Clock, machine_in, machine_of

S, T = State, Trigger
both = pytest.mark.parametrize("dispatch", BOTH)


@both
def test_it_is_sent_and_the_servers_close_is_its_end(dispatch: Dispatch) -> None:
    clock = Clock()
    machine = machine_of(TABLE, dispatch, clock)
    assert (machine.state, machine.node.deadline) == (S.SENDING, SEND)
    assert machine.node.spec.waits_for.phrase() == "writable"
    machine.engine.fire(machine, T.CLOSE_AWAITED)
    assert (machine.state, machine.node.deadline) == (S.AWAITING_CLOSE, CLOSE)
    assert machine.node.spec.waits_for.phrase() == "readable"
    machine.engine.fire(machine, T.REQUEST_TAKEN)
    assert (machine.state, machine.cause, machine.calls) == (S.DONE, Cause.UPSTREAM, [])


@both
def test_libpq_may_have_to_begin_again_on_another_socket(dispatch: Dispatch) -> None:
    machine = machine_in(TABLE, S.AWAITING_CLOSE, dispatch)
    machine.engine.fire(machine, T.WRITING_AWAITED)
    assert machine.state is S.SENDING


@both
@pytest.mark.parametrize("state", [S.SENDING, S.AWAITING_CLOSE])
@pytest.mark.parametrize(
    ("trigger", "cause"),
    [
        (T.REQUEST_TAKEN, Cause.UPSTREAM),
        (T.CONNECTION_LOST, Cause.UPSTREAM),
        (T.DEADLINE_PASSED, Cause.DEADLINE),
        (T.CLOSE_ORDERED, Cause.OPERATOR),
    ],
)
def test_it_ends_from_wherever_it_is(dispatch: Dispatch, state: State, trigger: Trigger, cause: Cause) -> None:
    machine = machine_in(TABLE, state, dispatch)
    machine.engine.fire(machine, trigger)
    assert (machine.state, machine.cause, machine.calls) == (S.DONE, cause, [])
