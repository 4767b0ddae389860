"""The stories of a connection that speaks HTTP/2, told to the bare table."""

import pytest

from clerestory.statemachines.checks import unlike_model
from clerestory.statemachines.contract import Cause, Interest
from clerestory.statemachines.engine import Dispatch
from clerestory.statemachines.h2_connection import TABLE, Model, State, Trigger
from tests.statemachines.recording import BOTH, Clock, machine_in, machine_of

S, T = State, Trigger
both = pytest.mark.parametrize("dispatch", BOTH)
ALIVE = [S.NEGOTIATING, S.AWAITING_REQUEST, S.SERVING, S.SENDING, S.DRAINING]


def test_the_model_has_what_the_table_names() -> None:
    assert unlike_model(TABLE, Model) == []


@both
def test_a_request_comes_and_is_answered(dispatch: Dispatch) -> None:
    machine = machine_of(TABLE, dispatch, Clock())
    machine.script(go_on=[T.SETTINGS_ACKNOWLEDGED, None, None])
    machine.engine.fire(machine, T.PREFACE_RECEIVED)
    assert str(machine.state) == S.AWAITING_REQUEST
    machine.engine.fire(machine, T.STREAM_OPENED)
    assert str(machine.state) == S.SERVING
    machine.engine.fire(machine, T.OUTPUT_READY)
    assert (machine.state, machine.calls[-1]) == (S.SENDING, "send_later")
    machine.engine.fire(machine, T.OUTPUT_FLUSHED)
    assert (machine.state, machine.cause) == (S.AWAITING_REQUEST, None)


@both
@pytest.mark.parametrize(
    ("yes", "state"),
    [
        ({"is_draining", "awaits_settings", "has_streams"}, S.DRAINING),
        ({"awaits_settings", "has_streams"}, S.NEGOTIATING),
        ({"has_streams"}, S.SERVING),
        (set(), S.AWAITING_REQUEST),
    ],
)
def test_when_all_is_sent_it_waits_for_what_is_still_to_come(dispatch: Dispatch, yes: set[str], state: State) -> None:
    machine = machine_in(TABLE, S.SENDING, dispatch)
    machine.yes = yes
    machine.engine.fire(machine, T.OUTPUT_FLUSHED)
    assert machine.state is state


@both
@pytest.mark.parametrize("state", [S.AWAITING_PREFACE, *ALIVE])
def test_a_violation_ends_it_with_a_goodbye(dispatch: Dispatch, state: State) -> None:
    machine = machine_in(TABLE, state, dispatch)
    machine.engine.fire(machine, T.PROTOCOL_VIOLATED)
    assert (machine.state, machine.cause, machine.calls) == (S.LINGERING, Cause.CLIENT, ["say_goodbye"])
    machine.engine.fire(machine, T.PEER_CLOSED)
    assert str(machine.state) == S.CLOSED


@both
@pytest.mark.parametrize(
    ("yes", "cause"),
    [({"client_leaves", "is_ordered"}, Cause.CLIENT), ({"is_ordered"}, Cause.OPERATOR), (set(), Cause.SERVER)],
)
def test_a_drain_ends_with_its_last_stream(dispatch: Dispatch, yes: set[str], cause: Cause) -> None:
    machine = machine_in(TABLE, S.SERVING, dispatch)
    machine.yes = yes
    machine.engine.fire(machine, T.DRAIN_STARTED)
    assert (machine.state, machine.calls) == (S.DRAINING, ["send_goaway"])
    machine.engine.fire(machine, T.STREAMS_ENDED)
    assert (machine.state, machine.cause) == (S.LINGERING, cause)


@both
@pytest.mark.parametrize("state", [S.SERVING, S.NEGOTIATING])
def test_as_many_streams_as_there_may_be_are_a_drain_too(dispatch: Dispatch, state: State) -> None:
    machine = machine_in(TABLE, state, dispatch)
    machine.engine.fire(machine, T.STREAMS_EXHAUSTED)
    assert (machine.state, machine.calls) == (S.DRAINING, ["send_goaway"])


@both
@pytest.mark.parametrize("state", [S.AWAITING_PREFACE, *ALIVE, S.LINGERING])
def test_it_ends_when_the_peer_has_gone(dispatch: Dispatch, state: State) -> None:
    for trigger in (T.PEER_CLOSED, T.PEER_RESET):
        machine = machine_in(TABLE, state, dispatch)
        machine.engine.fire(machine, trigger)
        assert (machine.state, machine.cause) == (S.CLOSED, Cause.CLIENT)


@both
@pytest.mark.parametrize("state", [S.AWAITING_PREFACE, S.NEGOTIATING, S.AWAITING_REQUEST])
def test_who_says_nothing_is_told_goodbye(dispatch: Dispatch, state: State) -> None:
    machine = machine_in(TABLE, state, dispatch)
    machine.engine.fire(machine, T.DEADLINE_PASSED)
    assert (machine.state, machine.cause, machine.calls) == (S.LINGERING, Cause.DEADLINE, ["say_goodbye"])


@both
def test_a_socket_that_takes_nothing_is_cut(dispatch: Dispatch) -> None:
    machine = machine_in(TABLE, S.SENDING, dispatch)
    machine.engine.fire(machine, T.DEADLINE_PASSED)
    assert (machine.state, machine.cause, machine.calls) == (S.CLOSED, Cause.DEADLINE, ["cut"])


def test_it_waits_for_two_things_only_where_it_says_so() -> None:
    two = {spec.state for spec in TABLE.specs if spec.waits_for == Interest.READABLE | Interest.WRITABLE}
    assert two == {S.SENDING} == {spec.state for spec in TABLE.specs if spec.awaits == "both sides"}
