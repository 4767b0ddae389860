"""The chunk walker, without a parser behind it: what it hands on, what it takes, and its bounds."""

import time
from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from server.config import Limits
from server.http.framing import ChunkWalker
from server.http.gate import Refusal

LIMITS = Limits()
BODY = 1024 * 1024
Walked = tuple[bytes, int, int, bool] | tuple[int, str]


def walk(raw: bytes, ends: Iterable[int] = (), limits: Limits = LIMITS, body: int = BODY) -> Walked:
    """What was handed on, how much was taken, how much of it is data, and whether it ended; or the refusal."""
    walker = ChunkWalker(limits)
    framed, taken = b"", 0
    try:
        for end in [*ends, len(raw)]:
            if not walker.ended:
                piece, consumed = walker.walk(raw[taken:end], body)
                framed += piece
                taken += consumed
    except Refusal as refusal:
        return refusal.status, refusal.reason
    return framed, taken, walker.size, walker.ended


GOOD = b"5\r\nhello\r\n1;a=b\r\n!\r\n0\r\nA: b\r\n\r\n"


def test_a_whole_body_is_handed_on_as_it_is_and_no_byte_of_what_follows() -> None:
    assert walk(GOOD) == (GOOD, len(GOOD), 6, True)
    assert walk(GOOD + b"GET / HTTP/1.1\r\n") == (GOOD, len(GOOD), 6, True)


@pytest.mark.parametrize("end", range(len(GOOD)))
def test_a_body_is_walked_from_wherever_it_was_cut(end: int) -> None:
    assert walk(GOOD + b"REST", [end]) == (GOOD, len(GOOD), 6, True)


def test_only_what_is_whole_is_handed_on() -> None:
    walker = ChunkWalker(LIMITS)
    for sent, framed in (
        (b"5", b""),
        (b"\r", b""),
        (b"\nhe", b"5\r\nhe"),
        (b"llo\r", b"llo"),
        (b"\n0;a", b"\r\n"),
        (b"\r\nA: b\r\n", b"0;a\r\n"),
    ):
        assert walker.walk(sent, BODY) == (framed, len(sent))
    assert not walker.ended
    assert walker.walk(b"\r\nGET", BODY) == (b"A: b\r\n\r\n", 2)
    assert walker.ended


PARTS = [
    b"0", b"1", b"5", b"a", b"hello", b"x", b"\r\n", b"\r", b"\n", b";", b";a", b"=", b'"', b" ", b"\x00", b"\xff",
    b"5\r\nhello\r\n", b"1;a=b\r\nx\r\n", b"0\r\n", b"\r\n\r\n", b"A: b\r\n", b"Host: a\r\n", b":",
    b"fffffff", b"0000000000000000",
]  # fmt: skip


@settings(max_examples=2000)
@given(some.lists(some.sampled_from(PARTS), max_size=9).map(b"".join), some.lists(some.integers(0, 60), max_size=6))
def test_the_verdict_is_the_same_however_the_bytes_are_cut(raw: bytes, cuts: list[int]) -> None:
    whole = walk(raw)
    assert walk(raw, range(len(raw))) == whole
    assert walk(raw, sorted(cuts)) == whole


@pytest.mark.parametrize(
    "raw",
    [b"\n", b"\r", b"x", b" ", b"\x00", b"5\n", b"5\rX", b"5\x00", b"5;a\x07", b"5;a\n", b"12345678901234567",
     b"5 \r\n", b"5;\r\n", b"fffff1\r\n", b"1\r\nab", b"1\r\na\n", b"1\r\na\rX", b"0\r\n ", b"0\r\nA\n", b"0\r\n\rX",
     b"0\r\nHost: a\r\n\r\n"],
)  # fmt: skip
def test_a_body_is_refused_at_the_very_byte_that_spoils_it(raw: bytes) -> None:
    before = walk(raw[:-1])
    assert len(before) == 4
    assert not before[3]
    refused = walk(raw)
    assert len(refused) == 2
    assert walk(raw + b"0\r\n\r\n") == walk(raw + b"\x00") == walk(raw, range(len(raw))) == refused


def test_bytes_after_a_chunks_data_are_refused() -> None:
    """h11's CVE-2025-43859."""
    assert walk(b"5\r\nhelloXX0\r\n\r\n") == (400, "A chunk's data is not followed by CRLF.")


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"5\nhello\r\n0\r\n\r\n", "A bare LF in a chunk line: lines end in CRLF."),
        (b"5;a\nhello\r\n0\r\n\r\n", "A bare LF in a chunk line: lines end in CRLF."),
        (b"5\rhello\r\n0\r\n\r\n", "A bare CR in a chunk line: lines end in CRLF."),
        (b"5;a\rhello\r\n0\r\n\r\n", "A bare CR in a chunk line: lines end in CRLF."),
        (b"0\n\r\n", "A bare LF in a chunk line: lines end in CRLF."),
        (b"0\r\n\n", "A bare LF in a field name: lines end in CRLF."),
    ],
)
def test_a_bare_line_end_is_refused_in_size_extension_and_end(raw: bytes, reason: str) -> None:
    """Go's CVE-2025-22871 and Kestrel's CVE-2025-55315."""
    assert walk(raw) == (400, reason)


def test_a_chunk_line_of_the_limit_passes_and_one_byte_more_does_not() -> None:
    small = replace(LIMITS, max_chunk_line=10)
    assert walk(b"1;34567890\r\na\r\n", limits=small) == (b"1;34567890\r\na\r\n", 15, 1, False)
    assert walk(b"1;34567890", limits=small) == (b"", 10, 0, False)
    too_long = (400, "A chunk line is longer than 10 bytes.")
    assert walk(b"1;345678901", limits=small) == walk(b"1;345678901\r\n", limits=small) == too_long
    assert walk(b"00000000001\r\na\r\n", limits=small) == too_long
    assert walk(b"0000000001\r\na\r\n", limits=small) == (b"0000000001\r\na\r\n", 15, 1, False)


@pytest.mark.parametrize("last", [b"0", b"1"])
def test_framing_may_outweigh_the_body_by_the_limit_and_no_more(last: bytes) -> None:
    small = replace(LIMITS, max_chunk_overhead=20)
    # Each chunk of one byte weighs four more than it carries: 16; the next line's four bytes make it 20.
    ones = b"1\r\na\r\n" * 4
    assert walk(ones + b"0" + last + b"\r\n", limits=small) == (ones + b"0" + last + b"\r\n", 28, 4, False)
    outweighs = (400, "The chunk framing outweighs the body by more than 20 bytes.")
    assert walk(ones + b"00" + last + b"\r\n", limits=small) == outweighs
    assert walk(ones + b"1\r\na\r\n" + last + b"\r\n", limits=small) == outweighs


def test_a_body_outweighs_its_framing_in_the_end() -> None:
    small = replace(LIMITS, max_chunk_overhead=20)
    raw = b"64\r\n" + b"x" * 100 + b"\r\n" + b"1\r\na\r\n" * 20 + b"0\r\n\r\n"
    assert walk(raw, limits=small) == (raw, len(raw), 120, True)


def test_a_body_of_the_limit_passes_and_one_byte_more_does_not() -> None:
    """It is refused when it is announced, not when it has come."""
    too_long = (413, "The body is longer than 5 bytes.")
    assert walk(b"5\r\nhello\r\n0\r\n\r\n", body=5) == (b"5\r\nhello\r\n0\r\n\r\n", 15, 5, True)
    assert walk(b"6\r\n", body=5) == too_long
    assert walk(b"3\r\nabc\r\n2\r\n", body=5) == (b"3\r\nabc\r\n2\r\n", 11, 3, False)
    assert walk(b"3\r\nabc\r\n3\r\n", body=5) == too_long
    assert walk(b"1\r\n", body=0) == (413, "The body is longer than 0 bytes.")
    assert walk(b"0\r\n\r\n", body=0) == (b"0\r\n\r\n", 5, 0, True)


def test_a_size_of_sixteen_digits_passes_and_one_more_does_not() -> None:
    assert walk(b"0000000000000001\r\n") == (b"0000000000000001\r\n", 18, 0, False)
    assert walk(b"00000000000000001") == (400, "A chunk size has more than 16 digits.")


@pytest.mark.parametrize("name", ["Content-Length", "Transfer-Encoding", "Host"])
def test_what_frames_or_routes_a_message_is_no_trailer(name: str) -> None:
    for spelt in (name, name.lower(), name.upper()):
        for lines in (f"{spelt}:\r\n", f"A: b\r\n{spelt}: x\r\nC: d\r\n"):
            refused = (400, f"{name} is not allowed in a trailer section.")
            assert walk(b"0\r\n" + lines.encode() + b"\r\n") == refused
    lookalike = (
        b"0\r\nX-" + name.encode() + b": a\r\n" + name.encode() + b"-X: a\r\nA: " + name.encode() + b": a\r\n\r\n"
    )
    assert walk(lookalike) == (lookalike, len(lookalike), 0, True)


def test_what_the_walker_keeps_is_bounded() -> None:
    walker = ChunkWalker(LIMITS)
    for _ in range(255):
        walker.walk(b"0" if not walker._carry else (b";" if walker._carry == b"0" else b"a"), BODY)
    assert len(walker._carry) == 255
    walker.walk(b"a\r", BODY)
    assert len(walker._carry) == 257
    walker.walk(b"\n" + (b"A: " + b"b" * 1000 + b"\r\n") * 32, BODY)
    assert walker._carry == b""
    with pytest.raises(Refusal, match="The trailer section is longer than 32768 bytes"):
        walker.walk(b"A: " + b"b" * 1000, BODY)


def lasts(chunks: bytes, step: int) -> float:
    """The shortest of a few walks over `chunks` in steps, in seconds of this thread's own time."""
    easy = replace(LIMITS, max_chunk_overhead=len(chunks))
    times = []
    for _ in range(3):
        walker = ChunkWalker(easy)
        before = time.thread_time()
        for at in range(0, len(chunks), step):
            walker.walk(chunks[at : at + step], len(chunks))
        times.append(time.thread_time() - before)
    return min(times)


@pytest.mark.parametrize("step", [65536, 1000, 7])
def test_tiny_chunks_take_time_in_proportion_to_their_number(step: int) -> None:
    """aiohttp's CVE-2025-69229: sixteen times the chunks; a quadratic walk would take 256 times as long."""
    one = b"1\r\nx\r\n"
    assert lasts(one * 32000, step) < 64 * lasts(one * 2000, step)


def test_trailers_that_trickle_in_take_time_in_proportion() -> None:
    head = b"0\r\n"
    line = b"A: " + b"b" * 8000 + b"\r\n"
    assert lasts(head + line * 4, 1) < 40 * lasts(head + line[:2000], 1)
