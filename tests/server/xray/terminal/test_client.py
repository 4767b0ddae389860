"""The client, against a small server of the standard library's: over TCP and over a Unix socket."""

import http.server
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from clerestory.server.xray.terminal.client import Client, GoneError, XRayError, connection_to

Answer = tuple[int, object]


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers `server.answers` in turn, the last of them for ever; `None` closes without an answer."""

    protocol_version = "HTTP/1.1"
    server: Any

    def do_GET(self) -> None:
        self.server.asked.append((self.command, self.path, self.headers.get("X-Clerestory-Token")))
        answers = self.server.answers
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if answer is None:
            self.close_connection = True
            return
        status, value = answer
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_POST = do_GET  # noqa: N815

    def address_string(self) -> str:
        return "a test"

    def log_message(self, *_: object) -> None:
        pass


class UnixServer(http.server.ThreadingHTTPServer):
    address_family = socket.AF_UNIX

    def server_bind(self) -> None:
        self.socket.bind(self.server_address)


@contextmanager
def answering(*answers: Answer | None, path: str = "") -> Iterator[tuple[str, list[tuple[str, str, str | None]]]]:
    """The address of a server that answers so, and what it was asked."""
    where: Any = path or ("127.0.0.1", 0)
    server: Any = (UnixServer if path else http.server.ThreadingHTTPServer)(where, Handler)
    server.answers, server.asked, server.daemon_threads = list(answers), [], True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield (f"unix:{path}" if path else "{}:{}".format(*server.server_address)), server.asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def client_of(address: str, token: str = "", timeout: float = 10.0) -> Iterator[Client]:
    client = Client(address, token, timeout)
    try:
        yield client
    finally:
        client.close()


def test_parameters_are_encoded_and_empty_ones_left_out() -> None:
    with answering((200, {"a": 1})) as (address, asked), client_of(address, "the token") as client:
        assert client.get("/x", {"path": "/a b&c", "peer": "", "state": None, "limit": 5}) == {"a": 1}
        assert client.post("/y") == {"a": 1}
    assert asked == [("GET", "/x?path=%2Fa+b%26c&limit=5", "the token"), ("POST", "/y", "the token")]


def test_over_a_unix_socket(tmp_path: Path) -> None:
    with answering((200, {"a": 1}), path=str(tmp_path / "x.sock")) as (address, _), client_of(address) as client:
        assert client.get("/x") == {"a": 1}


def test_a_kept_connection_that_was_closed_meanwhile_is_opened_again() -> None:
    with answering((200, {}), None, (200, {"again": 1})) as (address, asked), client_of(address) as client:
        client.get("/x")
        assert client.get("/x") == {"again": 1}
    assert len(asked) == 3


def test_a_change_is_never_sent_twice() -> None:
    with answering((200, {}), None, (200, {})) as (address, asked), client_of(address) as client:
        client.get("/x")
        with pytest.raises(XRayError, match="is the server running"):
            client.post("/connections/1/close")
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("status", "document", "words"),
    [
        (401, {}, "takes a token: set CLERESTORY_TOKEN"),
        (403, {"detail": "no"}, "no"),
        (503, [], "is full: all its connections are in use; try again"),
        (503, {"detail": "8 listen already."}, "8 listen already."),
        (400, {"detail": "older=x: write seconds"}, "older=x: write seconds"),
        (
            404,
            {"detail": "There is nothing at this path."},
            "is not an x-ray .status 404.: the start-up line says where",
        ),
        (200, b"<html>", "is not an x-ray .status 200."),
        (200, ["a", "list"], "is not an x-ray"),
        (502, b"", "is not an x-ray .status 502."),
    ],
)
def test_a_refusal_says_what_to_do(status: int, document: object, words: str) -> None:
    with answering((status, document)) as (address, _), client_of(address) as client:
        with pytest.raises(XRayError, match=words) as raised:
            client.get("/snapshot.json")
        assert not isinstance(raised.value, GoneError)


def test_a_machine_that_is_not_there_is_gone() -> None:
    with answering((404, {"detail": "77 is not there"})) as (address, asked), client_of(address) as client:
        with pytest.raises(GoneError, match="There is no connection a/b"):
            client.one("a/b")
        assert asked[0][1] == "/connections/a%2Fb"


def test_an_export_is_text_and_secrets_are_asked_for_by_name() -> None:
    with answering((200, b"no json\n"), (200, {}), (200, b"\xff")) as (address, asked), client_of(address) as client:
        assert client.export("17", "text") == "no json\n"
        assert client.one("17", secrets=True) == {}
        with pytest.raises(XRayError, match="is not an x-ray"):
            client.export("17", "text", secrets=True)
    assert [path for _, path, _ in asked] == [
        "/connections/17?format=text",
        "/connections/17?secrets=1",
        "/connections/17?format=text&secrets=1",
    ]


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = "{}:{}".format(*free.getsockname())
    with client_of(address) as client, pytest.raises(XRayError, match="Connection refused: is the server running"):
        client.get("/x")
    with client_of("unix:/nowhere/x.sock") as client, pytest.raises(XRayError, match="No such file"):
        client.get("/x")


def test_somebody_who_does_not_answer_or_does_not_speak_http() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = "{}:{}".format(*silent.getsockname())
        with (
            client_of(address, timeout=0.05) as client,
            pytest.raises(XRayError, match=r"does not answer within 0\.05 s"),
        ):
            client.get("/x")

    def greet(server: socket.socket) -> None:
        peer, _ = server.accept()
        with peer:
            peer.recv(4096)
            peer.sendall(b"220 smtp.example.org\r\n")

    with socket.create_server(("127.0.0.1", 0)) as rude:
        thread = threading.Thread(target=greet, args=(rude,))
        thread.start()
        address = "{}:{}".format(*rude.getsockname())
        with client_of(address) as client, pytest.raises(XRayError, match="does not speak HTTP"):
            client.get("/x")
        thread.join()


@pytest.mark.parametrize(
    "address", ["", "8001", "nonsense", "a:b", "h:0", "h:99999", "user@h:1", "unix:", "unix:" + "x" * 101]
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(XRayError, match=r"write (HOST:PORT|unix: and a path)|no address"):
        connection_to(address)


@pytest.mark.parametrize(
    ("address", "host", "port"),
    [("127.0.0.1:8001", "127.0.0.1", 8001), ("http://localhost:1/", "localhost", 1), ("[::1]:80", "::1", 80)],
)
def test_addresses_as_people_write_them(address: str, host: str, port: int) -> None:
    connection = connection_to(address)
    assert (connection.host, connection.port) == (host, port)
