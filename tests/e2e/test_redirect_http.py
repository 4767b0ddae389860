"""A server that speaks TLS, and redirects from a plain listener: real processes, with and without workers."""

import subprocess
from pathlib import Path

import pytest

from tests.conftest import Start
from tests.support.certificates import Authority
from tests.support.client import Address, Answer, Client, SecureAddress
from tests.support.server import ServerProcess
from tests.support.waiting import PATIENCE

HSTS = "strict-transport-security"


def ask(address: Address, data: bytes) -> Answer:
    with Client(address, data=data) as client:
        return client.answer()


def plain_of(server: ServerProcess) -> Address:
    """Where its plain listener is."""
    server.wait_for("listening", 2)
    (url,) = [event["url"] for event in server.events("listening") if event["url"].startswith("http://")]
    host, port = url.removeprefix("http://").rstrip("/").rsplit(":", 1)
    return host, int(port)


WORDS = ("--redirect-http", "127.0.0.1:0", "--hsts", "1d")


def started(start: Start, authority: Authority, *words: str) -> ServerProcess:
    certificate, key = authority.issue("127.0.0.1", "shop.example", "*.wild.example")
    pair = ("--tls-certificate", certificate, "--tls-key", key)
    server: ServerProcess = start(*pair, *WORDS, *words, trusting=authority.client(), patience=60.0)
    return server


@pytest.mark.parametrize("words", [(), ("--workers", "2")], ids=["one", "workers"])
def test_every_plain_request_is_redirected_and_what_comes_over_tls_is_served(
    start: Start, authority: Authority, words: tuple[str, ...]
) -> None:
    server = started(start, authority, *words)
    plain, secure = plain_of(server), server.address[1]
    for host in ("127.0.0.1", "127.0.0.1:8080", "shop.example", "a.wild.example"):
        answer = ask(plain, f"GET /a?b=1 HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        assert (answer.status, answer["location"]) == (308, f"https://{host.partition(':')[0]}:{secure}/a?b=1")
        assert answer.get(HSTS) is None
    answer = ask(plain, b"POST http://shop.example/x HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 0\r\n\r\n")
    assert (answer.status, answer["location"]) == (308, f"https://shop.example:{secure}/x")
    assert isinstance(server.address, SecureAddress)
    for target, status in (("/hello", 200), ("/nothing/there", 404)):
        answer = ask(server.address, f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        assert (answer.status, answer[HSTS]) == (status, "max-age=86400")


def test_a_host_that_is_not_ours_leads_nowhere(start: Start, authority: Authority) -> None:
    plain = plain_of(started(start, authority))
    for host in ("evil.example", "shop.example.evil.example", "a.b.wild.example"):
        for target in ("/", f"http://{host}/"):
            answer = ask(plain, f"GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            assert answer.status == 421
            assert answer.get("location") is None
    for data in (
        b"GET / HTTP/1.0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: \r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a@shop.example\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: shop.example\r\nHost: evil.example\r\n\r\n",
    ):
        answer = ask(plain, data)
        assert answer.status == 400
        assert answer.get("location") is None


def test_curl_arrives(start: Start, authority: Authority) -> None:
    server = started(start, authority)
    host, port = plain_of(server)
    done = subprocess.run(
        ["curl", "-sSL", "--max-time", str(PATIENCE), "--cacert", authority.file, f"http://{host}:{port}/hello"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "hello\n", done.stderr


def test_the_port_that_clients_see_may_be_another(start: Start, authority: Authority, tmp_path: Path) -> None:
    certificate, key = authority.issue("shop.example")
    (tmp_path / "index.html").write_text("files")
    server = start(
        *("--tls-certificate", certificate, "--tls-key", key, "--redirect-http", "127.0.0.1:0"),
        *("--redirect-port", "443"),
        target=str(tmp_path),
        trusting=authority.client(),
    )
    answer = ask(plain_of(server), b"GET /x HTTP/1.1\r\nHost: shop.example:8080\r\n\r\n")
    assert answer["location"] == "https://shop.example/x"
