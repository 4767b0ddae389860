"""The loop, with a small machine of its own: interest, deadlines, faults, and calls from other threads."""

import os
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator
from enum import auto
from typing import Any, cast

import pytest

from handlers.messages import Request, Response
from server.loop import SWEEP_INTERVAL, TOGETHER, Loop
from server.poller import open_poller
from statemachines.connection import Trigger as ConnectionTrigger
from statemachines.contract import Cause, Deadline, Interest, Name, Row, Spec, Table, Unbounded
from statemachines.engine import Dispatch, Engine, Machine, UnexpectedTrigger
from tests.server.support import EVERY_POLLER, GET, HELLO, Clock, RecordingPoller, bench_of, hello

pytestmark = pytest.mark.usefixtures("every_descriptor_back")


class State(Name):
    READING = auto()
    WRITING = auto()
    RESTING = auto()
    CLOSED = auto()


class Trigger(Name):
    READ_WANTED = auto()
    WRITE_WANTED = auto()
    REST_WANTED = auto()
    DEADLINE_PASSED = auto()
    CLOSE_ORDERED = auto()


S, T = State, Trigger
REST = Deadline("rest", "rest_timeout", 5.0, "to rest")
FOREVER = Unbounded("a test says when")
SPECS = (
    Spec(S.READING, Interest.READABLE, FOREVER, "look", "it reads"),
    Spec(S.WRITING, Interest.WRITABLE, FOREVER, "look", "it writes"),
    Spec(S.RESTING, Interest.HANG_UP, REST, "look", "it rests"),
    Spec(S.CLOSED, Interest.NOTHING, FOREVER, "", "it is closed", final=True),
)
ROWS = (
    Row(S.READING, T.WRITE_WANTED, S.WRITING, action="act"),
    Row(S.READING, T.REST_WANTED, S.RESTING, action="act"),
    Row(S.READING, T.CLOSE_ORDERED, S.CLOSED, action="say_goodbye", ends=Cause.OPERATOR),
    Row(S.WRITING, T.READ_WANTED, S.READING, action="act"),
    Row(S.WRITING, T.REST_WANTED, S.RESTING, action="act"),
    Row(S.WRITING, T.CLOSE_ORDERED, S.CLOSED, action="say_goodbye", ends=Cause.OPERATOR),
    Row(S.RESTING, T.READ_WANTED, S.READING, action="act"),
    Row(S.RESTING, T.DEADLINE_PASSED, S.CLOSED, action="say_goodbye", ends=Cause.DEADLINE),
    Row(S.RESTING, T.CLOSE_ORDERED, S.CLOSED, action="say_goodbye", ends=Cause.OPERATOR),
)
TOY = Table("toy", State, Trigger, S.READING, SPECS, ROWS, frozenset())
STUBBORN = Table(
    "stubborn",
    State,
    Trigger,
    S.READING,
    SPECS,
    tuple(r for r in ROWS if r.trigger is not T.CLOSE_ORDERED),
    frozenset(),
)

Deed = Callable[[], Name | None] | Name | BaseException | None


class Toy(Machine):
    """Does, when it is looked at and when it acts, what it was told to do; notes everything in `told`."""

    def __init__(self, engine: Engine) -> None:
        self.near, self.far = socket.socketpair()
        self.near.setblocking(False)
        super().__init__(engine, self.near.fileno())
        self.looks: deque[Deed] = deque()
        self.acts: deque[Deed] = deque()
        self.goodbye: Deed = None
        self.at_end: Deed = None
        self.at_close: Deed = None
        self.told: list[str] = []

    def look(self, ready: int) -> Name | None:
        self.told.append(f"look {ready & 5}")
        return done(self.looks.popleft()) if self.looks else None

    def act(self) -> Name | None:
        self.told.append("act")
        return done(self.acts.popleft()) if self.acts else None

    def say_goodbye(self) -> Name | None:
        self.told.append("goodbye")
        return done(self.goodbye)

    def ended(self) -> None:
        self.told.append("ended")
        done(self.at_end)

    def close(self) -> None:
        self.told.append("close")
        self.near.close()
        self.far.close()
        done(self.at_close)

    def is_in(self, state: State) -> bool:
        return self.state is state

    def is_open(self) -> bool:
        return self.near.fileno() >= 0


def done(deed: Deed) -> Name | None:
    if isinstance(deed, BaseException):
        raise deed
    if isinstance(deed, Name):
        return deed
    return deed() if deed is not None else None


class Yard:
    """A loop on a fake clock with toys."""

    def __init__(self, poller: str = "auto", dispatch: Dispatch = Dispatch.COMPILED) -> None:
        self.clock = Clock()
        self.poller = RecordingPoller(open_poller(poller))
        self.crashes: list[tuple[Machine, BaseException]] = []
        self.loop = Loop(self.poller, self._crashed, clock=self.clock, dispatch=dispatch)
        self.engines = {table.name: Engine(table, Toy, self.clock, dispatch=dispatch) for table in (TOY, STUBBORN)}
        self.poller.calls.clear()

    def _crashed(self, machine: Machine, error: BaseException) -> None:
        self.crashes.append((machine, error))

    def toy(self, *looks: Deed, ready: bool = True, stubborn: bool = False) -> Toy:
        """A toy in the loop; `ready`, there is a byte for it to read."""
        toy = Toy(self.engines["stubborn" if stubborn else "toy"])
        toy.looks.extend(looks)
        self.loop.add(toy)
        if ready:
            toy.far.send(b"x")
        return toy

    def turn(self) -> None:
        self.loop.turn(0)

    def after(self, seconds: float) -> None:
        self.clock.now += seconds
        self.loop.turn(0)

    def told_of(self, toy: Toy) -> list[str]:
        told, toy.told = toy.told, []
        return told

    def modified(self) -> list[tuple[str, int, int]]:
        calls, self.poller.calls = self.poller.calls, []
        return [call for call in calls if call[0] == "modify"]


@pytest.fixture(params=EVERY_POLLER)
def yard(request: pytest.FixtureRequest) -> Iterator[Yard]:
    yard = Yard(request.param)
    yield yard
    yard.loop.close()


# --- interest


def test_a_machine_is_waited_for_as_its_state_says(yard: Yard) -> None:
    toy = yard.toy(ready=False)
    assert yard.poller.calls == [("register", toy.descriptor, Interest.READABLE)]
    yard.turn()
    assert toy.told == []
    toy.far.send(b"x")
    yard.turn()
    assert toy.told == ["look 1"]


def test_interest_is_widened_at_once_and_narrowed_only_when_an_unwanted_report_comes(yard: Yard) -> None:
    toy = yard.toy(T.WRITE_WANTED, T.REST_WANTED)
    yard.turn()
    assert toy.is_in(S.WRITING)
    assert yard.modified() == [("modify", toy.descriptor, Interest.WRITABLE)]
    yard.turn()
    assert toy.is_in(S.RESTING)
    assert yard.modified() == []
    yard.turn()
    assert yard.modified() == [("modify", toy.descriptor, 0)]
    yard.turn()
    assert yard.poller.events == []
    assert yard.modified() == []
    assert toy.told == ["look 1", "act", "look 4", "act"]


def test_a_state_that_is_left_again_within_the_turn_costs_no_epoll_ctl(yard: Yard) -> None:
    toy = yard.toy(T.WRITE_WANTED, T.READ_WANTED)
    toy.acts.append(lambda: yard.loop.presume_writable(toy))
    yard.turn()
    assert (toy.state, toy.told) == (S.READING, ["look 1", "act", "look 4", "act"])
    assert yard.modified() == []


def test_interest_that_is_widened_between_two_turns_is_asked_for_in_the_next_wait(yard: Yard) -> None:
    toy = yard.toy(ready=False)
    yard.loop.fire(toy, T.WRITE_WANTED)
    yard.turn()
    assert toy.told == ["act", "look 4"]


def test_less_than_the_state_waits_for_may_be_asked_of_the_poller_and_not_even_a_hang_up(yard: Yard) -> None:
    toy = yard.toy()
    yard.loop.attend(toy, 0)
    toy.far.send(b"x")
    yard.loop.turn(0)
    assert (yard.poller.events, toy.told) == ([], [])
    yard.loop.attend(toy, None)
    assert toy.descriptor not in yard.poller.interests
    toy.far.close()
    yard.loop.turn(0)
    assert (yard.poller.events, toy.told) == ([], [])
    yard.loop.attend(toy, int(Interest.READABLE))
    assert yard.poller.interests[toy.descriptor] == int(Interest.READABLE)


def test_a_state_that_is_only_passed_through_costs_no_change_of_interest(yard: Yard) -> None:
    toy = yard.toy(T.WRITE_WANTED)
    toy.acts.extend([T.REST_WANTED, T.READ_WANTED, None])
    yard.turn()
    assert (toy.state, toy.told) == (S.READING, ["look 1", "act", "act", "act"])
    assert yard.modified() == []


def test_the_usual_request_costs_no_call_of_the_poller_but_the_wait() -> None:
    with bench_of(hello) as bench:
        client = bench.connect()
        bench.poller.calls.clear()
        for _ in range(50):
            assert client.send(GET).sent == HELLO
        assert bench.poller.calls == []


def test_an_unwanted_report_is_not_looked_at(yard: Yard) -> None:
    toy = yard.toy(T.REST_WANTED)
    yard.turn()
    toy.told.clear()
    for _ in range(3):
        yard.turn()
    assert toy.told == []
    assert len(yard.modified()) == 1


def test_a_hang_up_is_looked_at_in_a_state_that_waits_for_nothing_else(yard: Yard) -> None:
    toy = yard.toy(ready=False)
    yard.loop.fire(toy, T.REST_WANTED)
    toy.near.send(b"x")  # what it has not read makes its close a reset
    toy.far.close()
    toy.looks.append(T.CLOSE_ORDERED)
    yard.turn()
    yard.turn()  # select(2) calls it readable first
    assert toy.is_in(S.CLOSED)


def test_a_descriptor_that_somebody_else_has_closed_ends_its_machine_and_not_the_loop() -> None:
    yard = Yard("epoll" if "epoll" in EVERY_POLLER else "poll")
    toy, other = yard.toy(ready=False), yard.toy(ready=False)
    toy.near.close()
    yard.loop.fire(toy, T.WRITE_WANTED)
    yard.turn()
    assert (toy.state, toy.told) == (S.CLOSED, ["act", "goodbye", "ended", "close"])
    assert [type(error) for _, error in yard.crashes] == [OSError]
    other.far.send(b"x")
    yard.turn()
    assert other.told == ["look 1"]
    yard.loop.close()


def test_one_that_can_not_be_waited_for_at_a_turns_end_is_closed_without_a_further_wait() -> None:
    yard = Yard("epoll" if "epoll" in EVERY_POLLER else "poll")

    def lose() -> Name:
        toy.near.close()
        return T.WRITE_WANTED

    toy = yard.toy(lose)
    yard.turn()
    assert (toy.state, toy.told) == (S.CLOSED, ["look 1", "act", "goodbye", "ended"])
    assert yard.loop._patience() == 0
    yard.turn()
    assert toy.told[-1] == "close"
    assert yard.loop._patience() != 0
    yard.loop.close()


# --- leaving


def test_a_machine_that_has_ended_leaves_the_map_at_once_and_is_closed_after_the_batch(yard: Yard) -> None:
    toy = yard.toy(T.CLOSE_ORDERED)
    seen = []
    second = yard.toy(lambda: seen.append(toy.is_open()))
    yard.poller.script = [[(toy.descriptor, 1), (second.descriptor, 1)]]
    yard.turn()
    assert seen == [True]
    assert not toy.is_open()
    assert toy.told == ["look 1", "goodbye", "ended", "close"]
    assert toy.descriptor not in yard.poller.interests


def test_an_event_of_a_machine_that_has_ended_in_the_same_batch_is_dropped(yard: Yard) -> None:
    victim = yard.toy(T.WRITE_WANTED)
    killer = yard.toy(lambda: yard.loop.fire(victim, T.CLOSE_ORDERED))
    yard.poller.script = [[(killer.descriptor, 1), (victim.descriptor, 1)]]
    yard.turn()
    assert victim.told == ["goodbye", "ended", "close"]
    assert yard.crashes == []


def test_a_descriptor_number_is_not_reused_within_a_batch(yard: Yard) -> None:
    victim = yard.toy()
    made: list[Toy] = []

    def replace() -> None:
        yard.loop.fire(victim, T.CLOSE_ORDERED)
        made.append(yard.toy(ready=False))

    killer = yard.toy(replace)
    yard.poller.script = [[(killer.descriptor, 1), (victim.descriptor, 1)]]
    yard.turn()
    assert made[0].descriptor != victim.descriptor
    assert made[0].told == []


def test_a_number_that_is_reused_afterwards_belongs_to_the_new_machine(yard: Yard) -> None:
    first = yard.toy(T.CLOSE_ORDERED)
    yard.turn()
    second = yard.toy(ready=False)
    assert second.descriptor == first.descriptor
    yard.loop._release(first)
    yard.loop._look_after(first)
    second.far.send(b"x")
    yard.turn()
    assert second.told == ["look 1"]


def test_an_event_of_a_descriptor_that_nobody_knows_is_dropped(yard: Yard) -> None:
    yard.poller.script = [[(9999, 1)]]
    yard.turn()
    assert yard.crashes == []


def test_the_loops_end_closes_every_machine_once_even_if_one_of_them_raises(yard: Yard) -> None:
    toys = [yard.toy() for _ in range(3)]
    toys[0].at_end = ValueError("at the end")
    toys[1].at_close = OSError("at the close")
    yard.loop.close()
    assert [toy.told for toy in toys] == [["ended", "close"]] * 3
    assert [type(error) for _, error in yard.crashes] == [ValueError, OSError]
    assert yard.loop.machines == {}
    yard.loop.close = lambda: None  # type: ignore[method-assign]


# --- revisits


def test_a_machine_that_asks_for_it_is_looked_at_without_a_report(yard: Yard) -> None:
    toy = yard.toy(ready=False)
    yard.loop.revisit(toy)
    assert yard.loop._patience() == 0
    yard.turn()
    assert toy.told == ["look 0"]
    assert yard.loop._patience() != 0


def test_a_machine_that_asks_again_while_revisited_waits_for_the_next_turn(yard: Yard) -> None:
    toy = yard.toy(lambda: yard.loop.revisit(toy), ready=False)
    yard.loop.revisit(toy)
    yard.turn()
    assert toy.told == ["look 0"]
    yard.turn()
    assert toy.told == ["look 0", "look 0"]


def test_a_machine_that_ended_or_waits_for_something_else_is_not_revisited(yard: Yard) -> None:
    resting, ended = yard.toy(ready=False), yard.toy(ready=False)
    yard.loop.revisit(resting)
    yard.loop.revisit(ended)
    yard.loop.fire(resting, T.REST_WANTED)
    yard.loop.fire(ended, T.CLOSE_ORDERED)
    yard.turn()
    assert resting.told == ["act"]
    assert ended.told == ["goodbye", "ended", "close"]


def test_a_revisit_runs_the_machine_to_completion_and_settles_its_interest(yard: Yard) -> None:
    toy = yard.toy(T.WRITE_WANTED, ready=False)
    yard.loop.revisit(toy)
    yard.turn()
    assert toy.is_in(S.WRITING)
    assert yard.modified() == [("modify", toy.descriptor, Interest.WRITABLE)]


def test_a_machine_that_raises_when_revisited_is_closed(yard: Yard) -> None:
    toy = yard.toy(ValueError(), ready=False)
    yard.loop.revisit(toy)
    yard.turn()
    assert toy.told == ["look 0", "goodbye", "ended", "close"]


# --- what leaves together


def writers(yard: Yard, order: list[str], spent: dict[str, float], reported: str) -> dict[str, Toy]:
    """Toys that, once read, take so many seconds and then want to write; those `reported` have a byte to read. `order`
    tells what they did."""

    def writer(name: str, seconds: float) -> Toy:
        def ask() -> Name:
            order.append(name)
            yard.clock.now += seconds
            yard.loop.presume_writable(toy)
            return T.WRITE_WANTED

        toy = yard.toy(ask, lambda: order.append(f"{name} writes"), ready=name in reported)
        return toy

    toys = {name: writer(name, seconds) for name, seconds in spent.items()}
    yard.poller.script = [[(toys[name].descriptor, 1) for name in reported]]
    return toys


def test_what_is_presumed_writable_is_looked_at_at_the_turns_end(yard: Yard) -> None:
    order: list[str] = []
    writers(yard, order, dict.fromkeys("abc", 0.0), "abc")
    yard.turn()
    assert order == ["a", "b", "c", "a writes", "b writes", "c writes"]


def test_what_is_presumed_writable_does_not_wait_long_for_the_others(yard: Yard) -> None:
    order: list[str] = []
    writers(yard, order, {"a": TOGETHER, "b": TOGETHER / 4, "c": 0.0, "d": TOGETHER}, "abcd")
    yard.turn()
    assert order == ["a", "b", "a writes", "b writes", "c", "d", "c writes", "d writes"]


def test_what_is_presumed_writable_does_not_wait_long_for_those_that_are_revisited(yard: Yard) -> None:
    order: list[str] = []
    toys = writers(yard, order, {"a": TOGETHER / 2, "b": TOGETHER, "c": 0.0, "d": TOGETHER}, "a")
    for name in "bcd":
        yard.loop.revisit(toys[name])
    yard.turn()
    assert order == ["a", "b", "a writes", "b writes", "c", "d", "c writes", "d writes"]


def test_what_is_presumed_writable_does_not_wait_long_for_calls_from_threads(yard: Yard) -> None:
    order: list[str] = []

    def call(name: str, seconds: float) -> None:
        order.append(name)
        yard.clock.now += seconds
        yard.loop.fire(toys[name], T.WRITE_WANTED)
        yard.loop.presume_writable(toys[name])
        stepping.append(yard.loop.stepping)

    stepping: list[Machine | None] = []
    spent = {"a": 0.0, "b": TOGETHER * 1.5, "c": 0.0, "d": TOGETHER}
    toys = {
        name: yard.toy(lambda name=name: order.append(f"{name} writes"), ready=False)  # type: ignore[misc]
        for name in spent
    }
    for name, seconds in spent.items():
        yard.loop.call_from_thread(lambda name=name, seconds=seconds: call(name, seconds))  # type: ignore[misc]
    yard.turn()
    assert order == ["a", "b", "a writes", "b writes", "c", "d", "c writes", "d writes"]
    assert stepping == [yard.loop.wake_up] * 4


def test_what_was_presumed_writable_between_two_turns_keeps_the_next_from_waiting(yard: Yard) -> None:
    toy = yard.toy(ready=False)
    yard.loop.fire(toy, T.WRITE_WANTED)
    yard.loop.presume_writable(toy)
    assert yard.loop._patience() == 0
    yard.poller.script = [[]]
    yard.turn()
    assert toy.told == ["act", "look 4"]
    assert yard.loop._patience() != 0


def test_what_has_ended_or_does_not_wait_to_write_any_more_is_not_presumed_to(yard: Yard) -> None:
    resting, ended = yard.toy(ready=False), yard.toy(ready=False)
    for toy in (resting, ended):
        yard.loop.fire(toy, T.WRITE_WANTED)
        yard.loop.presume_writable(toy)
    yard.loop.fire(resting, T.REST_WANTED)
    yard.loop.fire(ended, T.CLOSE_ORDERED)
    yard.turn()
    assert resting.told == ["act", "act"]
    assert ended.told == ["act", "goodbye", "ended", "close"]


# --- deadlines


def test_the_wait_lasts_for_ever_when_no_state_has_a_deadline_and_else_until_the_next_sweep(yard: Yard) -> None:
    toy = yard.toy(ready=False)
    yard.after(SWEEP_INTERVAL)
    assert yard.loop._patience() is None
    yard.loop.fire(toy, T.REST_WANTED)
    assert yard.loop._patience() == SWEEP_INTERVAL
    yard.clock.now += SWEEP_INTERVAL / 2
    assert yard.loop._patience() == SWEEP_INTERVAL / 2
    yard.clock.now += 100
    assert yard.loop._patience() == 0
    yard.turn()
    assert toy.is_in(S.CLOSED)
    yard.after(SWEEP_INTERVAL)
    assert yard.loop._patience() is None


def test_a_new_machine_makes_the_loop_look_at_deadlines_again(yard: Yard) -> None:
    yard.after(SWEEP_INTERVAL)
    assert yard.loop._patience() is None
    yard.toy(T.REST_WANTED)
    assert yard.loop._patience() is not None


def test_an_event_makes_the_loop_look_at_deadlines_again(yard: Yard) -> None:
    toy = yard.toy(ready=False)
    yard.after(SWEEP_INTERVAL)
    assert yard.loop._patience() is None
    toy.looks.append(T.REST_WANTED)
    toy.far.send(b"x")
    yard.after(SWEEP_INTERVAL / 2)
    assert toy.is_in(S.RESTING)
    assert yard.loop._patience() == SWEEP_INTERVAL / 2


@pytest.mark.parametrize(("waited", "state"), [(4.875, S.RESTING), (5.0, S.CLOSED)])
def test_a_deadline_fires_when_it_has_passed_and_not_before(yard: Yard, waited: float, state: State) -> None:
    toy = yard.toy(ready=False)
    yard.loop.fire(toy, T.REST_WANTED)
    yard.after(waited)
    assert toy.is_in(state)


def test_a_machine_without_a_descriptor_is_overdue_and_ends_as_any_other_and_the_poller_never_hears_of_it(
    yard: Yard,
) -> None:
    toy = Toy(yard.engines["toy"])
    toy.descriptor = -7
    yard.loop.add(toy)
    yard.loop.fire(toy, T.REST_WANTED)
    assert yard.loop.machines[-7] is toy
    yard.after(5)
    assert toy.told == ["act", "goodbye", "ended", "close"]
    assert -7 not in yard.loop.machines
    assert [call for call in yard.poller.calls if call[1] == -7] == []
    assert toy.engine in yard.loop.engines


def test_deadlines_are_swept_no_more_often_than_that(yard: Yard) -> None:
    toy = yard.toy(ready=False)
    yard.after(1)
    yard.loop.fire(toy, T.REST_WANTED)
    yard.after(5 - SWEEP_INTERVAL / 4)
    yard.after(SWEEP_INTERVAL / 2)
    assert toy.is_in(S.RESTING)
    yard.after(SWEEP_INTERVAL / 2)
    assert toy.is_in(S.CLOSED)
    assert not toy.is_open()


def test_a_deadline_of_a_machine_that_an_earlier_one_has_ended_or_moved_does_not_fire(yard: Yard) -> None:
    first, ended, moved = (yard.toy(ready=False) for _ in range(3))
    for toy in (first, ended, moved):
        yard.loop.fire(toy, T.REST_WANTED)

    def others() -> None:
        yard.loop.fire(ended, T.CLOSE_ORDERED)
        yard.loop.fire(moved, T.READ_WANTED)

    first.goodbye = others
    yard.after(5)
    assert (first.state, ended.state, moved.state) == (S.CLOSED, S.CLOSED, S.READING)
    assert yard.crashes == []


def test_a_machine_that_raises_at_its_deadline_does_not_keep_the_others_from_theirs(yard: Yard) -> None:
    first, second = yard.toy(ready=False), yard.toy(ready=False)
    for toy in (first, second):
        yard.loop.fire(toy, T.REST_WANTED)
    first.goodbye = ValueError()
    yard.after(5)
    assert (first.state, second.state) == (S.CLOSED, S.CLOSED)
    assert not first.is_open()
    assert len(yard.crashes) == 1


def test_how_late_a_sweep_was_is_counted_but_not_after_a_wait_for_ever(yard: Yard) -> None:
    yard.after(SWEEP_INTERVAL)
    yard.loop.lags[:] = [0] * len(yard.loop.lags)
    yard.clock.now += 100
    yard.loop.turn(None)
    assert not any(yard.loop.lags)
    yard.after(SWEEP_INTERVAL)
    yard.after(SWEEP_INTERVAL + 0.001)
    assert {bucket: count for bucket, count in enumerate(yard.loop.lags) if count} == {0: 1, 10: 1}


# --- calls at a time


def test_a_call_is_made_when_its_time_has_come_and_brings_the_sweep_forward(yard: Yard) -> None:
    made: list[str] = []
    yard.after(SWEEP_INTERVAL)
    yard.loop.call_at(yard.clock.now + 0.125, lambda: made.append("second"))
    yard.loop.call_at(yard.clock.now + 0.0625, lambda: made.append("first"))
    assert yard.loop._patience() == 0.0625
    yard.after(0.03125)
    assert made == []
    yard.after(0.03125)
    assert made == ["first"]
    assert yard.loop._patience() == 0.0625
    yard.after(0.0625)
    assert made == ["first", "second"]
    yard.after(SWEEP_INTERVAL)
    assert yard.loop._patience() is None


def test_a_call_that_is_far_away_is_waited_for_by_sweeps(yard: Yard) -> None:
    made: list[str] = []
    yard.after(SWEEP_INTERVAL)
    yard.loop.call_at(yard.clock.now + 60, lambda: made.append("late"))
    yard.after(59.75)
    assert made == []
    yard.after(0.25)
    assert made == ["late"]


def test_a_call_that_calls_again_waits_for_the_next_sweep(yard: Yard) -> None:
    made: list[int] = []

    def again() -> None:
        made.append(len(made))
        yard.loop.call_at(yard.clock.now, again)

    yard.loop.call_at(yard.clock.now, again)
    yard.turn()
    assert made == [0]
    assert yard.loop._patience() == 0
    yard.turn()
    assert made == [0, 1]


def test_a_call_that_raises_is_reported_and_the_others_are_made(yard: Yard) -> None:
    made: list[str] = []
    fault = ValueError()
    yard.loop.call_at(yard.clock.now, lambda: cast("Any", done(fault)))
    yard.loop.call_at(yard.clock.now, lambda: made.append("second"))
    yard.turn()
    assert (made, yard.crashes) == (["second"], [(yard.loop.wake_up, fault)])


def test_a_machine_that_a_call_ends_is_closed_in_the_same_turn(yard: Yard) -> None:
    toy = yard.toy(ready=False)
    yard.loop.call_at(yard.clock.now, lambda: yard.loop.fire(toy, T.CLOSE_ORDERED))
    yard.turn()
    assert not toy.is_open()


# --- faults


@pytest.mark.parametrize("dispatch", Dispatch)
@pytest.mark.parametrize("where", ["look", "act"])
def test_a_machine_that_raises_is_reported_and_closed_and_the_loop_goes_on(where: str, dispatch: Dispatch) -> None:
    yard = Yard(dispatch=dispatch)
    fault = ValueError("of a shell")
    toy = yard.toy(fault if where == "look" else T.WRITE_WANTED)
    toy.acts.append(fault)
    other = yard.toy()
    yard.turn()
    assert yard.crashes == [(toy, fault)]
    assert toy.told[-3:] == ["goodbye", "ended", "close"]
    assert other.told == ["look 1"]
    yard.loop.close()


def test_a_machine_that_raises_in_its_last_action_is_closed_all_the_same(yard: Yard) -> None:
    toy = yard.toy(T.CLOSE_ORDERED)
    toy.goodbye = ValueError()
    yard.turn()
    assert toy.told == ["look 1", "goodbye", "ended", "close"]
    assert len(yard.crashes) == 1


def test_a_machine_that_raises_again_when_it_is_closed_for_that_is_closed_all_the_same(yard: Yard) -> None:
    toy = yard.toy(ValueError())
    toy.goodbye = LookupError()
    yard.turn()
    assert toy.told == ["look 1", "goodbye", "ended", "close"]
    assert [type(error) for _, error in yard.crashes] == [ValueError, LookupError]


def test_a_trigger_for_which_there_is_no_row_is_a_fault_like_any_other(yard: Yard) -> None:
    toy = yard.toy(ready=False)
    yard.loop.fire(toy, T.DEADLINE_PASSED)
    assert [type(error) for _, error in yard.crashes] == [UnexpectedTrigger]
    assert toy.is_in(S.CLOSED)
    yard.turn()
    assert not toy.is_open()


def test_a_trigger_fired_at_a_machine_that_has_ended_is_reported_and_does_nothing(yard: Yard) -> None:
    toy = yard.toy(T.CLOSE_ORDERED)
    yard.turn()
    yard.loop.fire(toy, T.READ_WANTED)
    assert [type(error) for _, error in yard.crashes] == [UnexpectedTrigger]
    assert toy.told.count("close") == 1


@pytest.mark.parametrize("how", ["event", "fire", "revisit"])
def test_a_machine_that_can_not_be_ordered_to_close_is_the_processs_own_and_its_error_goes_up(
    yard: Yard, how: str
) -> None:
    fault = ValueError("of the process")
    toy = yard.toy(fault, ready=how == "event", stubborn=True)
    toy.acts.append(fault)
    if how == "revisit":
        yard.loop.revisit(toy)
    with pytest.raises(ValueError, match="of the process"):
        yard.loop.fire(toy, T.WRITE_WANTED) if how == "fire" else yard.turn()
    assert yard.crashes == [(toy, fault)]


# --- running


def test_the_loop_runs_until_it_is_stopped_and_waits_as_long_as_it_may(yard: Yard) -> None:
    toy = yard.toy(ready=False)
    seen: list[Any] = []
    toy.looks.extend([lambda: seen.append(yard.loop.thread), cast("Deed", yard.loop.stop)])
    yard.after(SWEEP_INTERVAL)
    yard.poller.waits.clear()
    yard.poller.script = [[(toy.descriptor, 1)], [(toy.descriptor, 1)]]
    yard.loop.run()
    assert toy.told == ["look 1", "look 1"]
    assert seen == [threading.get_ident()]
    assert yard.poller.waits == [None, SWEEP_INTERVAL]


def test_a_loop_may_be_run_again(yard: Yard) -> None:
    for _ in range(2):
        yard.loop.call_from_thread(yard.loop.stop)
        yard.loop.run()
    assert yard.loop.turns >= 2


# --- the wake-up


@pytest.fixture(params=["eventfd", "pipe"])
def woken(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Yard]:
    if request.param == "pipe":
        monkeypatch.delattr(os, "eventfd", raising=False)
    elif not hasattr(os, "eventfd"):
        pytest.skip("there is no eventfd(2) here")
    yard = Yard()
    yield yard
    yard.loop.close()


def test_calls_from_threads_are_made_on_the_loops_thread_each_once_and_in_order(woken: Yard) -> None:
    made: list[tuple[int, int]] = []

    def call(name: int) -> None:
        for number in range(200):
            woken.loop.call_from_thread(lambda number=number: made.append((name, number)))  # type: ignore[misc]

    threads = [threading.Thread(target=call, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == []
    woken.turn()
    assert len(made) == 800
    for name in range(4):
        assert [number for who, number in made if who == name] == list(range(200))


def test_calls_that_come_while_one_is_pending_wake_the_loop_once(woken: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[int] = []
    write = os.write

    def counted(descriptor: int, data: bytes) -> int:
        written.append(descriptor)
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", counted)
    for _ in range(10):
        woken.loop.call_from_thread(lambda: None)
    assert len(written) == 1
    woken.turn()
    woken.turn()
    assert woken.poller.events == []
    woken.loop.call_from_thread(lambda: None)
    assert len(written) == 2


def test_a_call_made_in_a_call_waits_for_the_next_turn(woken: Yard) -> None:
    made: list[str] = []

    def first() -> None:
        made.append("first")
        woken.loop.call_from_thread(lambda: made.append("second"))

    woken.loop.call_from_thread(first)
    woken.turn()
    assert made == ["first"]
    woken.turn()
    assert made == ["first", "second"]


def test_a_call_from_a_thread_that_raises_is_reported_and_the_others_are_made(woken: Yard) -> None:
    made: list[str] = []
    fault = ValueError()
    woken.loop.call_from_thread(lambda: cast("Any", done(fault)))
    woken.loop.call_from_thread(lambda: made.append("second"))
    woken.turn()
    assert (made, woken.crashes) == (["second"], [(woken.loop.wake_up, fault)])
    woken.loop.call_from_thread(lambda: made.append("third"))
    woken.turn()
    assert made == ["second", "third"]


def test_a_call_after_the_loops_end_writes_to_nobodys_descriptor(woken: Yard) -> None:
    woken.loop.close()
    pipes = [os.pipe() for _ in range(4)]
    woken.loop.call_from_thread(lambda: None)
    for reading, writing in pipes:
        os.set_blocking(reading, False)
        with pytest.raises(BlockingIOError):
            os.read(reading, 8)
        os.close(reading)
        os.close(writing)
    woken.loop.close = lambda: None  # type: ignore[method-assign]


def test_the_wake_up_closes_when_it_is_ordered_to() -> None:
    yard = Yard()
    wake_up = yard.loop.wake_up
    yard.loop.fire(wake_up, wake_up.engine.table.triggers["CLOSE_ORDERED"])
    yard.turn()
    assert yard.loop.machines == {}
    yard.loop.close()


# --- fairness


def test_one_that_is_always_ready_does_not_keep_the_others_waiting(yard: Yard) -> None:
    firehose = yard.toy()
    others = [yard.toy() for _ in range(5)]
    for turn in range(1, 4):
        yard.turn()
        assert len(firehose.told) == turn
        assert [len(other.told) for other in others] == [turn] * 5


def test_a_connection_ordered_closed_by_another_of_its_batch_is_not_read() -> None:
    with bench_of(hello) as bench:
        one, other = bench.connect(), bench.connect()
        one.far.sendall(GET)
        other.far.sendall(GET)

        def unkind(request: Request) -> Response:
            bench.loop.fire(other.connection, ConnectionTrigger.CLOSE_ORDERED)
            return hello(request)

        bench.service.application = unkind
        bench.poller.script = [[(one.connection.descriptor, 1), (other.connection.descriptor, 1)]]
        bench.settle()
        assert other.connection.bytes_in == 0
        assert (one.received(), other.received()) == (HELLO, b"")
