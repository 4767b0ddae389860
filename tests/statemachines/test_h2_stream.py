"""The stories of one stream of HTTP/2, told to the bare table."""

import pytest

from clerestory.statemachines import connection
from clerestory.statemachines.checks import unlike_model
from clerestory.statemachines.contract import Cause, Interest, Way
from clerestory.statemachines.engine import Dispatch
from clerestory.statemachines.h2_stream import TABLE, Model, State, Trigger
from tests.statemachines.recording import BOTH, Clock, machine_in, machine_of

S, T = State, Trigger
both = pytest.mark.parametrize("dispatch", BOTH)
ALIVE = [state for state in State if state is not S.CLOSED]


def test_the_model_has_what_the_table_names() -> None:
    assert unlike_model(TABLE, Model) == []


def test_it_has_no_descriptor() -> None:
    assert {spec.waits_for for spec in TABLE.specs} == {Interest.NOTHING}


def test_a_state_that_a_connection_of_http_1_1_has_too_means_the_same_there() -> None:
    shared = {spec.state: spec for spec in TABLE.specs if spec.state in list(connection.State) and not spec.final}
    assert len(shared) == 6
    for state, spec in shared.items():
        assert spec.deadline is connection.TABLE.spec(connection.State(state)).deadline


@both
def test_a_request_is_answered(dispatch: Dispatch) -> None:
    machine = machine_of(TABLE, dispatch, Clock())
    machine.script(call_handler=T.OUTPUT_READY)
    machine.engine.fire(machine, T.HEAD_RECEIVED)
    assert (machine.state, machine.calls) == (S.SENDING_RESPONSE, ["call_handler", "queue_output"])
    machine.engine.fire(machine, T.OUTPUT_FLUSHED)
    assert (machine.state, machine.cause, machine.calls[-1]) == (S.CLOSED, Cause.SERVER, "complete")
    assert {row.way for row in machine.passed} == {Way.HAPPY}


@both
@pytest.mark.parametrize(("guard", "cause"), [("is_refused", Cause.CLIENT), ("is_late", Cause.DEADLINE)])
def test_a_refusal_is_a_response_after_which_it_is_known_who_ended_the_stream(
    dispatch: Dispatch, guard: str, cause: Cause
) -> None:
    machine = machine_of(TABLE, dispatch, Clock())
    machine.yes = {guard}
    machine.engine.fire(machine, T.HEAD_REFUSED)
    machine.engine.fire(machine, T.WINDOW_EXHAUSTED)
    assert str(machine.state) == S.AWAITING_WINDOW
    machine.engine.fire(machine, T.WINDOW_OPENED)
    machine.engine.fire(machine, T.OUTPUT_FLUSHED)
    assert (machine.state, machine.cause) == (S.CLOSED, cause)


@both
def test_a_streamed_response_goes_to_and_fro(dispatch: Dispatch) -> None:
    machine = machine_in(TABLE, S.SENDING_RESPONSE, dispatch)
    machine.yes = {"has_more_output"}
    machine.script(produce_output=[T.OUTPUT_READY, None])
    machine.engine.fire(machine, T.OUTPUT_FLUSHED)
    assert str(machine.state) == S.SENDING_RESPONSE
    machine.engine.fire(machine, T.OUTPUT_FLUSHED)
    assert str(machine.state) == S.PRODUCING


@both
@pytest.mark.parametrize("begun", [False, True])
def test_the_body_comes(dispatch: Dispatch, begun: bool) -> None:
    machine = machine_in(TABLE, S.PRODUCING if begun else S.QUERYING_BACKEND, dispatch)
    machine.yes = {"has_begun_response"} if begun else set()
    machine.engine.fire(machine, T.BODY_REQUESTED)
    assert (machine.state, machine.calls) == (S.READING_BODY, ["take_body"])
    machine.engine.fire(machine, T.BODY_RECEIVED)
    assert (machine.state, machine.calls[-1]) == (S.PRODUCING if begun else S.QUERYING_BACKEND, "give_body")


@both
def test_a_window_that_is_used_up_is_waited_for(dispatch: Dispatch) -> None:
    machine = machine_in(TABLE, S.SENDING_RESPONSE, dispatch)
    machine.engine.fire(machine, T.WINDOW_EXHAUSTED)
    assert str(machine.state) == S.AWAITING_WINDOW
    machine.engine.fire(machine, T.WINDOW_OPENED)
    assert (machine.state, machine.calls[-1]) == (S.SENDING_RESPONSE, "queue_output")


@both
def test_the_request_s_body_is_taken_while_the_window_is_waited_for(dispatch: Dispatch) -> None:
    machine = machine_in(TABLE, S.SENDING_RESPONSE, dispatch)
    machine.yes = {"awaits_body"}
    machine.script(take_aside=T.BODY_RECEIVED)
    machine.engine.fire(machine, T.WINDOW_EXHAUSTED)
    assert (machine.state, machine.calls[-1]) == (S.EXCHANGING, "give_aside")
    machine.engine.fire(machine, T.WINDOW_OPENED)
    assert (machine.state, machine.calls[-1]) == (S.EXCHANGING, "queue_output")
    machine.engine.fire(machine, T.OUTPUT_FLUSHED)
    assert (machine.state, machine.calls[-1]) == (S.CLOSED, "complete")


@both
@pytest.mark.parametrize("state", ALIVE)
def test_it_ends_when_the_client_does_not_want_it(dispatch: Dispatch, state: State) -> None:
    machine = machine_in(TABLE, state, dispatch)
    machine.engine.fire(machine, T.PEER_RESET)
    assert (machine.state, machine.cause) == (S.CLOSED, Cause.CLIENT)


@both
@pytest.mark.parametrize("state", ALIVE)
def test_an_order_to_close_resets_it(dispatch: Dispatch, state: State) -> None:
    machine = machine_in(TABLE, state, dispatch)
    machine.engine.fire(machine, T.CLOSE_ORDERED)
    assert (machine.state, machine.cause, machine.calls) == (S.CLOSED, Cause.OPERATOR, ["cut"])


@both
@pytest.mark.parametrize("state", [S.PRODUCING, S.SENDING_RESPONSE, S.AWAITING_WINDOW, S.EXCHANGING])
def test_a_response_that_has_begun_is_cut_at_its_deadline(dispatch: Dispatch, state: State) -> None:
    machine = machine_in(TABLE, state, dispatch)
    machine.engine.fire(machine, T.DEADLINE_PASSED)
    assert (machine.state, machine.cause, machine.calls[-1]) == (S.CLOSED, Cause.DEADLINE, "cut")


# --- a tunnel


@both
def test_behind_an_upgrade_bytes_pass_both_ways_until_both_have_ended(dispatch: Dispatch) -> None:
    machine = machine_in(TABLE, S.SENDING_RESPONSE, dispatch)
    machine.yes = {"has_switched", "is_hosted"}
    machine.engine.fire(machine, T.OUTPUT_FLUSHED)
    assert (machine.state, machine.calls[-1]) == (S.TUNNELLING, "begin_tunnel")
    machine.engine.fire(machine, T.BODY_RECEIVED)
    assert (machine.state, machine.calls[-1]) == (S.TUNNELLING, "pass_in")
    machine.engine.fire(machine, T.WINDOW_OPENED)
    assert (machine.state, machine.calls[-1]) == (S.TUNNELLING, "queue_output")
    machine.engine.fire(machine, T.TUNNEL_ENDED)
    assert (machine.state, machine.cause, machine.calls[-1]) == (S.CLOSED, Cause.SERVER, "end_tunnel")


@both
@pytest.mark.parametrize(
    ("yes", "trigger", "cause", "way", "call"),
    [
        ({"peer_ended_first"}, T.TUNNEL_ENDED, Cause.CLIENT, Way.NORMAL, "end_tunnel"),
        (set(), T.TUNNEL_ENDED, Cause.UPSTREAM, Way.NORMAL, "end_tunnel"),
        ({"is_hosted"}, T.TUNNEL_BROKEN, Cause.SERVER, Way.NORMAL, "cut"),
        (set(), T.TUNNEL_BROKEN, Cause.UPSTREAM, Way.FAULT, "cut"),
        ({"has_ended_first"}, T.PEER_RESET, Cause.CLIENT, Way.NORMAL, ""),
        (set(), T.PEER_RESET, Cause.CLIENT, Way.FAULT, ""),
        (set(), T.DEADLINE_PASSED, Cause.DEADLINE, Way.FAULT, "cut"),
    ],
)
def test_how_a_tunnel_ends(
    dispatch: Dispatch, yes: set[str], trigger: Trigger, cause: Cause, way: Way, call: str
) -> None:
    machine = machine_in(TABLE, S.TUNNELLING, dispatch)
    machine.yes = yes
    machine.engine.fire(machine, trigger)
    assert (machine.state, machine.cause, machine.passed[-1].way) == (S.CLOSED, cause, way)
    assert [one for one in machine.calls if one[-1] != "?"] == ([call] if call else [])
