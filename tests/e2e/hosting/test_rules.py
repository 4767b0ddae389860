"""The rules of the ASGI HTTP specification, and of hosting, each over a real socket."""

import json
import signal
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.client import Client, CutShort, chunked, request
from tests.support.server import ServerProcess, serving
from tests.support.waiting import eventually

TARGET = "tests.e2e.hosting.applications.rules:app"
OPTIONS = ("--no-xray", "--application-leave-timeout", "0.3", "--application-timeout", "2", "--root-path", "/root/")


@pytest.fixture(scope="module", params=["asyncio", "uvloop"])
def server(request: pytest.FixtureRequest) -> Iterator[ServerProcess]:
    if request.param == "uvloop":
        pytest.importorskip("uvloop")
    with serving("--loop", request.param, *OPTIONS, target=TARGET) as server:
        yield server


@pytest.fixture
def client(server: ServerProcess) -> Iterator[Client]:
    with Client(server.address) as client:
        yield client


def seen(server: ServerProcess, name: str = "", mark: str = "") -> Any:
    with Client(server.address) as client:
        found = json.loads(client.get(f"/seen{'?' + mark if mark else ''}").body)
    return found.get(name) if name else found


def scope_of(client: Client, target: str, *lines: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(client.get(target, *lines).body)
    return found


# --- the scope


def test_a_scope_says_what_came(client: Client, server: ServerProcess) -> None:
    scope = scope_of(client, "/a%2Fb%20c/%C3%A4?x=%20", "X-Name: Value")
    own = client.socket.getsockname()
    expected = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/root/a/b c/\xc3\xa4",
        "raw_path": "/root/a%2Fb%20c/%C3%A4",
        "query_string": "x=%20",
        "root_path": "/root",
        "headers": [["host", "example.org"], ["x-name", "Value"]],
        "client": list(own[:2]),
        "server": list(server.address),
        "extensions": ["http.response.early_hint", "http.response.pathsend", "http.response.zerocopysend"],
    }
    assert {key: scope[key] for key in expected} == expected


def test_a_task_is_named_by_its_request(client: Client, server: ServerProcess) -> None:
    first, second = scope_of(client, "/x")["task"], scope_of(client, "/x")["task"]
    connection = first.rpartition("-")[0]
    assert (first, second) == (f"{connection}-1", f"{connection}-2")


def test_bytes_of_a_path_that_are_no_utf8_are_kept_apart(client: Client) -> None:
    assert scope_of(client, "/%ff")["path"] == "/root/\xff"
    assert scope_of(client, "/%c3%bf")["path"] == "/root/\xc3\xbf"


def test_a_request_has_a_context_of_its_own(client: Client) -> None:
    """What one request leaves in a context variable, the next one of the connection does not find."""
    assert [client.get("/context").body for _ in range(2)] == [b'""', b'""']


def test_what_needs_a_task_works(client: Client) -> None:
    assert json.loads(client.get("/tasks").body) == [True, ""]


# --- receive


@pytest.mark.parametrize(
    ("data", "sizes"),
    [
        (request("/receives"), [0]),
        (request("/receives", method="POST", body=b"hello"), [5]),
        (request("/receives", "Transfer-Encoding: chunked", method="POST") + chunked(b"one", b"two"), [6]),
    ],
)
def test_receive_tells_the_body_once_then_blocks_then_says_disconnect_always(
    server: ServerProcess, data: bytes, sizes: list[int]
) -> None:
    before = len(seen(server, "then") or ())
    with Client(server.address, data=data) as client:
        eventually(lambda: len(seen(server, "blocked") or ()) > before)
        client.reset()
    eventually(lambda: len(seen(server, "then") or ()) > before)
    found = seen(server)
    assert (found["body"][-1], found["blocked"][-1]) == (sizes, True)
    assert found["then"][-1] == ["http.disconnect"] * 3


def test_behind_the_answer_receive_says_disconnect_and_send_raises(client: Client, server: ServerProcess) -> None:
    assert client.get("/after").body == b"ok"
    eventually(lambda: seen(server, "again"))
    assert seen(server, "after")[-2:] == ["http.request", "http.disconnect"]
    assert seen(server, "again")[-1] == "EventError"


def test_100_is_not_said_behind_the_beginning_of_the_answer(client: Client) -> None:
    client.send(request("/started", "Expect: 100-continue", "Content-Length: 5", method="POST"))
    with pytest.raises(CutShort) as cut:
        client.answer()
    assert b"100 Continue" not in cut.value.received


@pytest.mark.parametrize("stays", [False, True])
def test_one_that_gives_up_the_body_answers_while_the_client_still_owes_it(server: ServerProcess, stays: bool) -> None:
    """`asyncio.wait_for(receive(), ...)` ends its own wait: neither the answer's way nor another's wait."""
    target = "/late?stays" if stays else "/late"
    with Client(server.address, data=request(target, "Content-Length: 5", method="POST")) as client:
        if stays:
            eventually(lambda: _received(client, b"late"), what="the beginning of the answer")
            client.send(b"hello")
        answer = client.answer()
        assert (answer.status, answer.body) == (408, b"late" if stays else b"")
    assert all(seen(server, "late"))
    if stays:
        assert seen(server, "body")[-1] == "hello"


def _received(client: Client, data: bytes) -> bool:
    client.take(len(client.buffer) + 1, 1)
    return data in client.buffer


def whole(client: Client) -> bytes:
    """All that comes until the server closes."""
    client.socket.settimeout(10)
    received = client.buffer
    while piece := client.socket.recv(65536):
        received += piece
    return received


def test_trailers_go_to_who_takes_them_and_to_nobody_else(server: ServerProcess) -> None:
    with Client(server.address, data=request("/trailers", "TE: trailers", "Connection: close, TE")) as client:
        body = whole(client).partition(b"\r\n\r\n")[2]
    assert body == b"3\r\none\r\n3\r\ntwo\r\n0\r\nx-sum: 6\r\nx-end: yes\r\n\r\n" or (
        body == b"6\r\nonetwo\r\n0\r\nx-sum: 6\r\nx-end: yes\r\n\r\n"
    )
    with Client(server.address) as client:
        assert [client.get("/trailers").body for _ in range(2)] == [b"onetwo"] * 2


def test_early_hints_come_before_the_answer_and_never_to_http_1_0(server: ServerProcess) -> None:
    with Client(server.address) as client:
        for _ in range(2):
            answer = client.get("/hints")
            assert (answer.interim, answer.status, answer.body) == ([103, 103], 200, b"ok")
    with Client(server.address, data=b"GET /hints HTTP/1.0\r\n\r\n") as client:
        received = whole(client)
    assert received.startswith(b"HTTP/1.1 200 ")
    assert (b" 103 " in received, received.endswith(b"ok")) == (False, True)


# --- the client leaves


def test_send_to_a_client_that_has_gone_raises_and_is_not_the_applications_fault(server: ServerProcess) -> None:
    with Client(server.address, data=request("/gone")) as client:
        client.take(300)
        client.reset()
    eventually(lambda: seen(server, "gone"))
    assert seen(server, "gone") == ["ClientDisconnected"]
    assert server.events("application_failed") == []
    assert server.events("handler_failed", target="/gone") == []


def test_who_does_not_look_is_cancelled_after_a_grace(server: ServerProcess) -> None:
    with Client(server.address, data=request("/stubborn")) as client:
        eventually(lambda: seen(server, "stubborn"))
        client.reset()
    eventually(lambda: seen(server, "stubborn") == ["begun", "cancelled"])
    server.wait_for("application_cancelled", target="/stubborn")


def test_a_client_that_half_closes_gets_its_answer(server: ServerProcess) -> None:
    with Client(server.address, data=request("/slow", "Connection: close")) as client:
        client.half_close()
        assert client.answer().status == 200


# --- send


def test_a_slow_client_makes_send_wait(server: ServerProcess) -> None:
    with Client(server.address, window=4096, data=request("/slow_client")) as client:
        client.take(1000)
        before = -1

        def rests() -> bool:
            nonlocal before
            now = seen(server, "produced")
            rested, before = now == before, now
            return bool(rested)

        eventually(rests)
        assert before < 399
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        assert len(client.answer().body) == 400 * 32768


def test_an_error_behind_the_start_is_still_a_500(client: Client, server: ServerProcess) -> None:
    answer = client.get("/late_500")
    assert (answer.status, answer.get("x-wrong")) == (500, None)
    failed = server.wait_for("handler_failed", target="/late_500")
    assert "behind the start, before the body" in failed["exception"]
    assert failed["id"].endswith("-1")


def test_an_application_that_does_not_answer_is_a_500(client: Client, server: ServerProcess) -> None:
    assert client.get("/nothing").status == 500
    assert "returned without an answer" in server.wait_for("handler_failed", target="/nothing")["exception"]


def test_an_answer_that_is_not_ended_is_cut(client: Client) -> None:
    with pytest.raises(CutShort):
        client.get("/started")


def test_an_answer_has_one_framing_and_it_is_ours(client: Client) -> None:
    answer = client.get("/framing")
    assert (answer.body, answer["transfer-encoding"], answer["x-kept"]) == (b"body", "chunked", "1")
    assert answer.get("connection") is None


@pytest.mark.parametrize(("status", "length"), [(204, None), (205, "0"), (304, None)])
def test_an_answer_without_content_has_none(client: Client, status: int, length: str | None) -> None:
    """RFC 9112 section 6.3 ends a 204 and a 304 with their heads; a 205 needs a length of 0."""
    answer = client.get(f"/framing?{status}")
    assert (answer.status, answer.body, answer.get("transfer-encoding")) == (status, b"", None)
    assert answer.get("content-length") == length
    assert client.get("/framing").status == 200


def test_the_head_of_a_stream_has_its_framing_and_no_body(client: Client) -> None:
    answer = client.get("/framing", method="HEAD")
    assert (answer.status, answer["transfer-encoding"]) == (200, "chunked")
    assert client.get("/length?12345,0", method="HEAD")["content-length"] == "5"
    assert client.get("/framing").body == b"body"


@pytest.mark.parametrize("streamed", ["0", "1"])
def test_a_body_that_is_longer_than_promised_is_cut_at_the_promise(
    client: Client, server: ServerProcess, streamed: str
) -> None:
    target = f"/length?123456789,{streamed}"
    assert client.get(target).body == b"12345"
    server.wait_for("body_too_long", target=target, content_length=5)
    assert client.get("/framing").status == 200


def test_a_body_that_is_shorter_than_promised_does_not_end_well(client: Client, server: ServerProcess) -> None:
    with Client(server.address) as other:
        assert other.get("/length?123,0").status == 500  # nothing of it had been sent
    with pytest.raises(CutShort):
        client.get("/length?123,1")


def test_an_ill_formed_event_raises_and_nothing_of_it_is_sent(client: Client) -> None:
    answer = client.get("/ill_formed")
    assert json.loads(answer.body) == ["EventError"] * 11
    assert [name for name, _ in answer.fields if name.startswith("x")] == ["x-line", "x-list"]
    assert answer["x-list"] == "padded"


def test_a_value_is_not_split_at_line_ends_that_are_none_of_http(client: Client) -> None:
    client.send(request("/exotic", "Connection: close"))
    _, received = client.everything()
    assert "\r\nx-line: a\u2028b\u0085c\r\n".encode() in received


def test_files_are_sent_by_name_and_by_descriptor(client: Client) -> None:
    assert client.get("/path_send").body == b"from a file\n" * 1000
    assert client.get("/zero_copy").body == b"234|0123456789"


def test_an_application_that_takes_too_long_is_504(server: ServerProcess) -> None:
    with Client(server.address) as client:
        assert client.get("/hang").status == 504
        assert client.get("/framing").status == 200


def test_what_fails_behind_the_answer_is_logged_with_the_request(client: Client, server: ServerProcess) -> None:
    assert client.get("/failing_background").body == b"ok"
    failed = server.wait_for("application_failed", target="/failing_background")
    assert "behind the answer" in failed["exception"]
    assert failed["method"] == "GET"


# --- the end


def hosted(*options: str) -> Any:
    return serving(*OPTIONS, *options, target=TARGET)


def test_a_drain_waits_for_work_behind_the_answer() -> None:
    with hosted() as server, Client(server.address) as client:
        assert client.get("/background").body == b"ok"
        eventually(lambda: seen(server, "background"))
        other = Client(server.address, data=request("/stubborn"))
        eventually(lambda: seen(server, "stubborn"))
        server.signal(signal.SIGTERM)
        assert server.wait_for("draining")["applications"] == 2
        other.reset()
        server.wait_for("application_cancelled", target="/stubborn")
        assert server.running
        server.signal(signal.SIGTERM)  # the work is cancelled by the second
        server.wait_for("application_cancelled", target="/background")
        assert server.wait() == 0


def test_a_stream_is_told_before_it_is_cut() -> None:
    """Most of a drain's time is for requests to end by themselves; then streams are told, and may end well."""
    with hosted("--drain-timeout", "4") as server:
        with Client(server.address, data=request("/stream")) as told, Client(server.address) as deaf:
            deaf.send(request("/deaf"))
            told.take(60)
            deaf.take(60)
            server.signal(signal.SIGTERM)
            assert told.answer().body == b"begun\ntold\n"
            with pytest.raises(CutShort):
                deaf.answer()
        server.wait_for("application_cancelled", target="/deaf")
        assert server.wait() == 0
        assert [cut for cut in server.events("connection_cut") if cut["state"] != "LINGERING"] == []


# --- what a client may say of itself


SAID: list[tuple[list[str], str, list[Any] | None, str]] = [
    (["X-Forwarded-For: 192.0.2.7", "X-Forwarded-Proto: https"], "https", ["192.0.2.7", 0], "example.org"),
    (["X-Forwarded-For: 203.0.113.9, 192.0.2.7", "X-Forwarded-For: ::1"], "http", ["::1", 0], "example.org"),
    (
        ["X-Forwarded-For: 203.0.113.9, 192.0.2.7", "X-Forwarded-For: 127.0.0.9"],
        "http",
        ["192.0.2.7", 0],
        "example.org",
    ),
    (['Forwarded: for="[2001:db8::1]:77";proto=https;host=shop.test'], "https", ["2001:db8::1", 77], "shop.test"),
    (["X-Forwarded-Host: shop.test"], "http", None, "shop.test"),
]


@pytest.mark.parametrize(("lines", "scheme", "who", "host"), SAID)
def test_a_trusted_proxy_says_who_the_client_is(
    trusting: ServerProcess, lines: list[str], scheme: str, who: list[Any] | None, host: str
) -> None:
    with Client(trusting.address) as client:
        scope = scope_of(client, "/x", *lines)
        own = list(client.socket.getsockname()[:2])
        assert (scope["scheme"], scope["client"], dict(scope["headers"])["host"]) == (scheme, who or own, host)


@pytest.fixture(scope="module")
def trusting() -> Iterator[ServerProcess]:
    with hosted("--trust", "127.0.0.0/8", "--asgi-spec", "2.3") as server:
        yield server


def test_whom_nobody_trusts_says_nothing(client: Client) -> None:
    scope = scope_of(client, "/x", "X-Forwarded-For: 192.0.2.7", "X-Forwarded-Proto: https", "Forwarded: for=192.0.2.8")
    assert (scope["scheme"], scope["client"][0]) == ("http", "127.0.0.1")


def test_the_specification_that_an_application_is_told_is_a_choice(trusting: ServerProcess) -> None:
    with Client(trusting.address) as client:
        assert scope_of(client, "/x")["asgi"]["spec_version"] == "2.3"
