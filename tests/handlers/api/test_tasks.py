"""Work behind answers: it goes on when the answer is out, is bounded, is seen, and is given up in order."""

from typing import Any

import pytest

from clerestory.handlers.api.errors import HTTPError
from clerestory.handlers.api.messages import Request, Response
from clerestory.handlers.api.operations import NEXT_PIECE
from clerestory.handlers.api.tasks import Background, Task, background_of, in_background
from clerestory.statemachines.connection import State as ConnectionState
from clerestory.statemachines.task import State as S
from tests.server.support import GET, Pending, bench_of

pytestmark = pytest.mark.usefixtures("every_descriptor_back")


def handler_of(make: Any) -> Any:
    async def handler(request: Request) -> Response:
        await in_background(make())
        return Response(b"hello")

    return handler


def test_it_goes_on_behind_the_answer() -> None:
    operation, seen = Pending(), list[Any]()

    async def work() -> None:
        seen.append(await operation)

    with bench_of(handler_of(work)) as bench:
        whole = bench.connect().send(GET)
        assert whole.sent.endswith(b"hello")
        assert whole.state is ConnectionState.AWAITING_REQUEST
        (task,) = background_of(bench.loop).runs
        assert task.node.state is S.AWAITING_OPERATION
        assert bench.loop.machines[task.descriptor] is task
        assert task.describe() == f"task#{-task.descriptor} AWAITING_OPERATION {work.__qualname__} 0.0 s"
        assert task.facts()[7] is operation
        operation.finish("result")
        bench.settle()
        assert seen == ["result"]
        assert background_of(bench.loop).runs == set()
        assert task.descriptor not in bench.loop.machines


def test_what_it_raises_is_logged() -> None:
    async def work() -> None:
        raise KeyError("work")

    with bench_of(handler_of(work)) as bench:
        whole = bench.connect().send(GET)
        assert whole.sent.endswith(b"hello")
        assert "background_failed" in whole.logged
        assert background_of(bench.loop).runs == set()


def test_there_are_so_many_and_no_more() -> None:
    operations = [Pending() for _ in range(3)]
    waiting = iter(operations)

    async def work() -> None:
        await next(waiting)

    with bench_of(handler_of(work)) as bench:
        background_of(bench.loop).most = 2
        client = bench.connect()
        for _ in range(2):
            assert client.send(GET).sent.endswith(b"hello")
        assert client.send(GET).sent.startswith(b"HTTP/1.1 503 ")
        operations[0].finish()
        assert client.send(GET).sent.endswith(b"hello")
        for operation in operations[1:]:
            operation.finish()
        bench.settle()


def test_a_drain_is_told_of_each_end_and_ends_what_is_left() -> None:
    operation, ends, said = Pending(), list[str](), list[int]()

    async def work() -> None:
        try:
            await operation
        finally:
            ends.append("finally")

    with bench_of(handler_of(work)) as bench:
        bench.connect().send(GET)
        background = background_of(bench.loop)
        background.on_run_ended = lambda: said.append(len(background.runs))
        background.drain()
        bench.settle()
        assert (operation.cancelled, ends, said) == (1, ["finally"], [0])
        assert "background_cancelled" in bench.logs.take()


def test_errors_of_operations_are_raised_in_it_also_of_those_that_cannot_start() -> None:
    seen: list[str] = []

    async def work() -> None:
        for operation in (Pending(refuses=LookupError("start")), NEXT_PIECE):
            try:
                await operation
            except (LookupError, TypeError) as error:
                seen.append(str(error))
        try:
            await failing
        except LookupError as error:
            seen.append(str(error))

    failing = Pending()
    with bench_of(handler_of(work)) as bench:
        bench.connect().send(GET)
        failing.finish(error=LookupError("later"))
        bench.settle()
        assert seen == ["start", "a task awaits operations, not a request's body", "later"]


def test_one_whose_loop_is_closed_is_given_up() -> None:
    with bench_of(lambda _: Response()) as bench:

        async def work() -> None: ...

        task = Task(bench.loop, work(), "early")
        bench.loop.add(task)
    assert task.name == "early"


def test_only_a_coroutine_is_taken() -> None:
    with pytest.raises(TypeError, match="takes a coroutine"):
        in_background(print)  # type: ignore[arg-type]


def test_a_refused_coroutine_is_closed() -> None:
    async def work() -> None: ...

    with bench_of(lambda _: Response()) as bench, pytest.raises(HTTPError):
        Background(bench.loop, 0).add(work())
