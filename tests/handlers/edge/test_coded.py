"""A body that is compressed while it is sent: bounded pieces, flushed streams, and everything given back."""

import os
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from clerestory.handlers.api.messages import File
from clerestory.handlers.edge.coded import PIECE, Coded
from clerestory.handlers.edge.coders import CODERS, Gzip, coder_for
from tests.handlers.edge.stepping import next_piece, pieces_of
from tests.handlers.edge.test_coders import decoder
from tests.server.support import temporary

pytestmark = pytest.mark.usefixtures("every_descriptor_back")


class Counted:
    """A coder that notes how many bytes it is given in one go."""

    def __init__(self) -> None:
        self.coder = Gzip()
        self.given: list[int] = []

    def code(self, data: bytes | memoryview) -> bytes:
        self.given.append(len(data))
        return self.coder.code(data)

    def flush(self) -> bytes:
        return self.coder.flush()

    def finish(self) -> bytes:
        return self.coder.finish()


def coded(body: Any, coder: Any = None, *, has_length: bool = False) -> tuple[Coded, list[str]]:
    released: list[str] = []
    return Coded(body, coder or Gzip(), lambda: released.append("released"), has_length=has_length), released


async def stream(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


class Steps:
    """A body like that of a hosted application: what it hands out is stepped, and is no iterator."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = list(pieces)
        self.closed = 0

    def __aiter__(self) -> "Steps":
        return self

    def __anext__(self) -> "Steps":
        return self

    def __await__(self) -> Any:
        return self

    def send(self, _: object) -> Any:
        if self.pieces:
            raise StopIteration(self.pieces.pop(0))
        raise StopAsyncIteration

    def throw(self, error: BaseException) -> Any:
        raise error

    def trailers(self) -> tuple[tuple[bytes, bytes], ...]:
        return ((b"a", b"b"),)

    def close(self) -> None:
        self.closed += 1


@pytest.mark.parametrize("coding", CODERS)
def test_bodies_of_every_kind_come_out_as_they_went_in(coding: bytes) -> None:
    content = os.urandom(1000) * 200
    file = File(temporary(content), 0, len(content))
    for body in (content, file, iter([content[:7], content[7:]]), [content], stream(content[:7], b"", content[7:])):
        one, released = coded(body, coder_for(coding))
        assert decoder(coding)(b"".join(pieces_of(one))) == content
        assert released == ["released"]
    assert not file.owned


def test_a_piece_is_bounded_and_others_have_their_turn_between_two() -> None:
    """N is one piece, N+1 two with an empty one between them, for which the exchange waits a turn."""
    for size, given in ((PIECE, [PIECE]), (PIECE + 1, [PIECE, 1])):
        counted = Counted()
        one, _ = coded(stream(b"x" * size), counted)
        pieces = pieces_of(one)
        assert counted.given == given
        assert pieces.count(b"") == 1  # behind the first PIECE, in both cases
    counted = Counted()
    pieces_of(coded(iter([b"x" * 1000] * 100), counted)[0])
    assert counted.given == [1000] * 100


def test_small_pieces_that_never_wait_share_one() -> None:
    one, _ = coded(iter([b"x" * 100] * 200))
    assert len(pieces_of(one)) <= 3


@pytest.mark.parametrize("coding", CODERS)
def test_a_stream_is_flushed_with_each_piece(coding: bytes) -> None:
    read = decoder(coding)
    one, _ = coded(Steps(b"data: 1\n\n", b"data: 2\n\n"), coder_for(coding))
    for expected in (b"data: 1\n\n", b"data: 2\n\n"):
        assert read(next_piece(one)) == expected
    one.close()


def test_a_stream_whose_length_is_known_is_not_flushed() -> None:
    flushed = sum(map(len, pieces_of(coded(stream(*[b"abc"] * 100))[0])))
    assert sum(map(len, pieces_of(coded(stream(*[b"abc"] * 100), has_length=True)[0]))) < flushed / 5


def test_trailers_are_handed_on() -> None:
    body = Steps(b"x")
    one, _ = coded(body)
    next_piece(one)
    assert one.trailers() == ((b"a", b"b"),)
    one.close()
    assert coded(iter([b"x"]))[0].trailers() == ()


def test_it_is_closed_once_whether_it_has_begun_or_not() -> None:
    for steps in range(3):
        body = Steps(b"x", b"y")
        one, released = coded(body)
        for _ in range(steps):
            next_piece(one)
        one.close()
        one.close()
        assert (body.closed, released) == (1, ["released"])
        with pytest.raises(StopAsyncIteration):
            next_piece(one)


def test_a_generator_runs_its_finally() -> None:
    ran = []

    def pieces() -> Iterator[bytes]:
        try:
            yield b"x" * PIECE
            yield b"y"
        finally:
            ran.append("finally")

    one, _ = coded(pieces())
    next_piece(one)
    one.close()
    assert ran == ["finally"]


def test_a_file_that_has_become_shorter_breaks_it() -> None:
    descriptor = temporary(b"x" * 100)
    one, _ = coded(File(descriptor, 0, 101))
    with pytest.raises(OSError, match="shorter"):
        next_piece(one)
    one.close()


def test_what_is_no_piece_is_told() -> None:
    one, _ = coded(iter(["text"]))
    with pytest.raises(TypeError, match="str"):
        next_piece(one)
    one.close()
