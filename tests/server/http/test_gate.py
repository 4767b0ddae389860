"""The gate's expressions and judgements, one by one; whole requests are in the corpus."""

import re
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import example, given
from hypothesis import strategies as some

from clerestory.handlers.wire.grammar import begins_extensions, field_block
from clerestory.server.http import gate
from clerestory.server.http.gate import ORIGIN_LINE, Disagreement, Refusal, judge_fields, judge_line, normalise_target
from tests.support.growth import grows_in_proportion
from tests.support.many import for_each


def refusal(judge: Callable[[], object]) -> tuple[int, str]:
    with pytest.raises(Refusal) as caught:
        judge()
    return caught.value.status, caught.value.reason


def block(*fields: bytes) -> bytes:
    return b"\r\n" + b"".join(field + b"\r\n" for field in fields) + b"\r\n"


# --- the expressions


@pytest.mark.parametrize("line", [b"GET / HTTP/1.1\r\n", b"BREW /a%20b?c=%FF&d[] HTTP/1.0\r\n", b"! // HTTP/1.1\r\n"])
def test_the_usual_request_line_is_matched_up_to_its_last_digit(line: bytes) -> None:
    match = ORIGIN_LINE(line + b"Host: a\r\n\r\n")
    assert match is not None
    assert match.end() == len(line) - 3
    assert list(match.groups()) == line.split(b" ")[:2]


@pytest.mark.parametrize(
    "line",
    [b"GET / HTTP/1.2\r\n", b"GET * HTTP/1.1\r\n", b"GET http://a/ HTTP/1.1\r\n", b"CONNECT / HTTP/1.1\r\n",
     b"GET / HTTP/1.1\n", b"GET /# HTTP/1.1\r\n", b"GET /%4 HTTP/1.1\r\n", b"GET / HTTP/1.1", b"\r\nGET / HTTP/1.1\r\n",
     b" GET / HTTP/1.1\r\n", b"GET  / HTTP/1.1\r\n", b"GET / HTTP/1.10\r\n"],
)  # fmt: skip
def test_any_other_request_line_is_left_to_the_scanner(line: bytes) -> None:
    assert ORIGIN_LINE(line) is None


TOKEN = frozenset(b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
TARGET = frozenset(b"/?:@-._~!$&'()*+,;=[]0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")


@for_each("byte", range(256))
def test_each_byte_is_allowed_where_the_rfcs_allow_it(byte: int) -> None:
    it = bytes([byte])
    assert (ORIGIN_LINE(b"G" + it + b"T / HTTP/1.1\r\n") is not None) is (byte in TOKEN)
    assert (ORIGIN_LINE(b"GET /a" + it + b" HTTP/1.1\r\n") is not None) is (byte in TARGET)
    assert (field_block(b"A" + it + b"B: c\r\n\r\n") is not None) is (byte in TOKEN or it == b":")
    assert (field_block(b"A: b" + it + b"c\r\n\r\n") is not None) is (byte == 9 or 32 <= byte != 127)


@for_each("byte", range(256))
def test_each_byte_is_admitted_in_a_target_where_browsers_leave_it_bare(byte: int) -> None:
    """WHATWG URL: in a query every visible character but `#`; in a path also not `"<>` and the backslash; never a
    control byte, a space, or a byte above 0x7e."""
    visible = 0x21 <= byte <= 0x7E and byte != ord("#")
    assert bool(gate.QUERY_RUN.fullmatch(bytes([byte]))) is visible
    assert bool(gate.PATH_RUN.fullmatch(bytes([byte]))) is (visible and byte not in b'"<>\\?')


URI = TARGET | frozenset(b"%")


@given(some.binary(max_size=30).map(lambda raw: bytes(byte for byte in raw if 0x21 <= byte <= 0x7E)))
@example(b"/%%41%4")
def test_a_normalised_target_is_a_uri_that_decodes_as_it_did_and_is_left_alone_the_next_time(raw: bytes) -> None:
    """RFC 3986 section 2.4: a percent sign that begins no triplet stands for itself, and becomes %25."""
    found = normalise_target(raw)
    assert set(found) <= URI
    assert not re.search(b"%(?![0-9A-Fa-f]{2})", found)
    assert normalise_target(found) == found
    assert unquote_to_bytes(found) == unquote_to_bytes(raw)


@given(
    some.lists(some.sampled_from([b"A", b":", b" ", b"\r\n", b"\r", b"\n", b"b", b"\x00", b"\xff", b"\t"]), max_size=12)
)
@example([b"\r\n"])
def test_a_field_block_is_matched_as_a_plain_reading_of_the_rfc_does(parts: list[bytes]) -> None:
    raw = b"".join(parts)
    head, end, _ = raw.partition(b"\r\n\r\n") if not raw.startswith(b"\r\n") else (b"", b"\r\n", b"")
    good = bool(end)
    for line in head.split(b"\r\n") if head else []:
        name, colon, value = line.partition(b":")
        good = good and bool(name and colon) and set(name) <= TOKEN
        good = good and all(byte == 9 or 32 <= byte != 127 for byte in value)
    match = field_block(raw)
    assert (match is not None) is good
    assert match is None or match.end() == len(head) + len(end)


HOSTILE: dict[str, Callable[[int], bytes]] = {
    "a method without end": lambda size: b"A" * size,
    "a target without end": lambda size: b"GET /" + b"a" * size,
    "a target of triplets": lambda size: b"GET /" + b"%41" * (size // 3),
    "a target of broken triplets": lambda size: b"GET /" + b"%4" * (size // 2),
    "nothing but spaces": lambda size: b"GET /" + b" " * size,
    "a name without end": lambda size: b"GET / HTTP/1.1\r\n" + b"a" * size,
    "a value without end": lambda size: b"GET / HTTP/1.1\r\nA:" + b" " * size,
    "white space and letters": lambda size: b"GET / HTTP/1.1\r\nA:" + b" a" * (size // 2) + b"\x00",
    "many fields": lambda size: b"GET / HTTP/1.1\r\n" + b"a:\r\n" * (size // 4) + b"\x00",
    "many colons": lambda size: b"GET / HTTP/1.1\r\nA" + b":" * size + b"\n",
    "many lines without a colon": lambda size: b"GET / HTTP/1.1\r\n" + b"a\r\n" * (size // 3),
    "many line ends": lambda size: b"\r\n" * (size // 2),
    "many CRs": lambda size: b"GET / HTTP/1.1\r\nA:" + b"\r" * size,
}


def match_everything(data: bytes) -> None:
    for run in (gate.URI_PATH_RUN, gate.URI_QUERY_RUN, gate.PATH_RUN, gate.QUERY_RUN, gate.TOKEN_RUN, gate.TEXT_RUN):
        run.match(data)
    for expression in (ORIGIN_LINE, begins_extensions, gate.normalise_target):
        expression(data)
    field_block(data, 16)


@pytest.mark.parametrize("shape", HOSTILE)
def test_the_expressions_take_time_in_proportion_to_a_hostile_head(shape: str) -> None:
    data = {size: HOSTILE[shape](size) for size in (1 << 16, 1 << 20)}
    assert grows_in_proportion(lambda size: match_everything(data[size]), 1 << 16)


@pytest.mark.parametrize("what", ["connection", "transfer-encoding", "host", "x"])
def test_the_judgement_takes_time_in_proportion_to_a_hostile_block(what: str) -> None:
    def judge(size: int) -> None:
        for value in (b"," * size, b"a," * (size // 2), b"%41" * (size // 3), b"[" * size, b" " * size):
            with suppress(Refusal):
                judge_fields(block(b"Host: a", what.encode() + b":" + value), 1)

    assert grows_in_proportion(judge, 1 << 14)


# --- the request line


@pytest.mark.parametrize(
    ("line", "authority", "minor"),
    [
        (b"GET / HTTP/1.1", b"", 1),
        (b"GET / HTTP/1.0", b"", 0),
        (b"OPTIONS * HTTP/1.1", b"", 1),
        (b"GET http://b.example:81/p HTTP/1.1", b"b.example:81", 1),
        (b"GET HTTPS://[::1]?q HTTP/1.0", b"[::1]", 0),
        (b"GET / HTTP/1.2", b"", 1),
    ],
)
def test_a_request_line_tells_version_and_authority(line: bytes, authority: bytes, minor: int) -> None:
    assert judge_line(line) == (authority, minor)


@pytest.mark.parametrize(
    ("line", "status", "reason"),
    [
        (b"GET / HTTP/2.0", 505, "The major version is not HTTP/1."),
        (b"CONNECT a:1 HTTP/0.1", 505, "The major version is not HTTP/1."),
        (b"CONNECT a:1 HTTP/1.1", 501, "CONNECT is not supported."),
        (b"GET * HTTP/1.1", 400, "The target * is allowed only with OPTIONS."),
        (b"GET a:1 HTTP/1.1", 400, "The target is neither a path nor an http or https URI."),
        (b"GET http://u@a HTTP/1.1", 400, "The authority of the target holds user information."),
    ],
)
def test_a_request_line_is_refused_with_status_and_reason(line: bytes, status: int, reason: str) -> None:
    assert refusal(lambda: judge_line(line)) == (status, reason)


# --- the fields


def test_the_authority_is_the_host_as_it_was_spelt() -> None:
    assert judge_fields(block(b"hOST: \tA.Example:80 "), 1)[0] == b"A.Example:80"
    assert judge_fields(block(), 0)[0] == b""


@pytest.mark.parametrize(
    ("fields", "length"),
    [
        ([], 0),
        ([b"Content-Length: 0"], 0),
        ([b"CONTENT-LENGTH:\t17 "], 17),
        ([b"Content-Length: 9999999999999999999"], 9999999999999999999),
        ([b"Transfer-Encoding: CHUNKED"], None),
        ([b"X-Content-Length: 5", b"Content-Lengths: 6", b"A: Content-Length: 7"], 0),
    ],
)
def test_the_body_is_framed_by_length_or_chunks_or_not_there(fields: list[bytes], length: int | None) -> None:
    assert judge_fields(block(b"Host: a", *fields), 1)[1] == length


def test_an_expectation_waits_only_where_there_is_a_body() -> None:
    assert judge_fields(block(b"Host: a", b"Expect: 100-Continue", b"Content-Length: 1"), 1)[3] is True
    assert judge_fields(block(b"Host: a", b"Expect: 100-continue", b"Transfer-Encoding: chunked"), 1)[3] is True
    assert judge_fields(block(b"Host: a", b"Expect: 100-continue", b"Content-Length: 0"), 1)[3] is False
    assert judge_fields(block(b"Host: a", b"Expect: 100-continue"), 1)[3] is False
    assert judge_fields(block(b"Expect: 100-continue", b"Content-Length: 1"), 0)[3] is False
    assert judge_fields(block(b"Expect: nonsense", b"Content-Length: 1"), 0)[3] is False


@pytest.mark.parametrize("wrong", [b"chunked, gzip", b"gzip", b"chunked;", b"identity", b"", b"\tchunked", b"xchunked"])
def test_an_odd_transfer_coding_never_falls_back_to_the_length(wrong: bytes) -> None:
    status, _ = refusal(lambda: judge_fields(block(b"Host: a", b"Transfer-Encoding:" + wrong), 1))
    assert status in (400, 501)
    both = block(b"Host: a", b"Transfer-Encoding:" + wrong, b"Content-Length: 5")
    assert refusal(lambda: judge_fields(both, 1)) == (
        400,
        "Transfer-Encoding and Content-Length exclude each other.",
    )


@pytest.mark.parametrize("name", [b"Host", b"Content-Length", b"Content-Type", b"Transfer-Encoding"])
def test_a_field_of_which_there_can_be_one_is_not_repeated(name: bytes) -> None:
    fields = {b"Host": b"a", b"Content-Length": b"5", b"Content-Type": b"a/b", b"Transfer-Encoding": b"chunked"}
    lines = [b"Host: a"] if name != b"Host" else []
    lines += [name + b": " + fields[name], name.upper() + b": " + fields[name]]
    assert refusal(lambda: judge_fields(block(*lines), 1)) == (400, f"The {name.decode()} field is repeated.")


def test_a_refusal_tells_its_status_and_its_reason() -> None:
    made = Refusal(431, "Too much.")
    assert (made.status, made.reason) == (431, "Too much.")
    assert "Too much." in str(made)


def test_a_disagreement_is_a_refusal_that_names_the_parser() -> None:
    made = Disagreement("h11")
    assert isinstance(made, Refusal)
    assert (made.status, made.reason) == (400, "The parser h11 cannot read this message.")
