"""The scanner: what it refuses, at which byte, and that it looks at no byte twice."""

import re
from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from clerestory.handlers.wire.grammar import field_block
from clerestory.server.config import Limits
from clerestory.server.http import scanner as module
from clerestory.server.http.gate import ORIGIN_LINE, Refusal
from clerestory.server.http.scanner import ADDED_BYTES, ADDED_FIELDS, FIELD, MAX_EMPTY_LINES, Scanner

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
        b"\r\n\rX",
        b"\r\n\r\n\r\n\r\n\r",
        b"GET\t",
        b"GET\n",
        b"GET\r",
        b"G\x00",
        b"GET  ",
        b"GET /\n",
        b"GET /\r",
        b"GET /#",
        b"GET /\x80",
        b'GET /"',
        b"GET /<",
        b"GET /\\",
        b"GET /|#",
        b"GET /?{#",
        b"GET /?%\x80",
        b"GET / X",
        b"GET / HTTP/x",
        b"GET / HTTP/1x",
        b"GET / HTTP/1.x",
        b"GET / HTTP/1.11",
        b"GET / HTTP/1.1\n",
        b"GET / HTTP/1.1\rX",
        b"GET / HTTP/2.0\r\n",
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
        # What only the scanner admits: an empty line first, another form of target, or a lone percent sign.
        assert raw.startswith(b"\r\n") or b" http://a" in raw or b" *" in raw or re.search(b"%(?!41)", raw)


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
    "a long query of triplets": b"GET /?" + b"%41" * 2600 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    "long field lines": LINE + LONG_LINE * 4 + b"\r\n",
    "a long name": LINE + b"a" * 8000 + b":\r\n\r\n",
    "many fields": LINE + b"A: b\r\n" * 100 + b"\r\n",
}


@pytest.mark.parametrize("shape", HEADS)
@pytest.mark.parametrize(("table", "limits"), [("_STAGES", LIMITS), ("_STRICT", replace(LIMITS, strict_targets=True))])
def test_a_head_that_trickles_in_is_looked_at_once(
    shape: str, table: str, limits: Limits, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = HEADS[shape]
    rows = {stage: (Counting(row[0]), *row[1:]) for stage, row in getattr(module, table).items()}
    monkeypatch.setattr(module, table, rows)
    assert scan(raw, limits, range(len(raw))) == len(raw)
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


STRICT = replace(LIMITS, strict_targets=True)
BAD_PERCENT = "A percent sign in the request target is not followed by two hexadecimal digits."


@pytest.mark.parametrize("byte", b"{}|^`")
def test_a_byte_that_no_uri_has_is_refused_where_targets_are_to_be_strict(byte: int) -> None:
    """RFC 3986 section 2 alone decides under --strict-targets, at the very byte, in path and query."""
    for begin in (b"GET /a", b"GET /a?b", b"GET /a?", b"GET http://a/", b"GET http://a?"):
        raw = begin + bytes([byte])
        refused = (400, f"Byte 0x{byte:02x} is not allowed in the request target.")
        for sent in (raw, raw + b" HTTP/1.1\r\n\r\n"):
            assert scan(sent, STRICT) == scan(sent, STRICT, range(len(sent))) == refused
        assert scan(raw[:-1], STRICT) == scan(raw) == -1


@pytest.mark.parametrize("byte", b'"<>\\')
def test_what_separates_a_uri_from_its_text_is_refused_in_a_path_and_in_a_strict_query(byte: int) -> None:
    """Browsers encode these in a path, or take them for a slash; in a query programs send them bare."""
    refused = (400, f"Byte 0x{byte:02x} is not allowed in the request target.")
    for limits, begin in ((LIMITS, b"GET /a"), (STRICT, b"GET /a"), (STRICT, b"GET /a?b")):
        assert scan(begin + bytes([byte]), limits) == refused
    assert scan(b"GET /a?b" + bytes([byte])) == -1


@pytest.mark.parametrize("raw", [b"GET /%z", b"GET /%4z", b"GET /%?", b"GET /%4?", b"GET /?%z", b"GET /?a=%4&"])
def test_a_lone_percent_sign_is_refused_where_targets_are_to_be_strict(raw: bytes) -> None:
    """RFC 3986 section 2.1: a percent sign begins a triplet."""
    whole = raw + b" HTTP/1.1\r\n\r\n"
    for sent in (raw, whole):
        assert scan(sent, STRICT) == scan(sent, STRICT, range(len(sent))) == (400, BAD_PERCENT)
    assert scan(raw[:-1], STRICT) == -1
    assert scan(whole) == len(whole)
    good = b"GET /%41?%42 HTTP/1.1\r\n\r\n"
    assert scan(good, STRICT) == scan(good, STRICT, range(len(good))) == len(good)


def test_a_method_that_fills_the_line_is_none_that_we_implement() -> None:
    """RFC 9112 section 3: a method longer than any that is implemented is answered 501, a long target 414."""
    assert scan(b"A" * 20, SMALL) == -1
    assert scan(b"A" * 21, SMALL) == scan(b"A" * 20 + b" ", SMALL) == (501, "The method is longer than 20 bytes.")
    assert scan(b"A" * 19 + b" /", SMALL) == TOO_LONG


def test_as_many_empty_lines_as_the_bound_are_ignored_and_one_more_is_not() -> None:
    """RFC 9112 section 2.2: a server ignores at least one empty line before a request line."""
    good = b"GET / HTTP/1.1\r\n\r\n"
    assert scan(b"\r\n" * MAX_EMPTY_LINES + good) == 2 * MAX_EMPTY_LINES + len(good)
    many = (400, f"More than {MAX_EMPTY_LINES} empty lines before the request line.")
    raw = b"\r\n" * (MAX_EMPTY_LINES + 1) + good
    assert scan(raw) == scan(raw, ends=range(len(raw))) == many


def test_a_higher_minor_version_is_processed_as_the_highest_that_we_speak() -> None:
    """RFC 9110 section 6.2."""
    scanner = Scanner(LIMITS)
    assert scanner.scan(b"GET / HTTP/1.7\r\n\r\n") == 18
    assert scanner.minor == 1


def test_a_strict_triplet_may_end_at_the_limit_but_not_beyond() -> None:
    strict = replace(SMALL, strict_targets=True)
    assert scan(b"GET /456789012345%41 ", strict) == TOO_LONG
    assert scan(b"GET /4567890123456%4", strict) == -1
    assert scan(b"GET /4567890123456%41", strict) == TOO_LONG
    assert scan(b"GET /4567890123456%z", strict) == (400, BAD_PERCENT)
    assert scan(b"GET /4567890123456%4\r", strict) == (400, "The request line has no version.")


def test_a_field_line_of_the_limit_passes_and_one_byte_more_does_not() -> None:
    assert scan(LINE + b"A:34567890\r\n\r\n", SMALL) == len(LINE) + 14
    assert scan(LINE + b"A:345678901\r\n\r\n", SMALL) == scan(LINE + b"A:345678901", SMALL) == TOO_WIDE
    assert scan(LINE + b"A:34567890", SMALL) == -1
    assert scan(LINE + b"123456789:\r\n\r\n", SMALL) == len(LINE) + 14
    assert scan(LINE + b"1234567890:\r\n\r\n", SMALL) == scan(LINE + b"1234567890:", SMALL) == TOO_WIDE


def test_as_many_fields_as_the_limit_pass_and_one_more_does_not() -> None:
    assert scan(LINE + b"A:\r\n" * 3 + b"\r\n", SMALL) == len(LINE) + 14
    assert scan(LINE + b"A:\r\n" * 4 + b"\r\n", SMALL) == scan(LINE + b"A:\r\n" * 3 + b"A:", SMALL) == TOO_MANY
    assert scan(LINE + b"A:\r\n" * 3 + b"A", SMALL) == -1, "it may be one that is not counted"


def test_a_head_of_the_limit_passes_and_one_byte_more_does_not() -> None:
    assert len(LINE) == 16
    fields = b"A:34567890\r\n" * 3  # 36 bytes, and 6 are left for
    assert scan(LINE + fields[:-2] + b"\r\n\r\n", replace(SMALL, max_head=54)) == 54
    assert scan(LINE + fields[:-2] + b"\r\n\r\n", replace(SMALL, max_head=53)) == (
        431,
        "The head is longer than 53 bytes.",
    )


WAY = [b"Via:", b"forwarded:", b"X-Forwarded-For:", b"x-forwarded-proto:", b"x-request-id:"]


@pytest.mark.parametrize("name", WAY)
def test_fields_that_tell_the_way_are_not_counted_up_to_a_number(name: bytes) -> None:
    """A proxy adds them to a request that has as many fields as there may be, wherever they stand."""
    usual, way = b"A:\r\n" * 3, name + b"\r\n"
    roomy = replace(SMALL, max_field_line=20, max_head=500)
    for fields in (usual + way * ADDED_FIELDS, way * ADDED_FIELDS + usual, way + usual + way * (ADDED_FIELDS - 1)):
        whole = LINE + fields + b"\r\n"
        assert scan(whole, roomy) == scan(whole, roomy, range(len(whole))) == len(whole)
        for more in (b"A:\r\n", way):
            bad = LINE + fields + more + b"\r\n"
            assert scan(bad, roomy) == scan(bad, roomy, range(len(bad))) == TOO_MANY


@pytest.mark.parametrize("name", [b"via2:", b"x-forwarded:", b"xvia:", b"x-request-ids:", b"forwarded-x:"])
def test_a_field_whose_name_is_only_like_theirs_is_counted(name: bytes) -> None:
    roomy = replace(SMALL, max_field_line=20, max_head=500)
    assert scan(LINE + b"A:\r\n" * 3 + name, roomy) == TOO_MANY
    assert scan(LINE + b"A: via: via:\r\n" * 3 + b"A:", roomy) == TOO_MANY


def test_a_space_behind_the_colon_is_not_counted_but_a_second_one_and_a_tab_are() -> None:
    """A proxy writes `a: b` for `a:b`."""
    good, bad = LINE + b"A: 34567890\r\n\r\n", LINE + b"A: 345678901\r\n\r\n"
    assert scan(good, SMALL) == scan(good, SMALL, range(len(good))) == len(good)
    assert scan(bad, SMALL) == scan(bad, SMALL, range(len(bad))) == TOO_WIDE
    assert scan(LINE + b"A:  34567890\r\n\r\n", SMALL) == TOO_WIDE
    assert scan(LINE + b"A:\t34567890\r\n\r\n", SMALL) == TOO_WIDE


def test_of_a_head_what_a_proxy_adds_is_not_counted_up_to_a_number_of_bytes() -> None:
    exact = replace(SMALL, max_field_line=2000, max_fields=9, max_head=len(LINE) + len(b"A:b\r\n\r\n"))
    large = (431, f"The head is longer than {exact.max_head} bytes.")
    good = [LINE + b"A: b\r\n\r\n", LINE + b"A:b\r\nvia: c\r\n\r\n"]
    way = b"x-forwarded-for: "
    filled = way + b"x" * (ADDED_BYTES - len(way) - 2)
    good.append(LINE + b"A:b\r\n" + filled + b"\r\n\r\n")
    bad = [LINE + b"A:bb\r\nvia: c\r\n\r\n", LINE + b"A:b\r\nB: \r\n\r\n", LINE + b"A:b\r\n" + filled + b"x\r\n\r\n"]
    for raw in good:
        assert scan(raw, exact) == scan(raw, exact, range(len(raw))) == len(raw), raw
    for raw in bad:
        assert scan(raw, exact) == scan(raw, exact, range(len(raw))) == large, raw


def test_an_empty_line_before_it_is_no_part_of_the_head() -> None:
    exact = replace(SMALL, max_head=len(LINE) + 2)
    assert scan(b"\r\n" + LINE + b"\r\n", exact) == len(LINE) + 4
    assert scan(b"\r\n" + LINE + b"A:\r\n\r\n", exact) == (431, "The head is longer than 18 bytes.")


def test_the_earlier_of_two_offences_decides() -> None:
    assert scan(b"GET /\x0034567890123456789012345", SMALL) == (400, "Control byte 0x00 in the request target.")
    assert scan(LINE + b"A:" + b"b" * 20 + b"\x00", SMALL) == TOO_WIDE
    large = LINE + b"A:34567890\r\n" * 3 + b"A:" + b"\x00" * 20
    assert scan(large, replace(SMALL, max_fields=3)) == TOO_MANY
    far = replace(SMALL, max_field_line=2000, max_head=52)
    beyond = LINE + b"A:" + b"b" * (52 + ADDED_BYTES - 18)
    assert scan(beyond, far) == -1
    assert scan(beyond + b"\x00", far) == (431, "The head is longer than 52 bytes.")


def trailers(raw: bytes) -> int | tuple[int, str]:
    try:
        return Scanner(SMALL, FIELD).scan(raw)
    except Refusal as refusal:
        return refusal.status, refusal.reason


def test_a_trailer_section_is_read_by_the_same_rules_and_refused_with_400() -> None:
    assert trailers(b"\r\n") == 2
    assert trailers(b"A: b\r\n\r\n") == 8
    assert trailers(b"A: b\r\n") == -1
    assert trailers(b"A: 34567890\r\n\r\n") == (400, "A field line is longer than 10 bytes.")
    assert trailers(b"A:\r\n" * 3 + b"v") == (400, "There are more than 3 fields.")
    assert trailers(b"A:345678901\r\n\r\n") == (400, "A field line is longer than 10 bytes.")
    assert trailers(b"A:\r\n" * 4) == (400, "There are more than 3 fields.")
    assert trailers(b"A : b\r\n\r\n") == (400, "White space in a field name, or before its colon.")
    many = replace(SMALL, max_fields=99)
    with pytest.raises(Refusal) as caught:
        Scanner(many, FIELD).scan(b"A:34567890\r\n" * 6)
    assert (caught.value.status, caught.value.reason) == (400, "The trailer section is longer than 60 bytes.")
