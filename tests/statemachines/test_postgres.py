"""The stories of a session with PostgreSQL, told to the bare table. After each step the whole state is asserted."""

from collections.abc import Iterable
from typing import NamedTuple

import pytest

from statemachines.contract import Cause, Deadline, Name
from statemachines.engine import Dispatch
from statemachines.postgres import HOLD, IDLE, LOGIN, QUERY, TABLE, State, Trigger
from tests.statemachines.recording import BOTH, Clock, machine_in, machine_of

S, T = State, Trigger
waiting = pytest.mark.parametrize("state", [state for state in S if state is not S.CLOSED])

Handed = Name | Exception | None


class Whole(NamedTuple):
    """All that a session is at rest: by what way it came here, what it did, until when it waits, and who ended it."""

    way: list[State]
    did: list[str]
    deadline: Deadline | None
    cause: Cause | None = None


class Story:
    """One session, told step by step."""

    def __init__(self, dispatch: Dispatch) -> None:
        self.clock = Clock()
        self.machine = machine_of(TABLE, dispatch, self.clock)

    def when(self, trigger: Trigger, *yes: str, **handed: Handed | Iterable[Handed]) -> Whole:
        """Fire, with guards that say `yes` and what actions hand back; and tell where that left the session."""
        machine = self.machine
        machine.yes = set(yes)
        machine.script(**handed)
        machine.calls.clear()
        before = len(machine.history)
        machine.engine.fire(machine, trigger)
        way = [State(row.dest) for row in machine.passed[before:]]
        did = [call for call in machine.calls if not call.endswith("?")]
        return Whole(way, did, machine.node.deadline, machine.cause)

    def waits_for(self) -> str:
        return self.machine.node.spec.waits_for.phrase()

    def connect(self) -> None:
        self.when(T.ANSWER_AWAITED)
        self.when(T.SESSION_STARTED)

    def ask(self) -> None:
        self.connect()
        self.when(T.QUERY_GIVEN, send_query=T.QUERY_SENT)


@pytest.fixture(params=BOTH)
def story(request: pytest.FixtureRequest) -> Story:
    return Story(request.param)


# --- the usual course


def test_a_session_is_made_by_turns_of_writing_and_reading(story: Story) -> None:
    assert story.waits_for() == "writable"
    assert story.when(T.ANSWER_AWAITED) == Whole([S.AUTHENTICATING], [], LOGIN)
    assert story.waits_for() == "readable"
    assert story.when(T.WRITING_AWAITED).way == [S.CONNECTING]
    story.when(T.ANSWER_AWAITED)
    assert story.when(T.SESSION_STARTED) == Whole([S.IDLE], ["offer"], IDLE)


def test_a_session_that_somebody_waits_for_is_given_his_query_at_once(story: Story) -> None:
    story.when(T.ANSWER_AWAITED)
    whole = story.when(T.SESSION_STARTED, offer=T.QUERY_GIVEN, send_query=T.QUERY_SENT)
    assert whole == Whole([S.IDLE, S.SENDING_QUERY, S.AWAITING_RESULT], ["offer", "send_query"], QUERY)


def test_a_query_that_the_socket_takes_at_once_is_three_passages(story: Story) -> None:
    story.connect()
    whole = story.when(T.QUERY_GIVEN, send_query=T.QUERY_SENT)
    assert whole == Whole([S.SENDING_QUERY, S.AWAITING_RESULT], ["send_query"], QUERY)
    assert story.when(T.RESULT_RECEIVED, "is_clean") == Whole([S.IDLE], ["offer"], IDLE)


def test_a_query_that_the_socket_does_not_take_waits_for_both_since_the_server_may_not_read_either(
    story: Story,
) -> None:
    story.connect()
    assert story.when(T.QUERY_GIVEN).way == [S.SENDING_QUERY]
    assert story.waits_for() == "readable or writable"
    assert story.when(T.QUERY_SENT).way == [S.AWAITING_RESULT]


def test_a_statement_that_is_prepared_first_goes_out_in_two_steps(story: Story) -> None:
    story.ask()
    whole = story.when(T.RESULT_RECEIVED, "has_more_to_send", "is_clean", send_query=T.QUERY_SENT)
    assert whole == Whole([S.SENDING_QUERY, S.AWAITING_RESULT], ["send_query"], QUERY)
    assert story.when(T.RESULT_RECEIVED, "is_clean").way == [S.IDLE]


def test_a_transaction_is_held_between_its_queries_and_each_pause_has_its_own_time(story: Story) -> None:
    story.ask()
    for _ in range(3):
        assert story.when(T.RESULT_RECEIVED, "is_in_transaction", "is_clean") == Whole([S.IN_TRANSACTION], [], HOLD)
        story.clock.now += HOLD.seconds - 1
        assert not story.machine.is_overdue(story.clock.now)
        assert story.when(T.QUERY_GIVEN, send_query=T.QUERY_SENT).way == [S.SENDING_QUERY, S.AWAITING_RESULT]
    assert story.when(T.RESULT_RECEIVED, "is_clean") == Whole([S.IDLE], ["offer"], IDLE)


# --- nobody gets a dirty session


@pytest.mark.parametrize("trigger", [T.QUERY_ABANDONED, T.DEADLINE_PASSED, T.RESULT_REFUSED])
def test_a_query_that_is_given_up_is_cancelled_and_the_session_made_clean(story: Story, trigger: Trigger) -> None:
    story.ask()
    whole = story.when(trigger)
    assert (whole.way, whole.did, whole.cause) == ([S.CANCELLING], ["cancel_query"], None)
    assert not story.machine.accepts(T.RESULT_RECEIVED), "it is not looked at until the request is out of the way"
    assert story.waits_for() == "hang-up only"
    whole = story.when(T.CANCEL_SENT)
    assert (whole.way, whole.did) == ([S.RESETTING], ["reset_session"])
    assert story.when(T.SESSION_CLEAN) == Whole([S.IDLE], ["offer"], IDLE)


def test_a_request_that_came_too_early_is_made_again(story: Story) -> None:
    story.ask()
    story.when(T.QUERY_ABANDONED)
    story.when(T.CANCEL_SENT)
    whole = story.when(T.DEADLINE_PASSED, "may_cancel_again")
    assert (whole.way, whole.did, whole.cause) == ([S.CANCELLING], ["cancel_query"], None)
    story.when(T.CANCEL_SENT)
    assert story.when(T.DEADLINE_PASSED) == Whole([S.CLOSED], [], None, Cause.DEADLINE)


def test_where_no_request_to_cancel_can_be_made_the_session_is_closed(story: Story) -> None:
    story.ask()
    whole = story.when(T.QUERY_ABANDONED, cancel_query=T.CANCEL_FAILED)
    assert whole == Whole([S.CANCELLING, S.CLOSED], ["cancel_query"], None, Cause.UPSTREAM)


def test_half_a_query_can_not_be_taken_back(story: Story) -> None:
    story.connect()
    story.when(T.QUERY_GIVEN)
    assert story.when(T.QUERY_ABANDONED) == Whole([S.CLOSED], [], None, Cause.CLIENT)


def test_a_session_left_in_a_transaction_by_a_query_is_reset(story: Story) -> None:
    story.ask()
    whole = story.when(T.RESULT_RECEIVED, reset_session=None)
    assert (whole.way, whole.did) == ([S.RESETTING], ["reset_session"])


@pytest.mark.parametrize("trigger", [T.TRANSACTION_ABANDONED, T.DEADLINE_PASSED])
def test_a_transaction_that_is_left_or_forgotten_is_rolled_back(story: Story, trigger: Trigger) -> None:
    story.ask()
    story.when(T.RESULT_RECEIVED, "is_in_transaction")
    whole = story.when(trigger)
    assert (whole.way, whole.did, whole.cause) == ([S.RESETTING], ["roll_back"], None)


@pytest.mark.parametrize(
    ("trigger", "cause"),
    [
        (T.RESET_FAILED, Cause.UPSTREAM),
        (T.CONNECTION_LOST, Cause.UPSTREAM),
        (T.DEADLINE_PASSED, Cause.DEADLINE),
        (T.CLOSE_ORDERED, Cause.OPERATOR),
    ],
)
def test_a_session_that_can_not_be_made_clean_is_closed(story: Story, trigger: Trigger, cause: Cause) -> None:
    story.ask()
    story.when(T.QUERY_ABANDONED)
    story.when(T.CANCEL_SENT)
    assert story.when(trigger) == Whole([S.CLOSED], [], None, cause)


# --- the end


@pytest.mark.parametrize("dispatch", BOTH)
@waiting
def test_a_lost_connection_and_an_order_to_close_end_a_session_in_every_state(state: State, dispatch: Dispatch) -> None:
    for trigger, cause in ((T.CONNECTION_LOST, Cause.UPSTREAM), (T.CLOSE_ORDERED, Cause.OPERATOR)):
        machine = machine_in(TABLE, state, dispatch)
        machine.engine.fire(machine, trigger)
        assert (machine.state, machine.cause, machine.calls) == (S.CLOSED, cause, [])


@waiting
def test_every_wait_has_a_deadline(state: State) -> None:
    machine = machine_in(TABLE, state)
    assert machine.accepts(T.DEADLINE_PASSED)
    assert machine.is_overdue(machine.since + TABLE.spec(state).deadline.seconds)  # type: ignore[union-attr]


def test_a_session_is_used_by_one_at_a_time() -> None:
    free = [state for state in S if machine_in(TABLE, state).accepts(T.QUERY_GIVEN)]
    assert free == [S.IDLE, S.IN_TRANSACTION]
