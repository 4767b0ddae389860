"""Orders: who can be closed, and that only the one that was meant is."""

from typing import Any

from clerestory.server.xray.serve.filters import parse
from clerestory.server.xray.serve.orders import Close, closable
from tests.server.support import GET, bench_of, hello
from tests.server.xray.support import Gate, cut_of, live, waiting
from tests.support.client import Client


class Executor:
    def __init__(self, loop: Any) -> None:
        self.loop = loop
        self.results: list[object] = []

    def finished(self, operation: object, result: object = None, error: BaseException | None = None) -> None:
        assert error is None
        self.results.append(result)


def test_what_can_be_closed_is_a_connection_and_no_part_of_the_server() -> None:
    with bench_of(hello) as bench:
        client = bench.connect()
        assert closable(client.connection)
        assert not closable(bench.loop.wake_up)


def test_a_descriptor_that_another_has_meanwhile_is_left_alone() -> None:
    """The one that was seen has ended, and its number is another connection's."""
    with bench_of(waiting()) as bench:
        first = bench.connect()
        first.send(GET)
        seen = cut_of(bench).seen[1]
        first.leave()
        second = bench.connect()
        bench.loop.machines[first.connection.descriptor] = second.connection
        executor = Executor(bench.loop)
        order = Close(bench.loop, bench.loop, [seen])
        order.start(executor)
        bench.settle()
        assert executor.results == [[]]
        assert second.connection.state == "AWAITING_REQUEST"
        assert order.describe() == "the main loop's next turn"
        bench.after(2)
        assert executor.results == [[]]
        if first.connection.descriptor != second.connection.descriptor:
            del bench.loop.machines[first.connection.descriptor]


def test_an_idle_connection_that_has_a_request_by_now_is_not_closed_as_idle() -> None:
    """The filter is asked again on the loop's own thread: after a block, what was seen is seconds old."""
    with bench_of(waiting()) as bench:
        idle, busy = bench.connect(), bench.connect()
        bench.clock.now += 5
        wanted, _ = parse("state=AWAITING_REQUEST&older=3")
        cut = cut_of(bench)
        found = [cut.seen[position] for position in wanted.select(cut)]
        assert len(found) == 2
        busy.send(GET)
        executor = Executor(bench.loop)
        Close(bench.loop, bench.loop, found, wanted.matches).start(executor)
        bench.settle()
        assert executor.results == [["1"]]
        assert idle.is_closed
        assert busy.connection.state == "QUERYING_BACKEND"


def test_an_order_whose_caller_has_left_is_carried_out_all_the_same() -> None:
    with bench_of(waiting()) as bench:
        client = bench.connect()
        client.send(GET)
        executor, order = Executor(bench.loop), Close(bench.loop, bench.loop, [cut_of(bench).seen[1]])
        order.start(executor)
        order.cancel()
        bench.settle()
        assert executor.results == []
        assert client.is_closed


def test_a_blocked_loop_takes_the_order_when_it_goes_on() -> None:
    gate = Gate()
    with live(gate) as server, Client(server.address) as idle, Client(server.address) as client:
        idle.get("/")
        client.send(b"GET /block HTTP/1.1\r\nhost: x\r\n\r\n")
        assert gate.entered.wait(20)
        answer = server.post("/connections/1/close")
        assert answer.text == '{"dry_run":false,"closed":[],"failed":["1"]}'
        gate.opened.set()
        assert client.answer().text == "late"
        assert idle.end() == "closed"
