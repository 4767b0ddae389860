"""What the log and an operator see of a connection."""

import pytest

from clerestory.handlers.api.messages import Request, Response
from clerestory.statemachines.connection import State as S
from clerestory.statemachines.connection import Trigger as T
from tests.server.connection.states import every, in_state
from tests.server.support import (
    GET,
    HELLO,
    USUAL,
    A,
    B,
    O,
    Pending,
    Q,
    awaiting,
    bench_of,
    head,
    hello,
)

pytestmark = pytest.mark.usefixtures("every_descriptor_back")


# --- the log


def test_times_bytes_and_ids_are_those_of_the_exchange() -> None:
    pending = Pending()

    async def handler(request: Request) -> Response:
        return Response(await pending)

    with bench_of(handler) as bench:
        client = bench.connect()
        bench.after(1)
        client.send(GET[:5])
        bench.after(2)
        client.send(GET[5:])
        bench.after(4)
        pending.finish(b"hello")
        bench.settle()
        (event,) = bench.logs.events
        assert event == {
            "event": "request",
            "level": "info",
            "id": "1-1",
            "peer": "client",
            "method": "GET",
            "target": "/",
            "status": 200,
            "bytes_in": len(GET),
            "bytes_out": len(HELLO),
            "times": {"awaiting_request": 1000.0, "reading_head": 2000.0, "querying_backend": 4000.0},
            "end": None,
        }


def test_the_times_of_one_exchange_do_not_count_for_the_next() -> None:
    pending = [Pending(), Pending()]
    turns = iter(pending)

    async def handler(request: Request) -> Response:
        return Response(await next(turns))

    with bench_of(handler) as bench:
        client = bench.connect()
        for seconds, operation in ((4, pending[0]), (2, pending[1])):
            client.far.sendall(GET)
            bench.settle()
            bench.after(seconds)
            operation.finish(b"")
            bench.settle()
        assert [event["times"] for event in bench.logs.events] == [
            {"querying_backend": 4000.0},
            {"querying_backend": 2000.0},
        ]
        assert {event["bytes_out"] for event in bench.logs.events} == {len(head(length=0))}


def test_nothing_is_logged_of_a_request_when_nobody_wants_it() -> None:
    with bench_of(hello, access=False) as bench:
        client = bench.connect()
        assert client.send(GET + GET) == awaiting(USUAL * 2, HELLO * 2)
        assert client.send(b"\0").logged == []
        assert client.half_close().logged == ["ended: client AWAITING_REQUEST HEAD_REFUSED"]


def test_each_passage_is_logged_for_who_debugs() -> None:
    with bench_of(hello, debug=True) as bench:
        client = bench.connect()
        client.far.sendall(GET)
        bench.settle()
        passages = [event for event in bench.logs.events if event["event"] == "transition"]
        assert [(event["source"], event["trigger"], event["dest"]) for event in passages] == [
            (A, T.HEAD_RECEIVED, Q),
            (Q, T.OUTPUT_READY, O),
            (O, T.OUTPUT_FLUSHED, A),
        ]


def test_the_loops_own_end_closes_a_connection_and_gives_its_exchange_back() -> None:
    pending = Pending()

    async def handler(request: Request) -> Response:
        return Response(await pending)

    with bench_of(handler) as bench:
        client = bench.connect()
        client.send(GET)
        bench.loop.close()
        assert client.is_closed
        bench.loop.close = lambda: None  # type: ignore[method-assign]


# --- what an operator sees


def test_a_glance_tells_who_it_is_and_what_it_is_about() -> None:
    pending = Pending()

    async def handler(request: Request) -> Response:
        return Response(await pending)

    with bench_of(handler) as bench:
        client = bench.connect()
        idle = client.connection.facts()
        assert idle[:3] == (1, "client", 1024.0)
        assert idle[6:] == (None, None, None)
        client.send(GET)
        waiting = client.connection.facts()
        assert waiting[3:6] == (len(GET), 0, 1)
        assert waiting[7:] == (pending, None)
        assert waiting[6].target == "/"


@pytest.mark.parametrize(("state", "moved"), [(B, 1), (O, None)])
def test_a_glance_at_a_paced_state_tells_its_pace(state: S, moved: int | None) -> None:
    with bench_of(every) as bench:
        client = in_state(bench, state)
        bench.after(1)
        *_, pace, progressed, spent, done = client.connection.facts()
        assert pace == (30.0, 240, 5.0)
        assert (progressed, spent) == (1024.0, 0.0)
        assert done == (client.connection.sent if moved is None else moved)


def test_what_has_deadlines_of_its_own_is_not_late_by_the_general_one() -> None:
    """An application that streams may be silent for longer than a query may take."""

    class Patient(Pending):
        def keeps_time(self) -> bool:
            return True

    waits: list[Pending] = [Pending(), Patient()]

    async def handler(request: Request) -> Response:
        await waits[len(seen)]
        return Response(b"late")

    seen: list[int] = []
    with bench_of(handler, backend_timeout=5) as bench:
        client = bench.connect()
        client.send(GET)
        bench.after(6)
        assert client.whole().sent.startswith(b"HTTP/1.1 504")
        seen.append(1)
        client = bench.connect()
        client.send(GET)
        bench.after(6)
        assert client.connection.state is Q
        waits[1].finish()
        bench.settle()
        assert client.whole().sent.startswith(b"HTTP/1.1 200")
