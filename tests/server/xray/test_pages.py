"""The page's files: in memory, of known types, with the token in its place."""

import pytest

from handlers.messages import text_response
from server.xray import pages
from server.xray.guard import Guard

GUARD = Guard(lambda _: text_response(""), "the-token")


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
    found = pages.answer(files, name, GUARD)
    assert found is not None
    assert (found.body, found.fields) == (body, ((b"content-type", media_type),))


def test_what_is_not_there_is_none() -> None:
    assert pages.answer({}, "../secret", GUARD) is None
