"""HTTP/2 as real clients speak it: curl, nghttp and h2load of nghttp2, over TLS by ALPN and with prior knowledge."""

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Start
from tests.support.certificates import Authority
from tests.support.http2 import HTTP2Client, head
from tests.support.server import ROOT, TOKEN, ServerProcess
from tests.support.waiting import eventually
from tests.support.xray import address_of, look

CURL, NGHTTP, H2LOAD = (shutil.which(name) for name in ("curl", "nghttp", "h2load"))

APPLICATION = """
from clerestory import Request, Response, Router, sleep

router = Router()


@router.get("/squares/{n:int}")
def square(request, n):
    return Response(b"%d" % (n * n))


@router.post("/length", max_body=64 * 1024 * 1024)
async def length(request):
    size = 0
    async for piece in request:
        size += len(piece)
    return Response(b"%d" % size)


@router.get("/sleep")
async def wait(request):
    await sleep(60)
    return Response(b"awake")


async def asgi(scope, receive, send):
    if scope["type"] != "http":
        return
    body, more = b"", True
    while more:
        message = await receive()
        body += message["body"]
        more = message["more_body"]
    head = {"type": "http.response.start", "status": 200, "headers": [(b"version", scope["http_version"].encode())]}
    await send(head | {"trailers": True})
    await send({"type": "http.response.body", "body": dict(scope["headers"])[b"host"] + b" ", "more_body": True})
    await send({"type": "http.response.body", "body": body})
    await send({"type": "http.response.trailers", "headers": [(b"grpc-status", b"0")]})


def wsgi(environ, start_response):
    start_response("200 OK", [("version", environ["SERVER_PROTOCOL"])])
    return [environ["HTTP_HOST"].encode(), b" ", environ["wsgi.input"].read()]
"""


def run(*words: str, timeout: float = 60.0, environment: dict[str, str] | None = None) -> str:
    surroundings = os.environ | (environment or {})
    found = subprocess.run(words, capture_output=True, timeout=timeout, check=False, cwd=ROOT, env=surroundings)
    return found.stdout.decode("latin-1")


def curl(*words: str) -> str:
    assert CURL is not None
    return run(CURL, "-sS", "-m", "30", *words)


pytestmark = pytest.mark.skipif(CURL is None, reason="curl is not installed")
needs_nghttp2 = pytest.mark.skipif(NGHTTP is None or H2LOAD is None, reason="nghttp2-client is not installed")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "carried.py").write_text(APPLICATION)
    return tmp_path


@pytest.fixture
def plain(start: Start, folder: Path) -> ServerProcess:
    return start("--app-dir", str(folder), "--h2c", "--max-requests", "1000000", target="carried:router")


def url(server: ServerProcess, path: str, scheme: str = "http") -> str:
    return f"{scheme}://{server.address[0]}:{server.address[1]}{path}"


def test_with_prior_knowledge(plain: ServerProcess) -> None:
    found = curl("--http2-prior-knowledge", "-i", url(plain, "/squares/7"))
    assert found.startswith("HTTP/2 200")
    assert found.endswith("\r\n\r\n49")
    assert curl("-i", url(plain, "/squares/7")).startswith("HTTP/1.1 200")


def test_by_alpn(start: Start, folder: Path, authority: Authority) -> None:
    certificate, key = authority.issue()
    server = start(
        "--app-dir", str(folder), "--tls-certificate", certificate, "--tls-key", key,
        trusting=authority.client(), target="carried:router",
    )  # fmt: skip
    assert curl("-k", "-i", url(server, "/squares/7", "https")).startswith("HTTP/2 200")
    assert curl("-k", "-i", "--http1.1", url(server, "/squares/7", "https")).startswith("HTTP/1.1 200")


def test_it_may_be_switched_off(start: Start, folder: Path, authority: Authority) -> None:
    certificate, key = authority.issue()
    server = start(
        "--app-dir", str(folder), "--tls-certificate", certificate, "--tls-key", key, "--http2", "off",
        trusting=authority.client(), target="carried:router",
    )  # fmt: skip
    assert curl("-k", "-i", url(server, "/squares/7", "https")).startswith("HTTP/1.1 200")


def test_an_upload(plain: ServerProcess, folder: Path) -> None:
    body = folder / "body"
    body.write_bytes(os.urandom(5_000_000))
    found = curl("--http2-prior-knowledge", "--data-binary", f"@{body}", url(plain, "/length"))
    assert found == "5000000"


def test_a_directory(start: Start, tmp_path: Path) -> None:
    data = os.urandom(3_000_000)
    (tmp_path / "file.bin").write_bytes(data)
    server = start("--h2c", target=str(tmp_path))
    assert CURL is not None
    whole = subprocess.run(
        [CURL, "-sS", "--http2-prior-knowledge", url(server, "/file.bin")], capture_output=True, timeout=60, check=True
    ).stdout
    assert hashlib.sha256(whole).digest() == hashlib.sha256(data).digest()
    part = curl("--http2-prior-knowledge", "-i", "-r", "10-19", url(server, "/file.bin"))
    assert part.startswith("HTTP/2 206")
    assert part.encode("latin-1").endswith(data[10:20])


@pytest.mark.parametrize(("target", "version"), [("carried:asgi", "2"), ("carried:wsgi", "HTTP/2")])
def test_an_application(start: Start, folder: Path, target: str, version: str) -> None:
    server = start("--app-dir", str(folder), "--h2c", "--interface", target.partition(":")[2], target=target)
    found = curl("--http2-prior-knowledge", "-i", "-d", "hello", url(server, "/a"))
    assert found.startswith("HTTP/2 200")
    assert f"\r\nversion: {version}\r\n" in found
    assert f"{server.address[0]}:{server.address[1]} hello" in found


def test_the_proxy(start: Start, plain: ServerProcess, folder: Path) -> None:
    proxy = start("--h2c", "--max-body", "64M", target=url(plain, ""))
    assert curl("--http2-prior-knowledge", "-i", url(proxy, "/squares/12")).endswith("144")
    body = folder / "body"
    body.write_bytes(os.urandom(3_000_000))
    for words in (("--data-binary", f"@{body}"), ("--data-binary", f"@{body}", "-H", "Content-Length:")):
        assert curl("--http2-prior-knowledge", *words, url(proxy, "/length")) == "3000000"


@needs_nghttp2
def test_trailers_of_an_application(start: Start, folder: Path) -> None:
    server = start("--app-dir", str(folder), "--h2c", "--interface", "asgi", target="carried:asgi")
    assert NGHTTP is not None
    found = run(NGHTTP, "-nv", "-H", "te: trailers", url(server, "/a"))
    assert "grpc-status: 0" in found


@needs_nghttp2
def test_a_load_of_many_streams_loses_none(plain: ServerProcess) -> None:
    assert H2LOAD is not None
    found = run(H2LOAD, "-n", "2000", "-c", "10", "-m", "50", url(plain, "/squares/7"))
    assert re.search(r"2000 succeeded, 0 failed, 0 errored", found), found


@needs_nghttp2
def test_a_drain_says_goaway_and_ends(plain: ServerProcess) -> None:
    with subprocess.Popen(
        [str(H2LOAD), "-D", "60", "-c", "2", "-m", "4", url(plain, "/squares/7")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as load:
        plain.wait_for("request")
        plain.signal(signal.SIGTERM)
        assert plain.wait() == 0
        assert plain.events("connection_cut") == []
        load.kill()


@pytest.mark.parametrize("options", [(), ("--workers", "2")])
def test_an_operator_closes_one_stream(start: Start, folder: Path, options: tuple[str, ...]) -> None:
    server = start(
        "--app-dir", str(folder), "--h2c", "--xray", "127.0.0.1:0", *options, target="carried:router"
    )  # fmt: skip
    address = address_of(server)

    def command(*words: str) -> str:
        return run(
            sys.executable, "-m", "clerestory", *words, "--xray", address, environment={"CLERESTORY_TOKEN": TOKEN}
        )

    with HTTP2Client(server.address) as client:
        numbers = [client.open(head(b"GET", b"/sleep")) for _ in range(2)]
        query = "connections.json?path=/sleep"
        rows = eventually(
            lambda: [found for found in [look(server, query)["rows"]] if len(found) == 2], what="two streams"
        )[0]
        first, second = sorted(row["id"] for row in rows)
        assert (first[-2:], second[-2:]) == ("/1", "/3")
        assert f"\n{first} " in command("ps")
        assert command("close", first, "--yes").endswith("1 stream closed.\n")
        assert client.whole(numbers[0]).reset is not None
        assert [row["id"] for row in look(server, query)["rows"]] == [second]
        assert "ended by operator in QUERYING_BACKEND" in command("show", first)
        assert client.get(b"/squares/7").body == b"49"
