"""`wsgi.input` and `wsgi.errors`."""

from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clerestory.handlers.wsgi.streams import Errors, Input


def of(*pieces: bytes) -> Input:
    left = [*pieces, b""]
    return Input(lambda: left.pop(0))


SIZES = st.one_of(st.none(), st.integers(-1, 7))
READS = st.tuples(st.sampled_from(["read", "readline"]), SIZES)
BYTES = st.text("a\n", min_size=1, max_size=5).map(str.encode)


@given(st.lists(BYTES, max_size=6), st.lists(READS, max_size=12))
def test_it_reads_as_a_file_of_the_same_bytes_does(pieces: list[bytes], reads: list[tuple[str, int | None]]) -> None:
    stream, file = of(*pieces), BytesIO(b"".join(pieces))
    for how, size in reads:
        assert getattr(stream, how)(size) == getattr(file, how)(size)
    assert list(stream) == list(file)
    assert stream.read() == b""


def test_the_end_is_asked_for_once() -> None:
    stream = of(b"ab")
    assert [stream.read(), stream.read(1), stream.readline(), stream.readlines()] == [b"ab", b"", b"", []]


def test_read1_waits_for_no_more_than_a_piece() -> None:
    stream, buffer = of(b"abc", b"de"), bytearray(2)
    assert [stream.read1(0), stream.read1(2), stream.read1(), stream.readinto(buffer), stream.read1()] == [
        b"",
        b"ab",
        b"c",
        2,
        b"",
    ]
    assert buffer == b"de"
    stream.close()


@pytest.mark.parametrize("read", [Input.read, Input.readline, Input.readlines, list])
def test_a_body_that_is_cut_short_raises(read: Callable[[Any], Any]) -> None:
    pieces: list[Any] = [b"ab"]

    def take() -> bytes:
        if not pieces:
            raise ConnectionError
        return pieces.pop()  # type: ignore[no-any-return]

    with pytest.raises(ConnectionError):
        read(Input(take))


def test_errors_are_told_line_by_line() -> None:
    told: list[str] = []
    errors = Errors(told.append)
    assert errors.write("a\n\nb") == 4
    assert told == ["a"]
    errors.writelines(["c\n", "d"])
    errors.flush()
    errors.flush()
    assert told == ["a", "bc", "d"]
