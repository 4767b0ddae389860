"""The pool: its bounds, who waits and for how long, several addresses, and what an idle connection may not bring."""

import errno
import socket
from collections.abc import Iterator

import pytest

from handlers.backends.resolver import TTL, Address, Resolver
from handlers.backends.upstream import Bounds
from statemachines.slot import Trigger as SlotTrigger
from statemachines.upstream import State as S
from tests.handlers.backends.upstreams import Asker, Bench, answer, error, fault


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench(bounds=Bounds(max_connections=2, max_waiting=3, slot_timeout=10))
    yield bench
    bench.close()


def test_so_many_connections_and_no_more_and_the_others_wait_in_their_order(bench: Bench) -> None:
    askers = [bench.ask() for _ in range(5)]
    assert len(bench.connections()) == 2
    first, _ = bench.accept(), bench.accept()
    assert askers[2].waits[0].endswith(f" <- place 1 of 1 for 2 connections to {bench.pool.where}")
    assert askers[4].operation.describe().endswith(f" <- place 3 of 3 for 2 connections to {bench.pool.where}")  # type: ignore[union-attr]
    assert bench.pool.load == 5
    for number in (0, 2, 3, 4):
        assert not askers[number].done
        first.send(answer(b"%d" % number))
        assert askers[number].result.complete == b"%d" % number
    assert len(bench.connections()) == 2


def test_one_more_than_may_wait_is_503_at_once(bench: Bench) -> None:
    for _ in range(5):
        assert not bench.ask().done
    asker = bench.ask()
    assert fault(asker) == (503, "busy")
    assert asker.error.fields == ((b"retry-after", b"1"),)  # type: ignore[union-attr]


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
    askers = [bench.ask() for _ in range(3)]
    assert [asker.done for asker in askers] == [False, False, True]
    assert fault(askers[2]) == (503, "busy")
    bench.pass_time(2)
    assert fault(askers[1]) == (503, "busy")
    bench.close()


def test_an_operator_may_end_the_waiting_of_one(bench: Bench) -> None:
    bench.ask(), bench.ask()
    ended, stays = bench.ask(), bench.ask()
    bench.loop.fire(bench.pool.queue.slots[0], SlotTrigger.CLOSE_ORDERED)
    bench.settle()
    assert fault(ended) == (503, "closed by order")
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

    asker = bench.run(both())
    far = bench.accept()
    far.send(answer(status=b"201 X"))
    far.send(answer(status=b"202 X"))
    assert asker.result == [201, 202]
    assert len(bench.connections()) == 1
    assert not bench.is_asked()


def test_the_connection_that_was_used_last_is_used_first(bench: Bench) -> None:
    bench.ask(), bench.ask()
    one, another = bench.accept(), bench.accept()
    one.send(answer())
    another.send(answer())
    another.received(), one.received()
    bench.ask()
    assert (one.received()[:3], another.received()[:3]) == (b"", b"GET")


@pytest.mark.parametrize("what", [answer(b"poison"), b"x", b""])
def test_an_idle_connection_is_looked_at_once_more_before_it_is_used(bench: Bench, what: bytes) -> None:
    bench.ask()
    far = bench.accept()
    far.send(answer(b"mine"))
    if what:
        far.socket.send(what)  # and the loop has not seen it
    else:
        far.socket.shutdown(socket.SHUT_WR)
    asker = Asker(bench.loop, bench.upstream.request("POST"))
    bench.settle()
    assert far.received().count(b"HTTP/1.1") == 1, "nothing more is asked on it"
    bench.accept().send(answer(b"mine again"))
    assert asker.result.complete == b"mine again"


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


# --- addresses


def by_name(bench: Bench, *addresses: Address) -> None:
    """Let the pool's name have these addresses."""
    bench.pool.resolver = Resolver("a.example", 80, bench.loop, look_up=lambda host, port: list(addresses))


def here(bench: Bench, host: str = "127.0.0.1") -> Address:
    return socket.AF_INET, (host, bench.listeners[0].getsockname()[1])


def test_a_name_is_looked_up_and_its_addresses_are_tried_in_order(bench: Bench) -> None:
    by_name(bench, here(bench, "127.0.0.77"), here(bench, "127.0.0.78"), here(bench))
    asker = bench.ask("POST")
    bench.turn_until(bench.is_asked)
    bench.settle()
    bench.fars[0].send(answer(b"hello"))
    assert asker.result.complete == b"hello"
    assert bench.connections()[0].address.startswith("127.0.0.1:")


def test_a_name_without_a_good_address_is_502(bench: Bench) -> None:
    by_name(bench, here(bench, "127.0.0.77"), here(bench, "127.0.0.78"))
    asker = bench.ask()
    assert asker.waits[0].startswith(f"upstream {bench.pool.where}: looking up a.example <- work#")
    bench.turn_until(lambda: asker.done)
    assert fault(asker) == (502, "refused")


def test_a_name_that_nobody_knows_is_502(bench: Bench) -> None:
    by_name(bench)
    asker = bench.ask()
    bench.turn_until(lambda: asker.done)
    assert fault(asker) == (502, "name: it has no address")


def test_who_leaves_while_a_name_is_looked_up_is_not_connected(bench: Bench) -> None:
    by_name(bench, here(bench))
    asker = bench.ask()
    asker.leave()
    bench.turn_until(lambda: bench.pool.resolver.known())
    bench.settle()
    assert bench.connections() == []


def test_who_leaves_while_a_name_is_looked_up_holds_nobody_up(bench: Bench) -> None:
    by_name(bench, here(bench))
    bench.upstream.site(bench.loop).pools[0].bounds = Bounds(max_connections=1)
    first = bench.ask()
    bench.turn_until(bench.is_asked)
    second, third = bench.ask(), bench.ask()
    bench.clock.now += TTL
    first.leave()
    assert second.operation is not None
    assert "looking up a.example" in second.operation.describe()
    second.leave()
    bench.turn_until(bench.is_asked)
    bench.settle()
    bench.fars[1].send(answer(b"for the third"))
    assert third.result.complete == b"for the third"


def test_many_who_wait_for_one_name_keep_to_the_bounds(bench: Bench) -> None:
    by_name(bench, here(bench))
    askers = [bench.ask() for _ in range(5)]
    bench.turn_until(lambda: bench.pool.resolver.known())
    bench.settle()
    assert len(bench.connections()) == 2
    assert len(bench.pool.queue.slots) == 3
    assert not any(asker.done for asker in askers)


# --- what the system refuses


@pytest.mark.parametrize(("number", "status"), [(errno.EMFILE, 503), (errno.ENFILE, 503), (errno.EAFNOSUPPORT, 502)])
def test_without_a_descriptor_it_is_503(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, number: int, status: int
) -> None:
    def fails(*_: object) -> None:
        raise OSError(number, "no")

    with monkeypatch.context() as patch:
        patch.setattr(socket, "socket", fails)
        asker = bench.run(bench.upstream.request("GET"))
    bench.settle()
    assert fault(asker)[0] == status


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
        assert [asker.done for asker in waiting] == [True, False, False], "the other connection may become free"
        second.reset()
    assert [fault(asker)[0] for asker in waiting] == [status] * 3
    assert list(bench.pool.queue.slots) == []
    (engine,) = [engine for engine in bench.loop.engines if engine.table.name == "upstream_slot"]
    assert {edge.trigger: edge.count for edge in engine.edges if edge.count} == {"SLOT_FREE": 2, "BACKEND_LOST": 1}


def test_a_loop_that_cannot_hold_the_descriptor_is_503(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no")

    with monkeypatch.context() as patch:
        patch.setattr(bench.poller, "register", fails)
        asker = bench.run(bench.upstream.request("GET"))
    bench.settle()
    assert fault(asker)[0] == 502
    assert bench.connections() == []
