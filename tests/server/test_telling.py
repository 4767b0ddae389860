"""What the log is told of a connection: each exchange once, each bad end once, and a late one with its history."""

import pytest

from handlers.backends.upstream import UpstreamError
from handlers.errors import HTTPError
from handlers.messages import Request, Response
from tests.server.support import GET, Bench, bench_of, hello


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
        assert bench.service.recorder.blame(1) == blamed
        assert bench.service.recorder.blame(2) == ""
        client.leave()
        bench.settle()
        assert [one.note for one in bench.service.recorder.abnormal] == [blamed]


def test_an_error_of_the_handlers_own_blames_nobody() -> None:
    def refuses(request: Request) -> Response:
        raise HTTPError(404, "There is none.")

    with bench_of(refuses) as bench:
        bench.connect().far.sendall(GET)
        bench.settle()
        assert not [event for event in bench.logs.events if event["event"] == "backend_failed"]
        assert not bench.service.recorder.blamed
