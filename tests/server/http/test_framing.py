"""A chunked body: what is decoded and taken of it, its bounds, and what h11 and llhttp make of the same bytes.

The chunks themselves have their tests in tests/handlers/wire/test_chunks.py.
"""

import re
from collections.abc import Iterable
from dataclasses import replace

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from clerestory.server.config import Limits
from clerestory.server.http.framing import ChunkedBody
from clerestory.server.http.gate import Refusal
from tests.corpus import CASES, Case
from tests.support.growth import grows_in_proportion
from tests.support.many import for_each

httptools = pytest.importorskip("httptools")

LIMITS = Limits()
BODY = 1024 * 1024
Decoded = tuple[bytes, int, bool] | tuple[int, str]


def decode(raw: bytes, ends: Iterable[int] = (), limits: Limits = LIMITS, limit: int = BODY) -> Decoded:
    """The body, how much was taken for it, and whether it ended; or the refusal."""
    chunked = ChunkedBody(limits)
    body, taken = b"", 0
    try:
        for end in [*ends, len(raw)]:
            if not chunked.ended:
                piece, consumed = chunked.decode(raw[taken:end], limit)
                body += piece
                taken += consumed
    except Refusal as refusal:
        return refusal.status, refusal.reason
    assert chunked.size == len(body)
    return body, taken, chunked.ended


GOOD = b"5\r\nhello\r\n1;a=b\r\n!\r\n0\r\nA: b\r\n\r\n"


def test_a_whole_body_is_decoded_and_no_byte_of_what_follows_is_taken() -> None:
    assert decode(GOOD) == (b"hello!", len(GOOD), True)
    assert decode(GOOD + b"GET / HTTP/1.1\r\n") == (b"hello!", len(GOOD), True)


@for_each("end", range(len(GOOD)))
def test_a_body_is_decoded_from_wherever_it_was_cut(end: int) -> None:
    assert decode(GOOD + b"REST", [end]) == (b"hello!", len(GOOD), True)


PARTS = [
    b"0", b"1", b"5", b"a", b"hello", b"x", b"\r\n", b"\r", b"\n", b";", b";a", b"=", b'"', b" ", b"\x00", b"\xff",
    b"5\r\nhello\r\n", b"1;a=b\r\nx\r\n", b"0\r\n", b"\r\n\r\n", b"A: b\r\n", b"Host: a\r\n", b":",
    b"fffffff", b"0000000000000000",
]  # fmt: skip


@settings(max_examples=1000)
@given(some.lists(some.sampled_from(PARTS), max_size=9).map(b"".join), some.lists(some.integers(0, 60), max_size=6))
def test_the_verdict_is_the_same_however_the_bytes_are_cut(raw: bytes, cuts: list[int]) -> None:
    whole = decode(raw)
    assert decode(raw, range(len(raw))) == whole
    assert decode(raw, sorted(cuts)) == whole


class Read:
    """What llhttp says of a body."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.on_body = self.pieces.append
        self.ended = False

    def on_message_complete(self) -> None:
        self.ended = True


HEAD = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"


def by_llhttp(raw: bytes) -> tuple[bytes, bool]:
    """The body that llhttp reads, and whether it has ended."""
    read = Read()
    httptools.HttpRequestParser(read).feed_data(HEAD + raw)
    return b"".join(read.pieces), read.ended


def by_h11(raw: bytes) -> tuple[bytes, bool]:
    """The body that h11 reads, and whether it has ended."""
    parser = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    parser.receive_data(HEAD + raw)
    assert isinstance(parser.next_event(), h11.Request)
    body = b""
    while isinstance(event := parser.next_event(), h11.Data):
        body += event.data
    return body, isinstance(event, h11.EndOfMessage)


CHUNK = some.tuples(
    some.binary(min_size=1, max_size=40),
    some.sampled_from(["%x", "%X", "0%x", "%016x"]),
    some.sampled_from([b"", b";a", b";a=b;c", b';a="b;\\"\r"'.replace(b"\r", b""), b';a=" \t"', b";0"]),
).map(lambda chunk: (chunk[1] % len(chunk[0])).encode() + chunk[2] + b"\r\n" + chunk[0] + b"\r\n")
TRAILERS = some.sampled_from([b"0\r\n\r\n", b"000;x\r\n\r\n", b"0\r\nA: b\r\n\r\n", b"0\r\nA: b\r\nC:\r\n\r\n"])
CHUNKS = some.tuples(some.lists(CHUNK, max_size=6).map(b"".join), TRAILERS).map(b"".join)
TAMPERED = some.tuples(CHUNKS, some.integers(0, 99), some.sampled_from(PARTS)).map(
    lambda made: made[0][: made[1] % len(made[0])] + made[2] + made[0][made[1] % len(made[0]) :]
)


@settings(max_examples=1000)
@given(CHUNKS | TAMPERED | some.lists(some.sampled_from(PARTS), max_size=9).map(b"".join))
def test_both_parsers_read_the_same_body_in_whatever_is_admitted(raw: bytes) -> None:
    """No codec is asked for a body. That none would say anything else is shown here; that it may refuse white space
    around an extension's parts, which RFC 9112 allows, changes nothing of that."""
    decoded = decode(raw)
    if len(decoded) == 3:
        body, taken, ended = decoded
        for read in (by_llhttp, by_h11):
            try:
                found = read(raw[:taken])
            except (httptools.HttpParserError, h11.RemoteProtocolError):
                assert re.search(rb"[ \t]", raw[:taken]), read
            else:
                assert found == (body, ended), read


CHUNKED = [case for case in CASES if b"hunked" in case.raw and case.alone]


@for_each("case", CHUNKED, what=lambda case: case.what)
def test_both_parsers_read_the_same_body_in_the_corpus(case: Case) -> None:
    framing = case.raw.partition(b"\r\n\r\n")[2]
    decoded = decode(framing)
    if len(decoded) == 3 and not case.raw.endswith((b" ", b"\t")):
        body, taken, ended = decoded
        assert by_llhttp(framing[:taken]) == by_h11(framing[:taken]) == (body, ended)


@pytest.mark.parametrize(
    "raw",
    [b"\n", b"\r", b"x", b" ", b"\x00", b"5\n", b"5\rX", b"5\x00", b"5;a\x07", b"5;a\n", b"12345678901234567",
     b"5 a", b"5;\r\n", b"5;a b", b"fffff1\r\n", b"1\r\nab", b"1\r\na\n", b"1\r\na\rX", b"0\r\n ", b"0\r\nA\n",
     b"0\r\n\rX", b"0\r\nHost: a\r\n\r\n"],
)  # fmt: skip
def test_a_body_is_refused_at_the_very_byte_that_spoils_it(raw: bytes) -> None:
    before = decode(raw[:-1])
    assert len(before) == 3
    assert not before[2]
    refused = decode(raw)
    assert len(refused) == 2
    assert decode(raw + b"0\r\n\r\n") == decode(raw + b"\x00") == decode(raw, range(len(raw))) == refused


LESSONS = [
    (b"5\r\nhelloXX0\r\n\r\n", "A chunk's data is not followed by CRLF."),  # h11's CVE-2025-43859
    # Go's CVE-2025-22871 and Kestrel's CVE-2025-55315: a bare line end in size, in extension, at the end
    (b"5\nhello\r\n0\r\n\r\n", "A bare LF in a chunk line: lines end in CRLF."),
    (b"5;a\nhello\r\n0\r\n\r\n", "A bare LF in a chunk line: lines end in CRLF."),
    (b"5\rhello\r\n0\r\n\r\n", "A bare CR in a chunk line: lines end in CRLF."),
    (b"5;a\rhello\r\n0\r\n\r\n", "A bare CR in a chunk line: lines end in CRLF."),
    (b"0\n\r\n", "A bare LF in a chunk line: lines end in CRLF."),
    (b"0\r\n\n", "A bare LF in a field name: lines end in CRLF."),
]


@pytest.mark.parametrize(("raw", "reason"), LESSONS)
def test_what_others_paid_for_is_refused(raw: bytes, reason: str) -> None:
    assert decode(raw) == (400, reason)


def test_the_bounds_are_those_of_the_limits() -> None:
    small = replace(LIMITS, max_chunk_line=10, max_chunk_overhead=20)
    assert decode(b"1;34567890\r\na\r\n", limits=small) == (b"a", 15, False)
    assert decode(b"1;345678901\r\n", limits=small) == (400, "A chunk line is longer than 10 bytes.")
    # Each chunk of one byte weighs four more than it carries: 16; the next line's four bytes make it 20.
    assert decode(b"1\r\na\r\n" * 4 + b"01\r\n", limits=small) == (b"aaaa", 28, False)
    outweighs = (400, "The chunk framing is larger than the body by more than 20 bytes.")
    assert decode(b"1\r\na\r\n" * 4 + b"001\r\n", limits=small) == outweighs


def test_a_body_of_the_limit_passes_and_one_byte_more_does_not() -> None:
    """It is refused when it is announced, not when it has come."""
    too_long = (413, "The body is longer than 5 bytes.")
    assert decode(b"5\r\nhello\r\n0\r\n\r\n", limit=5) == (b"hello", 15, True)
    assert decode(b"6\r\n", limit=5) == too_long
    assert decode(b"3\r\nabc\r\n2\r\n", limit=5) == (b"abc", 11, False)
    assert decode(b"3\r\nabc\r\n3\r\n", limit=5) == too_long


@pytest.mark.parametrize("name", ["Content-Length", "Transfer-Encoding", "Host"])
def test_what_frames_or_routes_a_message_is_no_trailer(name: str) -> None:
    for spelt in (name, name.lower(), name.upper()):
        for lines in (f"{spelt}:\r\n", f"A: b\r\n{spelt}: x\r\nC: d\r\n"):
            refused = (400, f"{name} is not allowed in a trailer section.")
            assert decode(b"0\r\n" + lines.encode() + b"\r\n") == refused
    lookalike = (
        b"0\r\nX-" + name.encode() + b": a\r\n" + name.encode() + b"-X: a\r\nA: " + name.encode() + b": a\r\n\r\n"
    )
    assert decode(lookalike) == (b"", len(lookalike), True)


def test_a_trailer_section_is_bounded() -> None:
    chunked = ChunkedBody(LIMITS)
    line = b"A: " + b"b" * 1019 + b"\r\n"
    chunked.decode(b"0\r\n" + line * 31 + line[:-4] + b"\r\n", BODY)
    assert chunked.decode(b"\r\n", BODY) == (b"", 2)
    assert chunked.ended
    chunked = ChunkedBody(LIMITS)
    chunked.decode(b"0\r\n" + line * 32, BODY)
    with pytest.raises(Refusal, match="The trailer section is longer than 32768 bytes"):
        chunked.decode(b"\r", BODY)


def test_trailers_that_trickle_in_take_time_in_proportion() -> None:
    limits = replace(LIMITS, max_head=1 << 20)

    def trickle(size: int) -> None:
        chunked = ChunkedBody(limits)
        for byte in b"0\r\n" + (b"A: " + b"b" * 95 + b"\r\n") * (size // 100):
            chunked.decode(bytes([byte]), BODY)

    assert grows_in_proportion(trickle, 500)
