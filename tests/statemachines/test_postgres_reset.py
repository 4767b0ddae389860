"""The stories of the reset of a session with PostgreSQL, told to the bare table."""

import pytest

from clerestory.statemachines.contract import Cause, Interest
from clerestory.statemachines.postgres_reset import CANCEL, DISCARD, RESET, ROLL_BACK, TABLE, State, Trigger
from tests.statemachines.recording import BOTH, Recording, machine_in, machine_of

S, T = State, Trigger
ENDS = (S.CLEAN, S.FAILED)
waiting = pytest.mark.parametrize("state", [state for state in S if state not in ENDS])


@pytest.fixture(params=BOTH)
def reset(request: pytest.FixtureRequest) -> Recording:
    return machine_of(TABLE, request.param)


def way(reset: Recording) -> list[State]:
    return [State(row.dest) for row in reset.passed]


def fire(reset: Recording, trigger: Trigger, *yes: str) -> None:
    reset.yes = set(yes)
    reset.engine.fire(reset, trigger)


def test_what_the_session_remembers_is_forgotten(reset: Recording) -> None:
    fire(reset, T.RESULTS_ENDED, "is_soiled")
    assert (reset.state, reset.calls[-1], reset.node.deadline) == (S.FORGETTING, "forget", RESET)
    fire(reset, T.RESULTS_ENDED)
    assert (way(reset), reset.cause) == ([S.FORGETTING, S.CLEAN], Cause.SERVER)


def test_a_transaction_is_rolled_back_before_anything_is_forgotten(reset: Recording) -> None:
    fire(reset, T.RESULTS_ENDED, "is_in_transaction", "is_soiled")
    assert (reset.state, reset.calls[-1], reset.node.deadline) == (S.ROLLING_BACK, "roll_back", ROLL_BACK)
    fire(reset, T.RESULTS_ENDED, "is_soiled")
    fire(reset, T.RESULTS_ENDED)
    assert way(reset) == [S.ROLLING_BACK, S.FORGETTING, S.CLEAN]


def test_a_transaction_that_left_nothing_else_behind_is_only_rolled_back(reset: Recording) -> None:
    fire(reset, T.RESULTS_ENDED, "is_in_transaction")
    fire(reset, T.RESULTS_ENDED)
    assert way(reset) == [S.ROLLING_BACK, S.CLEAN]


def test_nothing_is_read_until_the_server_has_taken_the_request_to_stop(reset: Recording) -> None:
    assert reset.node.deadline is DISCARD
    fire(reset, T.CANCEL_WANTED)
    assert (reset.state, reset.calls, reset.node.deadline) == (S.CANCELLING, ["request_cancel"], CANCEL)
    assert reset.node.spec.waits_for is Interest.HANG_UP
    assert not reset.accepts(T.RESULTS_ENDED)
    fire(reset, T.CANCEL_SENT)
    assert (reset.state, reset.calls[-1]) == (S.DISCARDING, "look_again")


def test_a_request_that_came_too_early_is_made_again_and_not_for_ever(reset: Recording) -> None:
    fire(reset, T.CANCEL_WANTED)
    fire(reset, T.CANCEL_SENT)
    fire(reset, T.DEADLINE_PASSED, "may_cancel_again")
    assert (reset.state, reset.calls[-1]) == (S.CANCELLING, "request_cancel")
    fire(reset, T.CANCEL_SENT)
    fire(reset, T.DEADLINE_PASSED)
    assert (reset.state, reset.cause) == (S.FAILED, Cause.DEADLINE)


def test_where_no_request_can_be_made_the_reset_has_failed(reset: Recording) -> None:
    reset.script(request_cancel=T.CANCEL_FAILED)
    fire(reset, T.CANCEL_WANTED)
    assert (way(reset), reset.cause) == ([S.CANCELLING, S.FAILED], Cause.UPSTREAM)


@waiting
def test_in_every_state_it_fails_by_its_deadline_by_a_lost_connection_and_by_order(state: State) -> None:
    for trigger, cause in (
        (T.DEADLINE_PASSED, Cause.DEADLINE),
        (T.CONNECTION_LOST, Cause.UPSTREAM),
        (T.CLOSE_ORDERED, Cause.OPERATOR),
    ):
        machine = machine_in(TABLE, state)
        machine.engine.fire(machine, trigger)
        assert (machine.state, machine.cause) == (S.FAILED, cause)


@pytest.mark.parametrize("state", [S.DISCARDING, S.ROLLING_BACK, S.FORGETTING])
def test_a_session_that_is_refused_to_be_made_clean_is_never_clean(state: State) -> None:
    machine = machine_in(TABLE, state)
    machine.engine.fire(machine, T.RESET_REFUSED)
    assert machine.state is S.FAILED
