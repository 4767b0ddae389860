"""Requests as handlers see them, responses as they make them."""

import json
import os
import tracemalloc
from pathlib import Path

import pytest

from handlers.errors import HTTPError
from handlers.messages import (
    REASONS,
    File,
    Request,
    Response,
    error_response,
    html_response,
    json_response,
    text_response,
)
from tests.handlers.running import FakeExecutor


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("/", "/", ""),
        ("/a/b", "/a/b", ""),
        ("/a?b=c?d", "/a", "b=c?d"),
        ("/a?", "/a", ""),
        ("/a%2Fb%3F?%26", "/a%2Fb%3F", "%26"),
        ("//a/b", "//a/b", ""),
        ("*", "*", ""),
        ("http://a.example", "/", ""),
        ("http://a.example/", "/", ""),
        ("http://a.example?q", "/", "q"),
        ("http://a.example:80/b?c/d", "/b", "c/d"),
        ("http://a.example?a=/b", "/", "a=/b"),
    ],
)
def test_a_target_has_a_path_and_a_query(target: str, path: str, query: str) -> None:
    request = Request("GET", target, ())
    assert (request.target, request.path, request.query, request.base) == (target, path, query, "")


@pytest.mark.parametrize(
    ("name", "value"), [(b"host", b"a"), (b"accept", b"text/html, text/plain"), (b"cookie", None), (b"empty", b"")]
)
def test_several_fields_of_one_name_are_joined(name: bytes, value: bytes | None) -> None:
    fields = ((b"accept", b"text/html"), (b"host", b"a"), (b"accept", b"text/plain"), (b"empty", b""))
    assert Request("GET", "/", fields).get(name) == value


@pytest.mark.parametrize("content_length", [6, None])
def test_read_joins_the_pieces_and_a_second_read_is_empty(content_length: int | None) -> None:
    async def handler() -> tuple[bytes, bytes]:
        return await request.read(), await request.read()

    request = Request("POST", "/", (), content_length=content_length)
    assert FakeExecutor(pieces=[b"abc", b"def"]).run(handler()) == (b"abcdef", b"")
    assert request.body_ended


def test_a_body_that_trickles_in_takes_no_more_memory_than_twice_its_size() -> None:
    """Once as it is gathered, with some room to grow, and once as it is handed out."""
    pieces = [bytes([number % 256, number % 255]) for number in range(100_000)]
    request = Request("POST", "/", (), content_length=200_000)
    tracemalloc.start()
    try:
        body = FakeExecutor(pieces=pieces).run(request.read())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert body == b"".join(pieces)
    assert peak < 1.2 * 200_000 + 200_000 + 50_000


def test_a_request_without_a_body_asks_for_none() -> None:
    request = Request("GET", "/", ())
    assert not request.chunked
    assert FakeExecutor(pieces=[b"of the next request"]).run(request.read()) == b""


def test_a_file_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    whole = File(os.open(path, os.O_RDONLY), 0, 10)
    parts = [File(whole.descriptor, *part, owned=False) for part in ((2, 3), (9, 1), (4, 0), (8, 5))]
    assert [part.read() for part in (whole, *parts)] == [b"0123456789", b"234", b"9", b"", b"89"]
    whole.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        whole.read()


def test_a_file_is_closed_once_and_only_by_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    descriptor = os.open(path, os.O_RDONLY)
    part, whole = File(descriptor, 2, 3, owned=False), File(descriptor, 0, 10)
    part.close()
    assert os.fstat(descriptor).st_size == 10
    whole.close()
    whole.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


@pytest.mark.parametrize(
    ("response", "body", "content_type"),
    [
        (json_response({"ä": [1, None]}), '{"ä": [1, null]}'.encode(), b"application/json"),
        (text_response("ä"), "ä".encode(), b"text/plain; charset=utf-8"),
        (html_response("<p>ä"), "<p>ä".encode(), b"text/html; charset=utf-8"),
    ],
)
def test_a_value_becomes_a_body_with_its_type(response: Response, body: bytes, content_type: bytes) -> None:
    assert (response.status, response.body, response.fields) == (200, body, ((b"content-type", content_type),))


@pytest.mark.parametrize("make", [json_response, text_response, html_response])
def test_status_and_fields_are_added(make: object) -> None:
    response = make("", 201, ((b"location", b"/x"),))  # type: ignore[operator]
    assert response.status == 201
    assert response.fields[1:] == ((b"location", b"/x"),)


@pytest.mark.parametrize(("value", "error"), [(float("nan"), ValueError), (float("inf"), ValueError), (b"", TypeError)])
def test_what_json_cannot_hold_is_refused(value: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        json_response(value)


@pytest.mark.parametrize(
    "accept",
    [
        None,
        b"*/*",
        b"text/html",
        b"application/json;q=0",
        b"application/json; Q=0.5, text/plain;q=0.6",
        b"text/*, application/json;q=0.9;x=0, application/problem+json ; q=0.9",
    ],
)
def test_an_error_is_one_line_of_text(accept: bytes | None) -> None:
    response = error_response(HTTPError(405, "Not so.", ((b"allow", b"GET"),)), accept)
    assert (response.status, response.body) == (405, b"405 Method Not Allowed: Not so.\n")
    assert response.fields == ((b"content-type", b"text/plain; charset=utf-8"), (b"allow", b"GET"))
    assert error_response(HTTPError(413)).body == b"413 Content Too Large\n"
    assert error_response(HTTPError(499)).body == b"499 Error\n"


@pytest.mark.parametrize(
    "accept",
    [
        b"application/json",
        b"text/html, application/problem+JSON",
        b"application/json;q=0.2, */*;q=0.1, text/html;q=0.2",
    ],
)
def test_an_error_is_json_for_who_asks_for_it(accept: bytes) -> None:
    response = error_response(HTTPError(404, "Nothing here."), accept)
    assert response.fields == ((b"content-type", b"application/json"),)
    assert isinstance(response.body, bytes)
    assert json.loads(response.body) == {"status": 404, "error": "Not Found", "detail": "Nothing here."}


def test_reasons_are_those_of_rfc_9110() -> None:
    assert (REASONS[413], REASONS[416], REASONS[422]) == (
        "Content Too Large",
        "Range Not Satisfiable",
        "Unprocessable Content",
    )


def test_messages_show_what_they_are() -> None:
    assert repr(Request("GET", "/a?b", ())) == "<Request GET /a?b>"
    assert repr(Response(status=204)) == "<Response 204>"
