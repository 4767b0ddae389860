"""A cut in words: what is waited for, since when, until when, on whom; and never a secret."""

import asyncio
import time
from typing import Any

import pytest

from clerestory.handlers.api.messages import Request, Response
from clerestory.server.xray.observe.cut import take
from clerestory.server.xray.observe.snapshot import LONGEST, counts, request_line, row, standing, why
from clerestory.server.xray.serve.shape import row_text
from tests.handlers.asgi import bench as asgi
from tests.server.support import GET, Bench, bench_of, hello, stuck
from tests.server.xray.support import cut_of, row_of, waiting


def test_the_row_of_a_connection_that_waits_for_its_backend() -> None:
    with bench_of(waiting(), backend_timeout=30.0) as bench:
        client = bench.connect()
        bench.clock.now += 1
        client.send(b"GET /emails/7 HTTP/1.1\r\nhost: x\r\n\r\n")
        bench.clock.now += 1.25
        assert row_of(bench) == {
            "id": "1",
            "kind": "connection",
            "descriptor": client.connection.descriptor,
            "peer": "client",
            "state": "QUERYING_BACKEND",
            "waits_for": "the application",
            "true_while": "the handler runs or waits for an operation",
            "seconds": 1.25,
            "deadline": {
                "name": "backend",
                "by": "time",
                "seconds": 30.0,
                "remaining": 28.75,
                "idle": None,
                "rate": None,
            },
            "request": "GET /emails/7",
            "request_id": "1-1",
            "status": None,
            "bytes_in": 35,
            "bytes_out": 0,
            "requests": 1,
            "age": 2.25,
            "chain": ["work#1 RUNNING find 1.2 s"],
            "why": "GET /emails/7 QUERYING_BACKEND 1.2 s of 30 s <- work#1 RUNNING find 1.2 s",
        }


def test_the_chain_is_read_from_the_operations_words() -> None:
    with bench_of(waiting("postgres#3 AWAITING_RESULT 1.2 s <- fd 19 readable")) as bench:
        bench.connect().send(GET)
        found = row_of(bench)
        assert found["chain"] == ["postgres#3 AWAITING_RESULT 1.2 s", "fd 19 readable"]
        assert found["why"].endswith("<- postgres#3 AWAITING_RESULT 1.2 s <- fd 19 readable")


def test_an_idle_connection_waits_for_its_peer() -> None:
    with bench_of(hello) as bench:
        bench.connect()
        bench.clock.now += 3
        assert row_of(bench)["why"] == "AWAITING_REQUEST 3.0 s of 15 s <- client readable"


def test_an_operation_that_can_not_describe_itself_is_still_waited_for() -> None:
    def words() -> str:
        raise RuntimeError("it has just ended")

    with bench_of(waiting()) as bench:
        client = bench.connect()
        client.send(GET)
        assert client.connection.exchange is not None
        operation: Any = client.connection.exchange.operation
        operation.describe = words
        assert row_of(bench)["chain"] == ["Named (it has just ended)"]


# --- deadlines


def test_an_operation_that_keeps_its_own_time_is_shown_with_its_own_deadline() -> None:
    """An application's machine ends the wait, and not the connection: its deadline is what counts."""

    async def called(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(60)

    with asgi.bench_of(called) as applications, bench_of(waiting(), backend_timeout=30.0) as bench:
        carrier = applications.ask()
        run = applications.runs[0]
        client = bench.connect()
        client.send(GET)
        exchange = client.connection.exchange
        assert exchange is not None
        operation: Any = exchange.operation
        operation.keeps_time, operation.timed_by = carrier.steps.keeps_time, carrier.steps.timed_by
        run.since = bench.clock.now
        bench.clock.now += 2
        found = row_of(bench)
        limit = run.node.limit
        assert (found["deadline"]["name"], found["deadline"]["by"]) == ("application", "time")
        assert (found["deadline"]["seconds"], found["deadline"]["remaining"]) == (limit, limit - 2)
        assert f"QUERYING_BACKEND 2.0 s of {limit:g} s <- " in found["why"]
        run.since += 1
        assert f"QUERYING_BACKEND 2.0 s, application deadline in {limit - 1:.1f} s <- " in row_of(bench)["why"]
        operation.timed_by = lambda: None
        assert row_of(bench)["deadline"] is None


def test_a_client_that_sends_no_more_is_answered_until_the_deadline_of_every_other() -> None:
    with bench_of(waiting(), backend_timeout=30.0) as bench:
        client = bench.connect()
        client.send(GET)
        client.half_close()
        bench.clock.now += 4
        found = row_of(bench)
        assert found["state"] == "HALF_CLOSED"
        assert "HALF_CLOSED 4.0 s of 30 s <- " in found["why"]
        assert found["deadline"]["name"] == "backend"


def test_a_client_that_takes_nothing_is_ended_by_the_idle_clock_or_by_the_rate_whichever_is_first() -> None:
    def big(request: Request) -> Response:
        return Response(b"x" * 1_000_000)

    with bench_of(big, send_timeout=30.0, send_min_rate=240, send_grace=5.0) as bench:
        client = stuck(bench)
        sent = client.connection.sent
        bench.clock.now += 12
        found = row_of(bench)
        deadline = found["deadline"]
        assert deadline["idle"] == 18.0
        assert deadline["rate"] == pytest.approx(sent / 240 + 5 - 12, abs=0.001)
        first = min(("idle", "rate"), key=lambda name: deadline[name])
        assert (deadline["by"], deadline["remaining"]) == (first, deadline[first])
        assert f"send {first} deadline in" in found["why"]


@pytest.mark.parametrize("rate", [0, 1_000_000])
def test_what_the_row_says_of_the_deadline_is_when_it_fires(rate: int) -> None:
    """The prediction and the sweep agree: a moment before it is not overdue, at it, it is."""

    async def read(request: Request) -> Response:
        return Response(await request.read())

    with bench_of(read, body_min_rate=rate, body_timeout=8.0, body_grace=2.0) as bench:
        client = bench.connect()
        client.send(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n12345")
        deadline = row_of(bench)["deadline"]
        assert deadline["by"] == ("rate" if rate else "idle")
        bench.after(deadline["remaining"] - 0.25)
        assert client.connection.state == "READING_BODY"
        bench.after(0.5)
        assert client.connection.state != "READING_BODY"


# --- secrets


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        ("/", "GET /"),
        ("/search?q=me&token=abc", "GET /search?..."),
        ("/?", "GET /?..."),
        ("http://x/a?b", "GET http://x/a?..."),
        ("/" + "a" * 400, "GET /" + "a" * (LONGEST - 1) + "..."),
        ("/" + "a" * 400 + "?secret", "GET /" + "a" * (LONGEST - 1) + "..."),
    ],
)
def test_a_query_is_hidden_unless_it_is_asked_for(target: str, shown: str) -> None:
    request = Request("GET", target, ())
    assert request_line(request) == shown
    assert request_line(request, secrets=True, longest=None) == f"GET {target}"


def test_a_row_is_json_whatever_the_client_sends() -> None:
    with bench_of(waiting('"quoted" \\ and \x1b[31m')) as bench:
        client = bench.connect()
        client.connection.peer = 'peer "x"'
        client.send(b"GET /a%C3%22' HTTP/1.1\r\nhost: x\r\n\r\n")
        found = row_of(bench)
        assert found["peer"] == 'peer "x"'
        assert found["chain"] == ['"quoted" \\ and \x1b[31m']


# --- counts


def test_every_state_of_every_kind_is_counted() -> None:
    with bench_of(waiting()) as bench:
        for _ in range(3):
            bench.connect()
        bench.connect().send(GET)
        found = counts(cut_of(bench))
        assert found["connection"] == {
            "AWAITING_REQUEST": 3,
            "HANDSHAKING": 0,
            "READING_HEAD": 0,
            "READING_BODY": 0,
            "QUERYING_BACKEND": 1,
            "PRODUCING": 0,
            "HALF_CLOSED": 0,
            "SENDING_RESPONSE": 0,
            "EXCHANGING": 0,
            "TUNNELLING": 0,
            "LINGERING": 0,
            "CLOSED": 0,
        }
        assert found["wakeup"] == {"WATCHING": 1, "CLOSED": 0}
        assert sum(found["listener"].values()) == 0
        assert sum(here.count for here in standing(cut_of(bench))) == len(bench.loop.machines)


def test_the_oldest_of_a_state_is_known() -> None:
    with bench_of(hello) as bench:
        for _ in range(3):
            bench.connect()
            bench.clock.now += 1
        (here,) = [here for here in standing(cut_of(bench)) if here.kind == "connection"]
        assert (here.count, bench.clock.now - here.since) == (3, 3)


# --- words


def test_a_state_without_a_deadline_has_none_in_its_line() -> None:
    assert why("ACCEPTING", 3, None, "", ["readable"]) == "ACCEPTING 3.0 s <- readable"


# --- time


def crowd(bench: Bench, count: int) -> None:
    """Connections as a server has them: a third idle, the others waiting for their backend."""
    from clerestory.server.connection.connection import Connection

    class Silent:
        def __init__(self, number: int) -> None:
            self.request = b"GET /emails/%d HTTP/1.1\r\nhost: x\r\n\r\n" % number

        def read(self) -> bytes:
            return self.request

        def write(self, data: bytes, more: bool = False) -> int:
            return len(data)

    for number in range(count):
        machine = Connection(bench.service, Silent(number), 100_000 + number, f"127.0.0.1:{number}")  # type: ignore[arg-type]
        bench.loop.machines[machine.descriptor] = machine
        if number % 3:
            machine.engine.fire(machine, machine.read_head(1))


def test_a_snapshot_of_ten_thousand_takes_a_fraction_of_a_second_and_the_loop_stands_still_for_less() -> None:
    """The figures are printed; asserted is only what no machine is too slow for, and that the pause is the smaller."""
    with bench_of(waiting()) as bench:
        crowd(bench, 10_000)
        pause = words = text = float("inf")
        for _ in range(3):
            begin = time.perf_counter()
            cut = take(bench.loop)
            copied = time.perf_counter()
            rows = [row(seen, cut.now) for seen in cut.seen]
            told = time.perf_counter()
            size = sum(len(row_text(one)) for one in rows)
            pause, words = min(pause, copied - begin), min(words, told - copied)
            text = min(text, time.perf_counter() - told)
        print(f"10,000 connections: pause {pause * 1e3:.1f} ms, words {words * 1e3:.1f} ms, JSON {text * 1e3:.1f} ms")
        assert len(rows) == 10_001
        assert size > 1_000_000
        assert pause * 3 < words
        assert pause + words < 2
        bench.loop.machines = {fd: one for fd, one in bench.loop.machines.items() if fd < 100_000}
