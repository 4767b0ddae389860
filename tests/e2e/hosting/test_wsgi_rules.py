"""The rules of PEP 3333, and of hosting, each over a real socket."""

import json
import re
import signal
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.client import Client, CutShort, chunked, request
from tests.support.server import ServerProcess, serving
from tests.support.waiting import eventually

MODULE = "tests.e2e.hosting.applications.wsgi_rules"
OPTIONS = ("--no-xray", "--max-body", "8M")


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with serving(*OPTIONS, "--root-path", "/root/", target=f"{MODULE}:app") as server:
        yield server


@pytest.fixture
def client(server: ServerProcess) -> Iterator[Client]:
    with Client(server.address) as client:
        yield client


def seen(server: ServerProcess, name: str) -> list[Any]:
    with Client(server.address) as client:
        found: dict[str, list[Any]] = json.loads(client.get("/seen").body)
    return found.get(name, [])


def environ_of(client: Client, target: str, *lines: str, **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(client.get(target, *lines, **more).body)
    return found


def whys(server: ServerProcess) -> str:
    """What the server says, on SIGUSR1, of everything that it waits for."""
    count = len(server.events("xray_dump"))
    server.signal(signal.SIGUSR1)
    server.wait_for("xray_dump", count + 1)
    return str(server.events("xray_dump")[-1])


# --- the environ


def test_an_environ_says_what_came(client: Client, server: ServerProcess) -> None:
    """PATH_INFO is decoded, RAW_URI is not; SCRIPT_NAME is what --root-path says; SERVER_PORT is text."""
    environ = environ_of(client, "/x%2Fy%20z/%C3%A4?q=%20", "X-Name: Value", "Cookie: a=1", "Cookie: b=2")
    host, port = client.socket.getsockname()[:2]
    expected = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "/root",
        "PATH_INFO": "/x/y z/\xc3\xa4",
        "QUERY_STRING": "q=%20",
        "RAW_URI": "/x%2Fy%20z/%C3%A4?q=%20",
        "REQUEST_URI": "/x%2Fy%20z/%C3%A4?q=%20",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_NAME": server.address[0],
        "SERVER_PORT": str(server.address[1]),
        "REMOTE_ADDR": host,
        "REMOTE_PORT": str(port),
        "HTTP_HOST": "example.org",
        "HTTP_X_NAME": "Value",
        "HTTP_COOKIE": "a=1; b=2",
        "wsgi.version": [1, 0],
        "wsgi.url_scheme": "http",
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "wsgi.input_terminated": False,
        "types": ["str"],
    }
    assert {key: environ.get(key) for key in expected} == expected
    assert "CONTENT_LENGTH" not in environ
    assert "CONTENT_TYPE" not in environ


def test_fields_are_joined_and_the_bodys_are_named_without_a_prefix(client: Client) -> None:
    environ = environ_of(client, "/x", "A: 1", "A: 2", "Content-Type: text/plain", method="POST", body=b"abc")
    assert (environ["HTTP_A"], environ["CONTENT_TYPE"], environ["CONTENT_LENGTH"]) == ("1,2", "text/plain", "3")
    assert not {"HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH"} & set(environ)


@pytest.mark.parametrize(
    ("lines", "name", "value"),
    [
        (("X_Y: forged", "X-Y: true"), "HTTP_X_Y", "true"),
        (("X-Y: true", "X_Y: forged"), "HTTP_X_Y", "true"),
        (("X_Y: forged",), "HTTP_X_Y", None),
        (("Proxy: http://evil.example/",), "HTTP_PROXY", None),
        (("Script-Name: /forged", "Script_Name: /forged"), "SCRIPT_NAME", "/root"),
    ],
)
def test_no_field_takes_the_place_of_another_variable(
    client: Client, lines: tuple[str, ...], name: str, value: str | None
) -> None:
    assert environ_of(client, "/x", *lines).get(name) == value


def test_bytes_are_latin_1_both_ways(client: Client) -> None:
    answer = client.get("/path/%ff%e9", "X-Latin: \xe9")
    assert answer.body == b"/path/\xff\xe9\xe9"


def test_a_response_field_in_latin_1_is_sent_as_it_is(server: ServerProcess) -> None:
    with Client(server.address, data=request("/latin", "Connection: close")) as client:
        assert b"x-latin: caf\xe9\r\n" in client.rest()


# --- close()


@pytest.mark.parametrize(
    ("name", "status"), [("whole", 200), ("stream", 200), ("error", 500), ("broken", 0), ("raises", 200), ("head", 200)]
)
def test_the_iterable_is_closed_exactly_once(server: ServerProcess, name: str, status: int) -> None:
    method = "HEAD" if name == "head" else "GET"
    with Client(server.address) as client:
        client.send(request(f"/close_{name}", method=method))
        if status:
            assert client.answer(method).status == status
        else:
            with pytest.raises(CutShort):
                client.answer()
    eventually(lambda: name in seen(server, "closed"))
    assert seen(server, "closed").count(name) == 1


def test_what_close_raises_is_logged_and_the_answer_stands(server: ServerProcess, client: Client) -> None:
    assert client.get("/close_raises").body == b"one"
    assert "in its close()" in str(server.wait_for("application_failed", target="/close_raises"))


def test_a_client_that_goes_between_two_pieces_ends_the_call_and_closes_the_iterable(server: ServerProcess) -> None:
    with Client(server.address, data=request("/close_gone")) as client:
        client.take(2000)
        client.reset()
    eventually(lambda: seen(server, "closed").count("gone") == 1)
    assert server.events("application_failed", target="/close_gone") == []


def test_a_slow_close_does_not_keep_the_client_waiting() -> None:
    with serving(*OPTIONS, target=f"{MODULE}:app") as server, Client(server.address) as client:
        assert client.get("/slow_close").body == b"at once"
        assert seen(server, "closed") == []
        client.get("/release")
        eventually(lambda: seen(server, "closed") == ["slow"])


# --- start_response and write()


def test_start_response_may_be_called_at_the_first_step(client: Client) -> None:
    answer = client.get("/late_start")
    assert (answer.status, answer["x-late"], answer.body) == (201, "yes", b"late")


def test_an_empty_piece_does_not_send_the_head(client: Client) -> None:
    answer = client.get("/empty_first")
    assert (answer.status, answer.reason, answer["x-second"], answer.body) == (500, "Changed", "yes", b"changed")


def test_a_second_start_response_needs_exc_info(server: ServerProcess, client: Client) -> None:
    assert client.get("/start_twice").body == b"once"
    assert seen(server, "twice") == ["HeadError"]


def test_exc_info_behind_the_head_is_raised_and_the_answer_cut(server: ServerProcess, client: Client) -> None:
    with pytest.raises(CutShort):
        client.get("/start_after")
    assert seen(server, "after") == ["a reason to start again"]


@pytest.mark.parametrize("target", ["/no_start", "/nothing", "/text", "/error", "/leave"])
def test_what_cannot_be_an_answer_is_a_500_and_logged(server: ServerProcess, client: Client, target: str) -> None:
    answer = client.get(target)
    assert answer.status == 500
    assert b"fault" not in answer.body
    assert server.wait_for("handler_failed", target=target)["id"]
    assert client.get("/write").status == 200


def test_what_an_application_says_is_in_the_log_line_by_line(server: ServerProcess, client: Client) -> None:
    client.get("/error")
    for line in ("said before", "and without an end"):
        server.wait_for("application_said", text=line)


@pytest.mark.parametrize(
    "wrong",
    [
        "number",
        "short",
        "interim",
        "break",
        "tuple",
        "list",
        "bytes",
        "name",
        "split",
        "nul",
        "text",
        "lengths",
        "length",
    ],
)
def test_a_head_that_is_not_well_formed_is_a_500(server: ServerProcess, client: Client, wrong: str) -> None:
    answer = client.get(f"/head?{wrong}")
    assert (answer.status, answer.get("x")) == (500, None)


def test_write_goes_before_the_iterable(client: Client) -> None:
    assert client.get("/write").body == b"by write, twice, and by the iterable"


@pytest.mark.parametrize(("target", "mark"), [("/write_slowly", "written"), ("/produce", "produced")])
def test_a_slow_client_makes_the_thread_wait(server: ServerProcess, target: str, mark: str) -> None:
    """That is a state of its own."""
    with Client(server.address, window=4096, data=request(target)) as client:
        client.take(1000)
        eventually(lambda: re.search(rf"wsgi.*AWAITING_ROOM|application AWAITING_ROOM.*{target}", whys(server)))
        assert seen(server, mark)[0] < 399
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        assert len(client.answer().body) == 400 * 32768


# --- the answer


@pytest.mark.parametrize("status", [200, 201, 204, 304, 404, 503, 599])
def test_a_status_is_sent_with_its_reason(client: Client, status: int) -> None:
    answer = client.get(f"/status?{status}")
    assert (answer.status, answer.reason, answer["x-of"]) == (status, "As Told", "the application")
    assert answer.body == (b"" if status in (204, 304) else b"body")
    assert client.get("/write").status == 200


def test_framing_is_the_servers(client: Client) -> None:
    answer = client.get("/no_content")
    assert [answer.get(name) for name in ("content-length", "transfer-encoding", "connection")] == [None] * 3
    assert client.get("/write").status == 200


def test_more_than_was_promised_is_cut_and_logged(server: ServerProcess, client: Client) -> None:
    for target in ("/too_long", "/too_long_whole"):
        assert client.get(target).body == b"12345"
        assert server.wait_for("body_too_long", target=target)["content_length"] == 5
    assert client.get("/write").status == 200


@pytest.mark.parametrize("how", ["whole", "stream"])
def test_fewer_bytes_than_were_promised_close_the_connection(server: ServerProcess, client: Client, how: str) -> None:
    target = f"/too_short?{how}"
    with pytest.raises(CutShort) as cut:
        client.get(target)
    assert cut.value.received == b"123"
    server.wait_for("handler_failed", target="/too_short?...")


def test_an_answer_to_head_has_its_length_and_no_body(client: Client) -> None:
    answer = client.get("/close_head", method="HEAD")
    assert (answer["content-length"], answer.body) == ("6", b"")
    assert client.get("/write", method="HEAD").status == 200
    assert client.get("/write").status == 200


def test_the_first_of_two_requests_sent_at_once_is_answered_first(client: Client) -> None:
    client.send(request("/path/1") + request("/path/2"))
    assert [client.answer().body for _ in range(2)] == [b"/path/1", b"/path/2"]


# --- wsgi.input

LINES = b"one\ntwo\nthree"
READS = [
    ("all", ["one\ntwo\nthree"]),
    ("some", ["one", "", "\ntwo\nthree", ""]),
    ("line", ["one\n", "tw", "o\n"]),
    ("lines", ["one\n", "two\n", "three"]),
    ("hint", ["one\n"]),
    ("iterate", ["one\n", "two\n", "three"]),
]


@pytest.mark.parametrize(("how", "found"), READS)
def test_a_body_is_read_in_every_way(client: Client, how: str, found: list[str]) -> None:
    answer = client.get(f"/read?{how}", method="POST", body=LINES)
    assert json.loads(answer.body) == [found, False, str(len(LINES))]


@pytest.mark.parametrize(("how", "found"), READS)
def test_a_chunked_body_ends_by_itself_and_says_so(client: Client, how: str, found: list[str]) -> None:
    client.send(request(f"/read?{how}", "Transfer-Encoding: chunked", method="POST"))
    client.send(chunked(b"on", b"e\ntwo", b"\nthr", b"ee"))
    assert json.loads(client.answer().body) == [found, True, None]


def test_a_request_without_a_body_reads_nothing(client: Client) -> None:
    assert json.loads(client.get("/read?all").body) == [[""], False, None]


@pytest.mark.parametrize("size", [1, 65_536, 65_537, 5_000_000])
def test_a_large_body_comes_whole(client: Client, size: int) -> None:
    answer = client.get("/read?count", method="POST", body=b"x" * size)
    assert json.loads(answer.body)[0] == size


@pytest.mark.parametrize(
    "data",
    [
        request("/read?cut", "Content-Length: 100000", method="POST") + b"x" * 1000,
        request("/read?cut", "Transfer-Encoding: chunked", method="POST") + b"3e8\r\n" + b"x" * 1000 + b"\r\n",
    ],
)
def test_a_body_that_is_cut_short_raises(server: ServerProcess, data: bytes) -> None:
    before = len(seen(server, "cut"))
    with Client(server.address, data=data) as client:
        client.half_close()
        assert client.answer().status == 400
    eventually(lambda: len(seen(server, "cut")) > before)
    assert server.events("application_failed") == [
        event for event in server.events("application_failed") if "read" not in event["target"]
    ]


def test_a_body_streams_both_ways(client: Client) -> None:
    client.send(request("/both", "Transfer-Encoding: chunked", method="POST"))
    client.send(b"4\r\none\n\r\n")

    def has_come() -> bool:
        client.take(len(client.buffer) + 1, 1)
        return b"ONE" in client.buffer

    eventually(has_come)
    client.send(b"4\r\ntwo\n\r\n0\r\n\r\n")
    assert client.answer().body == b"ONE\nTWO\n"


def test_a_body_that_is_not_read_does_not_spoil_the_connection(client: Client) -> None:
    assert client.get("/ignore", method="POST", body=b"x" * 1000).body == b"unread"
    assert client.get("/write").status == 200


@pytest.mark.parametrize("size", [5, 100_000])
def test_100_is_said_once_when_the_body_is_read(client: Client, size: int) -> None:
    client.send(request("/read?count", "Expect: 100-continue", f"Content-Length: {size}", method="POST"))
    client.take(25)
    client.send(b"x" * size)
    answer = client.answer()
    assert (answer.interim, json.loads(answer.body)[0]) == ([100], size)


def test_100_is_not_said_when_the_body_is_not_read(client: Client) -> None:
    client.send(request("/ignore", "Expect: 100-continue", "Content-Length: 5", method="POST"))
    assert client.answer().interim == []


# --- files


@pytest.mark.parametrize(
    ("how", "body", "length"),
    [
        ("whole", b"0123456789" * 50_000, "500000"),
        ("offset", b"0123456789", "10"),
        ("length", b"0123456", "7"),
        ("raw", b"0123456789" * 50_000, "500000"),
        ("reads", b"abc" * 1000, None),
        ("notes", b"0123456789" * 50_000, None),
    ],
)
def test_a_file_is_sent_from_its_offset_with_its_length(
    server: ServerProcess, client: Client, how: str, body: bytes, length: str | None
) -> None:
    """What has no descriptor of its own is read, and has no length where none is promised."""
    answer = client.get(f"/file?{how}")
    assert answer.body == body
    assert answer.get("content-length") in (length, None) if length is None else answer["content-length"] == length
    if how == "notes":
        eventually(lambda: seen(server, "closed").count("file") == 1)


def test_a_file_whose_descriptor_has_other_bytes_is_read(client: Client) -> None:
    assert client.get("/gzip_file").body == b"unpacked" * 1000


def test_files_leave_no_descriptor_behind(server: ServerProcess) -> None:
    with Client(server.address) as client:
        client.get("/file?whole")
        before = server.descriptors()
        for how in ("whole", "offset", "length", "raw", "reads", "notes"):
            client.get(f"/file?{how}")
        eventually(lambda: server.descriptors() <= before)


# --- where a call stands


AT = r"at applications/wsgi_rules.py:\d+ "


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (request("/block"), rf"GET /block QUERYING_BACKEND .*application RUNNING [\d.]+ s {AT}wait_for_release"),
        (
            request("/stream_then_block"),
            rf"GET /stream_then_block [A-Z_]+ .*application PRODUCING [\d.]+ s {AT}wait_for_release",
        ),
    ],
)
def test_the_line_at_which_an_application_blocks_is_named(data: bytes, said: str) -> None:
    with serving(*OPTIONS, target=f"{MODULE}:app") as server, Client(server.address, data=data) as client:
        eventually(lambda: re.search(said, whys(server)), what=said)
        with Client(server.address) as other:
            other.get("/release")
        assert client.answer().status == 200


def test_a_thread_that_waits_for_the_body_is_in_a_state_of_its_own(server: ServerProcess) -> None:
    with Client(server.address, data=request("/read?all", "Content-Length: 100000", method="POST")) as client:
        eventually(lambda: re.search(r"wsgi[^']*AWAITING_BODY|AWAITING_BODY", whys(server)))
        client.send(b"x" * 100_000)
        assert client.answer().status == 200


def test_a_request_waits_for_a_thread_and_says_so() -> None:
    options = (*OPTIONS, "--threads", "1")
    with serving(*options, target=f"{MODULE}:app") as server, Client(server.address, data=request("/block")) as first:
        eventually(lambda: "RUNNING" in whys(server))
        with Client(server.address, data=request("/show")) as second:
            eventually(lambda: re.search(r"application QUEUED [\d.]+ s <- 1 thread, 1 waiting", whys(server)))
            second.reset()
        eventually(lambda: "QUEUED" not in whys(server))
        server.signal(signal.SIGUSR1)
        first.reset()


def test_an_upload_that_comes_slowly_occupies_no_thread() -> None:
    """A small body is read before a thread is taken."""
    options = (*OPTIONS, "--threads", "1")
    slow = request("/read?all", "Content-Length: 1000", method="POST") + b"x"
    with serving(*options, target=f"{MODULE}:app") as server, Client(server.address, data=slow) as client:
        with Client(server.address) as other:
            assert other.get("/write").status == 200
        client.send(b"x" * 999)
        assert client.answer().status == 200


# --- deadlines and the end


def test_an_application_that_does_not_answer_in_time_is_a_504() -> None:
    options = (*OPTIONS, "--application-timeout", "0.3")
    with serving(*options, target=f"{MODULE}:app") as server, Client(server.address) as client:
        assert client.get("/block").status == 504
        client.get("/release")


def test_a_stream_that_falls_silent_is_cut() -> None:
    options = (*OPTIONS, "--application-stream-timeout", "0.3")
    with serving(*options, target=f"{MODULE}:app") as server, Client(server.address) as client:
        with pytest.raises(CutShort):
            client.get("/stream_then_block")
        with Client(server.address) as other:
            other.get("/release")


def test_no_free_thread_in_time_is_a_503() -> None:
    options = (*OPTIONS, "--threads", "1", "--thread-queue-timeout", "0.3")
    with serving(*options, target=f"{MODULE}:app") as server, Client(server.address, data=request("/block")) as first:
        eventually(lambda: "RUNNING" in whys(server))
        with Client(server.address) as second:
            assert second.get("/show").status == 503
        first.reset()


def test_a_drain_waits_for_a_call_that_runs() -> None:
    with serving(*OPTIONS, target=f"{MODULE}:app") as server:
        with Client(server.address) as idle, Client(server.address, data=request("/stream_then_block")) as client:
            idle.get("/write")
            client.take(20)
            eventually(lambda: "PRODUCING" in whys(server))
            server.signal(signal.SIGTERM)
            server.wait_for("draining", applications=1)
            assert idle.get("/release").body == b"ok"
            assert client.answer().body == b"firstlast"
        assert server.wait() == 0
        assert server.events("connection_cut") == []


def test_what_streams_without_end_is_ended_and_closed_before_a_drain_cuts() -> None:
    """Its iterable's close() is called as long as the process is there."""
    with serving(*OPTIONS, "--drain-timeout", "1", target=f"{MODULE}:app") as server:
        with Client(server.address, data=request("/close_gone")) as client:
            client.take(2000)
            server.signal(signal.SIGTERM)
            with pytest.raises(CutShort):
                client.answer()
        server.wait_for("application_said", text="closed gone")
        assert server.wait() == 0


def test_wsgirefs_validator_finds_nothing() -> None:
    with serving(*OPTIONS, "--factory", "--interface", "wsgi", target=f"{MODULE}:make_validated") as validated:
        with Client(validated.address) as client:
            assert client.get("/show/%C3%A4?q", "X-A: b").status == 200
            assert client.get("/show", method="HEAD").status == 200
            answer = client.get("/read?lines", method="POST", body=LINES)
            assert json.loads(answer.body)[0] == ["one\n", "two\n", "three"]
            client.send(request("/read?iterate", "Transfer-Encoding: chunked", method="POST") + chunked(LINES))
            assert json.loads(client.answer().body)[0] == ["one\n", "two\n", "three"]
        assert validated.events("handler_failed") == validated.events("application_failed") == []
