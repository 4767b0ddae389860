"""Refusals, turns in which much happens at once, and what the kernel does wrong."""

import socket
from typing import Any

import pytest

from clerestory.handlers.api.messages import Request, Response
from clerestory.handlers.echo import echo
from clerestory.handlers.wire.transport import READ_SIZE
from clerestory.server.loop.loop import FEW
from clerestory.statemachines.connection import State as S
from clerestory.statemachines.engine import Machine
from tests.server.connection.states import every, in_state
from tests.server.support import (
    GET,
    HELLO,
    USUAL,
    A,
    B,
    C,
    H,
    L,
    O,
    Pending,
    Q,
    at,
    awaiting,
    bench_of,
    closed,
    error,
    head,
    hello,
    post,
    read_all,
)

pytestmark = pytest.mark.usefixtures("every_descriptor_back")


# --- refusals


def test_a_refused_head_is_answered_and_nothing_behind_it_is_looked_at() -> None:
    served = []

    def handler(request: Request) -> Response:
        served.append(request.target)
        return Response(b"hello")

    with bench_of(handler) as bench:
        client = bench.connect()
        bad = b"GET / HTTP/1.1\r\n\r\n"
        refused = error(400, "Bad Request", "An HTTP/1.1 request needs a Host field.")
        assert client.send(bad + GET) == at(L, [O, L], refused, "1-1 - - 400 client in AWAITING_REQUEST")
        assert client.send(GET) == at(L, [])
        assert client.half_close() == closed([C], b"", "ended: client AWAITING_REQUEST HEAD_REFUSED")
    assert served == []


def test_a_head_refused_at_its_first_bad_byte_is_answered_before_its_end() -> None:
    with bench_of(hello) as bench:
        client = bench.connect()
        client.send(b"GET / HT")
        whole = client.send(b"\0")
        assert (whole.state, whole.way, whole.sent[:12]) == (L, [O, L], b"HTTP/1.1 400")


def test_a_refused_request_behind_a_good_one_has_a_name_of_its_own_in_the_log() -> None:
    with bench_of(hello) as bench:
        whole = bench.connect().send(GET + b"\0")
        assert [line.split()[0] for line in whole.logged] == ["1-1", "1-2"]


def test_a_body_that_is_refused_is_answered_and_its_handler_given_up() -> None:
    with bench_of(read_all) as bench:
        client = bench.connect()
        chunked = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
        whole = client.send(chunked + b"zz\r\n")
        refused = error(400, "Bad Request", "A chunk size is not hexadecimal.")
        assert whole == at(L, [Q, B, O, L], refused, "1-1 POST / 400 client in READING_BODY")


def test_an_error_is_json_for_who_prefers_that() -> None:
    with bench_of(read_all, max_body=2) as bench:
        sent = bench.connect().send(post(b"abc", b"accept: application/json")).sent
        assert b"application/json" in sent
        assert sent.endswith(b'"detail": "The body is longer than 2 bytes."}')


def test_a_body_that_is_refused_after_the_answer_has_begun_cuts_it() -> None:
    with bench_of(echo) as bench:
        client = bench.connect()
        chunked = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
        assert client.send(chunked + b"1\r\na\r\n").state is B
        assert client.send(b"zz\r\n") == closed(
            [C], b"", "ended: client READING_BODY BODY_REFUSED", "1-1 POST / 200 client in READING_BODY"
        )
        assert client.transport.done == ["reset", "close"]


def test_a_body_that_is_late_after_the_answer_has_begun_cuts_it() -> None:
    with bench_of(echo) as bench:
        client = bench.connect()
        client.send(post(b"a", length=10))
        bench.after(30)
        assert client.whole() == closed(
            [C], b"", "ended: deadline READING_BODY DEADLINE_PASSED", "1-1 POST / 200 deadline in READING_BODY"
        )


@pytest.mark.parametrize("beyond", [0, 1])
def test_a_route_may_set_the_bodys_bound(beyond: int) -> None:
    async def handler(request: Request) -> Response:
        request.body_limit = 5
        return Response(await request.read())

    with bench_of(handler) as bench:
        sent = bench.connect().send(post(b"x" * (5 + beyond))).sent
        assert sent.startswith(b"HTTP/1.1 413" if beyond else b"HTTP/1.1 200")


# --- one turn, and one batch


def test_at_most_one_bounded_read_is_made_in_a_turn() -> None:
    with bench_of(read_all, max_body=10_000_000) as bench:
        client = bench.connect()
        client.far.setblocking(False)
        client.far.send(post(b"x" * 190_000))
        bench.turn()
        assert client.connection.bytes_in <= READ_SIZE


def test_a_spurious_report_changes_nothing() -> None:
    with bench_of(every) as bench:
        for state in (A, H, B, L):
            client = in_state(bench, state)
            bench.poller.script = [[(client.connection.descriptor, 1)]]
            bench.turn()
            assert client.whole()[:4] == (state, [], b"", [])


def test_a_revisit_whose_bytes_were_read_meanwhile_begins_no_request() -> None:
    """An operation ends, and the next request is reported, in one batch: the report takes what the revisit is for."""
    pending = Pending()

    async def handler(request: Request) -> Response:
        return Response(await pending if request.target == "/wait" else b"hello")

    with bench_of(handler) as bench:
        client = bench.connect()
        client.send(b"GET /wait HTTP/1.1\r\nhost: x\r\n\r\n" + GET[:9])
        client.far.sendall(GET[9:])
        bench.loop.call_from_thread(lambda: pending.finish(b""))
        bench.poller.script = [[(bench.loop.wake_up.descriptor, 1), (client.connection.descriptor, 1)]]
        whole = client.settle()
        assert (whole.state, whole.sent) == (A, head(length=0) + HELLO)
        assert H not in whole.way[-3:]


def test_a_request_in_the_buffer_is_answered_before_the_half_close_behind_it_is_looked_at() -> None:
    pending = Pending()

    async def handler(request: Request) -> Response:
        return Response(await pending if request.target == "/wait" else b"hello")

    with bench_of(handler) as bench:
        client = bench.connect()
        client.send(b"GET /wait HTTP/1.1\r\nhost: x\r\n\r\n" + GET)
        client.far.shutdown(socket.SHUT_WR)
        bench.loop.call_from_thread(lambda: pending.finish(b""))
        bench.poller.script = [[(bench.loop.wake_up.descriptor, 1), (client.connection.descriptor, 1)]]
        whole = client.settle()
        assert (whole.state, whole.sent) == (C, head(length=0) + HELLO)
        assert whole.logged == ["1-1 GET /wait 200", "1-2 GET / 200"]


def test_a_revisit_finds_nothing_where_a_report_of_the_same_batch_has_taken_the_whole_request() -> None:
    pending = Pending()

    async def handler(request: Request) -> Response:
        return Response(await pending if request.target == "/wait" else b"hello")

    with bench_of(handler) as bench:
        client = bench.connect()
        client.send(b"GET /wait HTTP/1.1\r\nhost: x\r\n\r\n" + GET)
        bench.loop.call_from_thread(lambda: pending.finish(b""))
        bench.poller.script = [[(bench.loop.wake_up.descriptor, 1), (client.connection.descriptor, 1)]]
        assert client.settle() == awaiting(
            [Q, O, A, *USUAL], head(length=0) + HELLO, "1-1 GET /wait 200", "1-2 GET / 200"
        )


def test_a_connection_that_has_read_all_there_is_asks_for_no_revisit() -> None:
    with bench_of(hello) as bench:
        asked: list[Machine] = []

        def revisit(machine: Machine) -> None:
            asked.append(machine)

        bench.loop.schedule_read = revisit  # type: ignore[method-assign]
        client = bench.connect()
        for _ in range(3):
            client.send(GET)
        assert asked == []


def test_the_answers_of_one_turn_leave_together_at_its_end() -> None:
    states: list[list[S]] = []

    def handler(request: Request) -> Response:
        states.append([S(client.connection.state) for client in clients])
        return hello(request)

    with bench_of(handler) as bench:
        clients = [bench.connect() for _ in range(FEW + 1)]
        for client in clients:
            client.far.sendall(GET)
        bench.turn()
        assert sorted(states, key=lambda row: row.count(O)) == states
        assert [row.count(O) for row in states] == list(range(FEW + 1))
        assert [client.received() for client in clients] == [HELLO] * (FEW + 1)
        assert [call for call in bench.poller.calls if call[0] == "modify"] == []


# --- what the kernel does wrong


@pytest.mark.parametrize(
    "fault",
    [OSError(113, "EHOSTUNREACH"), OSError(101, "ENETUNREACH"), TimeoutError(), BrokenPipeError(), OSError(105, "")],
    ids=repr,
)
@pytest.mark.parametrize("state", [A, H, B, O, L])
def test_a_network_error_in_any_state_is_the_end_of_the_connection_and_no_crash(state: S, fault: OSError) -> None:
    with bench_of(every) as bench:
        client = in_state(bench, state)
        real = client.transport._socket
        client.transport._socket = Failing(fault)  # type: ignore[assignment]
        client.received() if state is O else client.far.sendall(b"x")
        bench.settle()
        assert client.connection.state is C
        assert [line for line in bench.logs.take() if "PEER_RESET" in line or state in (A, L)] or state in (A, L)
        real.close()


class Failing:
    """A socket on which everything fails."""

    def __init__(self, fault: OSError) -> None:
        self.fault = fault

    def recv(self, size: int) -> bytes:
        raise self.fault

    def send(self, *_: Any) -> int:
        raise self.fault

    def setsockopt(self, *_: Any) -> None:
        raise self.fault

    def shutdown(self, how: int) -> None:
        raise self.fault

    def close(self) -> None:
        """Nothing is held."""
