"""What a directory is given besides its files."""

from pathlib import Path
from typing import Any

import pytest

from clerestory.handlers.api.errors import HTTPError
from clerestory.handlers.api.messages import File, Request, Response
from clerestory.handlers.static.extras import Extras
from clerestory.handlers.static.files import StaticFiles


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("index.html", "404.html", "app.js"):
        (tmp_path / name).write_text(name)
    return tmp_path


def ask(application: Extras, target: str, method: str = "GET", *fields: tuple[bytes, bytes]) -> Any:
    """The status, the body and the fields of the answer."""
    answer = application(Request(method, target, fields))
    assert isinstance(answer, Response)
    body = b""
    if isinstance(answer.body, File):
        body = answer.body.read()
        answer.body.close()
    return answer.status, body, dict(answer.fields)


def test_a_fallback_answers_where_there_is_nothing_and_no_file_is_meant(root: Path) -> None:
    application = Extras(StaticFiles(str(root)), fallback="index.html")
    for target in ("/", "/orders/7", "/a.b/c", "/x/"):
        assert ask(application, target)[:2] == (200, b"index.html")
    assert ask(application, "/app.js")[1] == b"app.js"
    for method, target, status in (("GET", "/missing.js", 404), ("POST", "/orders", 405), ("GET", "/.env", 404)):
        with pytest.raises(HTTPError) as raised:
            application(Request(method, target, ()))
        assert raised.value.status == status


def test_a_fallback_is_revalidated_like_any_file(root: Path) -> None:
    application = Extras(StaticFiles(str(root)), fallback="index.html")
    etag = ask(application, "/orders")[2][b"etag"]
    assert ask(application, "/orders", "GET", (b"if-none-match", etag))[0] == 304


def test_an_error_page_is_sent_with_404_and_is_not_the_resource(root: Path) -> None:
    application = Extras(StaticFiles(str(root)), error_page="404.html")
    etag = ask(application, "/404.html")[2][b"etag"]
    for fields in ((), ((b"if-none-match", etag),), ((b"range", b"bytes=0-1"),)):
        status, body, found = ask(application, "/missing", "GET", *fields)
        assert (status, body) == (404, b"404.html")
        assert not {b"etag", b"last-modified", b"accept-ranges"} & set(found)
    assert ask(Extras(StaticFiles(str(root)), fallback="index.html", error_page="404.html"), "/x.js")[0] == 404


def test_fields_are_on_every_response_and_replace_what_is_there(root: Path) -> None:
    fields = ((b"x-frame-options", b"DENY"), (b"cache-control", b"no-store"))
    application = Extras(StaticFiles(str(root)), fields=fields)
    found = ask(application, "/app.js")[2]
    assert (found[b"x-frame-options"], found[b"cache-control"]) == (b"DENY", b"no-store")
    with pytest.raises(HTTPError) as raised:
        application(Request("GET", "/missing", ()))
    assert raised.value.fields == fields


@pytest.mark.parametrize(
    ("target", "value"), [("/app.js", b"max-age=60"), ("/index.html", b"no-cache"), ("/", b"no-cache")]
)
def test_the_first_pattern_that_matches_a_path_rules_its_cache(root: Path, target: str, value: bytes) -> None:
    caching = (("*.js", b"max-age=60"), ("/app*", b"no-store"))
    application = Extras(StaticFiles(str(root)), caching=caching)
    assert ask(application, target)[2][b"cache-control"] == value


def test_a_listing_is_dressed_too(root: Path) -> None:
    (root / "sub").mkdir()
    application = Extras(StaticFiles(str(root), True), fields=((b"x-a", b"1"),))
    answer: Any = application(Request("GET", "/sub/", ()))
    assert not isinstance(answer, Response)
    answer.send(None)  # it begins to wait for its thread
    answer.close()
