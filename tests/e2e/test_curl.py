"""curl, the client that everybody has: what it sends is what the server has to understand, and it says what it saw."""

import hashlib
import json
import re
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from tests.conftest import Start
from tests.support.server import ServerProcess

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


def curl(*arguments: str, data: bytes = b"") -> tuple[str, str]:
    """What curl prints and what it tells under `-v`; its exit status must be 0."""
    done = subprocess.run(
        ["curl", "-sSv", "--max-time", "20", *arguments], input=data, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode(), done.stderr.decode()


def sent(said: str) -> list[str]:
    """The lines that curl sent."""
    return re.findall(r"^> (.*?)\r?$", said, re.MULTILINE)


def got(said: str) -> list[str]:
    """The lines of the heads that curl got."""
    return re.findall(r"^< (.*?)\r?$", said, re.MULTILINE)


def test_a_get_is_answered_and_the_connection_kept(server: ServerProcess) -> None:
    body, said = curl(server.url + "hello")
    assert body == "hello\n"
    head = got(said)
    assert head[0] == "HTTP/1.1 200 OK"
    assert {"content-type: text/plain; charset=utf-8", "content-length: 6"} < set(head)
    assert any(line.startswith("date: ") for line in head)
    assert "left intact" in said


def test_a_head_has_the_fields_of_the_get_and_no_body(server: ServerProcess) -> None:
    body, _ = curl("-I", server.url + "hello")
    lines = body.splitlines()
    assert lines[0] == "HTTP/1.1 200 OK"
    assert "content-length: 6" in lines
    assert lines[-1] == ""
    assert "hello" not in body.partition("\n\n")[2]


def test_a_post_is_read(server: ServerProcess) -> None:
    body, _ = curl("--data-binary", "a=1&b=2", server.url + "read")
    assert json.loads(body) == {"length": 7, "sha256": hashlib.sha256(b"a=1&b=2").hexdigest()}


def test_a_chunked_upload_comes_back_chunked(server: ServerProcess) -> None:
    data = bytes(range(256)) * 2000
    body, said = curl("-T", "-", "-X", "POST", server.url + "sink", "-H", "Content-Type: text/plain", data=data)
    assert "Transfer-Encoding: chunked" in sent(said)
    assert json.loads(body) == {"length": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def test_a_large_upload_is_echoed(server: ServerProcess, tmp_path: Path) -> None:
    data = bytes(range(256)) * 40000
    (tmp_path / "up").write_bytes(data)
    _, said = curl("-T", str(tmp_path / "up"), server.url + "echo", "-o", str(tmp_path / "down"))
    assert (tmp_path / "down").read_bytes() == data
    assert "Expect: 100-continue" in sent(said)
    assert [line for line in got(said) if line.startswith("HTTP/")] == ["HTTP/1.1 100 Continue", "HTTP/1.1 200 OK"]


def test_100_is_said_only_when_the_handler_wants_the_body(server: ServerProcess) -> None:
    expecting = ("-H", "Expect: 100-continue", "--expect100-timeout", "20", "--data-binary", "0123456789")
    _, said = curl(*expecting, server.url + "read")
    assert [line for line in got(said) if line.startswith("HTTP/")] == ["HTTP/1.1 100 Continue", "HTTP/1.1 200 OK"]
    body, said = curl(*expecting, server.url + "unread")
    assert body == "not read\n"
    assert [line for line in got(said) if line.startswith("HTTP/")] == ["HTTP/1.1 200 OK"]
    assert server.request_event("/unread")["bytes_in"] < 300


def test_http_1_0_is_answered_and_closed(server: ServerProcess) -> None:
    body, said = curl("--http1.0", server.url + "hello")
    assert body == "hello\n"
    assert sent(said)[0] == "GET /hello HTTP/1.0"
    assert got(said)[0] == "HTTP/1.1 200 OK"
    assert "connection: close" in got(said)


def test_a_stream_to_an_http_1_0_client_ends_with_the_connection(server: ServerProcess) -> None:
    body, said = curl("--http1.0", server.url + "stream/sync/5/100")
    assert len(body) == 500
    assert not any(line.startswith(("transfer-encoding", "content-length")) for line in got(said))


def test_a_stream_is_chunked(server: ServerProcess) -> None:
    body, said = curl(server.url + "stream/async/5/100")
    assert len(body) == 500
    assert "transfer-encoding: chunked" in got(said)


def test_two_urls_share_one_connection(server: ServerProcess) -> None:
    body, said = curl(server.url + "hello", server.url + "json")
    assert body == 'hello\n{"hello": "world"}'
    assert said.count("* Connected to") == 1
    assert "Re-using existing connection" in said


def test_options_tells_the_methods(server: ServerProcess) -> None:
    body, said = curl("-X", "OPTIONS", server.url + "read")
    assert body == ""
    assert got(said)[0] == "HTTP/1.1 204 No Content"
    assert "allow: GET, HEAD, OPTIONS, POST" in got(said)


def test_options_of_the_whole_server_is_answered(server: ServerProcess) -> None:
    _, said = curl("-X", "OPTIONS", "--request-target", "*", server.url)
    assert sent(said)[0] == "OPTIONS * HTTP/1.1"
    assert got(said)[0] == "HTTP/1.1 204 No Content"
    assert any(line.startswith("allow: ") for line in got(said))


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("nothing", "GET", "404 Not Found"),
        ("hello", "POST", "405 Method Not Allowed"),
        ("hello", "BREW", "501 Not Implemented"),
    ],
)
def test_what_is_not_there_is_said(server: ServerProcess, path: str, method: str, status: str) -> None:
    body, said = curl("-X", method, server.url + path)
    assert got(said)[0] == f"HTTP/1.1 {status}"
    assert body.startswith(status)
    assert body.count("\n") == 2
    [named] = [line.partition(": ")[2] for line in got(said) if line.startswith("x-request-id: ")]
    assert body.endswith(f"\nRequest {named}\n")


def test_ipv6_is_spoken(start: Start) -> None:
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            pytest.skip("this machine has no IPv6")
    server = start("--host", "::1")
    assert server.url.startswith("http://[::1]:")
    body, _ = curl("-g", server.url + "hello")
    assert body == "hello\n"
    assert server.request_event("/hello")["peer"].startswith("[::1]:")


def test_a_range_of_a_file_is_served(start: Start, tmp_path: Path) -> None:
    data = bytes(range(256)) * 100
    (tmp_path / "file.bin").write_bytes(data)
    server = start(target=str(tmp_path))
    out = tmp_path.parent / f"{tmp_path.name}.out"
    _, said = curl("-r", "100-199", server.url + "file.bin", "-o", str(out))
    assert got(said)[0] == "HTTP/1.1 206 Partial Content"
    assert "content-range: bytes 100-199/25600" in got(said)
    assert out.read_bytes() == data[100:200]
    _, said = curl("-r", "99999-", server.url + "file.bin")
    assert got(said)[0] == "HTTP/1.1 416 Range Not Satisfiable"
    assert "content-range: bytes */25600" in got(said)


def test_an_interrupted_download_is_resumed(start: Start, tmp_path: Path) -> None:
    data = bytes(range(256)) * 100
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "file.bin").write_bytes(data)
    server = start(target=str(folder))
    out = tmp_path / "out"
    out.write_bytes(data[:5000])
    curl("-C", "-", server.url + "file.bin", "-o", str(out))
    assert out.read_bytes() == data
