"""One contract, kept by every framework on our server: status, fields, bodies, streams, uploads, departures, errors.

The applications are in tests/e2e/hosting/applications, one for each framework, with the same resources. Each runs in a
server of its own, inside asyncio and inside uvloop.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.client import Client, CutShort, chunked, request
from tests.support.server import ServerProcess, serving
from tests.support.waiting import eventually

FRAMEWORKS = ("plain", "starlette", "fastapi", "quart", "litestar", "falcon", "django")
LOOPS = ("asyncio", "uvloop")
WITH_LIFESPAN = frozenset(FRAMEWORKS) - {"django"}
BOTH_WAYS = ("plain", "starlette", "fastapi")
BREAKING = ("plain", "starlette", "fastapi")


class Hosted:
    """A framework's server, and what it is called."""

    def __init__(self, name: str, server: ServerProcess, spec: str) -> None:
        self.name = name
        self.spec = spec
        self.server = server

    def client(self) -> Client:
        return Client(self.server.address)

    def mark(self, name: str) -> str:
        with self.client() as client:
            marks: dict[str, Any] = json.loads(client.get("/marks").body)
        return str(marks.get(name, ""))


@pytest.fixture(
    scope="module",
    params=[*((name, loop, "2.4") for name in FRAMEWORKS for loop in LOOPS), ("starlette", "asyncio", "2.3")],
    ids=lambda param: "-".join(param),
)
def hosted(request: Any) -> Iterator[Hosted]:
    name, loop, spec = request.param
    pytest.importorskip({"plain": "asyncio"}.get(name, name))
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    module = name if name == "plain" else f"{name}_app"
    target = f"tests.e2e.hosting.applications.{module}:app"
    options = (
        "--loop",
        loop,
        "--asgi-spec",
        spec,
        "--no-xray",
        "--max-body",
        "8M",
        "--application-leave-timeout",
        "0.3",
    )
    with serving(*options, target=target) as server:
        yield Hosted(name, server, spec)


def test_status_fields_and_body_are_those_of_the_application(hosted: Hosted) -> None:
    with hosted.client() as client:
        answer = client.get("/")
        assert (answer.status, json.loads(answer.body)) == (200, {"hello": "world"})
        assert answer["x-app"] == hosted.name
        assert answer["content-type"].startswith("application/json")
        assert answer["content-length"] == str(len(answer.body))
        assert json.loads(client.get("/").body) == {"hello": "world"}


def test_a_path_has_parameters_and_a_query(hosted: Hosted) -> None:
    with hosted.client() as client:
        assert json.loads(client.get("/items/41?q=a%20b").body)["id"] == 41


def test_what_is_not_there_is_404(hosted: Hosted) -> None:
    with hosted.client() as client:
        assert client.get("/nowhere").status == 404
        assert client.get("/").status == 200


def test_an_answer_without_content_has_neither_body_nor_framing(hosted: Hosted) -> None:
    with hosted.client() as client:
        answer = client.get("/empty")
        assert (answer.status, answer.get("content-length"), answer.get("transfer-encoding")) == (204, None, None)
        assert client.get("/").status == 200


def test_the_head_of_a_resource_has_its_length_and_no_body(hosted: Hosted) -> None:
    with hosted.client() as client:
        answer = client.get("/", method="HEAD")
        if answer.status == 405:  # a framework may not offer HEAD beside GET
            return
        assert (answer.status, answer.body) == (200, b"")
        assert client.get("/").status == 200


@pytest.mark.parametrize("size", [1, 1024, 300_000, 5_000_000])
def test_a_body_comes_back_as_it_was_sent(hosted: Hosted, size: int) -> None:
    body = bytes(range(256)) * (size // 256 + 1)
    with hosted.client() as client:
        answer = client.get("/echo", "Content-Type: application/octet-stream", method="POST", body=body[:size])
        assert answer.status == 200
        assert answer.body == body[:size]


def test_a_chunked_upload_is_read_piece_by_piece(hosted: Hosted) -> None:
    with hosted.client() as client:
        client.send(request("/count", "Transfer-Encoding: chunked", method="POST"))
        client.send(chunked(*[b"x" * 1000] * 50))
        assert json.loads(client.answer().body) == 50_000


def test_100_is_said_when_the_body_is_asked_for(hosted: Hosted) -> None:
    with hosted.client() as client:
        client.send(request("/count", "Expect: 100-continue", "Content-Length: 5", method="POST"))
        client.take(25)
        client.send(b"hello")
        answer = client.answer()
        assert (answer.interim, json.loads(answer.body)) == ([100], 5)


def test_a_stream_is_sent_in_chunks(hosted: Hosted) -> None:
    with hosted.client() as client:
        answer = client.get("/stream")
        assert answer.body == b"".join(b"piece %d\n" % number for number in range(100))
        assert client.get("/").status == 200


def test_a_body_streams_both_ways(hosted: Hosted) -> None:
    if hosted.name not in BOTH_WAYS or hosted.spec == "2.3":  # then Starlette's listener takes pieces of the body
        return
    with hosted.client() as client:
        client.send(request("/both", "Transfer-Encoding: chunked", method="POST"))
        client.send(b"3\r\none\r\n")
        eventually(lambda: _received(client, b"one"), what="the first piece")
        client.send(b"3\r\ntwo\r\n0\r\n\r\n")
        assert client.answer().body == b"onetwo"


def _received(client: Client, data: bytes) -> bool:
    client.take(len(client.buffer) + 1, 1)
    return data in client.buffer


def test_events_are_told_as_they_happen(hosted: Hosted) -> None:
    with hosted.client() as client:
        answer = client.get("/events")
        assert answer["content-type"].startswith("text/event-stream")
        said = [line.partition(b":")[2].strip() for line in answer.body.splitlines() if line.startswith(b"data")]
        assert said == [b"0", b"1", b"2"]


def test_an_application_that_streams_learns_that_its_client_has_left(hosted: Hosted) -> None:
    with hosted.client() as client:
        client.send(request("/endless"))
        client.take(500)
        client.reset()
    eventually(lambda: hosted.mark("endless") == "gone", what="the stream's end")


def test_an_application_that_waits_learns_that_its_client_has_left(hosted: Hosted) -> None:
    """It is told; and cancelled after a grace, when it does not ask."""
    with hosted.client() as client:
        client.send(request("/wait"))
        client.reset()
    eventually(lambda: hosted.mark("wait") == "gone", what="the end of the wait")


def test_work_behind_the_answer_delays_neither_it_nor_the_next_request(hosted: Hosted) -> None:
    with hosted.client() as client:
        assert json.loads(client.get("/background").body) == "ok"
        assert hosted.mark("background") == ""
        assert client.get("/go").status == 200
    eventually(lambda: hosted.mark("background") == "done", what="the work")


def test_an_exception_is_a_500_and_the_connection_stays_open(hosted: Hosted) -> None:
    with hosted.client() as client:
        answer = client.get("/error")
        assert answer.status == 500
        assert b"own fault" not in answer.body
        assert client.get("/").status == 200


def test_an_exception_behind_the_beginning_cuts_the_answer(hosted: Hosted) -> None:
    if hosted.name not in BREAKING:
        return
    with hosted.client() as client, pytest.raises(CutShort):
        client.get("/broken")


def test_what_the_lifespan_has_started_is_there(hosted: Hosted) -> None:
    if hosted.name not in WITH_LIFESPAN:
        return
    with hosted.client() as client:
        assert json.loads(client.get("/state").body) == {"started": "by the lifespan"}
