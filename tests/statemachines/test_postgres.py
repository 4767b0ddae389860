"""The stories of a session with PostgreSQL, told to the bare table. After each step the whole state is asserted."""

from collections.abc import Iterable
from typing import NamedTuple

import pytest

from clerestory.statemachines.contract import Cause, Deadline, Interest, Name
from clerestory.statemachines.engine import Dispatch
from clerestory.statemachines.postgres import HOLD, IDLE, LOGIN, PREPARE, QUERY, TABLE, State, Trigger
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
    assert story.when(T.RESULT_RECEIVED, "is_clean") == Whole([S.IDLE], ["release"], IDLE)


def test_a_query_that_the_socket_does_not_take_waits_for_both_since_the_server_may_not_read_either(
    story: Story,
) -> None:
    story.connect()
    assert story.when(T.QUERY_GIVEN).way == [S.SENDING_QUERY]
    assert story.waits_for() == "readable or writable"
    assert story.when(T.QUERY_SENT).way == [S.AWAITING_RESULT]


def test_a_statement_is_prepared_in_a_state_of_its_own_before_the_query_goes_out(story: Story) -> None:
    story.connect()
    whole = story.when(T.QUERY_GIVEN, send_query=T.STATEMENT_SENT)
    assert whole == Whole([S.SENDING_QUERY, S.PREPARING], ["send_query"], PREPARE)
    whole = story.when(T.STATEMENT_PREPARED, send_query=T.QUERY_SENT)
    assert whole == Whole([S.SENDING_QUERY, S.AWAITING_RESULT], ["send_query"], QUERY)
    assert story.when(T.RESULT_RECEIVED, "is_clean").way == [S.IDLE]


def test_a_statement_that_cannot_be_prepared_ends_as_a_query_that_fails(story: Story) -> None:
    for guards, way, did in (
        (("is_in_transaction",), S.IN_TRANSACTION, "deliver_result"),
        (("is_clean",), S.IDLE, "release"),
        ((), S.RESETTING, "reset_session"),
    ):
        machine = machine_in(TABLE, S.PREPARING)
        machine.yes = set(guards)
        machine.engine.fire(machine, T.RESULT_RECEIVED)
        assert (machine.state, machine.calls[-1]) == (way, did)


def test_a_transaction_is_held_between_its_queries_and_each_pause_has_its_own_time(story: Story) -> None:
    story.ask()
    for _ in range(3):
        whole = story.when(T.RESULT_RECEIVED, "is_in_transaction", "is_clean")
        assert whole == Whole([S.IN_TRANSACTION], ["deliver_result"], HOLD)
        story.clock.now += HOLD.seconds - 1
        assert not story.machine.is_overdue(story.clock.now)
        assert story.when(T.QUERY_GIVEN, send_query=T.QUERY_SENT).way == [S.SENDING_QUERY, S.AWAITING_RESULT]
    assert story.when(T.RESULT_RECEIVED, "is_clean") == Whole([S.IDLE], ["release"], IDLE)


# --- nobody gets a dirty session


@pytest.mark.parametrize("state", [S.PREPARING, S.AWAITING_RESULT])
@pytest.mark.parametrize("trigger", [T.QUERY_ABANDONED, T.DEADLINE_PASSED])
def test_a_query_that_is_given_up_has_the_session_made_clean(state: State, trigger: Trigger) -> None:
    machine = machine_in(TABLE, state)
    machine.engine.fire(machine, trigger)
    assert (machine.state, machine.calls, machine.cause) == (S.RESETTING, ["reset_session"], None)
    assert not machine.accepts(T.RESULT_RECEIVED), "it does not read while the reset does"
    assert machine.node.spec.waits_for is Interest.HANG_UP
    machine.engine.fire(machine, T.SESSION_CLEANED)
    assert (machine.state, machine.calls[-1]) == (S.IDLE, "offer")


def test_a_result_that_is_refused_has_the_session_made_clean(story: Story) -> None:
    story.ask()
    assert story.when(T.RESULT_REFUSED) == Whole([S.RESETTING], ["reset_session"], None)


def test_half_a_query_cannot_be_taken_back(story: Story) -> None:
    story.connect()
    story.when(T.QUERY_GIVEN)
    assert story.when(T.QUERY_ABANDONED) == Whole([S.CLOSED], [], None, Cause.CLIENT)


def test_a_session_that_may_remember_something_is_reset_before_it_is_offered(story: Story) -> None:
    story.ask()
    assert story.when(T.RESULT_RECEIVED) == Whole([S.RESETTING], ["reset_session"], None)
    assert not story.machine.accepts(T.QUERY_GIVEN)


@pytest.mark.parametrize("trigger", [T.TRANSACTION_ABANDONED, T.DEADLINE_PASSED])
def test_a_transaction_that_is_left_or_forgotten_is_undone(story: Story, trigger: Trigger) -> None:
    story.ask()
    story.when(T.RESULT_RECEIVED, "is_in_transaction")
    assert story.when(trigger) == Whole([S.RESETTING], ["reset_session"], None)


@pytest.mark.parametrize(
    ("trigger", "cause"),
    [
        (T.RESET_FAILED, Cause.UPSTREAM),
        (T.CONNECTION_LOST, Cause.UPSTREAM),
        (T.CLOSE_ORDERED, Cause.OPERATOR),
    ],
)
def test_a_session_that_cannot_be_made_clean_is_closed(story: Story, trigger: Trigger, cause: Cause) -> None:
    story.ask()
    story.when(T.QUERY_ABANDONED)
    assert story.when(trigger) == Whole([S.CLOSED], [], None, cause)


# --- the end


@pytest.mark.parametrize("dispatch", BOTH)
@waiting
def test_a_lost_connection_and_an_order_to_close_end_a_session_in_every_state(state: State, dispatch: Dispatch) -> None:
    for trigger, cause in ((T.CONNECTION_LOST, Cause.UPSTREAM), (T.CLOSE_ORDERED, Cause.OPERATOR)):
        machine = machine_in(TABLE, state, dispatch)
        machine.engine.fire(machine, trigger)
        assert (machine.state, machine.cause, machine.calls) == (S.CLOSED, cause, [])


@pytest.mark.parametrize("state", [state for state in S if state not in (S.CLOSED, S.RESETTING)])
def test_every_wait_but_that_for_the_reset_has_a_deadline(state: State) -> None:
    """The reset has one in each of its states."""
    machine = machine_in(TABLE, state)
    assert machine.accepts(T.DEADLINE_PASSED)
    assert machine.is_overdue(machine.since + TABLE.spec(state).deadline.seconds)  # type: ignore[union-attr]


def test_a_session_is_used_by_one_at_a_time() -> None:
    free = [state for state in S if machine_in(TABLE, state).accepts(T.QUERY_GIVEN)]
    assert free == [S.IDLE, S.IN_TRANSACTION]
