"""What the log leaves out: of targets, and of exceptions' texts."""

import io
import json

import pytest

from clerestory.handlers.api.errors import HTTPError
from clerestory.handlers.api.messages import Request, Response
from clerestory.server.logging.logs import create
from clerestory.server.logging.redaction import target_of, without_queries
from tests.server.support import bench_of


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        ("/reset?token=abc", "/reset?..."),
        ("/a?b?c", "/a?..."),
        ("/a", "/a"),
        ("/a?", "/a?"),
        ("http://x/a?b", "http://x/a?..."),
        ("*", "*"),
    ],
)
def test_a_target_is_named_without_its_query_unless_queries_are_wanted(target: str, shown: str) -> None:
    request = Request("GET", target, ())
    assert target_of(request, queries=False) == shown
    assert target_of(request, queries=True) == target
    assert target_of(None, queries=False) == "-"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("404 for url 'https://api.example/v1?key=abc'", "404 for url 'https://api.example/v1?...'"),
        ("no /orders?card=1234, sorry", "no /orders?... sorry"),
        ("redirected to /cb#access_token=abc", "redirected to /cb#..."),
        ("sent Authorization: Bearer abcdef.ghi", "sent Authorization: Bearer ..."),
        ("sent Basic dXNlcjpwYXNz", "sent Basic ..."),
        ("is it there? No.", "is it there? No."),
        ("x = a if b else c  # why not", "x = a if b else c  # why not"),
        ('  File "app.py", line 12, in show', '  File "app.py", line 12, in show'),
        ("a body may hold anything", "a body may hold anything"),
    ],
)
def test_a_text_loses_the_queries_and_credentials_in_it(text: str, shown: str) -> None:
    assert without_queries(text) == shown


async def failing(request: Request) -> Response:
    if request.path == "/upstream":
        error = HTTPError(502, f"no answer for {request.target}")
        error.cause = "closed"
        raise error
    if request.path == "/fails":
        raise ValueError(f"no such thing: {request.target}")
    return Response(b"")


@pytest.mark.parametrize("queries", [False, True])
def test_no_event_of_a_request_holds_its_query_unless_queries_are_wanted(queries: bool) -> None:
    written = io.StringIO()
    logs = create("json", "info", written, queries=queries)
    with bench_of(failing) as bench:
        bench.service.logs = logs
        for path in (b"/", b"/fails", b"/upstream"):
            bench.connect().send(b"GET %b?token=Hunter2 HTTP/1.1\r\nhost: x\r\n\r\n" % path)
    assert logs.close()
    events = [json.loads(line) for line in written.getvalue().splitlines()]
    assert {event["event"] for event in events} >= {"request", "handler_failed", "backend_failed"}
    assert ("Hunter2" in written.getvalue()) is queries
    if queries:
        assert all("Hunter2" in json.dumps(event) for event in events if event["event"] != "connection_ended")
