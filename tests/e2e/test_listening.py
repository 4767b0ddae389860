"""Where it listens, in a real process: several sockets, Unix sockets, those of others, and systemd's."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Start
from tests.support.client import Client
from tests.support.server import ROOT
from tests.support.waiting import PATIENCE

GET = b"GET /hello HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"


def asked(where: "str | tuple[str, int]", request: bytes = GET) -> bytes:
    """What is answered there: a path of a Unix socket, or an address."""
    family = socket.AF_UNIX if isinstance(where, str) else socket.AF_INET6 if ":" in where[0] else socket.AF_INET
    with socket.socket(family) as client:
        client.settimeout(PATIENCE)
        client.connect(where)
        client.sendall(request)
        answer = b""
        while data := client.recv(65536):
            answer += data
    return answer


def test_every_socket_is_announced_and_answers(start: Start, tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    server = start("--listen", f"unix:{path},mode=600", "--listen", "127.0.0.1:0")
    server.wait_for("listening", count=3)
    urls = [event["url"] for event in server.events("listening")]
    assert f"unix:{path}" in urls
    for url in urls:
        host, _, port = url.removeprefix("http://").rstrip("/").rpartition(":")
        assert asked((host, int(port)) if url.startswith("http") else path).startswith(b"HTTP/1.1 200 ")
    server.signal()
    assert server.wait() == 0
    assert not os.path.exists(path)


def test_a_stale_socket_file_is_replaced_and_a_live_one_refused(start: Start, tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    first = start("--listen", f"unix:{path}")
    first.kill()
    assert os.path.exists(path)
    start("--listen", f"unix:{path}")
    assert asked(path).startswith(b"HTTP/1.1 200 ")
    command = [sys.executable, "-m", "clerestory", "--listen", f"unix:{path}", "--no-xray"]
    refused = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert refused.returncode == 2
    assert refused.stderr.startswith(f"clerestory: unix:{path}: Address already in use: a server listens there")
    assert asked(path).startswith(b"HTTP/1.1 200 ")


STARTER = """
import os, socket, sys
listening = socket.create_server(("127.0.0.1", 0))
if sys.argv[1] == "systemd":
    os.dup2(listening.fileno(), 3)
    os.set_inheritable(3, True)
    os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()), LISTEN_FDNAMES="web")
    words = []
else:
    os.dup2(listening.fileno(), 9)
    words = ["--listen", "fd:9"]
os.execv(sys.executable, [sys.executable, "-m", "clerestory", ".", "--no-xray", "--log-format", "json", *words])
"""


@pytest.mark.parametrize("how", ["systemd", "fd"])
def test_a_socket_that_is_inherited_is_served(how: str) -> None:
    """And the default, port 8000, is not opened besides."""
    command = [sys.executable, "-c", STARTER, how]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            line = process.stderr.readline()
            assert '"event":"listening"' in line
            assert ('"name":"web"' in line) is (how == "systemd")
            port = int(line.partition("http://127.0.0.1:")[2].partition("/")[0])
            assert asked(("127.0.0.1", port)).startswith(b"HTTP/1.1 404 ")
            process.terminate()
            rest = process.stderr.read()
            assert process.wait(PATIENCE) == 0
            assert '"event":"listening"' not in rest
        finally:
            process.kill()


@pytest.mark.parametrize("interface", ["app", "wsgi"])
def test_an_application_is_told_that_it_is_on_a_unix_socket(start: Start, tmp_path: Path, interface: str) -> None:
    """ASGI: client None, server [path, None]. WSGI: REMOTE_ADDR is empty."""
    path = str(tmp_path / "s")
    (tmp_path / "told.py").write_text(
        """
async def app(scope, receive, send):
    if scope["type"] == "http":
        text = repr((scope["client"], scope["server"])).encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": text})

def wsgi(environ, start_response):
    start_response("200 OK", [])
    return [repr((environ["REMOTE_ADDR"], "REMOTE_PORT" in environ)).encode()]
"""
    )
    server = start("--app-dir", str(tmp_path), "--listen", f"unix:{path}", "--no-xray", target=f"told:{interface}")
    server.wait_for("listening", count=2)
    said = repr((None, (path, None))) if interface == "app" else repr(("", False))
    assert asked(path).endswith(b"\r\n\r\n" + said.encode())


def test_a_client_in_the_backlog_of_a_unix_socket_is_answered_at_shutdown(start: Start, tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    server = start("--listen", f"unix:{path}")
    server.wait_for("listening", count=2)
    with Client(server.address, data=b"GET /hello HTTP/1.1\r\n") as held, socket.socket(socket.AF_UNIX) as late:
        server.settle(1)
        late.settimeout(PATIENCE)
        late.connect(path)
        server.signal()
        late.sendall(GET)
        assert late.recv(65536).startswith(b"HTTP/1.1 200 ")
        held.close()
        assert server.wait() == 0
