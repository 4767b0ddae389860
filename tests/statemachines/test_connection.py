"""The stories of a client connection, told to the bare table. After each step the whole state is asserted."""

from collections.abc import Iterable
from typing import NamedTuple

import pytest

from clerestory.statemachines.connection import (
    BACKEND,
    BODY,
    HALF_CLOSE,
    HANDSHAKE,
    HEAD,
    KEEP_ALIVE,
    LINGER,
    SEND,
    TABLE,
    TUNNEL,
    State,
    Trigger,
)
from clerestory.statemachines.contract import HUNG_UP, Cause, Deadline, Interest, Name, Way
from clerestory.statemachines.engine import Dispatch
from tests.statemachines.recording import BOTH, Clock, machine_in, machine_of

S, T = State, Trigger

Handed = Name | Exception | None


class Whole(NamedTuple):
    """All that a connection is at rest: where, waiting for what, until when, by what way and deeds, ended by whom."""

    state: State
    waits_for: str
    deadline: Deadline | None
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
        waits_for, deadline = machine.node.spec.waits_for.phrase(), machine.node.deadline
        way = [State(row.dest) for row in machine.passed[before:]]
        did = [call for call in machine.calls if not call.endswith("?")]
        return Whole(State(machine.state), waits_for, deadline, way, did, machine.cause)


@pytest.fixture(params=BOTH)
def story(request: pytest.FixtureRequest) -> Story:
    return Story(request.param)


# What a connection is at rest, to be completed with the way there.
def awaiting(way: list[State], did: list[str]) -> Whole:
    return Whole(S.AWAITING_REQUEST, "readable", KEEP_ALIVE, way, did)


def reading_head(way: list[State], did: list[str]) -> Whole:
    return Whole(S.READING_HEAD, "readable", HEAD, way, did)


def reading_body(way: list[State], did: list[str]) -> Whole:
    return Whole(S.READING_BODY, "readable", BODY, way, did)


def querying(way: list[State], did: list[str]) -> Whole:
    return Whole(S.QUERYING_BACKEND, "nothing but a disconnect", BACKEND, way, did)


def producing(way: list[State], did: list[str]) -> Whole:
    return Whole(S.PRODUCING, "nothing but a disconnect", BACKEND, way, did)


def half_closed(way: list[State], did: list[str]) -> Whole:
    return Whole(S.HALF_CLOSED, "nothing but a disconnect", HALF_CLOSE, way, did)


def sending(way: list[State], did: list[str], cause: Cause | None = None) -> Whole:
    return Whole(S.SENDING_RESPONSE, "writable", SEND, way, did, cause)


def lingering(way: list[State], did: list[str], cause: Cause) -> Whole:
    return Whole(S.LINGERING, "readable", LINGER, way, did, cause)


def closed(way: list[State], did: list[str], cause: Cause) -> Whole:
    return Whole(S.CLOSED, "nothing", None, way, did, cause)


def shaking(way: list[State], did: list[str]) -> Whole:
    return Whole(S.HANDSHAKING, "readable or writable", HANDSHAKE, way, did)


# --- TLS


def agreeing(story: Story) -> Whole:
    return story.when(T.TLS_EXPECTED)


def test_where_tls_is_spoken_it_is_agreed_upon_before_the_first_request(story: Story) -> None:
    assert agreeing(story) == shaking([S.HANDSHAKING], ["begin_handshake"])
    assert story.when(T.HANDSHAKE_ENDED) == awaiting([S.AWAITING_REQUEST], ["end_handshake"])
    assert story.machine.cause is None


def test_plain_http_is_answered_and_the_connection_ends_behind_the_answer(story: Story) -> None:
    agreeing(story)
    assert story.when(T.PLAIN_HTTP_RECEIVED) == sending([S.SENDING_RESPONSE], ["refuse"], Cause.CLIENT)
    assert story.when(T.OUTPUT_FLUSHED) == lingering([S.LINGERING], ["half_close"], Cause.CLIENT)


def test_a_handshake_that_fails_is_a_fault_and_its_alert_is_left_to_be_read(story: Story) -> None:
    agreeing(story)
    assert story.when(T.HANDSHAKE_FAILED) == lingering([S.LINGERING], ["half_close"], Cause.CLIENT)
    assert story.machine.passed[-1].way is Way.FAULT


@pytest.mark.parametrize("trigger", [T.PEER_CLOSED, T.PEER_RESET])
@pytest.mark.parametrize(("guards", "way"), [(["has_sent_nothing"], Way.NORMAL), ([], Way.FAULT)])
def test_who_leaves_in_the_handshake_is_at_fault_only_where_it_has_begun_one(
    story: Story, trigger: Trigger, guards: list[str], way: Way
) -> None:
    agreeing(story)
    assert story.when(trigger, *guards) == closed([S.CLOSED], [], Cause.CLIENT)
    assert story.machine.passed[-1].way is way


def test_a_handshake_has_a_deadline_and_makes_room_for_others(story: Story) -> None:
    agreeing(story)
    assert story.machine.accepts(T.ROOM_WANTED)
    assert story.when(T.DEADLINE_PASSED) == closed([S.CLOSED], [], Cause.DEADLINE)


# --- the usual course


def test_one_request_in_one_segment_answered_at_once_is_three_passages(story: Story) -> None:
    whole = story.when(T.HEAD_RECEIVED, "may_keep_alive", call_handler=T.OUTPUT_READY, queue_output=T.OUTPUT_FLUSHED)
    assert whole == awaiting(
        [S.QUERYING_BACKEND, S.SENDING_RESPONSE, S.AWAITING_REQUEST], ["call_handler", "queue_output", "renew"]
    )


def test_requests_on_one_connection_are_the_same_walk_again_and_again(story: Story) -> None:
    for _ in range(100):
        whole = story.when(
            T.HEAD_RECEIVED, "may_keep_alive", call_handler=T.OUTPUT_READY, queue_output=T.OUTPUT_FLUSHED
        )
        assert whole.state is S.AWAITING_REQUEST
        assert whole.cause is None
    counts = [edge.count for edge in story.machine.engine.edges]
    assert sorted(counts, reverse=True)[:4] == [100, 100, 100, 0]


def test_a_head_in_pieces_waits_in_reading_head_and_its_deadline_is_not_put_off_by_each_piece(story: Story) -> None:
    assert story.when(T.HEAD_STARTED) == reading_head([S.READING_HEAD], [])
    since = story.machine.since
    story.clock.now += 9
    assert story.machine.since == since
    assert story.machine.is_overdue(since + HEAD.seconds)
    assert story.when(T.HEAD_RECEIVED) == querying([S.QUERYING_BACKEND], ["call_handler"])


def test_a_handler_that_waits_for_operations_stays_until_it_has_output(story: Story) -> None:
    assert story.when(T.HEAD_RECEIVED) == querying([S.QUERYING_BACKEND], ["call_handler"])
    story.clock.now += 20
    assert story.when(T.BACKEND_ANSWERED) == querying([S.QUERYING_BACKEND], ["resume_handler"])
    late = story.clock.now + BACKEND.seconds - 1
    assert not story.machine.is_overdue(late), "each operation has its own time"
    whole = story.when(T.BACKEND_ANSWERED, resume_handler=T.OUTPUT_READY)
    assert whole == sending([S.QUERYING_BACKEND, S.SENDING_RESPONSE], ["resume_handler", "queue_output"])
    whole = story.when(T.OUTPUT_FLUSHED, "may_keep_alive")
    assert whole == awaiting([S.AWAITING_REQUEST], ["renew"])


def test_a_body_that_is_there_already_is_taken_without_waiting(story: Story) -> None:
    whole = story.when(
        T.HEAD_RECEIVED, call_handler=T.BODY_REQUESTED, take_body=T.BODY_RECEIVED, give_body=T.OUTPUT_READY
    )
    assert whole == sending(
        [S.QUERYING_BACKEND, S.READING_BODY, S.QUERYING_BACKEND, S.SENDING_RESPONSE],
        ["call_handler", "take_body", "give_body", "queue_output"],
    )


def test_a_streamed_body_goes_to_and_fro_between_reading_and_the_handler(story: Story) -> None:
    whole = story.when(T.HEAD_RECEIVED, call_handler=T.BODY_REQUESTED)
    assert whole == reading_body([S.QUERYING_BACKEND, S.READING_BODY], ["call_handler", "take_body"])
    for _ in range(3):
        whole = story.when(T.BODY_RECEIVED, give_body=T.BODY_REQUESTED)
        assert whole == reading_body([S.QUERYING_BACKEND, S.READING_BODY], ["give_body", "take_body"])
    assert story.when(T.BODY_RECEIVED) == querying([S.QUERYING_BACKEND], ["give_body"])


def test_a_streamed_answer_goes_to_and_fro_between_sending_and_producing(story: Story) -> None:
    whole = story.when(T.HEAD_RECEIVED, call_handler=T.OUTPUT_READY)
    assert whole == sending([S.QUERYING_BACKEND, S.SENDING_RESPONSE], ["call_handler", "queue_output"])
    for _ in range(3):
        whole = story.when(T.OUTPUT_FLUSHED, "has_more_output", produce_output=T.OUTPUT_READY)
        assert whole == sending([S.PRODUCING, S.SENDING_RESPONSE], ["produce_output", "queue_output"])
    whole = story.when(T.OUTPUT_FLUSHED, "has_more_output")
    assert whole == producing([S.PRODUCING], ["produce_output"])
    whole = story.when(
        T.BACKEND_ANSWERED, "may_keep_alive", resume_handler=T.OUTPUT_READY, queue_output=T.OUTPUT_FLUSHED
    )
    assert whole == awaiting(
        [S.PRODUCING, S.SENDING_RESPONSE, S.AWAITING_REQUEST], ["resume_handler", "queue_output", "renew"]
    )


def test_an_echo_reads_and_writes_by_turns(story: Story) -> None:
    whole = story.when(
        T.HEAD_RECEIVED,
        "has_more_output",
        "has_begun_response",
        call_handler=T.OUTPUT_READY,
        queue_output=T.OUTPUT_FLUSHED,
        produce_output=T.BODY_REQUESTED,
        take_body=T.BODY_RECEIVED,
        give_body=None,
    )
    assert whole == producing(
        [S.QUERYING_BACKEND, S.SENDING_RESPONSE, S.PRODUCING, S.READING_BODY, S.PRODUCING],
        ["call_handler", "queue_output", "produce_output", "take_body", "give_body"],
    )


# --- farewells


def test_the_last_answer_is_followed_by_a_half_close_and_the_peers_own(story: Story) -> None:
    story.when(T.HEAD_RECEIVED, call_handler=T.OUTPUT_READY)
    assert story.when(T.OUTPUT_FLUSHED) == lingering([S.LINGERING], ["half_close"], Cause.SERVER)
    assert story.when(T.PEER_CLOSED) == closed([S.CLOSED], [], Cause.SERVER)


def test_a_peer_that_has_said_it_is_done_needs_no_lingering(story: Story) -> None:
    story.when(T.HEAD_RECEIVED, call_handler=T.OUTPUT_READY)
    assert story.when(T.OUTPUT_FLUSHED, "peer_is_done") == closed([S.CLOSED], [], Cause.CLIENT)


def test_more_output_comes_before_keeping_alive_and_keeping_alive_before_closing(story: Story) -> None:
    story.when(T.HEAD_RECEIVED, call_handler=T.OUTPUT_READY)
    whole = story.when(T.OUTPUT_FLUSHED, "peer_is_done", "may_keep_alive", "has_more_output")
    assert whole == producing([S.PRODUCING], ["produce_output"])
    whole = story.when(T.OUTPUT_READY, "peer_is_done", "may_keep_alive", queue_output=T.OUTPUT_FLUSHED)
    assert whole == awaiting([S.SENDING_RESPONSE, S.AWAITING_REQUEST], ["queue_output", "renew"])


def test_a_peer_that_sends_without_end_while_we_linger_is_left(story: Story) -> None:
    story.when(T.HEAD_RECEIVED, call_handler=T.OUTPUT_READY, queue_output=T.OUTPUT_FLUSHED)
    assert story.when(T.LINGER_EXHAUSTED) == closed([S.CLOSED], [], Cause.SERVER)


def test_a_client_that_leaves_between_requests_ends_the_connection_without_ado(story: Story) -> None:
    assert story.when(T.PEER_CLOSED) == closed([S.CLOSED], [], Cause.CLIENT)


def test_a_client_that_leaves_within_a_head_is_a_fault_of_its_own(story: Story) -> None:
    story.when(T.HEAD_STARTED)
    assert story.when(T.PEER_CLOSED) == closed([S.CLOSED], [], Cause.CLIENT)


# --- refusals


@pytest.mark.parametrize("before", [[], [T.HEAD_STARTED]], ids=["at once", "in pieces"])
def test_a_refused_head_is_answered_and_then_we_half_close_and_linger(story: Story, before: list[Trigger]) -> None:
    for trigger in before:
        story.when(trigger)
    assert story.when(T.HEAD_REFUSED) == sending([S.SENDING_RESPONSE], ["refuse"], Cause.CLIENT)
    assert story.when(T.OUTPUT_FLUSHED) == lingering([S.LINGERING], ["half_close"], Cause.CLIENT)
    assert story.when(T.PEER_CLOSED) == closed([S.CLOSED], [], Cause.CLIENT)


def test_a_refused_body_is_answered_when_nothing_was_answered_yet(story: Story) -> None:
    story.when(T.HEAD_RECEIVED, call_handler=T.BODY_REQUESTED)
    whole = story.when(T.BODY_REFUSED, refuse=T.OUTPUT_FLUSHED)
    assert whole == lingering([S.SENDING_RESPONSE, S.LINGERING], ["refuse", "half_close"], Cause.CLIENT)


def test_a_refused_body_cuts_an_answer_that_has_begun(story: Story) -> None:
    story.when(T.HEAD_RECEIVED, call_handler=T.BODY_REQUESTED)
    assert story.when(T.BODY_REFUSED, "has_begun_response") == closed([S.CLOSED], ["cut"], Cause.CLIENT)


def test_an_answer_that_breaks_is_cut_so_that_the_client_sees_it(story: Story) -> None:
    story.when(T.HEAD_RECEIVED, call_handler=T.OUTPUT_READY)
    whole = story.when(T.OUTPUT_FLUSHED, "has_more_output", produce_output=T.RESPONSE_BROKEN)
    assert whole == closed([S.PRODUCING, S.CLOSED], ["produce_output", "cut"], Cause.SERVER)


def test_an_answer_whose_backend_fails_is_cut_and_the_backend_is_to_blame(story: Story) -> None:
    story.when(T.HEAD_RECEIVED, call_handler=T.OUTPUT_READY)
    story.when(T.OUTPUT_FLUSHED, "has_more_output")
    whole = story.when(T.BACKEND_ANSWERED, resume_handler=T.BACKEND_FAILED)
    assert whole == closed([S.PRODUCING, S.CLOSED], ["resume_handler", "cut"], Cause.UPSTREAM)


def test_an_answer_that_breaks_while_it_is_sent_is_cut_all_the_same(story: Story) -> None:
    whole = story.when(T.HEAD_RECEIVED, call_handler=T.OUTPUT_READY, queue_output=T.RESPONSE_BROKEN)
    assert whole == closed(
        [S.QUERYING_BACKEND, S.SENDING_RESPONSE, S.CLOSED], ["call_handler", "queue_output", "cut"], Cause.SERVER
    )


# --- deadlines


def test_an_idle_connection_is_half_closed_at_its_deadline(story: Story) -> None:
    assert story.machine.is_overdue(story.clock.now + KEEP_ALIVE.seconds)
    assert story.when(T.DEADLINE_PASSED) == lingering([S.LINGERING], ["half_close"], Cause.DEADLINE)
    assert story.when(T.DEADLINE_PASSED) == closed([S.CLOSED], [], Cause.DEADLINE)


def test_a_slow_head_is_answered_late(story: Story) -> None:
    story.when(T.HEAD_STARTED)
    whole = story.when(T.DEADLINE_PASSED, refuse_late=T.OUTPUT_FLUSHED)
    assert whole == lingering([S.SENDING_RESPONSE, S.LINGERING], ["refuse_late", "half_close"], Cause.DEADLINE)


@pytest.mark.parametrize("handed", [None, T.BODY_REQUESTED], ids=["backend", "body"])
def test_a_slow_backend_or_body_is_answered_late_when_nothing_was_answered_yet(
    story: Story, handed: Trigger | None
) -> None:
    story.when(T.HEAD_RECEIVED, call_handler=handed)
    assert story.when(T.DEADLINE_PASSED) == sending([S.SENDING_RESPONSE], ["refuse_late"], Cause.DEADLINE)


@pytest.mark.parametrize("handed", [None, T.BODY_REQUESTED], ids=["backend", "body"])
def test_a_slow_backend_or_body_cuts_an_answer_that_has_begun(story: Story, handed: Trigger | None) -> None:
    story.when(T.HEAD_RECEIVED, call_handler=T.OUTPUT_READY)
    story.when(T.OUTPUT_FLUSHED, "has_more_output", produce_output=handed)
    assert story.when(T.DEADLINE_PASSED, "has_begun_response") == closed([S.CLOSED], ["cut"], Cause.DEADLINE)


def test_a_handler_that_has_used_up_its_time_is_answered_late_when_it_would_go_on(story: Story) -> None:
    story.when(T.HEAD_RECEIVED)
    whole = story.when(T.BACKEND_ANSWERED, resume_handler=T.DEADLINE_PASSED)
    assert whole == sending([S.QUERYING_BACKEND, S.SENDING_RESPONSE], ["resume_handler", "refuse_late"], Cause.DEADLINE)


def test_a_stream_that_hands_out_nothing_is_cut_when_it_would_go_on(story: Story) -> None:
    story.when(T.HEAD_RECEIVED, call_handler=T.OUTPUT_READY)
    whole = story.when(T.OUTPUT_FLUSHED, "has_more_output", produce_output=T.DEADLINE_PASSED)
    assert whole == closed([S.PRODUCING, S.CLOSED], ["produce_output", "cut"], Cause.DEADLINE)


def test_a_slow_reader_is_cut(story: Story) -> None:
    story.when(T.HEAD_RECEIVED, call_handler=T.OUTPUT_READY)
    assert story.when(T.DEADLINE_PASSED) == closed([S.CLOSED], ["cut"], Cause.DEADLINE)


def test_the_cause_is_the_first_that_was_told_not_the_last(story: Story) -> None:
    story.when(T.HEAD_REFUSED)
    whole = story.when(T.DEADLINE_PASSED)
    assert whole == closed([S.CLOSED], ["cut"], Cause.CLIENT)


# --- the peer, and the operator


@pytest.mark.parametrize("dispatch", BOTH)
@pytest.mark.parametrize("state", [state for state in S if state is not S.CLOSED])
def test_a_reset_ends_the_connection_in_every_state(state: State, dispatch: Dispatch) -> None:
    machine = machine_in(TABLE, state, dispatch)
    machine.engine.fire(machine, T.PEER_RESET)
    did = [call for call in machine.calls if not call.endswith("?")]
    assert (machine.state, machine.cause, did) == (S.CLOSED, Cause.CLIENT, [])


@pytest.mark.parametrize("dispatch", BOTH)
@pytest.mark.parametrize("state", [state for state in S if state is not S.CLOSED])
def test_an_order_to_close_ends_the_connection_in_every_state(state: State, dispatch: Dispatch) -> None:
    machine = machine_in(TABLE, state, dispatch)
    machine.engine.fire(machine, T.CLOSE_ORDERED)
    in_flight = state not in (S.AWAITING_REQUEST, S.LINGERING)
    assert (machine.state, machine.cause) == (S.CLOSED, Cause.OPERATOR)
    assert machine.calls == (["cut"] if in_flight else []), "an answer in flight is cut, so that it is seen"


def test_a_reset_that_an_action_meets_ends_the_connection_there(story: Story) -> None:
    whole = story.when(T.HEAD_RECEIVED, call_handler=T.OUTPUT_READY, queue_output=T.PEER_RESET)
    assert whole == closed(
        [S.QUERYING_BACKEND, S.SENDING_RESPONSE, S.CLOSED], ["call_handler", "queue_output"], Cause.CLIENT
    )


def test_a_half_close_is_not_looked_at_while_response_bytes_wait_for_the_socket() -> None:
    machine = machine_in(TABLE, S.SENDING_RESPONSE)
    assert not machine.accepts(T.PEER_CLOSED)
    assert machine.node.spec.waits_for is Interest.WRITABLE


@pytest.mark.parametrize("state", [S.QUERYING_BACKEND, S.PRODUCING])
def test_a_half_close_is_noticed_while_a_handler_or_a_piece_is_waited_for(state: State) -> None:
    machine = machine_in(TABLE, state)
    assert machine.accepts(T.PEER_CLOSED)
    assert machine.node.accepted_events == Interest.HALF_CLOSE | HUNG_UP


def test_a_client_that_has_shut_its_side_gets_its_answer(story: Story) -> None:
    story.when(T.HEAD_RECEIVED)
    assert story.when(T.PEER_CLOSED, "is_worth_answering") == half_closed([S.HALF_CLOSED], [])
    assert story.when(T.BACKEND_ANSWERED) == querying([S.QUERYING_BACKEND], ["resume_handler"])
    assert story.when(T.PEER_CLOSED, "is_worth_answering") == half_closed([S.HALF_CLOSED], [])
    whole = story.when(T.BACKEND_ANSWERED, resume_handler=T.OUTPUT_READY)
    assert whole == sending([S.QUERYING_BACKEND, S.SENDING_RESPONSE], ["resume_handler", "queue_output"])


def test_a_client_that_has_shut_its_side_gets_the_next_piece_of_its_stream(story: Story) -> None:
    story.when(T.HEAD_RECEIVED, call_handler=T.OUTPUT_READY)
    story.when(T.OUTPUT_FLUSHED, "has_more_output")
    assert story.when(T.PEER_CLOSED, "is_worth_answering") == half_closed([S.HALF_CLOSED], [])
    whole = story.when(T.BACKEND_ANSWERED, "has_begun_response", resume_handler=T.OUTPUT_READY)
    assert whole == sending([S.PRODUCING, S.SENDING_RESPONSE], ["resume_handler", "queue_output"])


def test_what_is_not_worth_an_answer_ends_with_the_clients_half_close(story: Story) -> None:
    story.when(T.HEAD_RECEIVED)
    assert story.when(T.PEER_CLOSED) == closed([S.CLOSED], [], Cause.CLIENT)


def test_a_stream_that_is_not_worth_going_on_with_is_cut(story: Story) -> None:
    story.when(T.HEAD_RECEIVED, call_handler=T.OUTPUT_READY)
    story.when(T.OUTPUT_FLUSHED, "has_more_output")
    assert story.when(T.PEER_CLOSED) == closed([S.CLOSED], ["cut"], Cause.CLIENT)


def test_a_client_that_has_shut_its_side_is_not_waited_for_longer_than_its_answer_is_worth(story: Story) -> None:
    story.when(T.HEAD_RECEIVED)
    story.when(T.PEER_CLOSED, "is_worth_answering")
    assert story.when(T.DEADLINE_PASSED) == sending([S.SENDING_RESPONSE], ["refuse_late"], Cause.CLIENT)


def test_a_silent_stream_is_cut_when_its_client_has_shut_its_side(story: Story) -> None:
    story.when(T.HEAD_RECEIVED, call_handler=T.OUTPUT_READY)
    story.when(T.OUTPUT_FLUSHED, "has_more_output")
    story.when(T.PEER_CLOSED, "is_worth_answering")
    assert story.when(T.DEADLINE_PASSED, "has_begun_response") == closed([S.CLOSED], ["cut"], Cause.CLIENT)


def test_a_continue_that_the_socket_does_not_take_is_sent_like_a_response_and_then_the_body_read(story: Story) -> None:
    whole = story.when(T.HEAD_RECEIVED, call_handler=T.BODY_REQUESTED, take_body=T.CONTINUE_HELD_UP)
    assert whole == sending(
        [S.QUERYING_BACKEND, S.READING_BODY, S.SENDING_RESPONSE], ["call_handler", "take_body", "queue_output"]
    )
    assert story.when(T.OUTPUT_FLUSHED, "awaits_body") == reading_body([S.READING_BODY], ["await_body"])


def test_what_ends_while_the_rest_of_a_continue_is_sent_is_gone_on_with_behind_it(story: Story) -> None:
    story.when(T.HEAD_RECEIVED, call_handler=T.BODY_REQUESTED, take_body=T.CONTINUE_HELD_UP)
    whole = story.when(T.OUTPUT_FLUSHED, "awaits_body", await_body=T.BACKEND_ANSWERED)
    assert whole == querying([S.READING_BODY, S.QUERYING_BACKEND], ["await_body", "resume_handler"])


def test_a_drain_half_closes_an_idle_connection_and_lingers(story: Story) -> None:
    """A request that is on its way would make a bare close a reset."""
    story.when(T.DRAIN_STARTED)
    assert (story.machine.state, story.machine.calls) == (S.LINGERING, ["half_close"])


def test_an_idle_connection_makes_room_for_another(story: Story) -> None:
    assert story.when(T.ROOM_WANTED) == closed([S.CLOSED], [], Cause.SERVER)


def test_a_drain_lets_what_is_in_flight_finish() -> None:
    accepting = [state for state in S if machine_in(TABLE, state).accepts(T.DRAIN_STARTED)]
    assert accepting == [S.AWAITING_REQUEST]


def test_a_drained_exchange_ends_with_its_answer(story: Story) -> None:
    story.when(T.HEAD_RECEIVED)
    whole = story.when(T.BACKEND_ANSWERED, resume_handler=T.OUTPUT_READY, queue_output=T.OUTPUT_FLUSHED)
    assert whole == lingering(
        [S.QUERYING_BACKEND, S.SENDING_RESPONSE, S.LINGERING],
        ["resume_handler", "queue_output", "half_close"],
        Cause.SERVER,
    )


# --- upgrades


def tunnelling(story: Story) -> None:
    story.when(T.HEAD_RECEIVED, call_handler=T.OUTPUT_READY)
    whole = story.when(T.OUTPUT_FLUSHED, "has_switched")
    assert whole == Whole(S.TUNNELLING, "readable or writable", TUNNEL, [S.TUNNELLING], ["begin_tunnel"])


@pytest.mark.parametrize(("first", "cause"), [("peer_ended_first", Cause.CLIENT), ("", Cause.UPSTREAM)])
def test_a_tunnel_ends_when_both_have_ended(story: Story, first: str, cause: Cause) -> None:
    tunnelling(story)
    whole = story.when(T.TUNNEL_ENDED, first)
    assert (whole.way, whole.did, whole.cause) == ([S.CLOSED], [], cause)


@pytest.mark.parametrize(
    ("fact", "did", "cause"),
    [
        (T.TUNNEL_BROKEN, ["cut"], Cause.UPSTREAM),
        (T.PEER_RESET, [], Cause.CLIENT),
        (T.DEADLINE_PASSED, ["cut"], Cause.DEADLINE),
        (T.CLOSE_ORDERED, ["cut"], Cause.OPERATOR),
    ],
)
def test_a_tunnel_that_breaks_is_cut(story: Story, fact: Trigger, did: list[str], cause: Cause) -> None:
    tunnelling(story)
    whole = story.when(fact)
    assert (whole.way, whole.did, whole.cause) == ([S.CLOSED], did, cause)


@pytest.mark.parametrize(("fact", "did"), [(T.TUNNEL_ENDED, []), (T.TUNNEL_BROKEN, ["cut"])])
def test_what_an_application_ends_is_ended_by_the_server(story: Story, fact: Trigger, did: list[str]) -> None:
    tunnelling(story)
    whole = story.when(fact, "is_hosted")
    assert (whole.way, whole.did, whole.cause) == ([S.CLOSED], did, Cause.SERVER)


def test_a_drain_lets_a_tunnel_go_on(story: Story) -> None:
    tunnelling(story)
    assert not story.machine.accepts(T.DRAIN_STARTED)


def test_a_tunnel_may_be_over_as_soon_as_it_has_begun(story: Story) -> None:
    story.when(T.HEAD_RECEIVED, call_handler=T.OUTPUT_READY)
    whole = story.when(T.OUTPUT_FLUSHED, "has_switched", begin_tunnel=T.TUNNEL_BROKEN)
    assert (whole.way, whole.cause) == ([S.TUNNELLING, S.CLOSED], Cause.UPSTREAM)
