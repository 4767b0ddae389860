"""The stories of a worker, as its supervisor sees it."""

import pytest

from clerestory.statemachines.contract import Cause
from clerestory.statemachines.engine import Dispatch
from clerestory.statemachines.worker import ABORT, BACK_OFF, LEAVE, RETIREMENT, START, STOP, TABLE, State, Trigger
from tests.statemachines.recording import BOTH, Clock, machine_in, machine_of

S, T = State, Trigger

both = pytest.mark.parametrize("dispatch", BOTH)


@both
def test_the_usual_life_is_ready_before_retire(dispatch: Dispatch) -> None:
    machine = machine_of(TABLE, dispatch)
    for trigger in (T.START_ORDERED, T.READY_TOLD, T.RECYCLING_WANTED, T.RETIRE_ORDERED, T.CHANNEL_CLOSED, T.EXITED):
        machine.engine.fire(machine, trigger)
    assert machine.calls == ["execute", "tell_ready", "ask_for_successor", "order_drain", "await_exit"]
    assert (machine.state, machine.cause) == (S.ENDED, Cause.SERVER)


@both
def test_a_process_that_cannot_be_made_has_ended(dispatch: Dispatch) -> None:
    machine = machine_of(TABLE, dispatch)
    machine.script(execute=T.EXECUTION_FAILED)
    machine.engine.fire(machine, T.DEADLINE_PASSED)
    assert (machine.state, machine.calls) == (S.ENDED, ["execute"])


@pytest.mark.parametrize("state", [S.READY, S.AWAITING_SUCCESSOR, S.RETIRING])
def test_a_blocked_worker_is_killed_and_its_exit_is_awaited(state: State) -> None:
    machine = machine_in(TABLE, state)
    machine.engine.fire(machine, T.BLOCKED_TOLD)
    assert (machine.state, machine.calls) == (S.KILLED, ["kill"])
    assert not machine.accepts(T.CHANNEL_CLOSED)
    machine.engine.fire(machine, T.EXITED)
    assert machine.state is S.ENDED


def test_a_silent_worker_is_asked_for_its_stack_before_it_is_killed() -> None:
    machine = machine_in(TABLE, S.READY)
    machine.engine.fire(machine, T.DEADLINE_PASSED)
    machine.engine.fire(machine, T.DEADLINE_PASSED)
    assert (machine.state, machine.calls, machine.cause) == (S.KILLED, ["abort", "kill"], Cause.DEADLINE)


@pytest.mark.parametrize(
    ("state", "deadline"),
    [
        (S.STARTING, START),
        (S.RETIRING, RETIREMENT),
        (S.STOPPING, STOP),
        (S.ABORTING, ABORT),
        (S.LEAVING, LEAVE),
    ],
)
def test_nobody_outlives_a_deadline(state: State, deadline: object) -> None:
    machine = machine_in(TABLE, state)
    assert machine.node.deadline is deadline
    machine.engine.fire(machine, T.DEADLINE_PASSED)
    assert (machine.state, machine.calls) == (S.KILLED, ["kill"])


def test_an_attempt_is_put_off_for_a_while() -> None:
    clock = Clock()
    machine = machine_of(TABLE, clock=clock)
    assert machine.is_overdue(clock.now + BACK_OFF.seconds)
    assert not machine.is_overdue(clock.now + BACK_OFF.seconds - 0.001)


@pytest.mark.parametrize("order", [T.RETIRE_ORDERED, T.STOP_ORDERED])
def test_what_has_not_been_executed_ends_at_once_and_what_is_not_ready_is_stopped(order: Trigger) -> None:
    machine = machine_of(TABLE)
    machine.engine.fire(machine, order)
    assert (machine.state, machine.calls) == (S.ENDED, [])
    starting = machine_in(TABLE, S.STARTING)
    starting.engine.fire(starting, order)
    assert (starting.state, starting.calls) == (S.STOPPING, ["order_stop"])


def test_only_the_exit_ends_a_process() -> None:
    """The channel's end does not: until it has exited, it may hold what others need."""
    executed = [spec.state for spec in TABLE.specs if not spec.final and spec.state is not S.BACKING_OFF]
    into_end = {row.source: row.trigger for row in TABLE.rows if row.dest is S.ENDED and row.trigger is T.EXITED}
    assert set(into_end) == set(executed)
