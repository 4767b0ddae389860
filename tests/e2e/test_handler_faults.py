"""Handlers that do what they should not: whatever it is, it costs one answer, never the process or another client."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Connect, Start
from tests.support.applications import ERRORS, ILLEGAL, SECRET, WRONG
from tests.support.client import Client, CutShort, request
from tests.support.server import ServerProcess
from tests.support.waiting import eventually

FATAL = sorted({*ERRORS, "recursion"} - {"http", "http-illegal"})


def assert_500(client: Client, target: str, method: str = "GET") -> None:
    """A 500 that says nothing but how the log names the request, and a connection that goes on."""
    answer = client.get(target, method=method)
    assert (answer.status, answer.reason) == (500, "Internal Server Error")
    assert answer.error == "500 Internal Server Error"
    assert {name for name, _ in answer.fields} == {"content-type", "content-length", "date", "x-request-id"}
    assert client.get("/hello").body == b"hello\n"


def failure(server: ServerProcess, target: str, **fields: Any) -> dict[str, object]:
    """The one line that the log has about it, and the `request` line beside it."""
    event = server.wait_for("handler_failed", target=target, **fields)
    server.wait_for("request", target=target, **fields)
    assert len(server.events("handler_failed", target=target, **fields)) == 1
    assert event["level"] == "error"
    return event


# --- before the response


@pytest.mark.parametrize("kind", FATAL)
@pytest.mark.parametrize("way", ["raise", "raise-async", "raise-first"])
def test_whatever_a_handler_raises_is_one_500(server: ServerProcess, connect: Connect, way: str, kind: str) -> None:
    target = f"/{way}/{kind}"
    assert_500(connect(), target)
    event = failure(server, target)
    assert event["method"] == "GET"
    assert "exception" in event
    assert server.request_event(target)["status"] == 500


@pytest.mark.parametrize("kind", ["value", "exit", "interrupt", "recursion", "memory"])
def test_whatever_is_raised_in_a_thread_is_one_500(server: ServerProcess, connect: Connect, kind: str) -> None:
    target = f"/raise-in-thread/{kind}"
    assert_500(connect(), target)
    failure(server, target)


def test_the_secret_of_an_error_is_in_the_log_and_nowhere_else(start: Start) -> None:
    server = start()
    with Client(server.address) as client:
        for lines in ((), ("Accept: application/json",)):
            assert SECRET.encode() not in client.get("/raise/value", *lines).body
    assert SECRET in server.wait_for("handler_failed")["exception"]


def test_an_http_error_is_an_answer_with_its_fields_and_no_failure(start: Start) -> None:
    server = start()
    with Client(server.address) as client:
        answer = client.get("/raise/http")
        assert (answer.status, answer["x-pot"]) == (418, "tea")
        assert "short and stout" in answer.text
        assert client.get("/hello").status == 200
    server.wait_for("request", target="/hello")
    assert server.events("handler_failed") == []


def test_an_http_error_with_illegal_fields_is_a_500(server: ServerProcess, connect: Connect) -> None:
    assert_500(connect(), "/raise/http-illegal")
    failure(server, "/raise/http-illegal")


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_no_response_is_a_500(server: ServerProcess, connect: Connect, kind: str) -> None:
    assert_500(connect(), f"/wrong-type/{kind}")
    failure(server, f"/wrong-type/{kind}")


def test_awaiting_what_is_no_operation_is_a_500(server: ServerProcess, connect: Connect) -> None:
    assert_500(connect(), "/wrong-await")
    failure(server, "/wrong-await")


@pytest.mark.parametrize("kind", ILLEGAL)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_an_illegal_head_is_a_500_and_not_a_byte_of_it_leaks(
    server: ServerProcess, connect: Connect, kind: str, method: str
) -> None:
    client = connect(request(f"/illegal/{kind}", method=method) + request("/hello"))
    answer = client.answer(method)
    assert (answer.status, answer.reason) == (500, "Internal Server Error")
    assert {name for name, _ in answer.fields} == {"content-type", "content-length", "date", "x-request-id"}
    assert b"leak" not in answer.body
    assert client.answer().body == b"hello\n"
    failure(server, f"/illegal/{kind}", method=method)


@pytest.mark.parametrize("kind", ["bytes-short", "bytes-long", "stream-long-at-once"])
def test_a_wrong_length_that_is_seen_in_time_is_a_500(server: ServerProcess, connect: Connect, kind: str) -> None:
    assert_500(connect(), f"/wrong-length/{kind}")
    failure(server, f"/wrong-length/{kind}")


# --- after the response has begun


@pytest.mark.parametrize(
    "target",
    [
        "/raise-during/value",
        "/raise-during/exit",
        "/raise-during/recursion",
        "/raise-during-async/value",
        "/raise-during-async/http",
        "/raise-during-async/generator-exit",
        "/raise-during-sized/value",
        "/wrong-length/stream-short",
        "/wrong-length/stream-long",
        "/wrong-piece/text-later",
        "/wrong-piece/none-later",
        "/wrong-piece/number-later",
    ],
)
def test_an_error_in_the_middle_cuts_the_answer_so_that_it_is_seen(
    server: ServerProcess, connect: Connect, target: str
) -> None:
    label = f"after-{target.rpartition('/')[2]}-{target.split('/')[1]}"
    with Client(server.address, data=request(target) + request(f"/mark/{label}"), own=True) as client:
        with pytest.raises(CutShort) as cut:
            client.answer()
        assert cut.value.how == "reset"
        assert not cut.value.received.endswith(b"0\r\n\r\n")
    failure(server, target)
    event = server.wait_for("connection_ended", peer=client.name)
    assert (event["cause"], event["trigger"]) == ("server", "RESPONSE_BROKEN")
    assert server.request_event(target)["end"].startswith("server in ")
    assert label not in connect().get("/marks").text


@pytest.mark.parametrize("kind", ["text-first", "none-first"])
def test_a_first_piece_that_is_no_bytes_is_a_500(server: ServerProcess, connect: Connect, kind: str) -> None:
    assert_500(connect(), f"/wrong-piece/{kind}")
    failure(server, f"/wrong-piece/{kind}")


def test_a_file_that_is_truncated_while_it_is_sent_cuts_the_answer(start: Start, tmp_path: Path) -> None:
    size = 64 * 1024 * 1024
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(size)
    server = start(environment={"E2E_FILES": str(tmp_path)})
    with Client(server.address, data=request("/file/large"), window=65536) as client:
        while b"\r\n\r\n" not in client.buffer:
            client.buffer += client.socket.recv(1000)
        assert b"content-length: %d\r\n" % size in client.buffer
        path.open("wb").close()
        with pytest.raises(CutShort) as cut:
            client.answer()
        assert len(cut.value.received) < size
    event = server.wait_for("file_unreadable")
    assert event["reason"] == "the file is shorter than it was"
    assert server.wait_for("connection_ended")["trigger"] == "RESPONSE_BROKEN"
    server.settle()


def test_a_file_that_is_deleted_while_it_is_sent_comes_whole(start: Start, tmp_path: Path) -> None:
    data = bytes(range(256)) * 100_000
    path = tmp_path / "large"
    path.write_bytes(data)
    server = start(environment={"E2E_FILES": str(tmp_path)})
    with Client(server.address, data=request("/file/large"), window=65536) as client:
        client.buffer += client.socket.recv(1000)
        path.unlink()
        assert client.answer().body == data
    server.settle()


def test_a_file_that_grows_while_it_is_sent_has_the_length_that_was_promised(start: Start, tmp_path: Path) -> None:
    data = bytes(range(256)) * 100_000
    path = tmp_path / "large"
    path.write_bytes(data)
    server = start(environment={"E2E_FILES": str(tmp_path)})
    with Client(server.address, data=request("/file/large") + request("/hello"), window=65536) as client:
        client.buffer += client.socket.recv(1000)
        with path.open("ab") as file:
            file.write(b"more" * 10000)
        assert client.answer().body == data
        assert client.answer().body == b"hello\n"


def test_a_file_that_is_not_sent_is_closed(start: Start, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 1000)
    server = start(environment={"E2E_FILES": str(tmp_path)})
    with Client(server.address) as client:
        for _ in range(30):
            assert client.get("/file/file", method="HEAD")["content-length"] == "1000"
    for _ in range(30):
        Client(server.address, data=request("/file/file")).reset()
    server.settle()


# --- waiting for what does not come


def test_a_handler_that_never_returns_is_given_up_with_504(start: Start) -> None:
    server = start("--backend-timeout", "0.5")
    with Client(server.address, data=request("/wait/never") + request("/mark/after-504")) as client:
        begun = time.monotonic()
        answer = client.answer()
        assert time.monotonic() - begun >= 0.5
        assert (answer.status, answer.reason, answer["connection"]) == (504, "Gateway Timeout", "close")
        assert answer.error == "504 Gateway Timeout: The application did not answer in time."
        assert client.end() == "closed"
    with Client(server.address) as client:
        marks = json.loads(client.get("/marks").body)
    assert marks == ["waiting never", "cancelled never", "left never"]
    event = server.wait_for("connection_ended")
    assert (event["cause"], event["state"], event["trigger"]) == ("deadline", "QUERYING_BACKEND", "DEADLINE_PASSED")
    assert server.request_event("/wait/never")["status"] == 504


def test_a_stream_that_stops_is_cut_and_given_up(start: Start) -> None:
    server = start("--backend-timeout", "0.5")
    with Client(server.address, data=request("/stream-and-wait/never")) as client:
        with pytest.raises(CutShort) as cut:
            client.answer()
        assert b"after" not in cut.value.received
    event = server.wait_for("connection_ended")
    assert (event["cause"], event["state"], event["trigger"]) == ("deadline", "PRODUCING", "DEADLINE_PASSED")
    with Client(server.address) as client:
        assert json.loads(client.get("/marks").body) == ["waiting never", "cancelled never", "left never"]


@pytest.mark.parametrize(
    ("target", "state"), [("/wait/gone", "QUERYING_BACKEND"), ("/stream-and-wait/gone", "PRODUCING")]
)
def test_an_operation_is_cancelled_when_its_client_resets(start: Start, target: str, state: str) -> None:
    server = start()
    with Client(server.address) as other:
        client = Client(server.address, data=request(target))
        eventually(lambda: "waiting gone" in other.get("/marks").text)
        client.reset()
        eventually(lambda: json.loads(other.get("/marks").body) == ["waiting gone", "cancelled gone", "left gone"])
        event = server.wait_for("connection_ended", peer=client.name)
        assert (event["cause"], event["state"], event["trigger"]) == ("client", state, "PEER_RESET")
        assert server.request_event(target)["end"] == f"client in {state}"
        assert other.get("/open/gone", method="POST").text == "0\n"
    server.settle()


def test_an_operation_goes_on_when_its_client_half_closes(start: Start) -> None:
    server = start()
    with Client(server.address) as other, Client(server.address, data=request("/wait/half")) as client:
        client.half_close()
        eventually(lambda: "waiting half" in other.get("/marks").text)
        assert other.get("/open/half", method="POST").text == "1\n"
        assert client.answer().text == "waited for half\n"
        assert client.end() == "closed"


def test_a_plain_close_is_a_half_close_until_something_is_sent(start: Start) -> None:
    """TCP says no more of it than FIN. What a stream sends is answered by a reset, which ends it; a handler that waits
    goes on, and what it waited for is not cancelled."""
    server = start()
    with Client(server.address) as other:
        Client(server.address, data=request("/stream-slowly/10000/2")).close()
        event = server.wait_for("connection_ended")
        assert (event["cause"], event["trigger"]) == ("client", "PEER_RESET")
        Client(server.address, data=request("/wait/left")).close()
        eventually(lambda: "waiting left" in other.get("/marks").text)
        assert other.get("/open/left", method="POST").text == "1\n"
        answered = server.request_event("/wait/left")
        assert (answered["status"], answered["end"]) == (200, None)
        assert json.loads(other.get("/marks").body) == ["waiting left", "left left"]
    server.settle()


def test_the_producer_of_a_stream_is_closed_when_its_client_leaves(start: Start) -> None:
    server = start()
    with Client(server.address) as other:
        client = Client(server.address, data=request("/firehose"))
        client.socket.recv(100000)
        client.reset()
        eventually(lambda: "stream ended" in other.get("/marks").text)
    event = server.wait_for("connection_ended", peer=client.name)
    assert (event["cause"], event["trigger"]) == ("client", "PEER_RESET")


def test_a_handler_that_blocks_the_loop_delays_the_others_and_no_more(start: Start) -> None:
    server = start()
    with Client(server.address, data=request("/block/400")) as blocking, Client(server.address) as other:
        assert other.get("/hello").status == 200
        assert blocking.answer().text == "blocked\n"
        assert other.get("/hello").status == 200
