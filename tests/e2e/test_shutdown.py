"""SIGTERM and SIGINT: what is in flight is finished, what is idle closed, a second signal or the deadline cuts."""

import os
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import pytest

from clerestory.server.process.signals import UNTAKEN
from tests.conftest import Start
from tests.support.applications import pattern
from tests.support.client import Address, Client, CutShort, chunked, clients, request
from tests.support.server import ServerProcess
from tests.support.waiting import eventually, outlast

pytestmark = pytest.mark.usefixtures("within_the_worlds")

PATIENT = ("--drain-timeout", "3600")
"""The drain waits longer than any test: what ends the server is the signal."""


def refused(address: Address) -> bool:
    """Whether nobody listens there."""
    with socket.socket() as client:
        return client.connect_ex(address) != 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("idle", [0, 1, 200])
def test_an_idle_server_ends_soon(start: Start, number: int, idle: int) -> None:
    server = start()
    with clients(server.address, idle, request("/hello")) as opened:
        for client in opened:
            assert client.answer().status == 200
        server.signal(number)
        for client in opened:
            assert client.end() == "closed"
            client.close()
        assert server.wait() == 0
    assert refused(server.address)
    assert server.wait_for("draining")["connections"] == idle
    assert server.wait_for("stopped")["connections_served"] == idle
    assert server.events("connection_cut") == []


def test_connections_that_have_never_asked_are_closed_too(start: Start) -> None:
    server = start()
    with clients(server.address, 20) as opened:
        server.settle(20)
        server.signal()
        assert [client.end() for client in opened] == ["closed"] * 20
    assert server.wait() == 0


def test_what_is_in_flight_is_finished(start: Start) -> None:
    """A handler that waits, half an upload, half a download, half a stream, and an answer that is not yet taken."""
    server = start()
    size = 20_000_000
    with (
        Client(server.address, data=request("/sleep/1000")) as waiting,
        Client(server.address, data=request("/read", "Content-Length: 10", method="POST") + b"12345") as uploading,
        Client(server.address, data=request("/echo", "Transfer-Encoding: chunked", method="POST")) as echoing,
        Client(server.address, data=request(f"/bytes/{size}"), window=65536) as downloading,
        Client(server.address, data=request("/stream/async/100/100000"), window=65536) as streaming,
        Client(server.address, data=request("/hello")) as idle,
    ):
        echoing.send(b"6\r\nbefore\r\n")
        echoing.take(10)
        downloading.take(100_000)
        streaming.take(100_000)
        assert idle.answer().status == 200
        server.signal()
        server.wait_for("draining")
        assert idle.end() == "closed"
        assert refused(server.address)
        assert waiting.answer()["connection"] == "close"
        assert waiting.end() == "closed"
        uploading.send(b"67890")
        answer = uploading.answer()
        assert (answer.status, answer["connection"]) == (200, "close")
        echoing.send(chunked(b"after"))
        assert echoing.answer().body == b"beforeafter"
        assert downloading.answer().body == pattern(size)
        assert streaming.answer().body == pattern(100000) * 100
        for client in (uploading, echoing, downloading, streaming):
            assert client.end() == "closed"
    assert server.wait() == 0
    assert server.events("connection_cut") == []
    assert server.events("connection_ended") == []


def test_a_pipelined_request_is_left_alone_once_the_drain_has_begun(start: Start) -> None:
    server = start("--last-request-timeout", "20")
    pipelined = request("/wait/late") + request("/mark/after-drain")
    with Client(server.address, data=pipelined) as client, Client(server.address) as other:
        eventually(lambda: "waiting late" in other.get("/marks").text)
        server.signal()
        server.wait_for("draining")
        assert other.get("/open/late", method="POST").text == "1\n"
        answer = client.answer()
        assert (answer.status, answer["connection"]) == (200, "close")
        assert client.end() == "closed"
    assert server.wait() == 0
    assert server.events("request", target="/mark/after-drain") == []


def test_half_a_head_is_waited_for(start: Start) -> None:
    server = start()
    with Client(server.address, data=b"GET /hello HTTP/1.1\r\nHost: a") as client:
        server.settle(1)
        server.signal()
        server.wait_for("draining")
        client.send(b"\r\n\r\n")
        answer = client.answer()
        assert (answer.body, answer["connection"]) == (b"hello\n", "close")
    assert server.wait() == 0


def test_a_second_signal_ends_at_once_and_tells_of_each_connection_it_cuts(start: Start) -> None:
    server = start(*PATIENT)
    with (
        Client(server.address, data=request("/wait/never")) as waiting,
        Client(server.address, data=request("/read", "Content-Length: 10", method="POST") + b"12345") as uploading,
        Client(server.address, data=request("/bytes/50000000"), window=65536) as downloading,
        Client(server.address, data=b"GET /he") as beginning,
    ):
        downloading.take(100_000)
        server.settle(4)
        with Client(server.address) as other:
            assert other.get("/hello").status == 200
        server.signal()
        server.wait_for("draining")
        server.signal()
        assert server.wait() == 0
        for client in (waiting, uploading, downloading, beginning):
            with pytest.raises(CutShort) as cut:
                client.answer()
            assert cut.value.how == "reset"
    states = {
        waiting.name: "QUERYING_BACKEND",
        uploading.name: "READING_BODY",
        downloading.name: "SENDING_RESPONSE",
        beginning.name: "READING_HEAD",
    }
    assert {event["peer"]: event["state"] for event in server.events("connection_cut")} == states
    assert all(0 < event["age"] < 60 for event in server.events("connection_cut"))
    ended = {event["peer"]: (event["cause"], event["state"]) for event in server.events("connection_ended")}
    assert ended == {peer: ("operator", state) for peer, state in states.items()}


def test_two_signals_at_once_are_two(start: Start) -> None:
    server = start(*PATIENT)
    with (
        Client(server.address, data=request("/wait/never")) as client,
        Client(server.address, data=request("/say-and-block/500")),
    ):
        server.wait_for("blocking")
        # Two different ones: two of a kind that nobody has taken yet are one.
        server.signal(signal.SIGTERM)
        server.signal(signal.SIGINT)
        assert server.wait() == 0
        assert client.everything()[1] == b""


def test_the_deadline_of_the_drain_cuts_what_is_left(start: Start) -> None:
    server = start("--drain-timeout", "1")
    with Client(server.address, data=request("/wait/never")) as client, Client(server.address) as other:
        assert "waiting never" in other.get("/marks").text
        begun = time.monotonic()
        server.signal()
        assert server.wait() == 0
        assert time.monotonic() - begun >= 1
        assert client.end() == "reset"
    (cut,) = server.events("connection_cut")
    assert (cut["state"], cut["peer"]) == ("QUERYING_BACKEND", client.name)
    assert cut["age"] >= 1
    assert server.wait_for("draining")["seconds"] == 1


def test_a_handler_that_blocks_is_let_finish(start: Start) -> None:
    server = start()
    with Client(server.address, data=request("/say-and-block/600")) as client:
        server.wait_for("blocking")
        server.signal()
        assert client.answer().body == b"blocked\n"
    assert server.wait() == 0


class Lost(NamedTuple):
    """What became of the requests of one client: answered whole, cut inside an answer, and sent on an open connection
    but never answered."""

    whole: int
    cut: int
    unanswered: int


def hammer(address: Address, requests: int, ended: threading.Event) -> Lost:
    """Ask until nobody listens any more, so many requests on each connection: each is answered, though the last of a
    connection may say that it is the last."""
    whole = 0
    while not ended.is_set():
        try:
            client = Client(address)
        except ConnectionRefusedError:
            break
        with client:
            for number in range(requests):
                target = ("/hello", "/bytes/200000", "/stream/async/10/10000", "/sleep/5")[number % 4]
                try:
                    last = client.get(target).get("connection") == "close"
                except CutShort as cut:
                    return Lost(whole, int(cut.received != b""), int(cut.received == b""))
                except ConnectionError:
                    return Lost(whole, 0, 1)
                whole += 1
                if last:
                    break
    return Lost(whole, 0, 0)


@pytest.mark.parametrize("requests", [1, 1000], ids=["fresh", "kept"])
@pytest.mark.parametrize("answers", [200, 1000])
def test_sigterm_under_load_loses_no_request(start: Start, answers: int, requests: int) -> None:
    """Every request on a connection that was open is answered: on fresh connections and on those that are kept."""
    server = start("--max-requests", "1000000")
    ended = threading.Event()
    with ThreadPoolExecutor(8) as threads:
        done = [threads.submit(hammer, server.address, requests, ended) for _ in range(8)]
        server.wait_for("request", count=answers)
        server.signal()
        status = server.wait()
        ended.set()
        results = [one.result() for one in done]
    assert status == 0
    assert sum(one.whole for one in results) >= answers
    assert [(one.cut, one.unanswered) for one in results] == [(0, 0)] * 8
    assert server.events("connection_cut") == []


def test_a_client_that_has_connected_before_the_signal_may_ask_after_it(start: Start) -> None:
    server = start("--last-request-timeout", "20")
    with Client(server.address) as fresh, Client(server.address) as kept:
        assert kept.get("/hello").status == 200
        server.signal()
        server.wait_for("draining")
        for client in (fresh, kept):
            answer = client.get("/hello")
            assert (answer.status, answer["connection"]) == (200, "close")
            assert client.end() == "closed"
    assert server.wait() == 0


def test_an_idle_connection_is_closed_without_a_reset_though_a_request_comes_too_late(start: Start) -> None:
    server = start("--last-request-timeout", "0.1")
    with Client(server.address) as client:
        assert client.get("/hello").status == 200
        server.signal()
        assert client.end() == "closed"
        client.send(request("/hello"))
        assert client.end() == "closed"
    assert server.wait() == 0
    assert server.events("request_missed") == []


def test_a_second_signal_ends_a_server_that_a_handler_blocks_and_names_it(start: Start) -> None:
    server = start()
    with Client(server.address, data=request("/say-and-block/600000")) as client:
        server.wait_for("blocking")
        server.signal()

        def has_ended_by_a_further_one() -> bool:
            outlast(UNTAKEN)  # two that come together are one, and a busy machine may bring these together, too
            server.signal()
            return not server.running

        eventually(has_ended_by_a_further_one)
        assert server.wait() == 1
        assert client.everything()[1] == b""
    (event,) = server.events("ended_at_once")
    assert (event["signal"], event["request"], event["level"]) == ("SIGTERM", "GET /say-and-block/600000", "critical")
    assert any(line.endswith(" block") and "applications.py" in line for line in event["stack"])


def test_sigquit_ends_the_server_at_once_with_a_line_in_the_log(start: Start) -> None:
    if signal.getsignal(signal.SIGQUIT) is signal.SIG_IGN:
        pytest.skip("it is ignored here, and so by the server")
    server = start()
    with Client(server.address, data=request("/wait/never")):
        server.settle(1)
        server.signal(signal.SIGQUIT)
        assert server.wait() == 1
    (event,) = server.events("ended_at_once")
    assert (event["signal"], event["connections"]) == ("SIGQUIT", 1)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR2, signal.SIGALRM])
def test_other_signals_lose_nothing_that_is_in_flight(start: Start, number: int) -> None:
    if signal.getsignal(number) is signal.SIG_IGN:
        pytest.skip("it is ignored here, and so by the server")
    server = start()
    with Client(server.address, data=request("/sleep/300")) as client:
        server.settle(1)
        server.signal(number)
        assert server.wait_for("signal_ignored")["signal"] == signal.Signals(number).name
        assert client.answer().status == 200


def test_a_process_that_a_handler_has_forked_keeps_neither_a_connection_nor_the_port(start: Start) -> None:
    server = start()
    with Client(server.address, data=request("/fork", "Connection: close")) as client:
        child = int(client.answer().body)
        try:
            assert client.end() == "closed"
            server.signal()
            assert server.wait() == 0
            assert refused(server.address)
        finally:
            os.kill(child, signal.SIGKILL)


def test_a_request_that_came_before_the_signal_is_answered(start: Start) -> None:
    """The loop is blocked while a request and then the signal come: the request was first, and is answered."""
    server = start()
    with Client(server.address) as client, Client(server.address, data=request("/hello")) as blocking:
        assert client.get("/hello").status == blocking.answer().status == 200
        blocking.send(request("/say-and-block/500"))
        server.wait_for("blocking")
        client.send(request("/json"))
        with Client(server.address, data=request("/json")) as fresh:
            server.signal()
            assert blocking.answer().body == b"blocked\n"
            for one in (client, fresh):
                assert one.answer().body == b'{"hello": "world"}'
                assert one.end() == "closed"
    assert server.wait() == 0


def test_a_log_that_nobody_reads_stops_nobody(start: Start) -> None:
    """Standard error is a pipe: 64 KiB, and then a writer would wait for ever."""
    server = start(deaf=True)
    for _ in range(4):
        with Client(server.address) as client:
            for number in range(700):
                assert client.get(f"/nothing/{number:04000}").status == 404
    server.listen_again()
    dropped = server.wait_for("lines_dropped")
    assert dropped["count"] > 0
    assert dropped["level"] == "warning"
    with Client(server.address) as client:
        client.get("/hello?after")
    server.wait_for("request", target="/hello?...")


def fill_log(server: ServerProcess) -> None:
    """Make the server say more than a pipe holds."""
    with Client(server.address) as client:
        for number in range(100):
            assert client.get(f"/nothing/{number:05000}").status == 404


def threads(server: ServerProcess) -> int:
    return len(os.listdir(f"/proc/{server.pid}/task"))


def test_a_signal_on_the_way_out_does_not_change_the_status(start: Start) -> None:
    """A server whose log nobody reads can be ended, too."""
    server = start(deaf=True)
    fill_log(server)
    eventually(lambda: threads(server) == 3, what="the loop's thread, the log's and the x-ray's")
    server.signal()
    # The loop has ended, and the x-ray with it. What is left tries to write the log, which takes two seconds.
    eventually(lambda: refused(server.address) and threads(server) == 2, what="the end of the loop")
    server.signal()
    assert server.wait() == 0


def test_a_log_whose_reader_has_gone_stops_nobody(start: Start) -> None:
    server = start(deaf=True)
    assert server.process.stderr is not None
    server.process.stderr.close()
    with Client(server.address) as client:
        for _ in range(100):
            assert client.get("/hello").status == 200
    server.signal()
    assert server.wait() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_that_do_not_stop_coming_do_not_change_the_status(start: Start, number: int) -> None:
    """To the interpreter's last breath, which takes a while, too."""
    server = start()
    with Client(server.address) as client:
        assert client.get("/hello").status == 200
        while server.running:
            server.signal(number)
            time.sleep(0.001)  # many a second, and still the server is let run
    assert server.wait() == 0
    assert "BrokenPipeError" not in "".join(server.noise)
    # A signal that comes just while Python is told to ignore it makes Python say so: "ignored due to race condition".
    server.noise.clear()
