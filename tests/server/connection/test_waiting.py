"""What an exchange has waited for: each second is told once, with what was waited for in it."""

import pytest

from clerestory.handlers.api.messages import Request, Response
from clerestory.server.connection.waiting import MOST, OTHERS, PLACES, Waits, upstream_of
from clerestory.server.observer import Answered, Carrier
from clerestory.statemachines.connection import TABLE
from clerestory.statemachines.connection import State as S
from tests.server.support import GET, Pending, bench_of

STATES = [spec.state for spec in TABLE.specs]
QUERYING = STATES.index(S.QUERYING_BACKEND)


class Named(Pending):
    """An operation that was in a queue for so long."""

    def __init__(self, name: str, queued: float = 0.0) -> None:
        super().__init__()
        self.name = name
        self.in_queue = queued

    def subject(self) -> str:
        return self.name

    def queued(self) -> tuple[str, float]:
        return "a queue", self.in_queue


def spent(seconds: float) -> list[float]:
    found = [0.0] * len(STATES)
    found[QUERYING] = seconds
    return found


def test_an_operation_is_in_its_queue_first() -> None:
    waits = Waits()
    waits.note("a database", "a session", 0.75, spent(2.0))
    assert waits.of == {(QUERYING, "a session"): 0.75, (QUERYING, "a database"): 1.25}


def test_one_that_was_given_up_in_its_queue_has_waited_for_nothing_else() -> None:
    waits = Waits()
    waits.note("a database", "a session", float("inf"), spent(2.0))
    assert waits.of == {(QUERYING, "a session"): 2.0}


def test_the_next_operation_has_what_came_since_the_last_one_ended() -> None:
    waits = Waits()
    waits.note("first", "", 0.0, spent(2.0))
    waits.note("second", "", 0.0, spent(5.0))
    waits.note("third", "", 0.0, spent(5.0))
    assert waits.of == {(QUERYING, "first"): 2.0, (QUERYING, "second"): 3.0}


def test_beyond_the_bound_the_others_are_counted_together() -> None:
    waits = Waits()
    for number in range(MOST + 2):
        waits.note(f"work {number}", "", 0.0, spent(number + 1.0))
    assert len(waits.of) == MOST + 1
    assert waits.of[QUERYING, OTHERS] == 2.0


def test_states_that_wait_for_the_client_are_no_operation_s() -> None:
    told = {STATES[place] for place in PLACES}
    assert told == {S.QUERYING_BACKEND, S.PRODUCING, S.HALF_CLOSED, S.TUNNELLING}


def test_a_handler_s_operations_are_told_one_after_the_other() -> None:
    operations = [Named("a lock"), Named("a query", queued=1.0)]

    async def handler(request: Request) -> Response:
        for one in operations:
            await one
        return Response(b"done")

    told: list[dict[tuple[int, str], float]] = []

    def ended(carrier: Carrier, exchange: Answered, skipped: int) -> None:
        assert exchange.waits is not None
        told.append(exchange.waits.of)

    with bench_of(handler) as bench:
        bench.service.on_exchange_ended = ended
        client = bench.connect()
        client.send(GET)
        for one, seconds in zip(operations, (2, 3), strict=True):
            bench.after(seconds)
            one.finish()
        bench.settle()
    (waits,) = told
    assert waits == pytest.approx(
        {(QUERYING, "a lock"): 2.0, (QUERYING, "a queue"): 1.0, (QUERYING, "a query"): 2.0}, abs=0.01
    )


def test_what_was_waited_for_when_the_deadline_passed_is_told() -> None:
    operation = Named("a stuck backend")

    async def handler(request: Request) -> Response:
        await operation
        return Response(b"done")

    told: list[dict[tuple[int, str], float]] = []
    with bench_of(handler, backend_timeout=5.0) as bench:
        bench.service.on_exchange_ended = lambda carrier, exchange, skipped: told.append(exchange.waits.of)
        client = bench.connect()
        client.send(GET)
        bench.after(6)
        assert client.received().startswith(b"HTTP/1.1 504")
    assert told[0][QUERYING, "a stuck backend"] >= 5.0


def test_an_application_s_own_operation_may_fail_to_say_what_it_is() -> None:
    class Mute(Pending):
        def subject(self) -> str:
            raise RuntimeError("no name")

    operation = Mute()

    async def handler(request: Request) -> Response:
        await operation
        return Response(b"done")

    told: list[dict[tuple[int, str], float]] = []
    with bench_of(handler) as bench:
        bench.service.on_exchange_ended = lambda carrier, exchange, skipped: told.append(exchange.waits.of)
        client = bench.connect()
        client.send(GET)
        bench.after(1)
        operation.finish()
        bench.settle()
        assert client.received().endswith(b"done")
    assert [whom for _, whom in told[0]] == ["Mute"]


def test_the_upstream_that_was_asked_last_is_known() -> None:
    waits = Waits()
    assert upstream_of(None) == upstream_of(waits) == ""
    waits.note("upstream a:1", "a connection to upstream a:1", 0.5, spent(1.0))
    waits.note("upstream b:2", "", 0.0, spent(2.0))
    waits.note("a timer", "", 0.0, spent(3.0))
    assert upstream_of(waits) == "b:2"
