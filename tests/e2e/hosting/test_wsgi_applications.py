"""Applications that are not ours: WsgiDAV under curl and under litmus, httpbin under curl.

Debian has litmus, the test suite of WebDAV servers. httpbin's own requirements hold back a library that the tests need:
`pip install --no-deps httpbin brotlicffi decorator`.
"""

import hashlib
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.server import ServerProcess, serving

HERE = "tests.e2e.hosting.applications"


def curl(server: ServerProcess, path: str, *options: str) -> tuple[int, bytes]:
    """The status and the body of a request by curl."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    command = ["curl", "-sS", "--max-time", "30", "-w", "\n%{http_code}", *options, server.url.rstrip("/") + path]
    done = subprocess.run(command, capture_output=True, check=True)
    body, _, status = done.stdout.rpartition(b"\n")
    return int(status), body


# --- WsgiDAV


@pytest.fixture
def dav(tmp_path: Path) -> Iterator[ServerProcess]:
    pytest.importorskip("wsgidav")
    where = {"DAV_ROOT": str(tmp_path)}
    with serving("--no-xray", "--max-body", "64M", target=f"{HERE}.dav:app", environment=where) as server:
        yield server


def test_files_are_put_and_found_by_webdav(dav: ServerProcess, tmp_path: Path) -> None:
    sent = tmp_path.with_name(f"{tmp_path.name}-sent")
    sent.write_bytes(bytes(range(256)) * 20_000)
    assert curl(dav, "/new", "-X", "MKCOL")[0] == 201
    assert curl(dav, "/new/file.bin", "-T", str(sent))[0] == 201
    assert (tmp_path / "new" / "file.bin").read_bytes() == sent.read_bytes()
    assert curl(dav, "/new/file.bin") == (200, sent.read_bytes())
    assert curl(dav, "/new/file.bin", "-H", "Range: bytes=256-511") == (206, bytes(range(256)))
    status, found = curl(dav, "/new/", "-X", "PROPFIND", "-H", "Depth: 1")
    assert status == 207
    assert re.findall(rb"<ns0:href>(.*?)</ns0:href>", found) == [b"/new/", b"/new/file.bin"]
    assert curl(dav, "/new/file.bin", "-X", "MOVE", "-H", f"Destination: {dav.url}moved")[0] == 201
    assert curl(dav, "/moved", "-X", "DELETE")[0] == 204
    assert curl(dav, "/moved")[0] == 404


def test_an_upload_without_a_length_is_written_whole(dav: ServerProcess, tmp_path: Path) -> None:
    sent = tmp_path.with_name(f"{tmp_path.name}-sent")
    sent.write_bytes(b"some words " * 100_000)
    assert curl(dav, "/chunked", "-T", str(sent), "-H", "Transfer-Encoding: chunked")[0] == 201
    assert (tmp_path / "chunked").read_bytes() == sent.read_bytes()


def test_litmus_finds_nothing(dav: ServerProcess, tmp_path: Path) -> None:
    """Its parts basic, copymove and http: what depends on the server; the others are of properties and locks."""
    if shutil.which("litmus") is None:
        pytest.skip("litmus is not installed (Debian: apt-get install litmus)")
    where = tmp_path.with_name(f"{tmp_path.name}-litmus")
    where.mkdir()
    done = subprocess.run(
        ["litmus", dav.url], cwd=where, env={"TESTS": "basic copymove http", "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    said = re.findall(r"summary for `(\w+)': of (\d+) tests run: (\d+) passed, (\d+) failed", done.stdout)
    assert [name for name, *_ in said] == ["basic", "copymove", "http"], done.stdout
    assert [failed for *_, failed in said] == ["0", "0", "0"], done.stdout


# --- httpbin


@pytest.fixture(scope="module")
def httpbin() -> Iterator[ServerProcess]:
    pytest.importorskip("httpbin")
    with serving("--no-xray", target="httpbin:app") as server:
        yield server


def test_what_curl_sends_comes_back(httpbin: ServerProcess) -> None:
    status, body = curl(httpbin, "/get?a=1&a=2", "-H", "X-Said: x", "-A", "us")
    said = json.loads(body)
    assert (status, said["args"], said["headers"]["X-Said"], said["url"]) == (
        200, {"a": ["1", "2"]}, "x", f"{httpbin.url}get?a=1&a=2",
    )  # fmt: skip
    assert json.loads(curl(httpbin, "/post", "-d", "b=3")[1])["form"] == {"b": "3"}
    kind = ("-H", "Content-Type: text/plain")
    assert json.loads(curl(httpbin, "/put", "-X", "PUT", "--data-binary", "text", *kind)[1])["data"] == "text"
    form = json.loads(curl(httpbin, "/post", "-F", f"file=@{__file__}")[1])["files"]
    assert form["file"] == Path(__file__).read_text()


@pytest.mark.parametrize("status", [200, 204, 301, 304, 404, 418, 500, 503])
def test_every_status_is_what_was_asked_for(httpbin: ServerProcess, status: int) -> None:
    assert curl(httpbin, f"/status/{status}")[0] == status


def test_streams_lengths_and_codings(httpbin: ServerProcess) -> None:
    assert len(curl(httpbin, "/stream/20")[1].splitlines()) == 20
    status, body = curl(httpbin, "/stream-bytes/5000?seed=1&chunk_size=100")
    assert (status, len(body)) == (200, 5000)
    whole = curl(httpbin, "/range/4096")[1]
    assert curl(httpbin, "/range/4096", "-H", "Range: bytes=1000-1999") == (206, whole[1000:2000])
    assert json.loads(curl(httpbin, "/gzip", "--compressed")[1])["gzipped"] is True
    assert curl(httpbin, "/drip?numbytes=5&duration=0.5") == (200, b"*****")
    assert len(curl(httpbin, "/bytes/100000?seed=7")[1]) == 100_000


def test_redirects_cookies_and_credentials(httpbin: ServerProcess, tmp_path: Path) -> None:
    jar = str(tmp_path / "jar")
    assert curl(httpbin, "/redirect/3", "-L")[0] == 200
    assert curl(httpbin, "/absolute-redirect/2", "-L")[0] == 200
    assert json.loads(curl(httpbin, "/cookies/set/a/b", "-L", "-c", jar, "-b", jar)[1]) == {"cookies": {"a": "b"}}
    assert curl(httpbin, "/basic-auth/u/p")[0] == 401
    assert json.loads(curl(httpbin, "/basic-auth/u/p", "-u", "u:p")[1])["authenticated"] is True
    assert json.loads(curl(httpbin, "/digest-auth/auth/u/p", "--digest", "-u", "u:p")[1])["authenticated"] is True


def test_an_upload_is_asked_for_before_it_is_sent(httpbin: ServerProcess, tmp_path: Path) -> None:
    sent = tmp_path / "sent"
    sent.write_bytes(b"z" * 600_000)
    status, body = curl(
        httpbin, "/post", "--data-binary", f"@{sent}", "-H", "Expect: 100-continue", "-H", "Content-Type: x/y"
    )
    assert status == 200
    assert hashlib.sha256(json.loads(body)["data"].encode()).digest() == hashlib.sha256(sent.read_bytes()).digest()
