"""The bodies of answers: exact to the byte however they are cut, and never ended by an accident."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clerestory.handlers.backends.upstream.framing import (
    MAX_CHUNK_LINE,
    MAX_OVERHEAD,
    Chunked,
    Sized,
    UntilClose,
    body_of,
)
from clerestory.handlers.backends.upstream.gate import CHUNKED, UNTIL_CLOSE, Garbage


def fed(body: Chunked | Sized | UntilClose, *pieces: bytes) -> bytes:
    return b"".join(body.feed(piece) for piece in pieces)


def test_each_framing_has_its_reader() -> None:
    assert isinstance(body_of(CHUNKED), Chunked)
    assert isinstance(body_of(UNTIL_CLOSE), UntilClose)
    assert isinstance(body_of(5), Sized)
    assert body_of(0).ended


def test_a_sized_body_ends_at_its_length_and_what_follows_is_spare() -> None:
    body = Sized(5)
    assert (fed(body, b"he", b"l"), body.ended) == (b"hel", False)
    assert (fed(body, b"loXYZ"), body.ended, body.spare) == (b"lo", True, b"XYZ")


@pytest.mark.parametrize("body", [Sized(5), Chunked()])
def test_a_body_that_is_cut_short_has_no_clean_end(body: Sized | Chunked) -> None:
    with pytest.raises(Garbage):
        body.close()


def test_a_body_without_framing_ends_with_the_close_alone() -> None:
    body = UntilClose()
    assert (fed(body, b"a", b"b"), body.ended) == (b"ab", False)
    body.close()
    assert body.ended


GOOD: list[tuple[bytes, bytes]] = [
    (b"0\r\n\r\n", b""),
    (b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
    (b"5\r\nhello\r\n000\r\n\r\n", b"hello"),
    (b"00000005\r\nhello\r\n0\r\n\r\n", b"hello"),
    (b"A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", b"01234567890123456789"),
    (b"2\r\n\r\n\r\n0\r\n\r\n", b"\r\n"),
    (b"5;a=b;c=\"d e\"\r\nhello\r\n0;x\r\n\r\n", b"hello"),
    (b"1\r\nx\r\n0\r\nA: b\r\nC: d\r\n\r\n", b"x"),
]  # fmt: skip


@pytest.mark.parametrize(("raw", "plain"), GOOD)
def test_chunks_are_read_to_the_byte_however_they_are_cut(raw: bytes, plain: bytes) -> None:
    for size in range(1, len(raw) + 1):
        body = Chunked()
        pieces = [raw[at : at + size] for at in range(0, len(raw), size)]
        assert (fed(body, *pieces[:-1], pieces[-1] + b"spare"), body.ended) == (plain, True)
        assert body.spare == b"spare"


BAD = [
    b"5\nhello\r\n0\r\n\r\n",
    b"5\r\nhello0\r\n\r\n",
    b"5\r\nhelloXX0\r\n\r\n",
    b"5\r\nhello\n0\r\n\r\n",
    b"5\r\nhello\r\n0\n\r\n",
    b"5 5\r\nhello\r\n0\r\n\r\n",
    b"5\x0b\r\nhello\r\n0\r\n\r\n",
    b"5\r\nhello\r\n \r\n\r\n",
    b" 5\r\nhello\r\n0\r\n\r\n",
    b"+5\r\nhello\r\n0\r\n\r\n",
    b"0x5\r\nhello\r\n0\r\n\r\n",
    b"-1\r\n\r\n",
    b"\r\n\r\n",
    b"g\r\n\r\n",
    b"5;\x00\r\nhello\r\n0\r\n\r\n",
    b"5;a\nb\r\nhello\r\n0\r\n\r\n",
    b"5;a\rb\r\nhello\r\n0\r\n\r\n",
    b"5;a b\r\nhello\r\n0\r\n\r\n",
    b"5,5\r\nhello\r\n0\r\n\r\n",
    b"0" * 17 + b"\r\n\r\n",
    b"0\r\nA : b\r\n\r\n",
    b"0\r\nA: b\nC: d\r\n\r\n",
    b"0\r\nContent-Length: 5\r\n\r\n",
    b"0\r\nA: b\r\ntransfer-encoding: chunked\r\n\r\n",
]


@pytest.mark.parametrize("raw", BAD)
def test_what_is_no_chunk_is_garbage_however_it_is_cut(raw: bytes) -> None:
    for size in (len(raw), 1, 2, 3):
        body = Chunked()
        with pytest.raises(Garbage):
            fed(body, *[raw[at : at + size] for at in range(0, len(raw), size)])
        assert not body.ended


@pytest.mark.parametrize(
    "raw", [b"5   \r\nhello\r\n0 \r\n\r\n", b"5\t\r\nhello\r\n0\r\n\r\n", b"5 ;a\r\nhello\r\n0\r\n\r\n"]
)
def test_a_chunk_size_may_be_padded_with_white_space(raw: bytes) -> None:
    """Some servers pad a chunk's size to a fixed width: it can be read in one way only."""
    for size in (len(raw), 1, 2, 3):
        body = Chunked()
        assert fed(body, *[raw[at : at + size] for at in range(0, len(raw), size)]) == b"hello"
        assert body.ended


def test_padding_counts_towards_the_longest_chunk_line() -> None:
    assert fed(Chunked(), b"3" + b" " * (MAX_CHUNK_LINE - 1) + b"\r\nabc\r\n0\r\n\r\n") == b"abc"
    with pytest.raises(Garbage, match="A chunk line is longer than 256 bytes"):
        Chunked().feed(b"3" + b" " * MAX_CHUNK_LINE + b"\r\nabc\r\n0\r\n\r\n")


def test_a_chunk_line_has_a_longest_length() -> None:
    line = b"3;" + b"e" * (MAX_CHUNK_LINE - 2)
    assert len(line) == MAX_CHUNK_LINE
    assert fed(Chunked(), line + b"\r\nabc\r\n0\r\n\r\n") == b"abc"
    for raw in (line + b"e\r\nabc\r\n0\r\n\r\n", line + b"e"):
        with pytest.raises(Garbage, match="A chunk line is longer than 256 bytes"):
            Chunked().feed(raw)


def test_framing_may_not_outweigh_the_body() -> None:
    ones = MAX_OVERHEAD // 4 - 2  # each one-byte chunk is five bytes of framing and one of body
    body = Chunked()
    assert len(fed(body, b"1\r\nx\r\n" * ones)) == ones
    with pytest.raises(Garbage, match="larger than the body"):
        fed(body, b"1\r\nx\r\n" * 10)


@given(st.lists(st.binary(min_size=1, max_size=300), max_size=20), st.data())
def test_any_chunks_cut_anywhere_are_the_body(pieces: list[bytes], data: st.DataObject) -> None:
    raw = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=6)))
    body = Chunked()
    parts = [raw[start:end] for start, end in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
    assert fed(body, *parts) == b"".join(pieces)
    assert (body.ended, body.spare) == (True, b"")


@given(st.binary(max_size=200))
def test_no_bytes_at_all_end_in_anything_but_a_body_or_garbage(raw: bytes) -> None:
    body = Chunked()
    with contextlib.suppress(Garbage):
        body.feed(raw)
        assert not body.ended or raw.endswith(body.spare)
