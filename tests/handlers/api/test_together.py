"""Several operations at once, and one for a time: results, errors, cancelling, and what an operator reads."""

import asyncio
from typing import Any

import pytest

from clerestory.handlers.api.messages import Request, Response
from clerestory.handlers.api.operations import HalfClose, Held, Operation
from clerestory.handlers.api.together import SHOWN, gather, wait_for
from clerestory.handlers.backends.timer import sleep
from clerestory.statemachines.connection import State as S
from tests.server.support import GET, Pending, bench_of

pytestmark = pytest.mark.usefixtures("every_descriptor_back")


def handler_of(operation: Operation, seen: list[Any]) -> Any:
    async def handler(request: Request) -> Response:
        try:
            seen.append(await operation)
        except (TimeoutError, LookupError) as error:
            seen.append(error)
        return Response(b"hello")

    return handler


def test_all_results_come_in_the_order_of_the_operations() -> None:
    one, two, three = Pending(), Pending(), Pending()
    seen: list[Any] = []
    with bench_of(handler_of(gather(one, two, three), seen)) as bench:
        client = bench.connect()
        assert client.send(GET).state is S.QUERYING_BACKEND
        for operation, result in ((three, 3), (one, 1)):
            operation.finish(result)
            bench.settle()
            assert seen == []
        two.finish(2)
        bench.settle()
        assert seen == [[1, 2, 3]]
        assert [operation.cancelled for operation in (one, two, three)] == [0, 0, 0]


def test_the_first_error_is_raised_and_cancels_the_others() -> None:
    one, two, three = Pending(), Pending(), Pending()
    seen: list[Any] = []
    error = LookupError("two")
    with bench_of(handler_of(gather(one, two, three), seen)) as bench:
        bench.connect().send(GET)
        one.finish(1)
        two.finish(error=error)
        bench.settle()
        assert seen == [error]
        assert [operation.cancelled for operation in (one, two, three)] == [0, 0, 1]


def test_one_that_cannot_be_started_cancels_those_that_were() -> None:
    one, two = Pending(), Pending(refuses=LookupError("no"))
    seen: list[Any] = []
    with bench_of(handler_of(gather(one, two), seen)) as bench:
        bench.connect().send(GET)
        assert one.cancelled == 1
        assert isinstance(seen[0], LookupError)


def test_a_gather_of_nothing_is_over_soon() -> None:
    seen: list[Any] = []
    with bench_of(handler_of(gather(), seen)) as bench:
        bench.connect().send(GET)
        bench.settle()
        assert seen == [[]]


def test_when_the_client_leaves_all_are_cancelled() -> None:
    one, two = Pending(), Pending()
    with bench_of(handler_of(gather(one, wait_for(two, 5.0)), [])) as bench:
        client = bench.connect()
        client.send(GET)
        bench.loop.close()
        assert [one.cancelled, two.cancelled] == [1, 1]
        bench.clients.clear()
        client.far.close()


def test_what_takes_too_long_is_cancelled() -> None:
    one = Pending()
    seen: list[Any] = []
    with bench_of(handler_of(wait_for(one, 2.0), seen)) as bench:
        bench.connect().send(GET)
        bench.after(1.75)
        assert (seen, one.cancelled) == ([], 0)
        bench.after(0.5)
        assert one.cancelled == 1
        assert isinstance(seen[0], TimeoutError)
        assert str(seen[0]) == "it has taken longer than 2.0 s"


def test_what_is_in_time_is_its_result_and_the_time_out_is_nothing() -> None:
    one = Pending()
    seen: list[Any] = []
    with bench_of(handler_of(wait_for(one, 2.0), seen)) as bench:
        client = bench.connect()
        client.send(GET)
        one.finish("result")
        assert client.settle().sent.endswith(b"hello")
        bench.after(3.0)
        assert (seen, one.cancelled) == (["result"], 0)


def test_real_timers_go_on_at_once() -> None:
    seen: list[Any] = []
    with bench_of(handler_of(gather(sleep(1.0), sleep(2.0), wait_for(sleep(1.5), 9.0)), seen)) as bench:
        bench.connect().send(GET)
        bench.after(1.75)
        assert seen == []
        bench.after(0.5)
        assert seen == [[None, None, None]]


def test_an_operator_reads_what_is_still_waited_for() -> None:
    operations = [Pending() for _ in range(SHOWN + 2)]
    both = gather(*operations)
    with bench_of(handler_of(both, [])) as bench:
        bench.connect().send(GET)
        operations[0].finish()
        assert both.describe() == "gather, 4 of 5 left: pending; pending; pending; 1 more"
        assert both.subject() == "gather"
        timed = wait_for(Pending(), 2.0)
        assert timed.describe() == "pending (for at most 2.0 s)"
        assert timed.subject() == "pending"
        assert timed.queued() == ("", 0.0)


class Fussy(Pending):
    """One that is worth little to a client that may have gone, and holds something."""

    def __init__(self, wish: HalfClose, held: Held | None = None) -> None:
        super().__init__()
        self.wish = wish
        self.held = held

    def client_closed(self) -> HalfClose:
        return self.wish

    def holds(self) -> Held | None:
        return self.held


class Lent:
    def __init__(self) -> None:
        self.is_over = False

    def leave(self) -> None:
        self.is_over = True


def test_what_the_operations_hold_and_wish_is_the_gathers() -> None:
    lent = Lent()
    both = gather(Fussy(HalfClose.ANSWER), Fussy(HalfClose.BRIEFLY, lent))
    with bench_of(handler_of(both, [])) as bench:
        bench.connect().send(GET)
        assert both.client_closed() is HalfClose.BRIEFLY
        assert not both.keeps_time()
    assert lent.is_over
    assert gather(Pending()).holds() is None


def test_only_operations_are_taken_each_once() -> None:
    async def coroutine() -> None: ...

    made = coroutine()
    for wrong in (made, asyncio.sleep, 5):
        with pytest.raises(TypeError, match="take operations, such as"):
            gather(wrong)  # type: ignore[arg-type]
    made.close()
    one = Pending()
    with pytest.raises(TypeError, match="awaited once"):
        gather(one, one)
    with pytest.raises(ValueError, match="not negative"):
        wait_for(one, -1.0)
