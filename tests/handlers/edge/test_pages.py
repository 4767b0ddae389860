"""Pages for errors of the server itself."""

from clerestory.handlers.api.errors import HTTPError
from clerestory.handlers.api.messages import Request, Response, error_response
from clerestory.handlers.edge.pages import ErrorPages

PAGES = ErrorPages({404: (b"text/html", b"<p>gone"), 5: (b"text/html", b"<p>sorry")})
REQUEST = Request("GET", "/", ())


def page(status: int, accept: bytes | None = None) -> tuple[int, object, tuple[tuple[bytes, bytes], ...]]:
    error = HTTPError(status, "why", ((b"retry-after", b"1"),))
    made = PAGES.apply(REQUEST, error_response(error, accept))
    return made.status, made.body, made.fields


def test_a_status_or_its_class_has_a_page_and_the_fields_stay() -> None:
    kept = ((b"content-type", b"text/html"), (b"retry-after", b"1"))
    assert page(404) == (404, b"<p>gone", kept)
    assert page(502) == (502, b"<p>sorry", kept)
    assert page(503) == (503, b"<p>sorry", kept)


def test_what_has_none_is_left_alone() -> None:
    assert page(403)[1] == b"403 Forbidden: why\n"


def test_who_prefers_json_gets_it() -> None:
    assert b"why" in page(404, b"application/json")[1]  # type: ignore[operator]


def test_an_error_of_the_application_is_its_own() -> None:
    response = Response(b"mine", 404)
    assert PAGES.apply(REQUEST, response) is response
