"""The stories of a tunnel, told to the bare table."""

import pytest

from clerestory.statemachines.contract import Cause
from clerestory.statemachines.engine import Dispatch
from clerestory.statemachines.tunnel import TABLE, State, Trigger
from tests.statemachines.recording import BOTH, Clock, machine_in, machine_of

S, T = State, Trigger
both = pytest.mark.parametrize("dispatch", BOTH)


@both
@pytest.mark.parametrize(
    ("first", "between", "second", "cause"),
    [
        (T.CLIENT_SENT_LAST, S.CLIENT_ENDED, T.UPSTREAM_SENT_LAST, Cause.CLIENT),
        (T.UPSTREAM_SENT_LAST, S.UPSTREAM_ENDED, T.CLIENT_SENT_LAST, Cause.UPSTREAM),
    ],
)
def test_it_is_over_when_both_have_sent_their_last_and_who_was_first_has_ended_it(
    dispatch: Dispatch, first: Trigger, between: State, second: Trigger, cause: Cause
) -> None:
    machine = machine_of(TABLE, dispatch, Clock())
    assert machine.state is S.AGREED
    machine.engine.fire(machine, T.CLIENT_JOINED)
    machine.engine.fire(machine, first)
    assert (machine.state, machine.calls) == (between, [])
    machine.engine.fire(machine, second)
    assert (machine.state, machine.cause, machine.calls) == (S.OVER, cause, ["end_both"])


@both
@pytest.mark.parametrize("state", [S.AGREED, S.OPEN, S.CLIENT_ENDED, S.UPSTREAM_ENDED])
@pytest.mark.parametrize(
    ("trigger", "action", "cause"),
    [(T.CLIENT_LEFT, "leave_upstream", Cause.CLIENT), (T.UPSTREAM_LOST, "break_client", Cause.UPSTREAM)],
)
def test_what_breaks_on_one_side_is_broken_on_the_other_at_any_time(
    dispatch: Dispatch, state: State, trigger: Trigger, action: str, cause: Cause
) -> None:
    machine = machine_in(TABLE, state, dispatch)
    machine.engine.fire(machine, trigger)
    assert (machine.state, machine.cause, machine.calls) == (S.OVER, cause, [action])
