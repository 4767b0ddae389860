"""What the log is told of a connection: each exchange once, each bad end once, and a late one with its history."""

from collections.abc import AsyncIterator

import pytest

from clerestory.handlers.api.errors import HTTPError
from clerestory.handlers.api.messages import Request, Response
from clerestory.handlers.backends.upstream.errors import UpstreamError
from clerestory.server.connection.names import RequestNames
from clerestory.statemachines.contract import Cause
from tests.server.support import GET, Bench, Pending, bench_of, hello


def requests_of(bench: Bench) -> list[dict[str, object]]:
    return [dict(event) for event in bench.logs.events if event["event"] == "request"]


def test_an_exchange_is_told_with_what_it_spent_in_each_state_that_it_visited() -> None:
    with bench_of(hello) as bench:
        client = bench.connect()
        bench.after(0.25)
        client.far.sendall(GET)
        bench.settle()
        [told] = requests_of(bench)
        assert (told["method"], told["target"], told["status"], told["end"]) == ("GET", "/", 200, None)
        times = told["times"]
        assert isinstance(times, dict)
        assert times["awaiting_request"] == pytest.approx(250.0)
        assert set(times) <= {"awaiting_request", "querying_backend", "sending_response"}


def test_a_head_that_was_refused_is_told_without_method_and_target() -> None:
    with bench_of(hello) as bench:
        bench.connect().far.sendall(b"nonsense\r\n\r\n")
        bench.settle()
        [told] = requests_of(bench)
        assert (told["method"], told["target"], told["status"]) == ("", "", 400)
        assert told["end"] == "client in AWAITING_REQUEST"


def test_what_the_client_left_before_an_answer_is_told_without_a_status() -> None:
    async def waits(request: Request) -> Response:
        await request.read()
        return hello(request)

    with bench_of(waits) as bench:
        client = bench.connect()
        client.far.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n")
        bench.settle()
        bench.loop.fire(client.connection, client.connection.engine.table.triggers["CLOSE_ORDERED"])
        [told] = requests_of(bench)
        assert (told["status"], told["end"]) == (None, "operator in READING_BODY")


def test_only_an_end_that_was_not_in_order_is_told_and_a_late_one_with_its_history() -> None:
    with bench_of(hello) as bench:
        bench.connect().leave()
        bench.connect().far.sendall(b"GET / HT")
        bench.settle()
        bench.after(11.0)
        bench.after(3.0)
        ends = [event for event in bench.logs.events if event["event"] == "connection_ended"]
        assert [(end["cause"], end["state"]) for end in ends] == [("deadline", "READING_HEAD")]
        assert any("HEAD_STARTED" in str(passage) for passage in ends[0]["history"])


def test_who_is_to_blame_for_an_answer_is_told_and_whose_request_it_was() -> None:
    def blames(request: Request) -> Response:
        raise UpstreamError(502, "refused", "It could not be connected to.", "127.0.0.1:9000")

    with bench_of(blames) as bench:
        client = bench.connect()
        client.far.sendall(GET)
        bench.settle()
        [told] = [event for event in bench.logs.events if event["event"] == "backend_failed"]
        assert (told["id"], told["target"]) == ("1-1", "/")
        assert (told["status"], told["backend"], told["cause"]) == (502, "127.0.0.1:9000", "refused")
        blamed = "request 1 was answered 502 127.0.0.1:9000 refused: It could not be connected to."
        assert bench.recorder.blame(1) == blamed
        assert bench.recorder.blame(2) == ""
        client.leave()
        bench.settle()
        assert [one.note for one in bench.recorder.abnormal] == [blamed]


def test_an_error_of_the_handlers_own_blames_nobody() -> None:
    def refuses(request: Request) -> Response:
        raise HTTPError(404, "There is none.")

    with bench_of(refuses) as bench:
        bench.connect().far.sendall(GET)
        bench.settle()
        assert not [event for event in bench.logs.events if event["event"] == "backend_failed"]
        assert not bench.recorder.blamed


def test_a_backend_that_fails_in_the_middle_of_an_answer_is_to_blame_for_its_end() -> None:
    """The client sees a cut; the log names the backend, and no handler's traceback."""

    async def pieces() -> AsyncIterator[bytes]:
        yield b"one"
        await Pending(UpstreamError(502, "ended", "It broke off.", "127.0.0.1:9000"))

    with bench_of(lambda _: Response(pieces())) as bench:
        client = bench.connect()
        client.far.sendall(GET)
        bench.settle()
        assert client.transport.done == ["reset", "close"]
        assert client.connection.history[-1][1].row.ends is Cause.UPSTREAM
        failed, ended, told = bench.logs.events
        assert (failed["event"], failed["cause"], failed["backend"]) == ("backend_failed", "ended", "127.0.0.1:9000")
        assert (ended["event"], ended["cause"], ended["trigger"]) == ("connection_ended", "upstream", "BACKEND_FAILED")
        assert (told["status"], told["end"]) == (200, "upstream in PRODUCING")
        blame = bench.recorder.blame(1)
        assert blame == "request 1 was cut off while being answered, by 502 127.0.0.1:9000 ended: It broke off."


def test_a_handlers_error_is_told_under_the_name_that_its_client_is_given() -> None:
    def fails(request: Request) -> Response:
        raise KeyError("secret")

    with bench_of(fails) as bench:
        bench.service.names = RequestNames("run")
        client = bench.connect()
        for number in (1, 2):
            client.far.sendall(
                GET.replace(b"\r\n\r\n", b"\r\naccept: application/json\r\n\r\n") if number == 2 else GET
            )
            bench.settle()
            told = b'"request_id": "run-1-2"' if number == 2 else b"Request run-1-1\n"
            assert told in client.received()
        failed = [event["id"] for event in bench.logs.events if event["event"] == "handler_failed"]
        assert failed == ["run-1-1", "run-1-2"]
