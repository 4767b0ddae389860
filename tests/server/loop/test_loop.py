"""The loop, with a small machine of its own: interest, what leaves together, messages between machines, faults."""

import inspect
import threading
from collections.abc import Iterator
from typing import Any, cast

import pytest

from clerestory.handlers.api.messages import Request, Response
from clerestory.server.loop.loop import FEW, SLOW, TOGETHER, WARY
from clerestory.server.loop.sweep import SWEEP_INTERVAL
from clerestory.statemachines.connection import Trigger as ConnectionTrigger
from clerestory.statemachines.contract import Interest, Name
from clerestory.statemachines.engine import Dispatch, Machine, UnexpectedTrigger
from tests.server.support import EVERY_POLLER, GET, HELLO, bench_of, hello
from tests.server.yard import Deed, S, T, Toy, Yard

pytestmark = pytest.mark.usefixtures("every_descriptor_back")


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
    toy.acts.append(lambda: yard.loop.defer_write(toy))
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
    yard.loop.set_interest(toy, 0)
    toy.far.send(b"x")
    yard.loop.turn(0)
    assert (yard.poller.events, toy.told) == ([], [])
    yard.loop.set_interest(toy, None)
    assert toy.descriptor not in yard.poller.interests
    toy.far.close()
    yard.loop.turn(0)
    assert (yard.poller.events, toy.told) == ([], [])
    yard.loop.set_interest(toy, int(Interest.READABLE))
    assert yard.poller.interests[toy.descriptor] == int(Interest.READABLE)


def test_a_machine_without_a_descriptor_is_asked_itself(yard: Yard) -> None:
    asked: list[object] = []

    class Bare(Toy):
        def want(self, interest: int | None) -> None:
            asked.append(interest)

        def write_soon(self) -> None:
            asked.append("write")

    toy = Bare.__new__(Bare)
    toy.descriptor = -7
    yard.loop.set_interest(toy, 5)
    yard.loop.set_interest(toy, None)
    yard.loop.defer_write(toy)
    yard.turn()
    assert asked == [5, None, "write"]


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
    assert yard.loop.poll_timeout() == 0
    yard.turn()
    assert toy.told[-1] == "close"
    assert yard.loop.poll_timeout() != 0
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
    yard.loop.schedule_read(toy)
    assert yard.loop.poll_timeout() == 0
    yard.turn()
    assert toy.told == ["look 0"]
    assert yard.loop.poll_timeout() != 0


def test_a_machine_that_asks_again_while_revisited_waits_for_the_next_turn(yard: Yard) -> None:
    toy = yard.toy(lambda: yard.loop.schedule_read(toy), ready=False)
    yard.loop.schedule_read(toy)
    yard.turn()
    assert toy.told == ["look 0"]
    yard.turn()
    assert toy.told == ["look 0", "look 0"]


def test_a_machine_that_ended_or_waits_for_something_else_is_not_revisited(yard: Yard) -> None:
    resting, ended = yard.toy(ready=False), yard.toy(ready=False)
    yard.loop.schedule_read(resting)
    yard.loop.schedule_read(ended)
    yard.loop.fire(resting, T.REST_WANTED)
    yard.loop.fire(ended, T.CLOSE_ORDERED)
    yard.turn()
    assert resting.told == ["act"]
    assert ended.told == ["goodbye", "ended", "close"]


def test_a_revisit_runs_the_machine_to_completion_and_settles_its_interest(yard: Yard) -> None:
    toy = yard.toy(T.WRITE_WANTED, ready=False)
    yard.loop.schedule_read(toy)
    yard.turn()
    assert toy.is_in(S.WRITING)
    assert yard.modified() == [("modify", toy.descriptor, Interest.WRITABLE)]


def test_a_machine_that_raises_when_revisited_is_closed(yard: Yard) -> None:
    toy = yard.toy(ValueError(), ready=False)
    yard.loop.schedule_read(toy)
    yard.turn()
    assert toy.told == ["look 0", "goodbye", "ended", "close"]


# --- what leaves together


def writers(
    yard: Yard, order: list[str], spent: dict[str, float], reported: str, others_reported: int = FEW
) -> dict[str, Toy]:
    """Toys that, once read, take so many seconds and then want to write; those `reported` have a byte to read, as some
    others have behind them. `order` tells what they did."""

    def writer(name: str, seconds: float) -> Toy:
        def ask() -> Name:
            order.append(name)
            yard.clock.now += seconds
            yard.loop.defer_write(toy)
            return T.WRITE_WANTED

        toy = yard.toy(ask, lambda: order.append(f"{name} writes"), ready=name in reported)
        return toy

    toys = {name: writer(name, seconds) for name, seconds in spent.items()}
    others = [yard.toy() for _ in range(others_reported)]
    yard.poller.script = [[(toys[name].descriptor, 1) for name in reported] + [(toy.descriptor, 1) for toy in others]]
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


def test_an_answer_of_a_small_batch_does_not_wait_for_the_next_step(yard: Yard) -> None:
    """An answer that is ready does not wait for another machine's slow handler."""
    order: list[str] = []
    writers(yard, order, {"a": 0.0, "b": 1.0}, "ab", FEW - 2)
    yard.turn()
    assert order == ["a", "a writes", "b", "b writes"]


def test_after_a_slow_step_no_answer_waits_for_another_step_for_a_while(yard: Yard) -> None:
    order: list[str] = []
    writers(yard, order, {"a": 0.0, "b": SLOW * 2, "c": 0.0, "d": 0.0}, "abcd")
    yard.turn()
    assert order == ["a", "b", "a writes", "b writes", "c", "c writes", "d", "d writes"]
    order.clear()
    yard.clock.now += WARY / 2
    writers(yard, order, dict.fromkeys("ab", 0.0), "ab")
    yard.turn()
    assert order == ["a", "a writes", "b", "b writes"]
    order.clear()
    yard.clock.now += WARY
    writers(yard, order, dict.fromkeys("ab", 0.0), "ab")
    yard.turn()
    assert order == ["a", "b", "a writes", "b writes"]


def test_many_quick_steps_are_not_taken_for_a_slow_one(yard: Yard) -> None:
    order: list[str] = []
    writers(yard, order, dict.fromkeys("abcdefgh", TOGETHER * 0.3), "abcdefgh")
    yard.turn()
    assert order[:6] == ["a", "b", "c", "d", "a writes", "b writes"]
    assert yard.loop._wary_until < yard.clock.now


def test_what_is_presumed_writable_does_not_wait_long_for_those_that_are_revisited(yard: Yard) -> None:
    order: list[str] = []
    toys = writers(yard, order, {"a": TOGETHER / 2, "b": TOGETHER, "c": 0.0, "d": TOGETHER}, "a")
    for name in "bcd":
        yard.loop.schedule_read(toys[name])
    yard.turn()
    assert order == ["a", "b", "a writes", "b writes", "c", "d", "c writes", "d writes"]


def test_what_is_presumed_writable_does_not_wait_long_for_calls_from_threads(yard: Yard) -> None:
    order: list[str] = []

    def call(name: str, seconds: float) -> None:
        order.append(name)
        yard.clock.now += seconds
        yard.loop.fire(toys[name], T.WRITE_WANTED)
        yard.loop.defer_write(toys[name])
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
    yard.loop.defer_write(toy)
    assert yard.loop.poll_timeout() == 0
    yard.poller.script = [[]]
    yard.turn()
    assert toy.told == ["act", "look 4"]
    assert yard.loop.poll_timeout() != 0


def test_what_has_ended_or_does_not_wait_to_write_any_more_is_not_presumed_to(yard: Yard) -> None:
    resting, ended = yard.toy(ready=False), yard.toy(ready=False)
    for toy in (resting, ended):
        yard.loop.fire(toy, T.WRITE_WANTED)
        yard.loop.defer_write(toy)
    yard.loop.fire(resting, T.REST_WANTED)
    yard.loop.fire(ended, T.CLOSE_ORDERED)
    yard.turn()
    assert resting.told == ["act", "act"]
    assert ended.told == ["act", "goodbye", "ended", "close"]


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
def test_a_machine_that_cannot_be_ordered_to_close_stays_and_the_loop_goes_on(yard: Yard, how: str) -> None:
    """A fault of a machine that belongs to the process is logged; it ends neither the machine nor the server."""
    fault = ValueError("of the process")
    toy, other = yard.toy(fault, ready=how == "event", stubborn=True), yard.toy(ready=False)
    toy.acts.append(fault)
    if how == "revisit":
        yard.loop.schedule_read(toy)
    if how == "fire":
        yard.loop.fire(toy, T.WRITE_WANTED)
    yard.turn()
    assert yard.crashes == [(toy, fault)]
    assert yard.loop.machines[toy.descriptor] is toy
    other.far.send(b"x")
    yard.turn()
    assert other.told == ["look 1"]


def test_a_machine_of_the_process_that_raises_each_time_is_asked_once_in_a_sweep_and_does_not_spin(yard: Yard) -> None:
    yard.after(SWEEP_INTERVAL)
    toy = yard.toy(*[ValueError() for _ in range(10)], stubborn=True)
    for _ in range(5):
        yard.turn()
    assert len(yard.crashes) == 1
    assert yard.poller.events == []
    assert yard.loop.poll_timeout() == SWEEP_INTERVAL
    yard.after(SWEEP_INTERVAL)
    yard.turn()
    assert len(yard.crashes) == 2
    toy.looks.clear()
    yard.after(SWEEP_INTERVAL)
    yard.turn()
    assert toy.told == ["look 1"] * 3


def test_a_machine_that_is_not_waited_for_after_a_fault_may_be_moved_and_is_waited_for_as_its_state_says(
    yard: Yard,
) -> None:
    yard.after(SWEEP_INTERVAL)
    toy = yard.toy(ValueError(), stubborn=True)
    yard.turn()
    yard.loop.fire(toy, T.WRITE_WANTED)
    yard.turn()
    assert toy.told == ["look 1", "act"]
    yard.after(SWEEP_INTERVAL)
    assert yard.poller.interests[toy.descriptor] == Interest.WRITABLE
    yard.turn()
    assert toy.told == ["look 1", "act", "look 4"]


def test_a_machine_of_the_process_whose_descriptor_has_gone_after_a_fault_is_told_of_and_keeps_nobody() -> None:
    yard = Yard("epoll" if "epoll" in EVERY_POLLER else "poll")
    toy = yard.toy(ValueError(), stubborn=True)
    yard.turn()
    toy.near.close()
    yard.after(SWEEP_INTERVAL)
    assert len(yard.crashes) in (1, 2)  # poll(2) takes any number
    yard.loop.close()


# --- messages between machines


def test_what_a_machine_has_to_tell_another_is_told_when_its_own_walk_has_come_to_rest(yard: Yard) -> None:
    """No trigger is fired inside an action: the walk that is under way ends first."""
    told: list[str] = []
    other = yard.toy(ready=False)

    def tell() -> Name:
        yard.loop.tell(other, T.WRITE_WANTED, "news")
        told.append(str(other.state))
        return T.READ_WANTED

    toy = yard.toy(T.WRITE_WANTED)
    toy.acts.extend([tell, lambda: told.append(f"{toy.state} {other.state}")])
    other.acts.append(lambda: told.append(f"{toy.state} {other.payload} {yard.loop.stepping is other}"))
    yard.turn()
    assert told == ["READING", "READING READING", "READING news True"]
    assert (other.state, other.payload) == (S.WRITING, None)


def test_machines_that_tell_one_another_use_no_more_stack_for_it(yard: Yard) -> None:
    depths: list[int] = []
    toys = [yard.toy(ready=False) for _ in range(2)]

    def tell(turn: int) -> None:
        depths.append(len(inspect.stack(0)))
        if turn:
            other = toys[turn % 2]
            other.acts.append(lambda: tell(turn - 1))
            yard.loop.tell(other, T.WRITE_WANTED if other.is_in(S.READING) else T.READ_WANTED)

    toys[0].acts.append(lambda: tell(20))
    yard.loop.tell(toys[0], T.WRITE_WANTED)
    yard.turn()
    assert len(depths) == 21
    assert len(set(depths)) == 1


def test_what_is_told_between_two_turns_keeps_the_next_from_waiting(yard: Yard) -> None:
    toy = yard.toy(ready=False)
    yard.loop.tell(toy, T.WRITE_WANTED)
    assert yard.loop.poll_timeout() == 0
    yard.poller.script = [[]]
    yard.turn()
    assert toy.told == ["act"]
    assert yard.loop.poll_timeout() != 0


def test_a_machine_that_has_ended_meanwhile_is_not_told(yard: Yard) -> None:
    toy = yard.toy(ready=False)
    yard.loop.fire(toy, T.CLOSE_ORDERED)
    yard.loop.tell(toy, T.WRITE_WANTED)
    yard.turn()
    assert toy.told == ["goodbye", "ended", "close"]
    assert yard.crashes == []


def test_what_a_machine_has_no_row_for_by_then_is_dropped(yard: Yard) -> None:
    toy = yard.toy(ready=False)
    yard.loop.tell(toy, T.READ_WANTED)
    assert (toy.told, yard.crashes) == ([], [])
    yard.loop.tell(toy, T.WRITE_WANTED)
    assert toy.told == ["act"]


def test_what_is_about_something_else_by_then_is_dropped(yard: Yard) -> None:
    toy = yard.toy(ready=False)
    toy.about = "this"
    yard.loop.tell(toy, T.WRITE_WANTED, "that")
    assert toy.told == []
    yard.loop.tell(toy, T.WRITE_WANTED, "this")
    assert toy.told == ["act"]


def test_a_machine_that_raises_when_it_is_told_is_closed_and_the_others_are_told(yard: Yard) -> None:
    first, second = yard.toy(ready=False), yard.toy(ready=False)
    first.acts.append(ValueError())
    for toy in (first, second):
        yard.loop.tell(toy, T.REST_WANTED)
    yard.turn()
    assert (first.state, second.state) == (S.CLOSED, S.RESTING)
    assert not first.is_open()


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
            bench.loop.tell(other.connection, ConnectionTrigger.CLOSE_ORDERED)
            return hello(request)

        bench.service.application = unkind
        bench.poller.script = [[(one.connection.descriptor, 1), (other.connection.descriptor, 1)]]
        bench.settle()
        assert other.connection.bytes_in == 0
        assert (one.received(), other.received()) == (HELLO, b"")
