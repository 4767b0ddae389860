"""What is known of a streamed body: its small pieces are put together, its bytes are held against the promise."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clerestory.handlers.api.messages import File
from clerestory.server.connection.stream import END, GATHERED, Stream, chunk_frame, trailer_lines
from clerestory.server.http.responses import ResponseError


def gathered(pieces: Iterable[object], bound: int = 100) -> list[object]:
    """What is handed out, until the end."""
    stream, iterator, found = Stream(False, 0.0), iter(pieces), []
    while (piece := stream.gather(iterator, bound)) is not END:
        found.append(piece)
    return found


def test_small_pieces_share_one() -> None:
    assert gathered([b"one", b"two", b"three"]) == [b"onetwothree"]


def test_no_more_is_gathered_than_the_bound_asks_for() -> None:
    assert gathered([b"x" * 60] * 4) == [b"x" * 120] * 2


def test_what_is_no_bytes_stands_alone_in_its_place() -> None:
    file = File(-1, 0, 3, owned=False)
    assert gathered([b"one", file, b"two", b"three"]) == [b"one", file, b"twothree"]


@pytest.mark.parametrize("beyond", [0, 1])
def test_so_many_pieces_are_put_together_however_small(beyond: int) -> None:
    found = gathered([b""] * (GATHERED + beyond))
    assert found == [b""] * (1 + beyond)


def test_nothing_is_the_end_at_once() -> None:
    assert gathered([]) == []


@given(st.lists(st.binary(max_size=300)), st.integers(1, 500))
def test_no_byte_is_lost_or_added(pieces: list[bytes], bound: int) -> None:
    found = gathered(pieces, bound)
    assert b"".join(piece for piece in found if isinstance(piece, bytes)) == b"".join(pieces)


def test_a_body_of_its_promised_length_is_right() -> None:
    stream = Stream(False, 0.0)
    stream.count(3, 5, False)
    stream.count(2, 5, True)
    assert stream.produced == 5


@pytest.mark.parametrize(("size", "last", "extent"), [(6, False, "at least 6"), (4, True, "only 4")])
def test_a_body_of_another_length_is_refused(size: int, last: bool, extent: str) -> None:
    with pytest.raises(ResponseError, match=f"the body has {extent} bytes, its content-length is 5"):
        Stream(False, 0.0).count(size, 5, last)


def test_a_body_without_a_promise_may_have_any_length_but_less_than_nothing() -> None:
    stream = Stream(False, 0.0)
    stream.count(1 << 40, None, True)
    with pytest.raises(ResponseError, match="a piece has -1 bytes"):
        stream.count(-1, None, False)


@pytest.mark.parametrize(
    ("size", "last", "frame"),
    [
        (10, False, (b"<a\r\n", b"\r\n")),
        (10, True, (b"<a\r\n", b"\r\n0\r\n\r\n")),
        (0, True, (b"<", b"0\r\n\r\n")),
        (0, False, (b"<", b"")),
    ],
)
def test_an_empty_piece_makes_no_chunk_which_would_end_the_body(
    size: int, last: bool, frame: tuple[bytes, bytes]
) -> None:
    assert chunk_frame(b"<", size, last) == frame


class _WithTrailers:
    def __init__(self, *fields: tuple[bytes, bytes]) -> None:
        self._fields = fields

    def trailers(self) -> tuple[tuple[bytes, bytes], ...]:
        return self._fields


def test_trailers_stand_behind_the_last_chunk() -> None:
    lines = trailer_lines(_WithTrailers((b"X-Sum", b"1"), (b"x-two", b"2")))
    assert lines == b"x-sum: 1\r\nx-two: 2\r\n"
    assert chunk_frame(b"", 3, True, lines) == (b"3\r\n", b"\r\n0\r\nx-sum: 1\r\nx-two: 2\r\n\r\n")
    assert trailer_lines(iter(())) == trailer_lines(_WithTrailers()) == b""


@pytest.mark.parametrize("field", [(b"x", b"a\r\nb"), (b"transfer-encoding", b"chunked"), (b"a b", b"c")])
def test_what_is_no_field_is_no_trailer(field: tuple[bytes, bytes]) -> None:
    with pytest.raises(ResponseError):
        trailer_lines(_WithTrailers(field))
