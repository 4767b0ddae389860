"""Requests as handlers see them, responses as they make them."""

import json
import os
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from clerestory.handlers.api.errors import HTTPError
from clerestory.handlers.api.messages import (
    REASONS,
    REDIRECTS,
    File,
    Request,
    Response,
    error_response,
    html_response,
    json_response,
    redirect,
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
        b"text/html;q=0",
        b"text/plain, text/html;q=0.9",
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


@pytest.mark.parametrize(
    "accept",
    [
        b"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8",
        b"Text/HTML",
        b"text/plain;q=0.5, text/html;q=0.5",
        b"application/json;q=0.4, text/html;q=0.5",
    ],
)
def test_an_error_is_a_page_for_a_browser(accept: bytes) -> None:
    response = error_response(HTTPError(405, "Not <so>.", ((b"allow", b"GET"),)), accept)
    assert response.fields == ((b"content-type", b"text/html; charset=utf-8"), (b"allow", b"GET"))
    assert isinstance(response.body, bytes)
    assert b"<h1>405 Method Not Allowed</h1>\n<p>Not &lt;so&gt;.</p>" in response.body


def test_reasons_are_those_of_rfc_9110() -> None:
    assert (REASONS[413], REASONS[416], REASONS[422]) == (
        "Content Too Large",
        "Range Not Satisfiable",
        "Unprocessable Content",
    )


@pytest.mark.parametrize(
    ("body", "hint"), [("text", "text_response"), ({"a": 1}, "json_response"), (REASONS, "json_response")]
)
def test_a_body_of_the_wrong_kind_is_refused_where_it_is_made(body: Any, hint: str) -> None:
    """It could be iterated over, and would fail when it is sent: far from the handler's line."""
    with pytest.raises(TypeError, match=rf"a body is bytes, not {type(body).__name__}: use {hint}\("):
        Response(body)


def test_messages_show_what_they_are() -> None:
    assert repr(Request("GET", "/a?b", ())) == "<Request GET /a?b>"
    assert repr(Response(status=204)) == "<Response 204>"


@pytest.mark.parametrize(
    ("location", "sent"),
    [
        ("/me", b"/me"),
        ("https://example.org/a?b=c&d=%20#e", b"https://example.org/a?b=c&d=%20#e"),
        ("/straße", b"/stra%C3%9Fe"),
        ("https://[::1]/", b"https://[::1]/"),
    ],
)
def test_a_redirect_says_where_to(location: str, sent: bytes) -> None:
    response = redirect(location)
    assert (response.status, response.body, response.fields) == (303, b"", ((b"location", sent),))


def test_a_redirect_is_one_of_five_and_its_location_one_line() -> None:
    assert [redirect("/", status).status for status in REDIRECTS] == [301, 302, 303, 307, 308]
    for status in (200, 300, 304, 309):
        with pytest.raises(ValueError, match="a redirect is"):
            redirect("/", status)
    for location in ("", "/a b", "/a\r\nset-cookie: x", "/\0"):
        with pytest.raises(ValueError, match="not a location"):
            redirect(location)


def test_cookies_are_read_from_all_the_fields_and_set_one_by_one() -> None:
    request = Request("GET", "/", ((b"cookie", b"a=1"), (b"accept", b"*/*"), (b"cookie", b"b=2; a=3")))
    assert request.cookies == {"a": "1", "b": "2"}
    assert Request("GET", "/", ()).cookies == {}
    response = Response(fields=((b"x", b"y"),))
    response.set_cookie("a", "1")
    response.delete_cookie("b", path="/shop")
    assert response.fields == (
        (b"x", b"y"),
        (b"set-cookie", b"a=1; Path=/; SameSite=Lax; HttpOnly"),
        (b"set-cookie", b"b=; Max-Age=0; Path=/shop; SameSite=Lax; HttpOnly"),
    )
    with pytest.raises(ValueError, match="a value is ASCII"):
        response.set_cookie("a", "not;this")


def test_a_body_is_read_as_json_text_and_a_form() -> None:
    def read(kind: bytes, body: bytes, way: str) -> Any:
        request = Request("POST", "/", ((b"content-type", kind),), content_length=len(body))
        return FakeExecutor(pieces=[body[:2], body[2:]]).run(getattr(request, way)())

    assert read(b"application/json", b'{"a": 1}', "json") == {"a": 1}
    assert read(b"text/plain; charset=iso-8859-1", b"abc\xe4", "text") == "abcä"
    assert read(b"application/x-www-form-urlencoded", b"a=1&b=2", "form") == {"a": "1", "b": "2"}
    with pytest.raises(HTTPError, match="A form is"):
        read(b"text/plain", b"a=1&b=2", "form")
