"""What goes in comes out."""

import pytest

from clerestory.handlers.api.messages import Fields, Request
from clerestory.handlers.echo import echo
from tests.handlers.running import FakeExecutor


@pytest.mark.parametrize(
    ("pieces", "content_length", "fields", "expected"),
    [
        ([], 0, (), ((b"content-type", b"application/octet-stream"), (b"content-length", b"0"))),
        ([b"a"], 1, ((b"x", b"y"),), ((b"content-type", b"application/octet-stream"), (b"content-length", b"1"))),
        ([b"a", b"bc", b"d"], None, ((b"content-type", b"text/csv"),), ((b"content-type", b"text/csv"),)),
    ],
)
def test_the_body_comes_back_piece_by_piece_with_its_type_and_length(
    pieces: list[bytes], content_length: int | None, fields: Fields, expected: Fields
) -> None:
    executor = FakeExecutor(pieces=pieces)
    response = executor.answer(echo, Request("POST", "/", fields, content_length=content_length))
    assert (response.status, response.fields) == (200, expected)
    assert executor.pieces_of(response) == pieces


def test_a_piece_is_handed_back_before_the_next_one_is_asked_for() -> None:
    executor = FakeExecutor(pieces=(piece for piece in (b"first", b"second")))
    response = executor.answer(echo, Request("POST", "/", (), content_length=None))
    iterator = aiter(response.body)  # type: ignore[arg-type]
    assert executor.run(iterator.__anext__()) == b"first"  # type: ignore[arg-type]
    assert next(executor.pieces) == b"second"
