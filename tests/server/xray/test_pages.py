"""The page's files: in memory, of known types, with the token in its place."""

import pytest

from handlers.messages import Request, text_response
from server.xray import pages
from server.xray.guard import Guard

GUARD = Guard(lambda _: text_response(""), "the-token")

FOLLOWED = Request("GET", "/", ((b"sec-fetch-mode", b"navigate"), (b"sec-fetch-dest", b"document")))


def test_there_is_a_page_in_any_case() -> None:
    assert b"<!doctype html>" in pages.load()["index.html"].lower()
    assert b"snapshot.json" in pages.PLAIN


def test_only_files_of_a_type_that_a_page_has_are_served() -> None:
    assert {name.rpartition(".")[2] for name in pages.load()} <= set(pages.TYPES)


@pytest.mark.parametrize(
    ("name", "body", "media_type"),
    [
        ("index.html", b"<meta content=the-token>", b"text/html; charset=utf-8"),
        ("x.js", b"{{token}}", b"text/javascript; charset=utf-8"),
        ("x.css", b"{}", b"text/css; charset=utf-8"),
    ],
)
def test_the_token_is_given_to_the_page_and_to_no_other_file(name: str, body: bytes, media_type: bytes) -> None:
    files = {"index.html": b"<meta content={{token}}>", "x.js": b"{{token}}", "x.css": b"{}"}
    found = pages.answer(files, name, GUARD, FOLLOWED)
    assert found is not None
    assert (found.body, found.fields) == (body, ((b"content-type", media_type),))


@pytest.mark.parametrize(
    ("fields", "given"),
    [
        ((), False),
        (((b"sec-fetch-mode", b"navigate"), (b"sec-fetch-dest", b"iframe")), False),
        (((b"sec-fetch-mode", b"cors"), (b"sec-fetch-dest", b"empty")), False),
        (((b"x-clerestory-token", b"the-token"),), True),
        (((b"x-clerestory-token", b"another"),), False),
    ],
)
def test_what_fetches_the_page_but_does_not_show_it_gets_no_token(
    fields: tuple[tuple[bytes, bytes], ...], given: bool
) -> None:
    """An application that fetches any URL, for one, would hand it to whoever asked it to."""
    found = pages.answer({"index.html": b"<{{token}}>"}, "index.html", GUARD, Request("GET", "/", fields))
    assert found is not None
    assert found.body == (b"<the-token>" if given else b"<>")


def test_a_token_is_text_in_the_page_whatever_it_holds() -> None:
    guard = Guard(lambda _: text_response(""), '"><script>')
    found = pages.answer({"index.html": b'"{{token}}"'}, "index.html", guard, FOLLOWED)
    assert found is not None
    assert found.body == b'"&quot;&gt;&lt;script&gt;"'


def test_what_is_not_there_is_none() -> None:
    assert pages.answer({}, "../secret", GUARD, FOLLOWED) is None
