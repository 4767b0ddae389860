"""Every deadline, as a pair: on a hasty server it fires, not before its time; a patient one serves the same client.

The pair needs no clock: what has ended the hasty server's connection has lasted longer than its deadline, and the
patient server has seen the same for just as long. That a deadline does not fire early is its lower bound.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from clerestory.server.http.scanner import MAX_EMPTY_LINES
from tests.conftest import Start
from tests.support.applications import pattern
from tests.support.client import Client, CutShort, request
from tests.support.server import Event, ServerProcess, serving
from tests.support.waiting import eventually

SHORT = 0.5
HASTY = [
    word
    for name in ("keep-alive", "head", "body", "backend", "send", "linger")
    for word in (f"--{name}-timeout", str(SHORT))
]


@pytest.fixture(scope="module")
def hasty(choices: list[str]) -> Iterator[ServerProcess]:
    """A server whose every deadline is SHORT, and whose rates ask for nothing."""
    with serving(*choices, *HASTY, "--body-min-rate", "0", "--send-min-rate", "0") as server:
        yield server


@pytest.fixture(scope="module")
def patient(choices: list[str]) -> Iterator[ServerProcess]:
    """A server with the default deadlines, all of them longer than these tests take."""
    with serving(*choices, "--linger-timeout", "30", "--no-access-log") as server:
        yield server


@contextmanager
def pair(hasty: ServerProcess, patient: ServerProcess, data: bytes) -> Iterator[tuple[Client, Client]]:
    """A connection to each server that has sent `data`. What is done in the block must take at least SHORT."""
    begun = time.monotonic()
    with Client(patient.address, data=data, own=True) as late, Client(hasty.address, data=data, own=True) as early:
        yield early, late
        assert time.monotonic() - begun >= SHORT


def ended(server: ServerProcess, client: Client) -> Event:
    """The line in the log about a connection that ended abnormally."""
    return server.wait_for("connection_ended", peer=client.name)


# --- waiting for a request


def test_silence_is_closed_without_a_word(hasty: ServerProcess, patient: ServerProcess) -> None:
    with pair(hasty, patient, b"") as (early, late):
        assert early.end() == "closed"
        assert late.is_open()
        assert late.get("/hello").status == 200
    assert hasty.events("connection_ended", peer=early.name) == []


def test_an_idle_connection_is_closed_without_a_word(hasty: ServerProcess, patient: ServerProcess) -> None:
    with pair(hasty, patient, request("/hello")) as (early, late):
        assert early.answer().status == late.answer().status == 200
        assert early.end() == "closed"
        assert late.is_open()
        assert late.get("/hello").status == 200
    assert hasty.events("connection_ended", peer=early.name) == []


def test_the_time_for_the_next_request_begins_with_the_end_of_the_last_answer(start: Start) -> None:
    server = start("--keep-alive-timeout", "1.2")
    with Client(server.address) as client:
        begun = time.monotonic()
        for _ in range(4):
            assert client.get("/sleep/350").status == 200
        assert time.monotonic() - begun > 1.2
        assert client.end() == "closed"


@pytest.mark.parametrize("lines", [1, MAX_EMPTY_LINES])
def test_an_empty_line_behind_a_body_is_no_beginning_of_a_request(start: Start, lines: int) -> None:
    """RFC 9112 section 2.2: some clients send one after a POST, which is why it is ignored. They have asked nothing:
    a 408 would be taken for the answer to their next request."""
    server = start("--head-timeout", "0.3", "--keep-alive-timeout", "1")
    asked = request("/read", method="POST", body=b"abc") + b"\r\n" * lines
    with Client(server.address, data=asked) as client:
        begun = time.monotonic()
        assert client.answer().status == 200
        assert client.end() == "closed"
        assert time.monotonic() - begun >= 1
    with Client(server.address, data=asked) as client:
        assert client.answer().status == 200
        client.send(request("/hello"))
        assert client.answer().body == b"hello\n"
    server.wait_for("request", target="/hello")
    assert server.events("connection_ended") == []
    assert len(server.events("request")) == 3


# --- the head


def assert_408(client: Client, what: str) -> None:
    answer = client.answer()
    assert (answer.status, answer.reason, answer["connection"]) == (408, "Request Timeout", "close")
    assert answer.error == f"408 Request Timeout: The {what} did not come in time."
    assert client.end() == "closed"


def test_half_a_head_is_answered_408(hasty: ServerProcess, patient: ServerProcess) -> None:
    with pair(hasty, patient, b"GET /hello HTTP/1.1\r\nHost: a\r\n") as (early, late):
        assert_408(early, "head")
        assert late.is_open()
        late.send(b"\r\n")
        assert late.answer().body == b"hello\n"
    event = ended(hasty, early)
    assert (event["cause"], event["state"], event["trigger"]) == ("deadline", "READING_HEAD", "DEADLINE_PASSED")
    line = hasty.wait_for("request", peer=early.name)
    assert (line["status"], line["end"]) == (408, "deadline in READING_HEAD")


# Where a test sleeps, a slow client is what is tested: the pauses are its pace, and nothing is expected after them.


def trickle(client: Client, pieces: Iterator[bytes], pause: float, until: Callable[[], bool]) -> int:
    """Send a piece now and then, until it is enough; how many were sent."""
    sent = 0
    while not until():
        if not client.try_send(next(pieces)):
            break
        sent += 1
        time.sleep(pause)
    return sent


def forever(piece: bytes) -> Iterator[bytes]:
    while True:
        yield piece


def test_the_deadline_of_a_head_is_not_reset_by_its_bytes(hasty: ServerProcess, patient: ServerProcess) -> None:
    with pair(hasty, patient, b"GET /hello HTTP/1.1\r\nHost: a\r\nX-Slow: ") as (early, late):
        sent = trickle(early, forever(b"s"), 0.05, lambda: not early.is_open())
        assert sent >= 5
        assert_408(early, "head")
        late.send(b"s" * sent + b"\r\n\r\n")
        assert late.answer().body == b"hello\n"
    assert ended(hasty, early)["state"] == "READING_HEAD"


def test_the_second_head_of_a_connection_has_its_own_time(hasty: ServerProcess, patient: ServerProcess) -> None:
    with pair(hasty, patient, request("/hello") + b"GET /hel") as (early, late):
        assert early.answer().status == late.answer().status == 200
        assert_408(early, "head")
        late.send(b"lo HTTP/1.1\r\nHost: a\r\n\r\n")
        assert late.answer().body == b"hello\n"
    assert ended(hasty, early)["state"] == "READING_HEAD"


# --- the body


def test_a_body_that_stops_is_answered_408(hasty: ServerProcess, patient: ServerProcess) -> None:
    raw = request("/read", "Content-Length: 10", method="POST") + b"12345"
    with pair(hasty, patient, raw) as (early, late):
        assert_408(early, "body")
        late.send(b"67890")
        assert late.answer().status == 200
    event = ended(hasty, early)
    assert (event["cause"], event["state"], event["trigger"]) == ("deadline", "READING_BODY", "DEADLINE_PASSED")
    line = hasty.wait_for("request", peer=early.name)
    assert (line["status"], line["target"], line["end"]) == (408, "/read", "deadline in READING_BODY")


def test_a_client_that_waits_for_100_and_then_sends_nothing_is_answered_408(
    hasty: ServerProcess, patient: ServerProcess
) -> None:
    raw = request("/read", "Expect: 100-continue", "Content-Length: 5", method="POST")
    with pair(hasty, patient, raw) as (early, late):
        answer = early.answer()
        assert (answer.status, answer.interim) == (408, [100])
        late.send(b"12345")
        answer = late.answer()
        assert (answer.status, answer.interim) == (200, [100])


def test_a_body_may_take_long_while_it_moves(start: Start) -> None:
    server = start("--body-timeout", "2.5", "--body-min-rate", "0")
    with Client(server.address, data=request("/read", "Content-Length: 11", method="POST")) as client:
        begun = time.monotonic()
        for _ in range(11):
            time.sleep(0.25)
            client.send(b"x")
        assert time.monotonic() - begun > 2.5
        assert client.answer().status == 200


@pytest.mark.parametrize("framing", ["sized", "one-byte chunks"])
def test_a_body_below_the_rate_is_answered_408_though_it_moves(
    start: Start, patient: ServerProcess, framing: str
) -> None:
    """240 B/s is the default; a byte ten times a second is less, and resets every idle timer."""
    server = start("--body-grace", "0.5")
    line = "Content-Length: 100" if framing == "sized" else "Transfer-Encoding: chunked"
    piece = b"x" if framing == "sized" else b"1\r\nx\r\n"
    with pair(server, patient, request("/read", line, method="POST")) as (early, late):
        sent = trickle(early, forever(piece), 0.1, lambda: not early.is_open())
        assert sent >= 5
        assert_408(early, "body")
        late.send(b"x" * 100 if framing == "sized" else piece * 100 + b"0\r\n\r\n")
        assert late.answer().status == 200
    event = ended(server, early)
    assert (event["cause"], event["state"], event["trigger"]) == ("deadline", "READING_BODY", "DEADLINE_PASSED")


def test_a_body_above_the_rate_is_read(start: Start) -> None:
    server = start("--body-grace", "0.3", "--body-min-rate", "100")
    with Client(server.address, data=request("/read", "Content-Length: 10000", method="POST")) as client:
        for _ in range(10):
            client.send(b"x" * 1000)
            time.sleep(0.1)
        assert client.answer().status == 200


def test_the_answer_that_has_begun_is_cut_when_its_body_stops(hasty: ServerProcess, patient: ServerProcess) -> None:
    raw = request("/echo", "Content-Length: 10", method="POST") + b"12345"
    with pair(hasty, patient, raw) as (early, late):
        with pytest.raises(CutShort) as cut:
            early.answer()
        assert cut.value.received.endswith(b"12345")
        late.send(b"67890")
        assert late.answer().body == b"1234567890"
    assert ended(hasty, early)["state"] == "READING_BODY"


# --- the handler


def test_a_handler_that_waits_too_long_is_answered_504(hasty: ServerProcess, patient: ServerProcess) -> None:
    with pair(hasty, patient, request("/wait/pair")) as (early, late):
        answer = early.answer()
        assert (answer.status, answer.reason, answer["connection"]) == (504, "Gateway Timeout", "close")
        assert early.end() == "closed"
        with Client(patient.address) as opener:
            assert opener.get("/open/pair", method="POST").text == "1\n"
        assert late.answer().body == b"waited for pair\n"
    event = ended(hasty, early)
    assert (event["cause"], event["state"], event["trigger"]) == ("deadline", "QUERYING_BACKEND", "DEADLINE_PASSED")


def test_each_wait_of_a_stream_has_its_own_time(start: Start) -> None:
    server = start("--backend-timeout", "1.2")
    with Client(server.address, data=request("/stream-slowly/5/250")) as client:
        begun = time.monotonic()
        assert client.answer().body == b"piece\n" * 5
        assert time.monotonic() - begun > 1.2


# --- the answer


LARGE = 50_000_000


def test_a_client_that_takes_nothing_is_cut(hasty: ServerProcess, patient: ServerProcess) -> None:
    with pair(hasty, patient, request(f"/bytes/{LARGE}")) as (early, late):
        event = ended(hasty, early)
        assert (event["cause"], event["state"], event["trigger"]) == ("deadline", "SENDING_RESPONSE", "DEADLINE_PASSED")
        with pytest.raises(CutShort) as cut:
            early.answer()
        assert len(cut.value.received) < LARGE
        assert late.answer().body == pattern(LARGE)
    assert hasty.wait_for("request", peer=early.name)["end"] == "deadline in SENDING_RESPONSE"


def test_a_client_that_takes_an_answer_below_the_rate_is_cut_though_it_takes(start: Start) -> None:
    """With buffers of the kernel's on both sides a rate shows only in the long run: it is set high here."""
    server = start("--send-grace", "1", "--send-min-rate", "20000000")
    with Client(server.address, data=request("/firehose"), window=65536) as client:
        begun = time.monotonic()
        while not server.events("connection_ended"):
            try:
                client.received += len(client.socket.recv(32768))
            except ConnectionError:
                break
            time.sleep(0.01)
        assert time.monotonic() - begun >= 1
    event = ended(server, client)
    assert (event["cause"], event["state"], event["trigger"]) == ("deadline", "SENDING_RESPONSE", "DEADLINE_PASSED")


def test_a_client_that_takes_an_answer_slowly_but_steadily_gets_all_of_it(start: Start) -> None:
    """It takes 32 KiB ten times a second: far above the rate of 240 B/s, and never idle for long. What it has taken
    frees the kernel's buffers; the server must see that as progress, however large they are."""
    server = start("--send-timeout", "1.5")
    size = 8_000_000
    with Client(server.address, data=request(f"/bytes/{size}"), window=32768) as client:
        begun = time.monotonic()
        while time.monotonic() - begun < 3.5:
            client.take(len(client.buffer) + 32768)
            time.sleep(0.1)
        assert server.events("connection_ended") == []
        assert client.answer().body == pattern(size)


# --- the farewell


def test_a_client_that_does_not_close_is_closed_after_the_linger(hasty: ServerProcess, patient: ServerProcess) -> None:
    hasty.settle()
    patient.settle()
    with pair(hasty, patient, b"no request\r\n\r\n") as (early, late):
        for client in (early, late):
            assert client.answer().status == 400
            assert client.end() == "closed"
        hasty.settle()
        assert patient.descriptors() == patient.base + 1
        assert late.try_send(b"the server still takes what comes")
    patient.settle()


def test_a_client_that_closes_ends_the_linger_at_once(patient: ServerProcess) -> None:
    patient.settle()
    with Client(patient.address, data=b"no request\r\n\r\n") as client:
        assert client.answer().status == 400
        assert client.end() == "closed"
        eventually(lambda: patient.descriptors() == patient.base + 1)
    patient.settle()
