"""The reverse proxy before upstreams that speak TLS: real servers, real certificates, and everything that is wrong with
them; what the client gets, and that the log and the x-ray name the cause."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from tests.conftest import Start
from tests.support.applications import pattern
from tests.support.certificates import Authority, stranger
from tests.support.client import RESET_ON_CLOSE, Client, request
from tests.support.server import ServerProcess
from tests.support.waiting import PATIENCE
from tests.support.xray import read

Serve = Callable[[socket.socket], object]


@contextmanager
def upstream(serve: Serve) -> Iterator[str]:
    """Something that listens, and what it does with each connection; its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            with suppress(OSError):  # the listener is closed at the end
                while True:
                    connection, _ = listener.accept()
                    connection.settimeout(PATIENCE)
                    threading.Thread(target=_serve, args=(serve, connection), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield f"https://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)


def _serve(serve: Serve, connection: socket.socket) -> None:
    with connection, suppress(OSError):
        serve(connection)


def answering(context: ssl.SSLContext, body: bytes = b"hello\n") -> Serve:
    """Speaks TLS, and answers every request with `body`, whatever was sent with it."""

    def serve(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secret:
            data = b""
            while piece := secret.recv(65536):
                data += piece
                while b"\r\n\r\n" in data:
                    data = data.partition(b"\r\n\r\n")[2]
                    secret.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    return serve


def stalling(connection: socket.socket) -> None:
    """Takes the first message of the handshake, and says nothing."""
    connection.recv(65536)
    connection.recv(1)


def resetting(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)


def plain(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    connection.recv(1)


def test_requests_go_to_an_upstream_whose_certificate_is_good(start: Start, authority: Authority) -> None:
    body = pattern(3_000_000)
    with upstream(answering(authority.server(), body)) as url:
        proxy = start("--upstream-ca", authority.file, target=url)
        with Client(proxy.address) as client:
            for _ in range(3):
                assert client.get("/").body == body
        proxy.settle()


def test_a_name_is_looked_up_and_verified(start: Start, authority: Authority) -> None:
    with upstream(answering(authority.server("localhost"))) as url:
        proxy = start("--upstream-ca", authority.file, target=url.replace("127.0.0.1", "localhost"))
        with Client(proxy.address) as client:
            assert client.get("/").text == "hello\n"


WRONG: dict[str, tuple[Callable[[Authority], Serve], int, str]] = {
    "another's name": (
        lambda authority: answering(authority.server("other.example")),
        502,
        "certificate: IP address mismatch, certificate is not valid for '127.0.0.1'",
    ),
    "expired": (lambda authority: answering(authority.expired()), 502, "certificate: certificate has expired"),
    "a stranger's": (lambda _: answering(stranger()), 502, "certificate: "),
    "no TLS": (lambda _: plain, 502, "handshake: wrong version number"),
    "reset": (lambda _: resetting, 502, "handshake: reset"),
    "stalls": (lambda _: stalling, 504, "handshake timeout"),
}


@pytest.mark.parametrize("fault", WRONG)
def test_an_upstream_that_is_not_to_be_trusted_gets_no_request_and_the_cause_is_named(
    start: Start, authority: Authority, fault: str
) -> None:
    made, status, cause = WRONG[fault]
    with upstream(made(authority)) as url:
        proxy = start("--upstream-ca", authority.file, "--upstream-handshake-timeout", "0.5", target=url)
        with Client(proxy.address) as client:
            client.send(request("/secret", method="POST", body=b"secret"))
            answer = client.answer()
            assert answer.status == status
            assert "127.0.0.1" not in answer.text, "what is wrong in there is the operator's to know"
            told = proxy.wait_for("backend_failed")
            assert (told["status"], told["target"], told["backend"]) == (status, "/secret", url[8:])
            assert told["cause"].startswith(cause)
            assert cause in shown(proxy, told["id"].split("-")[1])


def test_without_its_authority_no_private_certificate_is_good(start: Start, authority: Authority) -> None:
    with upstream(answering(authority.server())) as url:
        proxy = start(target=url)
        with Client(proxy.address) as client:
            assert client.get("/").status == 502
        assert proxy.wait_for("backend_failed")["cause"].startswith("certificate: ")


def shown(proxy: ServerProcess, connection: str) -> str:
    """What the x-ray says of a connection."""
    return read(proxy, f"connections/{connection}?format=text")
