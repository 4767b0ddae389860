"""The PROXY protocol in a real process: cut at every byte, from rubbish, and from a real HAProxy."""

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.conftest import Start
from tests.support.server import ServerProcess
from tests.support.waiting import PATIENCE, eventually

LINE = b"PROXY TCP4 192.0.2.1 198.51.100.2 4711 80\r\n"
BINARY = b"\r\n\r\n\0\r\nQUIT\n" + bytes((0x21, 0x11, 0, 12, 192, 0, 2, 1, 198, 51, 100, 2)) + b"\x12\x67\0\x50"
GET = b"GET /hello HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
OPTIONS = ("--proxy-protocol", "127.0.0.0/8", "--no-xray")


def sent(server: ServerProcess, *pieces: bytes) -> bytes:
    """What is answered to the pieces, each sent in a packet of its own; empty where the connection is closed."""
    answer = b""
    with suppress(ConnectionError), socket.create_connection(server.address, PATIENCE) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            client.sendall(piece)
        while data := client.recv(65536):
            answer += data
    return answer


@pytest.mark.parametrize("header", [LINE, BINARY])
def test_the_log_names_the_client_and_not_the_proxy(start: Start, header: bytes) -> None:
    server = start(*OPTIONS)
    assert sent(server, header + GET).startswith(b"HTTP/1.1 200 ")
    assert server.wait_for("request", target="/hello")["peer"] == "192.0.2.1:4711"


@pytest.mark.parametrize("header", [LINE, BINARY])
def test_a_header_may_be_cut_at_every_byte(start: Start, header: bytes) -> None:
    server = start(*OPTIONS)
    whole = header + GET
    for at in range(1, len(header) + 2):
        assert sent(server, whole[:at], whole[at:]).startswith(b"HTTP/1.1 200 "), at
    assert sent(server, *(whole[at : at + 1] for at in range(len(whole)))).startswith(b"HTTP/1.1 200 ")
    server.settle()


def test_what_is_no_header_ends_the_connection_and_nobody_else_is_hurt(start: Start) -> None:
    server = start(*OPTIONS)
    for rubbish in (GET, b"\0" * 300, b"\x16\x03\x01", LINE[:-2] + b"\n" + GET, BINARY[:12] + b"\x31" + bytes(99)):
        assert sent(server, rubbish) == b""
    server.wait_for("proxy_header_refused", count=5)
    assert sent(server, LINE + GET).startswith(b"HTTP/1.1 200 ")
    server.settle()


def test_from_anybody_else_it_is_refused(start: Start) -> None:
    server = start("--proxy-protocol", "10.0.0.0/8", "--no-xray")
    assert sent(server, LINE + GET) == b""
    assert server.wait_for("proxy_sender_refused")["peer"].startswith("127.0.0.1:")
    server.settle()


def test_a_header_has_a_deadline(start: Start) -> None:
    server = start(*OPTIONS, "--proxy-protocol-timeout", "0.3")
    assert sent(server, LINE[:9]) == b""
    server.wait_for("proxy_header_late", received=9)
    server.settle()


def test_a_drain_waits_for_a_header_that_is_on_its_way(start: Start) -> None:
    server = start(*OPTIONS)
    with socket.create_connection(server.address, PATIENCE) as client:
        client.sendall(LINE[:9])
        server.settle(1)
        server.signal()
        server.wait_for("draining")
        client.sendall(LINE[9:] + GET)
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
    assert server.wait() == 0


# --- a real HAProxy

CONFIGURATION = """
defaults
    mode {mode}
    timeout connect 5s
    timeout client 5s
    timeout server 5s
listen front
    bind unix@{path}
    server us 127.0.0.1:{port} {how} {check}
"""


@contextmanager
def haproxy(folder: Path, port: int, how: str, mode: str = "tcp", accepts: str = "", check: str = "") -> Iterator[str]:
    """HAProxy before our `port`, on a Unix socket whose path is given; `accepts`: what its clients send."""
    path = str(folder / "front")
    where = f"{path} {accepts}"
    (folder / "haproxy.cfg").write_text(CONFIGURATION.format(mode=mode, path=where, port=port, how=how, check=check))
    command = ["haproxy", "-db", "-q", "-f", str(folder / "haproxy.cfg")]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            eventually(lambda: (folder / "front").exists(), what="HAProxy's socket")
            yield path
        finally:
            process.kill()


def through(path: str, data: bytes) -> bytes:
    """What is answered through HAProxy, which is told by a PROXY header who the client is."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(PATIENCE)
        client.connect(path)
        client.sendall(data)
        answer = b""
        while piece := client.recv(65536):
            answer += piece
    return answer


@pytest.mark.skipif(shutil.which("haproxy") is None, reason="there is no haproxy here")
@pytest.mark.parametrize("mode", ["tcp", "http"])
@pytest.mark.parametrize("how", ["send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c,unique-id"])
def test_what_haproxy_sends_is_understood(start: Start, tmp_path: Path, how: str, mode: str) -> None:
    """Its client connects by a Unix socket, of which the header says nothing: the proxy itself is the peer."""
    server = start(*OPTIONS)
    with haproxy(tmp_path, server.address[1], how, mode) as path:
        for _ in range(3):
            assert through(path, GET).startswith(b"HTTP/1.1 200 ")
    server.wait_for("request", count=3, target="/hello")
    assert not server.events("proxy_header_refused")


@pytest.mark.skipif(shutil.which("haproxy") is None, reason="there is no haproxy here")
@pytest.mark.parametrize("how", ["send-proxy", "send-proxy-v2", "send-proxy-v2-ssl-cn"])
def test_whom_haproxy_names_is_the_client(start: Start, tmp_path: Path, how: str) -> None:
    """HAProxy is itself told by the PROXY protocol who its client is, and hands that on."""
    server = start(*OPTIONS)
    with haproxy(tmp_path, server.address[1], how, accepts="accept-proxy") as path:
        assert through(path, b"PROXY TCP6 2001:db8::7 2001:db8::8 4711 80\r\n" + GET).startswith(b"HTTP/1.1 200 ")
        assert through(path, LINE + GET).startswith(b"HTTP/1.1 200 ")
    server.wait_for("request", count=2, target="/hello")
    peers = {event["peer"] for event in server.events("request", target="/hello")}
    assert peers == {"[2001:db8::7]:4711", "192.0.2.1:4711"}


@pytest.mark.skipif(shutil.which("haproxy") is None, reason="there is no haproxy here")
def test_haproxys_health_check_is_answered(start: Start, tmp_path: Path) -> None:
    """A check is sent with LOCAL: it speaks for the proxy itself."""
    server = start(*OPTIONS)
    check = "check inter 100ms\n    option httpchk GET /hello"
    with haproxy(tmp_path, server.address[1], "send-proxy-v2 check-send-proxy", "http", check=check):
        event = server.wait_for("request", count=2, target="/hello")
    assert event["peer"].startswith("127.0.0.1:")
