"""The stories of a connection to an upstream, told to the bare table. After each step the whole state is asserted."""

from collections.abc import Iterable
from typing import NamedTuple

import pytest

from clerestory.statemachines.contract import Cause, Interest, Name
from clerestory.statemachines.engine import Dispatch
from clerestory.statemachines.upstream import BODY, CONNECT, CONTINUE, IDLE, RESPONSE, TABLE, State, Trigger
from tests.statemachines.recording import BOTH, Clock, machine_in, machine_of

S, T = State, Trigger
both = pytest.mark.parametrize("dispatch", BOTH)
waiting = pytest.mark.parametrize("state", [state for state in S if state is not S.CLOSED])

Handed = Name | Exception | None


class Whole(NamedTuple):
    """All that a connection is at rest: by what way it came here, what it did, and who ended it."""

    way: list[State]
    did: list[str]
    cause: Cause | None = None


class Story:
    """One connection, told step by step."""

    def __init__(self, dispatch: Dispatch) -> None:
        self.clock = Clock()
        self.machine = machine_of(TABLE, dispatch, self.clock)

    def when(self, trigger: Trigger, *yes: str, **handed: Handed | Iterable[Handed]) -> Whole:
        """Fire, with guards that say `yes` and what actions hand back; and tell where that left the connection."""
        machine = self.machine
        machine.yes = set(yes)
        machine.script(**handed)
        machine.calls.clear()
        before = len(machine.history)
        machine.engine.fire(machine, trigger)
        way = [State(row.dest) for row in machine.passed[before:]]
        return Whole(way, [call for call in machine.calls if not call.endswith("?")], machine.cause)


@pytest.fixture(params=BOTH)
def story(request: pytest.FixtureRequest) -> Story:
    return Story(request.param)


# --- the usual course


def test_a_request_on_a_new_connection_and_the_next_one_on_the_same(story: Story) -> None:
    whole = story.when(T.CONNECTED, send_request=T.OUTPUT_FLUSHED)
    assert whole == Whole([S.SENDING_REQUEST, S.AWAITING_RESPONSE], ["send_request", "look_at_input"])
    assert story.when(T.ANSWER_ENDED, "may_be_pooled") == Whole([S.IDLE], ["return_to_pool"])
    whole = story.when(T.REQUEST_GIVEN, send_request=T.OUTPUT_FLUSHED)
    assert whole == Whole([S.SENDING_REQUEST, S.AWAITING_RESPONSE], ["send_request", "look_at_input"])


def test_a_request_that_waits_for_a_connection_is_sent_as_soon_as_one_is_pooled(story: Story) -> None:
    story.when(T.CONNECTED, send_request=T.OUTPUT_FLUSHED)
    whole = story.when(T.ANSWER_ENDED, "may_be_pooled", return_to_pool=T.REQUEST_GIVEN, send_request=T.OUTPUT_FLUSHED)
    assert whole == Whole(
        [S.IDLE, S.SENDING_REQUEST, S.AWAITING_RESPONSE], ["return_to_pool", "send_request", "look_at_input"]
    )


def test_an_exchange_that_was_not_exact_closes_the_connection(story: Story) -> None:
    story.when(T.CONNECTED, send_request=T.OUTPUT_FLUSHED)
    assert story.when(T.ANSWER_ENDED) == Whole([S.CLOSED], ["deliver_end"], Cause.UPSTREAM)


def test_an_answers_body_is_read_only_while_there_is_room_for_it(story: Story) -> None:
    story.when(T.CONNECTED, send_request=T.OUTPUT_FLUSHED)
    assert story.when(T.HEAD_RECEIVED) == Whole([S.READING_BODY], ["deliver_head"])
    assert story.when(T.PIECE_RECEIVED) == Whole([S.READING_BODY], ["deliver_piece"])
    for _ in range(3):
        assert story.machine.node.mask == Interest.READABLE
        assert story.when(T.PIECE_RECEIVED, "is_full") == Whole([S.HOLDING_BODY], ["deliver_piece"])
        assert story.machine.node.mask == 0, "what there is no room for stays with the kernel"
        assert story.when(T.PIECE_REQUESTED) == Whole([S.READING_BODY], [])
    assert story.when(T.ANSWER_ENDED, "may_be_pooled") == Whole([S.IDLE], ["return_to_pool"])


def test_a_requests_body_is_asked_for_only_when_the_socket_has_taken_what_came_before(story: Story) -> None:
    whole = story.when(T.CONNECTED, "has_more_request", send_request=T.OUTPUT_FLUSHED)
    assert whole == Whole([S.SENDING_REQUEST, S.AWAITING_PIECE], ["send_request", "ask_for_piece"])
    assert story.when(T.PIECE_GIVEN) == Whole([S.SENDING_REQUEST], ["send_piece"])
    assert story.when(T.OUTPUT_FLUSHED, "has_more_request") == Whole([S.AWAITING_PIECE], ["ask_for_piece"])
    whole = story.when(T.PIECE_GIVEN, send_piece=T.OUTPUT_FLUSHED)
    assert whole == Whole([S.SENDING_REQUEST, S.AWAITING_RESPONSE], ["send_piece", "look_at_input"])


# --- expectations and early answers


@pytest.mark.parametrize("fact", [T.CONTINUE_RECEIVED, T.DEADLINE_PASSED])
def test_the_body_is_sent_when_the_upstream_wants_it_or_says_nothing(story: Story, fact: Trigger) -> None:
    whole = story.when(T.CONNECTED, "awaits_continue", "has_more_request", send_request=T.OUTPUT_FLUSHED)
    assert whole == Whole([S.SENDING_REQUEST, S.AWAITING_CONTINUE], ["send_request"])
    assert story.when(fact) == Whole([S.AWAITING_PIECE], ["ask_for_piece"])


@pytest.mark.parametrize("waits", ["", "awaits_continue"])
def test_an_early_answer_ends_the_sending_and_the_connection_with_it(story: Story, waits: str) -> None:
    story.when(T.CONNECTED, waits, "has_more_request", send_request=T.OUTPUT_FLUSHED if waits else None)
    whole = story.when(T.ANSWER_ENDED, "may_be_pooled")
    assert whole == Whole([S.CLOSED], ["deliver_end"], Cause.UPSTREAM)


def test_an_early_answer_may_be_found_behind_the_reset_that_followed_it(story: Story) -> None:
    story.when(T.CONNECTED, "has_more_request", send_request=T.OUTPUT_FLUSHED)
    assert story.when(T.ANSWER_ENDED) == Whole([S.CLOSED], ["deliver_end"], Cause.UPSTREAM)


def test_an_answer_that_makes_the_rest_of_its_request_pointless_is_read_like_any_other(story: Story) -> None:
    story.when(T.CONNECTED, "has_more_request")
    assert story.when(T.HEAD_RECEIVED) == Whole([S.READING_BODY], ["stop_sending"])


@pytest.mark.parametrize("waits", [False, True])
def test_an_early_answer_and_the_rest_of_its_request_go_on_at_the_same_time(story: Story, waits: bool) -> None:
    story.when(T.CONNECTED, "has_more_request", send_request=T.OUTPUT_FLUSHED if waits else None)
    assert story.when(T.HEAD_RECEIVED, "goes_on_sending") == Whole([S.EXCHANGING], ["deliver_early"])
    assert story.machine.node.mask == Interest.READABLE | Interest.WRITABLE
    assert story.when(T.OUTPUT_FLUSHED, "has_more_request") == Whole([S.EXCHANGING], ["ask_beside"])
    assert story.when(T.PIECE_RECEIVED) == Whole([S.EXCHANGING], ["deliver_beside"])
    assert story.when(T.PIECE_GIVEN) == Whole([S.EXCHANGING], ["send_beside"])
    assert story.when(T.OUTPUT_FLUSHED) == Whole([S.READING_BODY], ["read_on"])
    assert story.when(T.ANSWER_ENDED, "may_be_pooled") == Whole([S.IDLE], ["return_to_pool"])


def test_an_answer_that_ends_before_its_request_ends_the_connection(story: Story) -> None:
    story.when(T.CONNECTED, "has_more_request", send_request=T.OUTPUT_FLUSHED)
    story.when(T.HEAD_RECEIVED, "goes_on_sending")
    assert story.when(T.ANSWER_ENDED, "may_be_pooled") == Whole([S.CLOSED], ["deliver_end"], Cause.UPSTREAM)


def test_an_upstream_that_takes_no_more_of_the_request_may_still_answer(story: Story) -> None:
    story.when(T.CONNECTED, "has_more_request", send_request=T.OUTPUT_FLUSHED)
    story.when(T.HEAD_RECEIVED, "goes_on_sending")
    assert story.when(T.PIECE_GIVEN, send_beside=T.SENDING_FAILED) == Whole(
        [S.EXCHANGING, S.READING_BODY], ["send_beside", "read_on"]
    )


def test_an_answer_that_came_while_the_request_was_sent_is_looked_at_then(story: Story) -> None:
    whole = story.when(T.CONNECTED, "may_be_pooled", send_request=T.OUTPUT_FLUSHED, look_at_input=T.ANSWER_ENDED)
    assert whole == Whole(
        [S.SENDING_REQUEST, S.AWAITING_RESPONSE, S.IDLE], ["send_request", "look_at_input", "return_to_pool"]
    )


# --- TLS, and upgrades


def test_over_tls_nothing_is_asked_before_the_handshake_has_ended(story: Story) -> None:
    assert story.when(T.CONNECTED, "is_secret") == Whole([S.HANDSHAKING], ["begin_handshake"])
    assert story.machine.node.mask == Interest.READABLE
    whole = story.when(T.HANDSHAKE_ENDED, send_request=T.OUTPUT_FLUSHED)
    assert whole == Whole([S.SENDING_REQUEST, S.AWAITING_RESPONSE], ["send_request", "look_at_input"])


@pytest.mark.parametrize("fact", [T.HANDSHAKE_FAILED, T.UPSTREAM_CLOSED, T.UPSTREAM_RESET])
def test_a_handshake_that_does_not_end_well_ends_the_connection(story: Story, fact: Trigger) -> None:
    story.when(T.CONNECTED, "is_secret")
    assert story.when(fact) == Whole([S.CLOSED], ["give_up"], Cause.UPSTREAM)


@pytest.mark.parametrize(("first", "cause"), [("caller_ended_first", Cause.CLIENT), ("", Cause.UPSTREAM)])
def test_an_upgrade_is_a_tunnel_until_both_have_ended(story: Story, first: str, cause: Cause) -> None:
    story.when(T.CONNECTED, send_request=T.OUTPUT_FLUSHED)
    assert story.when(T.UPGRADED) == Whole([S.TUNNELLING], ["deliver_tunnel"])
    assert story.machine.node.mask == Interest.READABLE | Interest.WRITABLE
    assert story.when(T.TUNNEL_ENDED, first) == Whole([S.CLOSED], [], cause)


# --- ends


def told(state: State) -> list[str]:
    """How whoever waits is told of an end."""
    return {S.IDLE: [], S.TUNNELLING: ["break_tunnel"]}.get(state, ["give_up"])


@both
@waiting
def test_an_order_to_close_ends_it_in_every_state(state: State, dispatch: Dispatch) -> None:
    machine = machine_in(TABLE, state, dispatch)
    machine.engine.fire(machine, T.CLOSE_ORDERED)
    assert (machine.state, machine.cause) == (S.CLOSED, Cause.OPERATOR)
    assert machine.calls == told(state), "whoever waits is told"


@both
@waiting
def test_whoever_asked_may_leave_at_any_moment(state: State, dispatch: Dispatch) -> None:
    machine = machine_in(TABLE, state, dispatch)
    if state is S.IDLE:
        assert not machine.accepts(T.CALLER_LEFT), "nobody has asked"
        return
    machine.engine.fire(machine, T.CALLER_LEFT)
    assert (machine.state, machine.cause) == (S.CLOSED, Cause.CLIENT)
    assert machine.calls == ([] if state is S.CONNECTING else ["cut"]), "the upstream is not to work on for nobody"


@both
@waiting
def test_a_reset_ends_it_and_whoever_waits_is_told(state: State, dispatch: Dispatch) -> None:
    machine = machine_in(TABLE, state, dispatch)
    machine.engine.fire(machine, T.CONNECT_FAILED if state is S.CONNECTING else T.UPSTREAM_RESET)
    assert (machine.state, machine.cause) == (S.CLOSED, Cause.UPSTREAM)
    assert machine.calls == told(state)


@both
@waiting
def test_every_deadline_but_one_ends_it_and_whoever_waits_is_told(state: State, dispatch: Dispatch) -> None:
    machine = machine_in(TABLE, state, dispatch)
    machine.engine.fire(machine, T.DEADLINE_PASSED)
    if state is S.AWAITING_CONTINUE:
        assert (machine.state, machine.calls) == (S.AWAITING_PIECE, ["ask_for_piece"])
        return
    assert (machine.state, machine.cause) == (S.CLOSED, Cause.DEADLINE)
    assert machine.calls == told(state)


@pytest.mark.parametrize("fact", [T.UNEXPECTED_BYTES_RECEIVED, T.UPSTREAM_CLOSED])
def test_whatever_comes_while_it_is_idle_ends_it(fact: Trigger) -> None:
    machine = machine_in(TABLE, S.IDLE)
    machine.engine.fire(machine, fact)
    assert (machine.state, machine.cause, machine.calls) == (S.CLOSED, Cause.UPSTREAM, [])


def test_a_connection_is_pooled_only_where_a_guard_has_looked() -> None:
    rows = [row for row in TABLE.rows if row.dest is S.IDLE]
    assert {row.guard for row in rows} == {"may_be_pooled"}
    assert {row.trigger for row in rows} == {T.ANSWER_ENDED}


@pytest.mark.parametrize(
    ("state", "limit"),
    [
        (S.CONNECTING, CONNECT),
        (S.AWAITING_CONTINUE, CONTINUE),
        (S.AWAITING_RESPONSE, RESPONSE),
        (S.READING_BODY, BODY),
        (S.IDLE, IDLE),
    ],
)
def test_a_deadline_is_the_states_own_and_no_byte_puts_it_off(state: State, limit: object) -> None:
    machine = machine_in(TABLE, state)
    assert machine.node.deadline is limit
    assert not machine.is_overdue(machine.since + machine.node.limit - 0.001)
    assert machine.is_overdue(machine.since + machine.node.limit)
