"""The pool: its bounds, who waits and for how long, several addresses, and what an idle connection may not bring."""

import errno
import re
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from clerestory.handlers.backends.pool.resolver import FRESH, Address, Resolver
from clerestory.handlers.backends.threads.work import Work
from clerestory.handlers.backends.upstream.connection import LONG
from clerestory.handlers.backends.upstream.receiver import READ_SIZE
from clerestory.handlers.backends.upstream.upstream import Bounds
from clerestory.statemachines.resolution import RESOLVE
from clerestory.statemachines.slot import Trigger as SlotTrigger
from clerestory.statemachines.upstream import State as S
from clerestory.statemachines.upstream import Trigger as T
from tests.handlers.backends.upstreams import PATIENCE, Bench, Caller, Far, answer, error, fault, from_client


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench(bounds=Bounds(max_connections=2, max_waiting=3, slot_timeout=10))
    yield bench
    bench.close()


def test_so_many_connections_and_no_more_and_the_others_wait_in_their_order(bench: Bench) -> None:
    callers = [bench.ask() for _ in range(5)]
    assert len(bench.connections()) == 2
    first, _ = bench.accept(), bench.accept()
    assert callers[2].waits[0].endswith(f" <- place 1 of 1 for 2 connections to {bench.pool.where}")
    assert callers[4].operation.describe().endswith(f" <- place 3 of 3 for 2 connections to {bench.pool.where}")  # type: ignore[union-attr]
    assert bench.pool.load == 5
    for number in (0, 2, 3, 4):
        assert not callers[number].done
        first.send(answer(b"%d" % number))
        assert callers[number].result.complete == b"%d" % number
    assert len(bench.connections()) == 2


def test_one_more_than_may_wait_is_503_at_once(bench: Bench) -> None:
    for _ in range(5):
        assert not bench.ask().done
    caller = bench.ask()
    assert fault(caller) == (503, "busy")
    assert caller.error.fields == ((b"retry-after", b"1"),)  # type: ignore[union-attr]


def test_who_waits_too_long_is_503_and_the_others_wait_on(bench: Bench) -> None:
    bench.ask(), bench.ask()
    third = bench.ask()
    bench.pass_time(6)
    fourth = bench.ask()
    bench.pass_time(4)
    assert fault(third) == (503, "busy")
    assert not fourth.done
    bench.pass_time(6)
    assert fault(fourth) == (503, "busy")


def test_so_many_seconds_are_waited_and_no_more(bench: Bench) -> None:
    bench.ask(), bench.ask()
    third = bench.ask()
    bench.pass_time(9.99)
    assert not third.done
    bench.pass_time(0.01)
    assert fault(third) == (503, "busy")


def test_the_bounds_are_the_loops_where_the_upstream_has_none_of_its_own() -> None:
    bench = Bench(upstream_max_connections=1, upstream_max_waiting=1, upstream_slot_timeout=2.0)
    callers = [bench.ask() for _ in range(3)]
    assert [caller.done for caller in callers] == [False, False, True]
    assert fault(callers[2]) == (503, "busy")
    bench.pass_time(2)
    assert fault(callers[1]) == (503, "busy")
    bench.close()


def test_an_operator_may_end_the_waiting_of_one(bench: Bench) -> None:
    bench.ask(), bench.ask()
    ended, stays = bench.ask(), bench.ask()
    bench.loop.fire(bench.pool.queue.slots[0], SlotTrigger.CLOSE_ORDERED)
    bench.settle()
    assert fault(ended) == (503, "closed by an operator")
    assert not error(ended).safe, "it is not asked again of another"
    assert not stays.done


def test_who_leaves_while_waiting_gives_up_his_place(bench: Bench) -> None:
    bench.ask(), bench.ask()
    third, fourth = bench.ask(), bench.ask()
    third.leave()
    assert len(bench.pool.queue.slots) == 1
    bench.accept().send(answer(b"for the fourth"))
    bench.fars[0].send(answer(b"for the fourth"))
    assert fourth.result.complete == b"for the fourth"


def test_the_slot_of_a_connection_that_ends_goes_to_whoever_waits(bench: Bench) -> None:
    bench.ask("POST"), bench.ask("POST")
    third = bench.ask()
    bench.accept().reset()
    bench.accept()
    assert "AWAITING_RESPONSE" in third.operation.describe()  # type: ignore[union-attr]
    assert len(bench.connections()) == 2
    bench.accept().send(answer(b"hello"))
    assert third.result.complete == b"hello"


def test_two_requests_of_one_handler_one_after_the_other_share_a_connection(bench: Bench) -> None:
    async def both() -> list[int]:
        return [(await bench.upstream.request("GET", path)).status for path in ("/a", "/b")]

    caller = bench.run(both())
    far = bench.accept()
    far.send(answer(status=b"201 X"))
    far.send(answer(status=b"202 X"))
    assert caller.result == [201, 202]
    assert len(bench.connections()) == 1
    assert not bench.is_asked()


def test_a_request_that_is_given_to_a_connection_about_to_be_closed_goes_to_another(bench: Bench) -> None:
    """Within one step an idle connection is ordered closed, and given a request: the request is not lost with it."""
    bench.ask()
    bench.accept().send(answer())
    (idle,) = bench.connections()
    bench.loop.stepping = bench.loop.wake_up
    bench.loop.tell(idle, T.CLOSE_ORDERED)
    caller = bench.ask()
    bench.loop.stepping = None
    bench.settle()
    bench.accept().send(answer(status=b"201 X"))
    assert (caller.result.status, idle.state) == (201, S.CLOSED)


def test_who_leaves_does_not_take_the_next_request_of_a_connection_along(bench: Bench) -> None:
    """A message names the call that it is about, and is dropped when the connection is at another one by then."""
    first = bench.ask()
    (connection,) = bench.connections()
    call = connection.call
    bench.accept().send(answer())
    assert first.result.status == 200
    second = bench.ask()
    assert connection.call is not call
    bench.loop.tell(connection, T.CALLER_LEFT, call)
    bench.settle()
    assert (connection.state, second.done) == (S.AWAITING_RESPONSE, False)
    bench.loop.tell(connection, T.CALLER_LEFT, connection.call)
    assert connection.state is S.CLOSED


def test_the_connection_that_was_used_last_is_used_first(bench: Bench) -> None:
    bench.ask(), bench.ask()
    one, another = bench.accept(), bench.accept()
    one.send(answer())
    another.send(answer())
    another.received(), one.received()
    bench.ask()
    assert (one.received()[:3], another.received()[:3]) == (b"", b"GET")


POISON = answer(b"poison")
left_over = pytest.mark.parametrize("what", [POISON, b"x", b""])


def leave(far: Far, what: bytes) -> None:
    """Send `what`, or the end, without the loop having seen it."""
    if what:
        far.socket.send(what)
    else:
        far.socket.shutdown(socket.SHUT_WR)


@left_over
def test_an_idle_connection_is_looked_at_before_a_request_is_sent_on_it(bench: Bench, what: bytes) -> None:
    """The request, whatever its method, goes to another connection, and nothing of it to this one."""
    bench.ask()
    far = bench.accept()
    far.send(answer(b"mine"))
    leave(far, what)
    caller = Caller(bench.loop, bench.upstream.request("POST"))
    bench.settle()
    assert far.received().count(b"HTTP/1.1") == 1, "nothing more is asked on it"
    bench.accept().send(answer(b"mine again"))
    assert caller.result.complete == b"mine again"
    assert (bench.connections() == []) is bool(what), "and what came for nobody may come again"


@left_over
def test_a_connection_that_goes_straight_to_the_next_who_waits_is_looked_at(bench: Bench, what: bytes) -> None:
    """What lies behind an answer is nobody's: the next in the queue gets a new connection, before all others."""
    bench.ask(), bench.ask("POST")
    third, fourth = bench.ask("POST"), bench.ask()
    far, _ = bench.accept(), bench.accept()
    body = b"x" * (READ_SIZE - len(answer(b"", b"X: " + b"y" * 100, length=False)) - 30)
    whole = answer(body, b"X: " + b"y" * 100)
    whole = whole.replace(b"y" * 100, b"y" * (100 + READ_SIZE - len(whole)))
    assert len(whole) == READ_SIZE
    far.socket.setblocking(True)
    far.socket.sendall(whole + what)
    if not what:
        far.socket.shutdown(socket.SHUT_WR)
    bench.settle()
    assert b"POST" not in far.received()
    assert not third.done
    methods = [line[:4] for line in bench.accept().send(answer(b"for the third")).received().splitlines()]
    assert third.result.complete == b"for the third"
    assert methods.count(b"POST") == 1
    assert methods.count(b"GET ") == (not what), "its connection goes on to the fourth, while the upstream is trusted"
    assert not fourth.done
    assert bench.pool.health.failures == 0, "a connection that had grown old is no failure"


def test_a_new_connection_on_which_an_answer_comes_before_the_request_is_refused(bench: Bench) -> None:
    caller = Caller(bench.loop, bench.upstream.request("POST"))
    far = bench.accept()
    far.socket.send(POISON)
    bench.settle()
    assert b"POST" not in far.received()
    bench.accept().send(answer(b"mine"))
    assert caller.result.complete == b"mine"


def test_an_upstream_that_refuses_a_new_connection_before_it_is_asked_is_believed(bench: Bench) -> None:
    caller = Caller(bench.loop, bench.upstream.request("POST"))
    far = bench.accept()
    far.socket.send(answer(b"full", b"Connection: close", status=b"503 Service Unavailable"))
    bench.settle()
    assert (caller.result.status, caller.result.complete) == (503, b"full")


@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_an_answer_without_the_content_it_announces_is_the_last_on_its_connection(bench: Bench, method: str) -> None:
    """The content may come after all, at any time."""
    caller = bench.ask(method)
    bench.accept().send(answer(b"", b"Content-Length: 9", status=b"304 X", length=False))
    assert caller.result.status == 304
    assert bench.connections() == []


def test_a_connection_is_not_used_for_ever(bench: Bench) -> None:
    bench.ask()
    far = bench.accept()
    (connection,) = bench.connections()
    connection.served = Bounds().max_served - 1
    far.send(answer())
    assert bench.states() == [S.IDLE]
    bench.ask()
    assert connection.served == Bounds().max_served
    far.send(answer())
    assert bench.connections() == []


def test_a_pool_that_is_closed_keeps_nothing(bench: Bench) -> None:
    bench.ask(), bench.ask()
    one, another = bench.accept(), bench.accept()
    one.send(answer())
    assert sorted(bench.states()) == sorted([S.IDLE, S.AWAITING_RESPONSE])
    bench.upstream.close()
    bench.settle()
    assert bench.states() == [S.AWAITING_RESPONSE]
    another.send(answer())
    assert bench.states() == []


# --- who has a connection


def test_the_requests_that_wait_are_bounded_in_bytes() -> None:
    bench = Bench(bounds=Bounds(max_connections=1, max_waiting_bytes=5000))
    bench.ask("POST")
    waiting = bench.ask("POST", body=b"x" * 4000)
    refused = bench.ask("POST", body=b"x" * 4000)
    assert not waiting.done
    assert fault(refused) == (503, "busy")
    assert not bench.ask("POST").done
    bench.close()


def test_a_thousand_requests_for_a_few_connections_are_all_answered() -> None:
    """Waiting is bounded by time and memory: ordinary concurrency is not refused."""
    bench = Bench(bounds=Bounds(max_connections=2))
    callers = [Caller(bench.loop, bench.upstream.request("GET", client="a")) for _ in range(1000)]
    bench.settle()
    fars = [bench.accept(), bench.accept()]
    while not all(caller.done for caller in callers):
        for far in fars:
            if far.received():
                far.send(answer(b"hello"))
    assert {caller.result.status for caller in callers} == {200}
    assert len(bench.connections()) == 2
    bench.close()


@pytest.fixture
def four() -> Iterator[Bench]:
    bench = Bench(bounds=Bounds(max_connections=4))
    yield bench
    bench.close()


def test_a_client_has_its_share_of_the_connections_and_no_more(four: Bench) -> None:
    """What is left is for others, at once."""
    callers = [four.ask("POST", client="greedy") for _ in range(5)]
    assert len(four.connections()) == 3
    other = four.ask("POST", client="other")
    assert len(four.connections()) == 4
    fars = [four.accept() for _ in range(4)]
    fars[3].send(answer(b"for the other"))
    assert other.result.complete == b"for the other"
    assert four.states().count(S.IDLE) == 1, "it is not given to who has his share"
    fars[0].send(answer(b"for the first"))
    assert callers[0].done
    assert four.pool.load == 4
    assert len(four.pool.queue.slots) == 1
    fars[0].send(answer())
    fars[1].send(answer())
    fars[2].send(answer())
    assert [caller.done for caller in callers].count(True) >= 4


@pytest.mark.parametrize(("share", "count"), [(0, 4), (100, 4), (50, 2), (1, 1)])
def test_the_share_is_a_bound_of_the_pool(share: int, count: int) -> None:
    bench = Bench(bounds=Bounds(max_connections=4, client_share=share))
    for _ in range(6):
        bench.ask("POST", client="greedy")
    assert len(bench.connections()) == count
    bench.close()


def stream(far: Far) -> None:
    far.send(answer(b"", b"Content-Type: text/event-stream", b"Transfer-Encoding: chunked", length=False))


def test_event_streams_take_no_connection_from_the_others(bench: Bench) -> None:
    """They have a bound of their own."""
    for _ in range(5):
        caller = bench.ask()
        stream(bench.accept())
        bench.run(anext(caller.result.body))
    plain = bench.ask()
    bench.accept().send(answer(b"at once"))
    assert plain.result.complete == b"at once"
    assert (bench.pool.load, len(bench.pool.streams)) == (5, 5)


def test_streams_have_a_bound_beyond_which_they_count_as_the_others() -> None:
    bench = Bench(bounds=Bounds(max_connections=2, max_streams=1))
    for _ in range(3):
        bench.ask()
        stream(bench.accept())
    caller = bench.ask("POST")
    assert len(bench.pool.streams) == 1
    assert caller.operation is not None
    assert "upstream_slot" in caller.operation.describe()
    bench.fars[0].close()
    assert len(bench.pool.streams) == 0
    bench.close()


def test_a_client_has_its_share_of_the_streams() -> None:
    bench = Bench(bounds=Bounds(max_connections=100, max_streams=4))
    for _ in range(5):
        bench.ask(client="greedy")
        stream(bench.accept())
    assert len(bench.pool.streams) == 3
    bench.close()


@pytest.mark.parametrize("silent", [True, False])
def test_an_answer_that_keeps_its_reader_waiting_is_a_stream(bench: Bench, silent: bool) -> None:
    """Whatever its type: it is found out by its next piece, or when somebody wants its connection."""
    readers = []
    for _ in range(2):
        caller = bench.ask()
        bench.accept().send(answer(b"", b"Transfer-Encoding: chunked", length=False))
        readers.append(bench.run(anext(caller.result.body)))
    assert bench.states() == [S.READING_BODY] * 2
    bench.pass_time(LONG + 0.1)
    if not silent:
        for far in bench.fars:
            far.send(b"5\r\nhello\r\n")
        assert [reader.result for reader in readers] == [b"hello"] * 2
        assert len(bench.pool.streams) == 2
    bench.ask()
    assert len(bench.connections()) == 3
    assert len(bench.pool.streams) == 2


def test_the_connection_of_a_stream_that_has_ended_is_not_kept(bench: Bench) -> None:
    caller = bench.ask()
    far = bench.accept()
    stream(far)
    reader = bench.run(caller.result.read())
    far.send(b"0\r\n\r\n")
    assert reader.result == b""
    assert bench.connections() == []


def test_a_connection_is_given_back_at_once_when_its_caller_leaves(bench: Bench) -> None:
    """Whatever it waits for: a slot is never held for nobody."""
    first, second, third = bench.ask("POST"), bench.ask("POST"), bench.ask("POST")
    bench.accept(), bench.accept()
    first.leave()
    assert third.operation is not None
    assert "AWAITING_RESPONSE" in third.operation.describe() or "CONNECTING" in third.operation.describe()
    bench.settle()
    assert bench.accept().received().startswith(b"POST")
    assert not second.done


NO_BUFFER: dict[str, Any] = {"upstream_buffer": 0, "upstream_file": 0}
"""What comes behind the first read waits with the upstream until that has been taken."""


def holding(bench: Bench) -> Far:
    """One that has taken 6000 bytes of an answer and takes no more, where nothing is buffered."""
    caller = bench.ask()
    far = bench.accept()
    head, body = answer(b"x" * 100_000)[:-100_000], b"x" * 6000
    far.send(head + body[len(head) :])
    bench.run(anext(caller.result.body))
    far.send(b"x" * 10_000)
    assert bench.states()[-1] is S.HOLDING_BODY
    return far


def test_while_others_wait_an_answer_must_be_taken_at_a_minimum_rate() -> None:
    """Who takes it slower has its connection taken away; where nobody waits it may take its time."""
    bench = Bench(bounds=Bounds(max_connections=1), **NO_BUFFER)
    far = holding(bench)
    bench.pass_time(200)
    assert bench.states() == [S.HOLDING_BODY], "nobody waits"
    caller = bench.ask("POST")
    bench.pass_time(0.3)
    assert far.received().endswith(b"RESET")
    bench.accept().send(answer(b"at last"))
    assert caller.result.complete == b"at last"
    assert bench.pool.health.failures == 0, "the client was slow, and not the upstream"
    bench.close()


def test_the_minimum_rate_counts_after_a_grace_and_against_what_has_moved() -> None:
    bench = Bench(
        bounds=Bounds(max_connections=1, slot_timeout=60),
        upstream_take_grace=2.0,
        upstream_take_min_rate=1000,
        **NO_BUFFER,
    )
    holding(bench)
    bench.ask("POST")
    bench.pass_time(2 + 5.9)
    assert bench.states() == [S.HOLDING_BODY], "6000 bytes are six seconds"
    bench.pass_time(0.3)
    assert S.HOLDING_BODY not in bench.states(), "what was read and waits in the buffer has not moved"
    bench.close()


def test_a_reader_that_goes_on_taking_from_a_full_buffer_is_not_late() -> None:
    """The deadline for taking an answer is without progress: what is taken from the buffer is progress, though there is
    no room for more of the answer yet."""
    bench = Bench(upstream_buffer=0, upstream_file=4 * READ_SIZE)
    caller = bench.ask()
    bench.accept().send(answer(b"x" * 16 * READ_SIZE)[: 8 * READ_SIZE])
    assert bench.states() == [S.HOLDING_BODY]
    for _ in range(4):
        bench.run(anext(caller.result.body))
        assert bench.states() == [S.HOLDING_BODY], "the file is emptied first"
        bench.pass_time(200)
        assert bench.states() == [S.HOLDING_BODY]
    bench.pass_time(101)
    assert bench.states() == []
    bench.close()


def test_while_others_wait_a_request_must_be_handed_over_at_a_minimum_rate() -> None:
    bench = Bench(bounds=Bounds(max_connections=1))
    slow = bench.ask("POST", body=from_client())
    bench.accept()
    bench.settle()
    assert bench.states() == [S.AWAITING_PIECE]
    bench.pass_time(6)
    assert bench.states() == [S.AWAITING_PIECE]
    caller = bench.ask("POST")
    bench.pass_time(0.3)
    slow.give(b"too late")
    assert fault(slow) == (504, "piece timeout")
    bench.accept().send(answer(b"at last"))
    assert caller.result.complete == b"at last"
    bench.close()


# --- addresses


def by_name(bench: Bench, *addresses: Address) -> None:
    """Let the pool's name have these addresses."""
    bench.pool.resolver = Resolver("a.example", 80, bench.loop, look_up=lambda host, port: list(addresses))


def here(bench: Bench, host: str = "127.0.0.1") -> Address:
    return socket.AF_INET, (host, bench.listeners[0].getsockname()[1])


def test_a_name_is_looked_up_and_its_addresses_are_tried_in_order(bench: Bench) -> None:
    by_name(bench, here(bench, "127.0.0.77"), here(bench, "127.0.0.78"), here(bench))
    caller = bench.ask("POST")
    bench.turn_until(bench.is_asked)
    bench.settle()
    bench.fars[0].send(answer(b"hello"))
    assert caller.result.complete == b"hello"
    assert bench.connections()[0].address.startswith("127.0.0.1:")


def test_a_name_without_a_good_address_is_502(bench: Bench) -> None:
    by_name(bench, here(bench, "127.0.0.77"), here(bench, "127.0.0.78"))
    caller = bench.ask()
    wait = rf"place 1 of 1 for 2 connections to {bench.pool.where} <- resolution#\d+ ASKING 0.0 s of 5 s for a.example"
    assert re.search(wait, caller.waits[0])
    bench.turn_until(lambda: caller.done)
    assert fault(caller) == (502, "refused")


def test_a_name_that_nobody_knows_is_502(bench: Bench) -> None:
    by_name(bench)
    caller = bench.ask()
    bench.turn_until(lambda: caller.done)
    assert fault(caller) == (502, "name: it has no address")


def test_who_leaves_while_a_name_is_looked_up_is_not_connected(bench: Bench) -> None:
    by_name(bench, here(bench))
    caller = bench.ask()
    caller.leave()
    bench.turn_until(lambda: bench.pool.resolver.known())
    bench.settle()
    assert bench.connections() == []


def test_who_waits_for_a_name_counts_as_load_and_is_bounded_in_number_and_time(bench: Bench) -> None:
    """A look-up is waited for as a connection is: in the queue, which has its bounds."""
    may_answer = threading.Event()

    def look_up(host: str, port: int) -> list[Address]:
        may_answer.wait(PATIENCE)
        return []

    bench.pool.resolver = Resolver("a.example", 80, bench.loop, look_up=look_up)
    callers = [bench.ask() for _ in range(3)]
    assert bench.pool.load == 3
    assert fault(bench.ask()) == (503, "busy")
    bench.pass_time(RESOLVE.seconds)
    assert [fault(caller) for caller in callers] == [(502, "name: the resolver did not answer in time")] * 3
    may_answer.set()
    bench.turn_until(lambda: not [one for one in bench.loop.machines.values() if isinstance(one, Work)])


def test_a_name_that_has_moved_is_found_by_the_request_that_is_refused(bench: Bench) -> None:
    """A refused connection makes the name be looked up again, and the request goes where it is now."""
    places = [here(bench, "127.0.0.77")]
    bench.pool.resolver = Resolver("a.example", 80, bench.loop, look_up=lambda host, port: list(places))
    first = bench.ask("POST")
    bench.turn_until(lambda: first.done)
    assert fault(first) == (502, "refused")
    places[:] = [here(bench)]
    at_once = bench.ask("POST")
    bench.turn_until(lambda: at_once.done)
    assert fault(at_once) == (502, "refused"), "an upstream that is down is not looked up for each request"
    bench.pass_time(FRESH)
    second = bench.ask("POST")
    bench.turn_until(bench.is_asked)
    bench.settle()
    bench.fars[-1].send(answer(b"moved"))
    assert second.result.complete == b"moved"


def test_many_who_wait_for_one_name_keep_to_the_bounds(bench: Bench) -> None:
    by_name(bench, here(bench))
    callers = [bench.ask() for _ in range(3)]
    bench.turn_until(lambda: bench.pool.resolver.known())
    bench.settle()
    assert len(bench.connections()) == 2
    assert len(bench.pool.queue.slots) == 1
    assert not any(caller.done for caller in callers)


# --- what the system refuses


@pytest.mark.parametrize(("number", "status"), [(errno.EMFILE, 503), (errno.ENFILE, 503), (errno.EAFNOSUPPORT, 502)])
def test_without_a_descriptor_it_is_503(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, number: int, status: int
) -> None:
    def fails(*_: object) -> None:
        raise OSError(number, "no")

    with monkeypatch.context() as patch:
        patch.setattr(socket, "socket", fails)
        caller = bench.run(bench.upstream.request("GET"))
    bench.settle()
    assert fault(caller)[0] == status


@pytest.mark.parametrize(("number", "status"), [(errno.EMFILE, 503), (errno.EAFNOSUPPORT, 502)])
def test_where_no_connection_is_left_and_none_can_be_made_all_who_wait_are_told(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, number: int, status: int
) -> None:
    def fails(*_: object) -> None:
        raise OSError(number, "no")

    bench.ask("POST"), bench.ask("POST")
    waiting = [bench.ask("POST") for _ in range(3)]
    first, second = bench.accept(), bench.accept()
    bench.settle()
    with monkeypatch.context() as patch:
        patch.setattr(socket, "socket", fails)
        first.reset()
        assert [caller.done for caller in waiting] == [True, False, False], "the other connection may become free"
        second.reset()
    assert [fault(caller)[0] for caller in waiting] == [status] * 3
    assert list(bench.pool.queue.slots) == []
    (engine,) = [engine for engine in bench.loop.engines if engine.table.name == "upstream_slot"]
    assert {edge.trigger: edge.count for edge in engine.edges if edge.count} == {"SLOT_FREED": 2, "BACKEND_LOST": 1}


def test_a_loop_that_cannot_hold_the_descriptor_is_503(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no")

    with monkeypatch.context() as patch:
        patch.setattr(bench.poller, "register", fails)
        caller = bench.run(bench.upstream.request("GET"))
    bench.settle()
    assert fault(caller)[0] == 502
    assert bench.connections() == []
