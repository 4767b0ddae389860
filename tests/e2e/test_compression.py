"""Compression in real processes: an ASGI application, a WSGI one, a directory and a proxy; streams are flushed."""

import subprocess
import zlib
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Start
from tests.support.client import Address, Answer, Client
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.timeout(180)

ASGI = """
import asyncio

TEXT = b"words and words. " * 40000
NEXT = asyncio.Event()

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    kind = b"text/event-stream" if scope["path"] == "/events" else b"text/plain"
    headers = [(b"content-type", kind)]
    if scope["path"] == "/secret":
        headers.append((b"cache-control", b"no-transform"))
    if scope["path"] == "/next":
        NEXT.set()
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    if scope["path"] == "/events":
        await send({"type": "http.response.body", "body": b"data: 1\\n\\n", "more_body": True})
        await NEXT.wait()
        await send({"type": "http.response.body", "body": b"data: 2\\n\\n", "more_body": True})
    elif scope["path"] != "/next":
        await send({"type": "http.response.body", "body": TEXT, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
"""
WSGI = """
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"words and words. " * 10000, b"the end"]
"""
TEXT = b"words and words. " * 40000


def ask(address: Address, path: str, accept: str = "gzip") -> Answer:
    data = f"GET {path} HTTP/1.1\r\nHost: a\r\nAccept-Encoding: {accept}\r\n\r\n".encode()
    with Client(address, data=data) as client:
        return client.answer()


def unzipped(answer: Answer) -> bytes:
    assert answer["content-encoding"] == "gzip"
    assert answer["vary"] == "accept-encoding"
    return zlib.decompress(answer.body, zlib.MAX_WBITS | 16)


def test_asgi_streams_and_what_says_no_transform(start: Start, tmp_path: Path) -> None:
    (tmp_path / "zipped.py").write_text(ASGI)
    server: Any = start("--no-xray", "--app-dir", str(tmp_path), "--compress", target="zipped:app")
    assert unzipped(ask(server.address, "/")) == TEXT
    answer = ask(server.address, "/secret")
    assert (answer.body, answer.get("content-encoding")) == (TEXT, None)
    answer = ask(server.address, "/", "br;q=0, zstd;q=0, gzip;q=0")
    assert (answer.body, answer["vary"]) == (TEXT, "accept-encoding")
    decoder = zlib.decompressobj(zlib.MAX_WBITS | 16)
    asked = b"GET /events HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n"
    with Client(server.address, data=asked) as client, client.socket.makefile("rb") as lines:

        def chunk() -> bytes:
            return lines.read(int(lines.readline(), 16) + 2)[:-2]

        while lines.readline() != b"\r\n":
            pass
        seen = b""
        while not seen:  # the first event can be read while the application waits for what is asked next
            seen = decoder.decompress(chunk())
        assert seen == b"data: 1\n\n"
        assert ask(server.address, "/next").status == 200
        while not seen.endswith(b"data: 2\n\n"):
            seen += decoder.decompress(chunk())
    for coding in ("zstd", "br", "gzip"):
        url = server.url + "x"
        done = subprocess.run(
            ["curl", "-sS", "--max-time", str(PATIENCE), "-H", f"Accept-Encoding: {coding}", "-o", "-", "-i", url],
            capture_output=True,
            check=True,
        )
        assert f"content-encoding: {coding}".encode() in done.stdout
        assert len(done.stdout) < len(TEXT) / 20


def test_wsgi(start: Start, tmp_path: Path) -> None:
    (tmp_path / "zipped.py").write_text(WSGI)
    server: Any = start("--no-xray", "--app-dir", str(tmp_path), "--compress", target="zipped:app")
    assert unzipped(ask(server.address, "/")) == b"words and words. " * 10000 + b"the end"


def test_a_directory_and_a_proxy_each_as_its_site_says(start: Start, tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "a.txt").write_bytes(TEXT)
    (tmp_path / "site" / "b.txt").write_bytes(TEXT)
    (tmp_path / "site" / "b.txt.gz").write_bytes(zlib.compress(b"made before", 9, zlib.MAX_WBITS | 16))
    behind: Any = start("--no-xray", target=str(tmp_path / "site"))
    (tmp_path / "c.toml").write_text(
        f"""
compress = true
[[site]]
path = "/files"
target = "{tmp_path / "site"}"
[[site]]
path = "/behind"
target = "{behind.url.rstrip("/")}"
[[site]]
path = "/plain"
compress = false
target = "{tmp_path / "site"}"
"""
    )
    server: Any = start("--no-xray", "--config", str(tmp_path / "c.toml"), target="")
    for path in ("/files/a.txt", "/behind/a.txt"):
        answer = ask(server.address, path)
        assert unzipped(answer) == TEXT
        assert answer["etag"].startswith('W/"')
        assert answer.get("accept-ranges") is None
        named = f"GET {path} HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\nIf-None-Match: {answer['etag']}\r\n\r\n"
        with Client(server.address, data=named.encode()) as client:
            again = client.answer()
        assert (again.status, again["etag"], again["vary"]) == (304, answer["etag"], "accept-encoding")
        part = f"GET {path} HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\nRange: bytes=0-4\r\n"
        with Client(server.address, data=f"{part}\r\n".encode()) as client:
            ranged = client.answer()
        assert (ranged.status, ranged.body, ranged.get("content-encoding")) == (206, TEXT[:5], None)
        with Client(server.address, data=f"{part}If-Range: {answer['etag']}\r\n\r\n".encode()) as client:
            assert unzipped(client.answer()) == TEXT  # a weak tag never matches: all of it
    for path in ("/files/b.txt", "/behind/b.txt"):
        assert unzipped(ask(server.address, path)) == b"made before"
    assert ask(server.address, "/plain/a.txt").get("content-encoding") is None
    assert len(ask(server.address, "/files/a.txt", "identity").body) == len(TEXT)
