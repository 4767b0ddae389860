"""The scanner: what it refuses, at which byte, and that it looks at no byte twice."""

import re
from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from handlers.grammar import field_block
from server.config import Limits
from server.http import scanner as module
from server.http.gate import ORIGIN_LINE, Refusal
from server.http.scanner import FIELD, Scanner

LIMITS = Limits()
LINE = b"GET / HTTP/1.1\r\n"


def scan(raw: bytes, limits: Limits = LIMITS, ends: Iterable[int] = ()) -> int | tuple[int, str]:
    """Where the head ends, -1 where it has not yet, or the refusal."""
    scanner = Scanner(limits)
    try:
        found = -1
        for end in [*ends, len(raw)]:
            found = scanner.scan(raw[:end])
            if found >= 0:
                break
        return found
    except Refusal as refusal:
        return refusal.status, refusal.reason


@pytest.mark.parametrize(
    "raw",
    [
        b"\x16",
        b"\x00",
        b"\n",
        b" ",
        b"\x80",
        b"{",
        b"\rX",
        b"\r\n\r",
        b"GET\t",
        b"GET\n",
        b"GET\r",
        b"G\x00",
        b"GET  ",
        b"GET /\n",
        b"GET /\r",
        b"GET /#",
        b"GET /\x80",
        b"GET /%z",
        b"GET /%4z",
        b"GET / X",
        b"GET / HTTP/x",
        b"GET / HTTP/1x",
        b"GET / HTTP/1.x",
        b"GET / HTTP/1.11",
        b"GET / HTTP/1.1\n",
        b"GET / HTTP/1.1\rX",
        b"GET / HTTP/1.2\r\n",
        b"CONNECT a:1 HTTP/1.1\r\n",
        b"GET a HTTP/1.1\r\n",
        b"GET * HTTP/1.1\r\n",
        LINE + b" ",
        LINE + b"\t",
        LINE + b"\n",
        LINE + b":",
        LINE + b"\rX",
        LINE + b"A\n",
        LINE + b"A ",
        LINE + b"A\r",
        LINE + b"A: b\n",
        LINE + b"A: b\x00",
        LINE + b"A: b\x7f",
        LINE + b"A: b\rX",
        LINE + b"A: b\r\n ",
    ],
)
def test_a_head_is_refused_at_the_very_byte_that_spoils_it(raw: bytes) -> None:
    assert scan(raw[:-1]) == -1
    refused = scan(raw)
    assert isinstance(refused, tuple)
    assert scan(raw + b"\r\n\r\n") == scan(raw + b"\x00") == scan(raw, ends=range(len(raw))) == refused


def test_a_good_head_tells_its_parts() -> None:
    scanner = Scanner(LIMITS)
    raw = b"\r\nGET http://b.example/ HTTP/1.0\r\nA: b\r\n\r\nrest"
    assert scanner.scan(raw) == len(raw) - 4
    assert raw[scanner.start :].startswith(b"GET")
    assert raw[scanner.line_end :].startswith(b"A: b")
    assert (scanner.authority, scanner.minor) == (b"b.example", 0)


PARTS = [
    b"GET", b" ", b"/", b"a", b"%41", b"%", b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"\r\n", b"\r", b"\n", b"A", b":",
    b"\t", b"*", b"http://a", b"\x00", b"\xff", b"CONNECT", b"GET / HTTP/1.1\r\n", b"A: b\r\n", b"\r\n\r\n",
]  # fmt: skip


@settings(max_examples=1000)
@given(some.lists(some.sampled_from(PARTS), max_size=9).map(b"".join), some.lists(some.integers(0, 60), max_size=6))
def test_the_verdict_is_the_same_however_the_bytes_are_cut(raw: bytes, cuts: list[int]) -> None:
    whole = scan(raw)
    assert scan(raw, ends=range(len(raw))) == whole
    assert scan(raw, ends=sorted(cuts)) == whole


@settings(max_examples=1000)
@given(some.lists(some.sampled_from(PARTS), max_size=9).map(b"".join))
def test_scanner_and_expressions_admit_the_same(raw: bytes) -> None:
    line = ORIGIN_LINE(raw)
    block = field_block(raw, line.end() + 3) if line is not None else None
    found = scan(raw)
    if block is not None:
        assert found == block.end()
    elif isinstance(found, int) and found >= 0:
        # What only the scanner admits: an empty line first, or another form of target.
        assert raw.startswith(b"\r\n") or b" http://a" in raw or b" *" in raw


class Counting:
    """An expression that counts the bytes it passes."""

    def __init__(self, run: re.Pattern[bytes]) -> None:
        self.run = run
        self.passed = 0

    def match(self, data: bytes, at: int, end: int) -> re.Match[bytes]:
        match = self.run.match(data, at, end)
        assert match is not None
        self.passed += match.end() - at
        return match


LONG_LINE = b"A: " + b"a" * 8000 + b"\r\n"
HEADS = {
    "a long request line": b"GET /" + b"a" * 8000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    "a long target of triplets": b"GET /" + b"%41" * 2600 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    "long field lines": LINE + LONG_LINE * 4 + b"\r\n",
    "a long name": LINE + b"a" * 8000 + b":\r\n\r\n",
    "many fields": LINE + b"A: b\r\n" * 100 + b"\r\n",
}


@pytest.mark.parametrize("shape", HEADS)
def test_a_head_that_trickles_in_is_looked_at_once(shape: str, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = HEADS[shape]
    rows = {stage: (Counting(row[0]), *row[1:]) for stage, row in module._STAGES.items()}
    monkeypatch.setattr(module, "_STAGES", rows)
    assert scan(raw, ends=range(len(raw))) == len(raw)
    # A triplet's two first bytes are passed again with its last one, a version's at most eight times.
    assert sum(row[0].passed for row in rows.values()) <= 2 * len(raw) + 36


SMALL = replace(LIMITS, max_request_line=20, max_field_line=10, max_fields=3, max_head=60)
TOO_LONG = (414, "The request line is longer than 20 bytes.")
TOO_WIDE = (431, "A field line is longer than 10 bytes.")
TOO_MANY = (431, "There are more than 3 fields.")
TOO_LARGE = (431, "The head is longer than 60 bytes.")


def test_a_request_line_of_the_limit_passes_and_one_byte_more_does_not() -> None:
    good, bad = b"GET /234567 HTTP/1.1\r\n", b"GET /2345678 HTTP/1.1\r\n"
    assert scan(good + b"\r\n", SMALL) == len(good) + 2
    assert scan(bad, SMALL) == scan(bad[:21], SMALL) == TOO_LONG
    assert scan(bad[:20], SMALL) == -1


def test_a_triplet_may_end_at_the_limit_but_not_beyond() -> None:
    assert scan(b"GET /456789012345%41 ", SMALL) == TOO_LONG
    assert scan(b"GET /4567890123456%4", SMALL) == -1
    assert scan(b"GET /4567890123456%41", SMALL) == TOO_LONG
    percent = "A percent sign in the request target is not followed by two hexadecimal digits."
    assert scan(b"GET /4567890123456%z", SMALL) == (400, percent)
    assert scan(b"GET /4567890123456%4\r", SMALL) == (400, "The request line has no version.")


def test_a_field_line_of_the_limit_passes_and_one_byte_more_does_not() -> None:
    assert scan(LINE + b"A:34567890\r\n\r\n", SMALL) == len(LINE) + 14
    assert scan(LINE + b"A:345678901\r\n\r\n", SMALL) == scan(LINE + b"A:345678901", SMALL) == TOO_WIDE
    assert scan(LINE + b"A:34567890", SMALL) == -1
    assert scan(LINE + b"123456789:\r\n\r\n", SMALL) == len(LINE) + 14
    assert scan(LINE + b"1234567890:\r\n\r\n", SMALL) == scan(LINE + b"1234567890:", SMALL) == TOO_WIDE


def test_as_many_fields_as_the_limit_pass_and_one_more_does_not() -> None:
    assert scan(LINE + b"A:\r\n" * 3 + b"\r\n", SMALL) == len(LINE) + 14
    assert scan(LINE + b"A:\r\n" * 4 + b"\r\n", SMALL) == scan(LINE + b"A:\r\n" * 3 + b"A", SMALL) == TOO_MANY
    assert scan(LINE + b"A:\r\n" * 3, SMALL) == -1


def test_a_head_of_the_limit_passes_and_one_byte_more_does_not() -> None:
    assert len(LINE) == 16
    fields = b"A:34567890\r\n" * 3  # 36 bytes, and 6 are left for
    assert scan(LINE + fields[:-2] + b"\r\n\r\n", replace(SMALL, max_head=54)) == 54
    assert scan(LINE + fields[:-2] + b"\r\n\r\n", replace(SMALL, max_head=53)) == (
        431,
        "The head is longer than 53 bytes.",
    )


def test_an_empty_line_before_it_is_no_part_of_the_head() -> None:
    exact = replace(SMALL, max_head=len(LINE) + 2)
    assert scan(b"\r\n" + LINE + b"\r\n", exact) == len(LINE) + 4
    assert scan(b"\r\n" + LINE + b"A:\r\n\r\n", exact) == (431, "The head is longer than 18 bytes.")


def test_the_earlier_of_two_offences_decides() -> None:
    assert scan(b"GET /\x0034567890123456789012345", SMALL) == (400, "Control byte 0x00 in the request target.")
    assert scan(LINE + b"A:" + b"b" * 20 + b"\x00", SMALL) == TOO_WIDE
    large = LINE + b"A:34567890\r\n" * 3 + b"\x00" * 20
    assert scan(large, replace(SMALL, max_fields=9, max_head=52)) == (431, "The head is longer than 52 bytes.")


def trailers(raw: bytes) -> int | tuple[int, str]:
    try:
        return Scanner(SMALL, FIELD).scan(raw)
    except Refusal as refusal:
        return refusal.status, refusal.reason


def test_a_trailer_section_is_read_by_the_same_rules_and_refused_with_400() -> None:
    assert trailers(b"\r\n") == 2
    assert trailers(b"A: b\r\n\r\n") == 8
    assert trailers(b"A: b\r\n") == -1
    assert trailers(b"A:345678901\r\n\r\n") == (400, "A field line is longer than 10 bytes.")
    assert trailers(b"A:\r\n" * 4) == (400, "There are more than 3 fields.")
    assert trailers(b"A : b\r\n\r\n") == (400, "White space in a field name, or before its colon.")
    many = replace(SMALL, max_fields=99)
    with pytest.raises(Refusal) as caught:
        Scanner(many, FIELD).scan(b"A:34567890\r\n" * 6)
    assert (caught.value.status, caught.value.reason) == (400, "The trailer section is longer than 60 bytes.")
