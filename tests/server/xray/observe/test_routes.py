"""Names for routes that nobody names."""

import pytest

from clerestory.server.xray.observe.routes import KEPT, LONGEST, Names, fold


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/", "/"),
        ("/orders/4711/items/3", "/orders/{n}/items/{n}"),
        ("/orders/4711.json", "/orders/{n}.json"),
        ("/users/0190f2c4-6f3a-7b1e-9d2f-3c5a7e9b1d20", "/users/{id}"),
        ("/static/app.3f9a1c2b.js", "/static/app.{id}.js"),
        ("/s/dQw4w9WgXcQdQw4w9WgXcQ", "/s/{id}"),
        ("/api/v1/users", "/api/v1/users"),
        ("/a-path-that-is-long-and-has-words/and-is-no-id", "/a-path-that-is-long-and-has-words/and-is-no-id"),
        ("/facade/decade", "/facade/decade"),
        ("/2026-11-29/report", "/{n}-{n}-{n}/report"),
    ],
)
def test_numbers_and_ids_are_folded_and_words_are_not(path: str, name: str) -> None:
    assert fold(path) == name


def test_a_name_is_bounded_whatever_the_path() -> None:
    assert len(fold("/x" * 100_000)) == LONGEST + 3
    assert fold("/" + "x" * (LONGEST - 1)) == "/" + "x" * (LONGEST - 1)


def test_so_many_names_are_remembered_and_no_more() -> None:
    names = Names()
    for number in range(KEPT + 1):
        assert names.folded(f"/{number}") == "/{n}"
    assert len(names._names) == 1
