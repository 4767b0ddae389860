"""The page's files: in memory, of known types, the same for everybody."""

import pytest

from clerestory.server.xray.serve import pages


def test_there_is_a_page_in_any_case() -> None:
    assert b"<!doctype html>" in pages.load()["index.html"].lower()
    assert b"snapshot.json" in pages.PLAIN


def test_only_files_of_a_type_that_a_page_has_are_served() -> None:
    assert {name.rpartition(".")[2] for name in pages.load()} <= set(pages.TYPES)


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("index.html", b"text/html; charset=utf-8"),
        ("x.js", b"text/javascript; charset=utf-8"),
        ("x.css", b"text/css; charset=utf-8"),
    ],
)
def test_a_file_is_served_as_it_is_with_its_type(name: str, media_type: bytes) -> None:
    found = pages.answer({name: b"{{token}}"}, name)
    assert found is not None
    assert (found.body, found.fields) == (b"{{token}}", ((b"content-type", media_type),))


def test_what_is_not_there_is_none() -> None:
    assert pages.answer({}, "../secret") is None
