"""HTTP/1.1 as spoken on the wire: order, persistence, versions, framing, errors, and what is never parsed."""

import json
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import pytest

from tests.conftest import Connect, Start
from tests.support.applications import pattern
from tests.support.client import Client, chunked, request
from tests.support.server import ServerProcess
from tests.support.waiting import eventually

pytestmark = pytest.mark.tls_too

# --- order and persistence


def test_pipelined_answers_come_in_the_order_of_their_requests(connect: Connect) -> None:
    client = connect(request("/sleep/300") + request("/hello") + request("/json") + request("/bytes/100000"))
    assert [client.answer().body for _ in range(4)] == [b"slept\n", b"hello\n", b'{"hello": "world"}', pattern(100000)]
    assert client.is_open()


def test_a_pipelined_request_is_not_begun_before_the_one_before_it_was_answered(
    server: ServerProcess, connect: Connect
) -> None:
    client, other = connect(request("/wait/order") + request("/mark/after-order")), connect()
    eventually(lambda: "waiting order" in other.get("/marks").text)
    assert "after-order" not in other.get("/marks").text
    other.get("/open/order", method="POST")
    assert client.answer().text == "waited for order\n"
    assert client.answer().text == "marked after-order\n"


def test_pipelined_requests_with_bodies_are_kept_apart(connect: Connect) -> None:
    client = connect()
    client.send(
        request("/echo", method="POST", body=b"one")
        + request("/echo", "Transfer-Encoding: chunked", method="POST")
        + chunked(b"t", b"wo")
        + request("/echo", method="POST", body=b"three")
        + request("/hello")
    )
    assert [client.answer().body for _ in range(4)] == [b"one", b"two", b"three", b"hello\n"]


def test_a_connection_serves_many_requests_one_after_the_other(connect: Connect) -> None:
    client = connect()
    for number in range(200):
        assert client.get(f"/bytes/{number}").body == pattern(number)


def test_a_request_that_says_close_is_the_last(server: ServerProcess, connect: Connect) -> None:
    client = connect(request("/hello", "Connection: close") + request("/mark/after-close"))
    answer = client.answer()
    assert (answer.status, answer["connection"]) == (200, "close")
    assert client.end() == "closed"
    assert "after-close" not in connect().get("/marks").text


def test_an_empty_line_before_a_request_is_ignored(connect: Connect) -> None:
    client = connect(b"\r\n" + request("/hello"))
    assert client.answer().status == 200
    assert client.get("/hello").status == 200


# --- HTTP/1.0


def test_http_1_0_closes_after_the_answer(connect: Connect) -> None:
    client = connect(request("/hello", version="1.0"))
    answer = client.answer()
    assert (answer.status, answer.body, answer["connection"]) == (200, b"hello\n", "close")
    assert client.end() == "closed"


def test_http_1_0_is_kept_alive_when_it_asks(connect: Connect) -> None:
    client = connect()
    for _ in range(3):
        client.send(request("/hello", "Connection: keep-alive", version="1.0"))
        answer = client.answer()
        assert (answer.body, answer["connection"]) == (b"hello\n", "keep-alive")
    assert client.is_open()


def test_a_stream_to_http_1_0_is_ended_by_the_close(connect: Connect) -> None:
    client = connect(request("/stream/async/10/1000", "Connection: keep-alive", version="1.0"))
    answer = client.answer()
    assert answer.get("transfer-encoding") is None
    assert answer["connection"] == "close"
    assert answer.body == pattern(1000) * 10


def test_a_stream_of_known_length_to_http_1_0_leaves_the_connection_open(connect: Connect) -> None:
    client = connect(request("/stream/sync-sized/10/1000", "Connection: keep-alive", version="1.0"))
    answer = client.answer()
    assert (len(answer.body), answer["connection"]) == (10000, "keep-alive")
    assert client.is_open()


def test_http_1_0_gets_no_100(connect: Connect) -> None:
    client = connect(
        request(
            "/read", "Expect: 100-continue", "Content-Length: 3", "Connection: keep-alive", method="POST", version="1.0"
        )
    )
    client.send(b"abc")
    answer = client.answer()
    assert (answer.status, answer.interim) == (200, [])


# --- the request's target and host


def test_the_authority_of_an_absolute_target_wins_over_host(connect: Connect) -> None:
    answer = connect().get("http://other.example:8080/authority?q=1")
    assert json.loads(answer.body) == {
        "authority": "other.example:8080",
        "path": "/authority",
        "target": "http://other.example:8080/authority?q=1",
    }


def test_the_host_field_is_the_authority_of_a_path(connect: Connect) -> None:
    assert json.loads(connect().get("/authority").body)["authority"] == "example.org"


# --- answers


def test_every_answer_is_dated(connect: Connect) -> None:
    for target in ("/hello", "/nothing", "/stream/sync/1/1", "/status/204"):
        date = connect().get(target)["date"]
        assert re.fullmatch(r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT", date)
        assert abs((parsedate_to_datetime(date) - datetime.now(UTC)).total_seconds()) < 10


@pytest.mark.parametrize("kind", ["sync", "async", "sync-sized", "async-sized"])
@pytest.mark.parametrize(("count", "size"), [(0, 1), (1, 1), (5, 7), (100, 10_000), (3, 300_000), (1000, 3)])
def test_a_streamed_answer_comes_whole(connect: Connect, kind: str, count: int, size: int) -> None:
    client = connect()
    answer = client.get(f"/stream/{kind}/{count}/{size}")
    assert answer.body == pattern(size) * count
    assert (answer.get("content-length") is not None) == kind.endswith("-sized")
    assert client.get("/hello").status == 200


def test_empty_pieces_of_a_stream_are_not_taken_for_its_end(connect: Connect) -> None:
    client = connect()
    assert client.get("/stream/sync/3/0").body == b""
    assert client.get("/hello").status == 200


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 65537, 5_000_000])
def test_a_body_of_bytes_comes_whole(connect: Connect, size: int) -> None:
    client = connect()
    assert client.get(f"/bytes/{size}").body == pattern(size)
    assert client.is_open()


@pytest.mark.parametrize(
    "target", ["/hello", "/bytes/5000000", "/stream/sync/5/5", "/stream/async-sized/5/5", "/nothing", "/raise/value"]
)
def test_head_is_get_without_the_body(connect: Connect, target: str) -> None:
    client = connect()
    get, head = client.get(target), client.get(target, method="HEAD")
    assert head.status == get.status
    own = ("date", "x-request-id")
    alike = [[field for field in answer.fields if field[0] not in own] for answer in (get, head)]
    assert alike[0] == alike[1]
    assert client.get("/hello").status == 200


@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_204_and_304_have_no_body(connect: Connect, status: int, method: str) -> None:
    client = connect()
    answer = client.get(f"/status/{status}", method=method)
    assert (answer.status, answer.get("transfer-encoding")) == (status, None)
    if status == 204:
        assert answer.get("content-length") is None
    assert client.get("/hello").body == b"hello\n"


# --- errors


@pytest.mark.parametrize("accept", ["application/json", "application/problem+json, */*;q=0.1"])
def test_an_error_is_json_for_those_who_prefer_it(connect: Connect, accept: str) -> None:
    answer = connect().get("/nothing", f"Accept: {accept}")
    assert (answer.status, answer.reason, answer["content-type"]) == (404, "Not Found", "application/json")
    problem = json.loads(answer.body)
    assert (problem["status"], problem["error"]) == (404, "Not Found")
    assert problem["detail"] == "There is nothing at this path."


@pytest.mark.parametrize("accept", ["", "Accept: */*", "Accept: application/cbor"])
@pytest.mark.parametrize("path", ["/nothing", "/hello"])
def test_an_error_is_json_for_those_who_send_json_and_name_nothing_else(
    connect: Connect, path: str, accept: str
) -> None:
    lines = ["Content-Type: application/json; charset=utf-8", *filter(None, [accept])]
    answer = connect().get(path, *lines, method="POST", body=b"{}")
    assert (answer.status, answer["content-type"]) == (404 if path == "/nothing" else 405, "application/json")
    assert json.loads(answer.body)["request_id"] == answer["x-request-id"]


@pytest.mark.parametrize(("accept", "kind"), [("text/plain", "text/plain"), ("text/html,*/*;q=0.8", "text/html")])
def test_what_a_client_accepts_goes_before_what_it_sends(connect: Connect, accept: str, kind: str) -> None:
    answer = connect().get("/nothing", f"Accept: {accept}", "Content-Type: application/json", method="POST", body=b"{}")
    assert (answer.status, answer["content-type"]) == (404, f"{kind}; charset=utf-8")


@pytest.mark.parametrize("lines", [[], ["Accept: */*"], ["Accept: text/plain"]])
def test_an_error_is_a_line_of_text_for_the_others(connect: Connect, lines: list[str]) -> None:
    answer = connect().get("/nothing", *lines)
    assert (answer.status, answer["content-type"]) == (404, "text/plain; charset=utf-8")
    assert answer.error == "404 Not Found: There is nothing at this path."


def test_an_error_is_a_page_for_a_browser(connect: Connect) -> None:
    answer = connect().get("/nothing", "Accept: text/html,application/xhtml+xml,*/*;q=0.8")
    assert (answer.status, answer["content-type"]) == (404, "text/html; charset=utf-8")
    assert "There is nothing at this path." in answer.text


def test_an_error_of_a_handler_leaves_the_connection_open(connect: Connect) -> None:
    client = connect()
    for _ in range(3):
        assert client.get("/nothing").status == 404
        assert client.get("/hello", method="POST").status == 405
    assert client.is_open()


def test_405_names_the_methods_that_there_are(connect: Connect) -> None:
    answer = connect().get("/sink")
    assert (answer.status, answer.reason, answer["allow"]) == (405, "Method Not Allowed", "OPTIONS, POST")


def test_a_refused_head_is_answered_closed_and_nothing_after_it_looked_at(
    server: ServerProcess, connect: Connect
) -> None:
    client = connect(b"GET /bad HTTP/1.1\r\nHost : a\r\n\r\n" + request("/mark/after-refusal"))
    answer = client.answer()
    assert (answer.status, answer.reason, answer["connection"]) == (400, "Bad Request", "close")
    assert answer.error == "400 Bad Request: White space in a field name, or before its colon."
    assert client.end() == "closed"
    client.close()
    event = server.wait_for("request", peer=client.name)
    assert (event["status"], event["method"], event["target"]) == (400, "", "")
    assert len(server.events("request", peer=client.name)) == 1
    assert "after-refusal" not in connect().get("/marks").text


def test_a_request_after_a_good_one_is_refused_by_itself(server: ServerProcess, connect: Connect) -> None:
    client = connect(request("/hello") + b"GET / HTTP/3.7\r\n\r\n" + request("/mark/after-second"))
    assert client.answer().status == 200
    answer = client.answer()
    assert (answer.status, answer.reason, answer["connection"]) == (505, "HTTP Version Not Supported", "close")
    assert client.end() == "closed"
    assert "after-second" not in connect().get("/marks").text


# --- a body that was not read


@pytest.mark.parametrize("target", ["/unread", "/nothing", "/raise/value", "/status/204"])
@pytest.mark.parametrize("framing", ["sized", "chunked"])
def test_after_an_unread_body_nothing_more_is_parsed(
    server: ServerProcess, connect: Connect, target: str, framing: str
) -> None:
    label = f"after-unread-{target[1:].replace('/', '-')}-{framing}"
    if framing == "sized":
        head, body = request(target, "Content-Length: 5", method="POST"), b"hello"
    else:
        head, body = request(target, "Transfer-Encoding: chunked", method="POST"), chunked(b"hello")
    client = connect(head + body + request(f"/mark/{label}"))
    assert client.answer()["connection"] == "close"
    assert client.end() == "closed"
    assert label not in connect().get("/marks").text
    client.close()
    assert len(server.events("request", peer=client.name)) <= 1


def test_a_body_that_is_itself_a_request_is_never_taken_for_one(server: ServerProcess, connect: Connect) -> None:
    hidden = request("/mark/smuggled")
    client = connect(request("/unread", method="POST", body=hidden))
    assert client.answer().text == "not read\n"
    assert client.end() == "closed"
    assert "smuggled" not in connect().get("/marks").text


def test_a_body_that_was_read_in_part_ends_the_connection(connect: Connect) -> None:
    client = connect(request("/first-piece", "Content-Length: 100000", method="POST") + b"x" * 1000)
    answer = client.answer()
    assert 1 <= int(answer.text) <= 1000
    assert answer["connection"] == "close"
    assert client.try_send(b"y" * 99000)
    assert client.end() == "closed"


def test_an_answer_before_the_body_is_sent_is_read_by_the_client(connect: Connect) -> None:
    client = connect(request("/unread", "Content-Length: 5", method="POST"))
    assert client.answer()["connection"] == "close"
    client.send(b"hello" + request("/mark/after-late-body"))
    assert client.end() == "closed"
    assert "after-late-body" not in connect().get("/marks").text


# --- 100 (Continue)


def test_100_comes_before_the_answer_when_the_handler_reads(connect: Connect) -> None:
    client = connect(request("/read", "Expect: 100-continue", "Content-Length: 5", method="POST"))
    client.socket.settimeout(20)
    assert client.socket.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.send(b"hello")
    answer = client.answer()
    assert (answer.status, answer.interim, json.loads(answer.body)["length"]) == (200, [], 5)
    assert client.is_open()


def test_100_is_not_said_to_a_client_that_has_sent_its_body_already(connect: Connect) -> None:
    client = connect(request("/read", "Expect: 100-continue", method="POST", body=b"hello"))
    answer = client.answer()
    assert (answer.status, answer.interim) == (200, [])
    assert client.get("/hello").status == 200


@pytest.mark.parametrize("target", ["/unread", "/nothing", "/raise/value"])
def test_a_final_answer_takes_the_place_of_100(connect: Connect, target: str) -> None:
    client = connect(request(target, "Expect: 100-continue", "Content-Length: 5", method="POST"))
    answer = client.answer()
    assert (answer.interim, answer["connection"]) == ([], "close")
    assert client.end() == "closed"


def test_a_body_that_will_be_too_large_is_refused_before_it_is_sent(connect: Connect) -> None:
    client = connect(request("/limited", "Expect: 100-continue", "Content-Length: 11", method="POST"))
    answer = client.answer()
    assert (answer.status, answer.interim, answer["connection"]) == (413, [], "close")
    assert client.end() == "closed"


def test_a_chunk_that_will_be_too_large_is_refused_before_it_is_sent(connect: Connect) -> None:
    client = connect(request("/limited", "Expect: 100-continue", "Transfer-Encoding: chunked", method="POST"))
    assert client.socket.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.send(b"b\r\n")
    answer = client.answer()
    assert (answer.status, answer.interim, answer["connection"]) == (413, [], "close")
    assert client.end() == "closed"


def test_a_streamed_echo_waits_for_the_body_it_asked_for(connect: Connect) -> None:
    client = connect(request("/echo", "Expect: 100-continue", "Transfer-Encoding: chunked", method="POST"))
    assert client.socket.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.send(b"5\r\nhello\r\n")
    client.send(b"6\r\n world\r\n0\r\n\r\n")
    answer = client.answer()
    assert answer.body == b"hello world"
    assert client.is_open()


def test_an_expectation_that_nobody_can_meet_is_417(connect: Connect) -> None:
    client = connect(request("/read", "Expect: 200-ok", method="POST", body=b"x"))
    answer = client.answer()
    assert (answer.status, answer.reason, answer["connection"]) == (417, "Expectation Failed", "close")
    assert client.end() == "closed"


# --- uploads


@pytest.mark.parametrize("size", [0, 1, 65536, 1_000_000])
@pytest.mark.parametrize("framing", ["sized", "chunked"])
def test_an_upload_is_echoed_whole(connect: Connect, size: int, framing: str) -> None:
    client, data = connect(), pattern(size)
    if framing == "sized":
        client.send(request("/echo", f"Content-Length: {size}", method="POST") + data)
    else:
        pieces = [data[at : at + 4096] for at in range(0, size, 4096)]
        client.send(request("/echo", "Transfer-Encoding: chunked", method="POST") + chunked(*pieces))
    assert client.answer().body == data
    assert client.get("/hello").status == 200


def test_trailers_and_extensions_are_read_over(connect: Connect) -> None:
    client = connect(request("/read", "Transfer-Encoding: chunked", method="POST"))
    client.send(b'5;name=value;other="a b"\r\nhello\r\n0;last\r\nX-Trailer: x\r\n\r\n' + request("/hello"))
    assert json.loads(client.answer().body)["length"] == 5
    assert client.answer().body == b"hello\n"


# --- the log


def test_one_line_tells_of_each_exchange(start: Start) -> None:
    server = start()
    with Client(server.address) as client:
        client.get("/hello?a=b")
        client.get("/nothing", method="DELETE")
        client.get("/read", method="POST", body=b"12345")
    first, second, third = (server.wait_for("request", target=target) for target in ("/hello?...", "/nothing", "/read"))
    assert (first["method"], first["status"], first["peer"]) == ("GET", 200, client.name)
    assert first["bytes_in"] == len(request("/hello?a=b"))
    assert first["bytes_out"] > 6
    assert first["end"] is None
    assert {"awaiting_request", "querying_backend", "sending_response"} <= set(first["times"])
    assert (second["method"], second["status"]) == ("DELETE", 404)
    assert (third["status"], third["bytes_in"]) == (200, len(request("/read", method="POST", body=b"12345")))
    assert len({event["id"] for event in (first, second, third)}) == 3
    assert len(server.events("request")) == 3


def test_a_target_can_not_write_lines_of_its_own(start: Start) -> None:
    server = start()
    with Client(server.address) as client:
        answer = client.get("/%0d%0a%1b[31mred%00")
    assert answer.status == 404
    assert server.wait_for("request")["target"] == "/%0d%0a%1b[31mred%00"


def test_without_access_log_an_exchange_is_not_told(start: Start) -> None:
    server = start("--no-access-log")
    with Client(server.address) as client:
        assert client.get("/hello").status == 200
        assert client.get("/raise/value").status == 500
    server.wait_for("handler_failed")
    assert server.events("request") == []


def test_every_passage_is_told_at_debug(start: Start) -> None:
    server = start("--log-level", "debug")
    with Client(server.address) as client:
        client.get("/hello")
    server.wait_for("transition", dest="CLOSED")
    steps = [
        (event["source"], event["trigger"], event["dest"])
        for event in server.events("transition", machine="connection")
        if "HANDSHAKING" not in (event["source"], event["dest"])
    ]
    assert steps == [
        ("AWAITING_REQUEST", "HEAD_RECEIVED", "QUERYING_BACKEND"),
        ("QUERYING_BACKEND", "OUTPUT_READY", "SENDING_RESPONSE"),
        ("SENDING_RESPONSE", "OUTPUT_FLUSHED", "AWAITING_REQUEST"),
        ("AWAITING_REQUEST", "PEER_RESET" if server.is_secure else "PEER_CLOSED", "CLOSED"),  # without close_notify
    ]
