"""One contract, kept by every WSGI framework on our server: the one of test_frameworks, as far as WSGI goes.

The applications are in tests/e2e/hosting/applications, one for each framework, with the same resources.
"""

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.client import Client, CutShort, chunked, request
from tests.support.server import ServerProcess, serving
from tests.support.waiting import eventually

FRAMEWORKS = ("plain", "flask", "django", "falcon")
CHUNKED = ("plain", "flask", "falcon")
"""Django reads no body whose length it is not told."""
UPLOADS = ("plain", "flask", "django")
BOUNDARY = "b0undary"


class Hosted:
    """A framework's server, and what it is called."""

    def __init__(self, name: str, server: ServerProcess) -> None:
        self.name = name
        self.server = server

    def client(self) -> Client:
        return Client(self.server.address)

    def mark(self, name: str) -> str:
        with self.client() as client:
            marks: dict[str, Any] = json.loads(client.get("/marks").body)
        return str(marks.get(name, ""))


@pytest.fixture(scope="module", params=FRAMEWORKS)
def hosted(request: Any) -> Iterator[Hosted]:
    pytest.importorskip({"plain": "wsgiref"}.get(request.param, request.param))
    target = f"tests.e2e.hosting.applications.{request.param}_wsgi:app"
    with serving("--no-xray", "--max-body", "8M", target=target) as server:
        yield Hosted(request.param, server)


def test_status_fields_and_body_are_those_of_the_application(hosted: Hosted) -> None:
    with hosted.client() as client:
        answer = client.get("/")
        assert (answer.status, json.loads(answer.body)) == (200, {"hello": "world"})
        assert answer["x-app"] == hosted.name
        assert answer["content-type"].startswith("application/json")
        assert json.loads(client.get("/").body) == {"hello": "world"}


def test_a_path_has_parameters_and_a_query(hosted: Hosted) -> None:
    with hosted.client() as client:
        assert json.loads(client.get("/items/41?q=a%20b").body) == {"id": 41, "q": "a b"}


def test_what_is_not_there_is_404(hosted: Hosted) -> None:
    with hosted.client() as client:
        assert client.get("/nowhere").status == 404
        assert client.get("/").status == 200


def test_an_answer_without_content_has_neither_body_nor_framing(hosted: Hosted) -> None:
    with hosted.client() as client:
        answer = client.get("/empty")
        assert (answer.status, answer.get("content-length"), answer.get("transfer-encoding")) == (204, None, None)
        assert client.get("/").status == 200


def test_the_head_of_a_resource_has_no_body(hosted: Hosted) -> None:
    with hosted.client() as client:
        answer = client.get("/", method="HEAD")
        if answer.status == 405:  # a framework may not offer HEAD beside GET
            return
        assert (answer.status, answer.body) == (200, b"")
        assert client.get("/").status == 200


@pytest.mark.parametrize("size", [1, 1024, 300_000, 5_000_000])
def test_a_body_comes_back_as_it_was_sent(hosted: Hosted, size: int) -> None:
    body = (bytes(range(256)) * (size // 256 + 1))[:size]
    with hosted.client() as client:
        answer = client.get("/echo", "Content-Type: application/octet-stream", method="POST", body=body)
        assert (answer.status, answer.body == body) == (200, True)


def test_a_chunked_upload_is_read_piece_by_piece(hosted: Hosted) -> None:
    if hosted.name not in CHUNKED:
        return
    with hosted.client() as client:
        client.send(request("/count", "Transfer-Encoding: chunked", method="POST"))
        client.send(chunked(*[b"x" * 1000] * 50))
        assert json.loads(client.answer().body) == 50_000


def test_a_form_with_a_file_is_taken_apart(hosted: Hosted) -> None:
    if hosted.name not in UPLOADS:
        return
    form = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="note"\r\n\r\nhello\r\n'
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n'
    ).encode()
    body = form + b"x" * 1_000_000 + f"\r\n--{BOUNDARY}--\r\n".encode()
    with hosted.client() as client:
        kind = f"Content-Type: multipart/form-data; boundary={BOUNDARY}"
        answer = client.get("/upload", kind, method="POST", body=body)
        assert json.loads(answer.body) == {"name": "a.bin", "size": 1_000_000, "note": "hello"}


def test_100_is_said_when_the_body_is_asked_for(hosted: Hosted) -> None:
    with hosted.client() as client:
        client.send(request("/count", "Expect: 100-continue", "Content-Length: 5", method="POST"))
        client.take(25)
        client.send(b"hello")
        answer = client.answer()
        assert (answer.interim, json.loads(answer.body)) == ([100], 5)


def test_a_stream_comes_whole(hosted: Hosted) -> None:
    with hosted.client() as client:
        assert client.get("/stream").body == b"".join(b"piece %d\n" % number for number in range(100))
        assert client.get("/").status == 200


def test_a_file_is_sent(hosted: Hosted) -> None:
    found = importlib.util.find_spec(f"tests.e2e.hosting.applications.{hosted.name}_wsgi")
    assert found is not None
    assert found.origin is not None
    with hosted.client() as client:
        for _ in range(3):
            answer = client.get("/file")
            assert (answer.status, answer.body) == (200, Path(found.origin).read_bytes())


def test_a_stream_ends_when_its_client_has_left(hosted: Hosted) -> None:
    with hosted.client() as client:
        client.send(request("/endless"))
        client.take(500)
        client.reset()
    eventually(lambda: hosted.mark("endless") == "gone", what="the stream's end")


def test_an_exception_is_a_500_and_the_connection_stays_open(hosted: Hosted) -> None:
    with hosted.client() as client:
        answer = client.get("/error")
        assert answer.status == 500
        assert b"own fault" not in answer.body
        assert client.get("/").status == 200


def test_an_exception_behind_the_beginning_cuts_the_answer(hosted: Hosted) -> None:
    with hosted.client() as client, pytest.raises(CutShort):
        client.get("/broken")
