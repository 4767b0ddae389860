"""The sweep: when a deadline fires, that nobody is late who has not been looked at, and calls at a time."""

import fcntl
import sys
import termios
import threading
from collections.abc import Iterator
from typing import Any, cast

import pytest

from clerestory.handlers.wire.transport import READ_SIZE
from clerestory.server.loop.sweep import LOOKS, SWEEP_INTERVAL
from clerestory.statemachines.connection import State as C
from tests.server.support import EVERY_POLLER, GET, HELLO, PATIENCE, Client, bench_of, hello, post, read_all
from tests.server.yard import S, State, T, Toy, Yard, done
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("every_descriptor_back")


@pytest.fixture(params=EVERY_POLLER)
def yard(request: pytest.FixtureRequest) -> Iterator[Yard]:
    yard = Yard(request.param)
    yield yard
    yard.loop.close()


# --- deadlines


def test_the_wait_lasts_for_ever_when_no_state_has_a_deadline_and_else_until_the_next_sweep(yard: Yard) -> None:
    toy = yard.toy(ready=False)
    yard.after(SWEEP_INTERVAL)
    assert yard.loop.poll_timeout() is None
    yard.loop.fire(toy, T.REST_WANTED)
    assert yard.loop.poll_timeout() == SWEEP_INTERVAL
    yard.clock.now += SWEEP_INTERVAL / 2
    assert yard.loop.poll_timeout() == SWEEP_INTERVAL / 2
    yard.clock.now += 100
    assert yard.loop.poll_timeout() == 0
    yard.turn()
    assert toy.is_in(S.CLOSED)
    yard.after(SWEEP_INTERVAL)
    assert yard.loop.poll_timeout() is None


def test_a_new_machine_makes_the_loop_look_at_deadlines_again(yard: Yard) -> None:
    yard.after(SWEEP_INTERVAL)
    assert yard.loop.poll_timeout() is None
    yard.toy(T.REST_WANTED)
    assert yard.loop.poll_timeout() is not None


def test_an_event_makes_the_loop_look_at_deadlines_again(yard: Yard) -> None:
    toy = yard.toy(ready=False)
    yard.after(SWEEP_INTERVAL)
    assert yard.loop.poll_timeout() is None
    toy.looks.append(T.REST_WANTED)
    toy.far.send(b"x")
    yard.after(SWEEP_INTERVAL / 2)
    assert toy.is_in(S.RESTING)
    assert yard.loop.poll_timeout() == SWEEP_INTERVAL / 2


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
        yard.loop.tell(ended, T.CLOSE_ORDERED)
        yard.loop.tell(moved, T.READ_WANTED)

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
    assert yard.loop.poll_timeout() == 0.0625
    yard.after(0.03125)
    assert made == []
    yard.after(0.03125)
    assert made == ["first"]
    assert yard.loop.poll_timeout() == 0.0625
    yard.after(0.0625)
    assert made == ["first", "second"]
    yard.after(SWEEP_INTERVAL)
    assert yard.loop.poll_timeout() is None


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
    assert yard.loop.poll_timeout() == 0
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


# --- nobody is late who has not been looked at


def test_a_deadline_does_not_fire_before_what_has_come_has_been_looked_at() -> None:
    """A process that was stopped finds nothing reported and a deadline passed, while a request lies in the kernel."""
    with bench_of(hello) as bench:
        clients = [bench.connect() for _ in range(3)]
        bench.settle()
        clients[0].far.sendall(GET)
        clients[1].far.sendall(GET[:10])
        bench.clock.now += 100
        bench.poller.script = [[]]  # what epoll_wait(2) hands back when it was interrupted and its time has passed
        bench.turn()
        assert clients[0].received() == HELLO
        assert [client.connection.state for client in clients] == [
            C.AWAITING_REQUEST,
            C.READING_HEAD,
            C.LINGERING,
        ]


def test_more_that_are_ready_than_one_report_holds_are_all_looked_at_before_a_deadline_fires() -> None:
    with bench_of(hello) as bench:
        clients = [bench.connect() for _ in range(10)]
        bench.settle()
        for client in clients:
            client.far.sendall(GET)
        bench.clock.now += 100
        bench.poller.most = 3
        events = [(client.connection.descriptor, 1) for client in clients]
        bench.poller.script = [events[at : at + 3] for at in range(0, 10, 3)]
        bench.turn()
        assert [client.received() for client in clients] == [HELLO] * 10


def test_a_machine_that_is_late_is_looked_at_while_more_has_come_for_it() -> None:
    """One look reads a bounded amount; a body of several looks that came in time is not late."""
    body = b"x" * (5 * READ_SIZE)
    with bench_of(read_all, max_body=len(body)) as bench:
        client = bench.connect(tcp=True)
        client.send(post(b"", length=len(body)))
        assert client.connection.state is C.READING_BODY
        client.far.settimeout(PATIENCE)
        sender = threading.Thread(target=client.far.sendall, args=(body,))
        sender.start()
        eventually(lambda: unread(client) >= 2 * READ_SIZE or not sender.is_alive())
        bench.clock.now += 1000
        bench.poller.script = [[]]
        bench.turn()
        passed = [edge.dest.state for _, edge in client.connection.history]
        assert C.SENDING_RESPONSE not in passed, "408 was said"
        assert client.connection.taken >= 2 * READ_SIZE
        while sender.is_alive():
            bench.turn()
        sender.join()
        client.far.setblocking(False)
        assert client.read_all().endswith(body)


def unread(client: Client) -> int:
    """Bytes that wait in the kernel for the connection."""
    return int.from_bytes(fcntl.ioctl(client.connection.descriptor, termios.FIONREAD, b"\0" * 4), sys.byteorder)


def test_one_that_always_has_a_little_more_is_late_all_the_same(yard: Yard) -> None:
    toy = yard.toy(ready=False)
    yard.loop.fire(toy, T.REST_WANTED)
    yard.clock.now += 5
    yard.poller.script = [[(toy.descriptor, 0x10)]] * 100
    yard.turn()
    assert toy.is_in(S.CLOSED)
    assert toy.told.count("look 0") == LOOKS + 1


def test_what_a_late_machine_waits_for_is_looked_at_too() -> None:
    """A connection that waits for another machine is not late when that one has its answer in the kernel."""
    yard = Yard()
    toy, backend = yard.toy(ready=False), yard.toy(lambda: yard.loop.fire(toy, T.READ_WANTED), ready=False)
    yard.loop.fire(toy, T.REST_WANTED)
    backend.far.send(b"x")
    yard.clock.now += 5
    yard.poller.script = [[]]
    yard.turn()
    assert toy.is_in(S.READING)
    yard.loop.close()


def test_a_call_is_not_made_before_what_has_come_has_been_looked_at(yard: Yard) -> None:
    """A timeout that is a call at a time is a deadline like any other."""
    order: list[str] = []
    yard.toy(lambda: order.append("look"))
    yard.loop.call_at(yard.clock.now + 5, lambda: order.append("call"))
    yard.clock.now += 5
    yard.poller.script = [[]]
    yard.turn()
    assert order[:2] == ["look", "call"]


def test_a_sweep_in_which_nobody_is_late_costs_no_further_wait(yard: Yard) -> None:
    toy = yard.toy(ready=False)
    yard.loop.fire(toy, T.REST_WANTED)
    yard.after(SWEEP_INTERVAL)
    yard.poller.waits.clear()
    yard.after(SWEEP_INTERVAL)
    assert len(yard.poller.waits) == 1
    yard.after(5)
    assert len(yard.poller.waits) == 3


def test_a_sweep_does_not_begin_within_a_sweep_however_long_its_looks_take(yard: Yard) -> None:
    def slowly() -> None:
        yard.clock.now += 10

    late = yard.toy(ready=False)
    yard.loop.fire(late, T.REST_WANTED)
    toys = [yard.toy(slowly, slowly) for _ in range(3)]
    yard.clock.now += 5
    yard.poller.script = [[]]
    yard.turn()
    assert late.told == ["act", "goodbye", "ended", "close"]
    assert [len(toy.told) for toy in toys] == [1, 1, 1]
