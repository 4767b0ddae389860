"""Chunks, of requests and of answers alike: decoded to the byte however they are cut, refused at the first bad one."""

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from clerestory.handlers.backends.upstream.framing import Chunked
from clerestory.handlers.wire.chunks import ChunkError, Chunks, TooLong
from tests.support.growth import grows_in_proportion

LIMIT = 1 << 20
Decoded = tuple[bytes, int, bool] | str


def decode(
    raw: bytes, ends: Iterable[int] = (), *, line: int = 256, overhead: int = 16384, limit: int = LIMIT
) -> Decoded:
    """The body, how much of `raw` was taken for it, and whether the last chunk's line was; or the reason against it."""
    chunks = Chunks(line, overhead)
    body, taken = b"", 0
    try:
        for end in [*ends, len(raw)]:
            if not chunks.ended:
                piece, consumed = chunks.decode(raw[taken:end], limit)
                body += piece
                taken += consumed
    except TooLong as error:
        return f"Too long: {error.reason}"
    except ChunkError as error:
        return error.reason
    assert chunks.size == len(body)
    return body, taken, chunks.ended


def test_data_is_handed_on_as_it_comes_and_nothing_behind_the_last_line_is_taken() -> None:
    chunks = Chunks(256, 16384)
    for sent, body in (
        (b"5", b""),
        (b"\r", b""),
        (b"\nhe", b"he"),
        (b"llo\r", b"llo"),
        (b"\n2\r\nab\r\n1\r\nc\r\n9\r\nd", b"abcd"),
        (b"efghijkl", b"efghijkl"),
        (b"\r\n0;a", b""),
    ):
        assert chunks.decode(sent, LIMIT) == (body, len(sent))
    assert (chunks.size, chunks.ended) == (17, False)
    assert chunks.decode(b"\r\nA: b\r\n", LIMIT) == (b"", 2)
    assert chunks.ended


def test_a_piece_that_is_all_data_is_handed_on_without_a_copy() -> None:
    chunks = Chunks(256, 16384)
    chunks.decode(b"10000\r\n", LIMIT)
    data = b"x" * 5000
    assert chunks.decode(data, LIMIT)[0] is data


PARTS = [
    b"0", b"1", b"5", b"a", b"hello", b"x", b"\r\n", b"\r", b"\n", b";", b";a", b"=", b'"', b" ", b"\x00", b"\xff",
    b"5\r\nhello\r\n", b"1;a=b\r\nx\r\n", b"1\r\nx\r\n", b"0\r\n", b"fffffff", b"0000000000000000",
]  # fmt: skip


@settings(max_examples=1000)
@given(some.lists(some.sampled_from(PARTS), max_size=9).map(b"".join), some.lists(some.integers(0, 60), max_size=6))
def test_the_verdict_is_the_same_however_the_bytes_are_cut(raw: bytes, cuts: list[int]) -> None:
    """Cut, the usual chunks are read step by step; whole, all at once."""
    for line, overhead, limit in ((256, 16384, LIMIT), (3, 9, 7)):
        whole = decode(raw, line=line, overhead=overhead, limit=limit)
        for ends in (range(len(raw)), sorted(cuts)):
            assert decode(raw, ends, line=line, overhead=overhead, limit=limit) == whole


@settings(max_examples=300)
@given(some.lists(some.binary(min_size=1, max_size=300), max_size=20), some.lists(some.integers(0, 9000), max_size=6))
def test_any_body_comes_out_as_it_went_in(pieces: list[bytes], cuts: list[int]) -> None:
    raw = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n"
    ends = sorted(cut for cut in cuts if cut < len(raw))
    assert decode(raw + b"\r\nGET", ends) == (b"".join(pieces), len(raw), True)


NOT_HEXADECIMAL = "A chunk size is not hexadecimal."
NO_EXTENSION = "A chunk size is followed by something that is not a chunk extension."
NO_CRLF = "A chunk's data is not followed by CRLF."
BARE = "A bare {} in a chunk line: lines end in CRLF."
BAD = [
    (b"\n", BARE.format("LF")),
    (b"\r", NOT_HEXADECIMAL),
    (b"x", NOT_HEXADECIMAL),
    (b" ", NOT_HEXADECIMAL),
    (b"+", NOT_HEXADECIMAL),
    (b"\x00", "Control byte 0x00 in a chunk line."),
    (b"5\n", BARE.format("LF")),
    (b"5\rX", BARE.format("CR")),
    (b"5;a\n", BARE.format("LF")),
    (b"5;a\rX", BARE.format("CR")),
    (b"5;a\x07", "Control byte 0x07 in a chunk line."),
    (b"5\x7f", "Control byte 0x7f in a chunk line."),
    (b"00000000000000001", "A chunk size has more than 16 digits."),
    (b"5 5", NO_EXTENSION),
    (b"5\t=", NO_EXTENSION),
    (b"5 \r\n", NO_EXTENSION),
    (b"5;a \r\n", NO_EXTENSION),
    (b"5;a=b \r\n", NO_EXTENSION),
    (b"5; a = b \t=", NO_EXTENSION),
    (b"5=", NO_EXTENSION),
    (b"5,", NO_EXTENSION),
    (b"0x", NO_EXTENSION),
    (b"1_", NO_EXTENSION),
    (b"5;;", NO_EXTENSION),
    (b"5; ;", NO_EXTENSION),
    (b"5;=", NO_EXTENSION),
    (b"5;a b", NO_EXTENSION),
    (b"5;a==", NO_EXTENSION),
    (b"5;a=b=", NO_EXTENSION),
    (b"5;a=b;;", NO_EXTENSION),
    (b'5;a="b"c', NO_EXTENSION),
    (b'5;a="b"=', NO_EXTENSION),
    (b'5;a=b"', NO_EXTENSION),
    (b"5;\r\n", NO_EXTENSION),
    (b"5;a=\r\n", NO_EXTENSION),
    (b'5;a="b\r\n', NO_EXTENSION),
    (b'5;a="b\\\r\n', NO_EXTENSION),
    (b"1\r\nab", NO_CRLF),
    (b"1\r\na\n", NO_CRLF),
    (b"1\r\na\rX", NO_CRLF),
    (b"1\r\na\r\n1\r\nbc", NO_CRLF),
]


@pytest.mark.parametrize(("raw", "reason"), BAD)
def test_a_body_is_refused_at_the_very_byte_that_spoils_it(raw: bytes, reason: str) -> None:
    assert isinstance(decode(raw[:-1]), tuple)
    assert decode(raw) == decode(raw + b"0\r\n") == decode(raw + b"\x00") == decode(raw, range(len(raw))) == reason


def test_a_chunk_line_of_the_limit_passes_and_one_byte_more_does_not() -> None:
    assert decode(b"1;34567890\r\na\r\n", line=10) == (b"a", 15, False)
    assert decode(b"0000000001\r\na\r\n", line=10) == (b"a", 15, False)
    assert decode(b"1;34567890", line=10) == (b"", 10, False)
    for raw in (b"1;345678901", b"1;345678901\r\n", b"00000000001\r\na\r\n", b"000000000001"):
        assert decode(raw, line=10) == "A chunk line is longer than 10 bytes."


@pytest.mark.parametrize("last", [b"0", b"1"])
@pytest.mark.parametrize("ends", [(), range(1, 40)], ids=["whole", "byte by byte"])
def test_framing_may_outweigh_the_body_by_the_limit_and_no_more(last: bytes, ends: Iterable[int]) -> None:
    # Each chunk of one byte weighs four more than it carries: 16; the next line's four bytes make it 20.
    ones = b"1\r\na\r\n" * 4
    assert decode(ones + b"0" + last + b"\r\n", ends, overhead=20) == (b"aaaa", 28, last == b"0")
    outweighs = "The chunk framing is larger than the body by more than 20 bytes."
    for raw in (b"00" + last + b"\r\n", b"1\r\na\r\n" + last + b"\r\n", b"001\r\nx\r\n"):
        assert decode(ones + raw, ends, overhead=20) == outweighs


def test_a_body_outweighs_its_framing_in_the_end() -> None:
    raw = b"64\r\n" + b"x" * 100 + b"\r\n" + b"1\r\na\r\n" * 20 + b"0\r\n"
    assert decode(raw, overhead=20) == (b"x" * 100 + b"a" * 20, len(raw), True)


def test_a_body_of_the_limit_passes_and_one_byte_more_does_not() -> None:
    """It is refused when it is announced, not when it has come."""
    too_long = "Too long: The body is longer than 5 bytes."
    assert decode(b"5\r\nhello\r\n0\r\n", limit=5) == (b"hello", 13, True)
    assert decode(b"6\r\n", limit=5) == decode(b"6\r\nhello!\r\n", limit=5) == too_long
    assert decode(b"3\r\nabc\r\n2\r\n", limit=5) == (b"abc", 11, False)
    assert decode(b"3\r\nabc\r\n3\r\n", limit=5) == too_long
    assert decode(b"ffffffffffffffff\r\n", limit=5) == too_long
    assert decode(b"1\r\n", limit=0) == "Too long: The body is longer than 0 bytes."
    assert decode(b"0\r\n", limit=0) == (b"", 3, True)


def test_what_is_kept_of_an_unfinished_line_is_bounded() -> None:
    chunks = Chunks(256, 16384)
    for byte in b"0;" + b"a" * 254 + b"\r":
        assert chunks.decode(bytes([byte]), LIMIT) == (b"", 1)
    assert len(chunks._carry) == 257
    assert chunks.decode(b"\n", LIMIT) == (b"", 1)
    assert chunks._carry == b""


@pytest.mark.parametrize("step", [65536, 1000, 7])
@pytest.mark.parametrize("one", [b"1\r\nx\r\n", b"1;a\r\nx\r\n"])
def test_tiny_chunks_take_time_in_proportion_to_their_number(one: bytes, step: int) -> None:
    """aiohttp's CVE-2025-69229."""

    def read(count: int) -> None:
        raw = one * count
        chunks = Chunks(256, len(raw))
        for at in range(0, len(raw), step):
            chunks.decode(raw[at : at + step], count)

    assert grows_in_proportion(read, 1000)


@pytest.mark.parametrize("extension", [b"; x", b" ;x", b'\t; x = "a b"'])
def test_an_upstream_may_put_white_space_around_the_parts_of_an_extension(extension: bytes) -> None:
    """RFC 9112 section 7.1.1, of an answer as of a request: its body is read by the same code."""
    body = Chunked()
    assert body.feed(b"5" + extension + b"\r\nhello\r\n0" + extension + b"\r\n\r\n") == b"hello"
    assert body.ended
