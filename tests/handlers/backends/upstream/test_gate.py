"""The gate for answers: what is admitted, how long its body is, and what is garbage, by its reason."""

import pytest

from clerestory.handlers.backends.upstream.gate import (
    CHUNKED,
    KEPT,
    MAX_FIELDS,
    MAX_HEAD,
    MAX_LINE,
    UNTIL_CLOSE,
    Garbage,
    Head,
    Reader,
)


def answer(*fields: bytes, line: bytes = b"HTTP/1.1 200 OK") -> bytes:
    return b"\r\n".join((line, *fields, b"", b""))


def read(data: bytes) -> Head:
    found = Reader().read(data)
    assert found is not None
    assert found[1] == len(data)
    return found[0]


def refusal(data: bytes) -> str:
    with pytest.raises(Garbage) as caught:
        Reader().read(data)
    return caught.value.reason


def test_a_head_is_read_out() -> None:
    head = read(answer(b"Content-Type: text/plain", b"X-A:  b c\t", b"Set-Cookie: a", b"set-cookie: b"))
    assert (head.status, head.reason, head.minor, head.keep_alive) == (200, "OK", 1, True)
    assert head.fields == (
        (b"content-type", b"text/plain"),
        (b"x-a", b"b c"),
        (b"set-cookie", b"a"),
        (b"set-cookie", b"b"),
    )
    assert head.get(b"set-cookie") == b"a, b"
    assert head.get(b"x-b") is None


def test_what_follows_a_head_is_left_alone() -> None:
    found = Reader().read(answer(b"Content-Length: 2") + b"hiHTTP/1.1 500 No\r\n\r\n")
    assert found is not None
    assert found[1] == len(answer(b"Content-Length: 2"))


def test_a_head_that_comes_in_pieces_is_waited_for() -> None:
    raw = answer(b"Content-Length: 2", b"A: b")
    reader = Reader()
    assert [reader.read(raw[:end]) for end in range(len(raw))] == [None] * len(raw)
    assert reader.read(raw) is not None


def test_a_status_line_may_lack_the_space_before_a_reason_that_is_not_there() -> None:
    head = read(b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n")
    assert (head.status, head.reason, head.length) == (200, "", 0)


@pytest.mark.parametrize("status", [b"204", b"103"])
@pytest.mark.parametrize(
    ("framing", "keeps"),
    [(b"Content-Length: 2", False), (b"Transfer-Encoding: chunked", False), (b"Content-Length: 0", True)],
)
def test_an_answer_without_content_ends_with_its_head_whatever_its_fields_say(
    status: bytes, framing: bytes, keeps: bool
) -> None:
    """RFC 9112 section 6.3, rule 1. The field is dropped; where it announced a body, the connection is not used again,
    for the upstream may send one."""
    head = read(answer(framing, b"A: b", line=b"HTTP/1.1 " + status + b" X"))
    assert (head.fields, head.body_length("GET"), head.keep_alive) == (((b"a", b"b"),), 0, keeps)


@pytest.mark.parametrize("framing", [b"Content-Length: 0", b"Transfer-Encoding: chunked"])
def test_what_frames_a_101_means_nothing(framing: bytes) -> None:
    head = read(answer(framing, b"Upgrade: websocket", line=b"HTTP/1.1 101 X"))
    assert (head.fields, head.length, head.keep_alive) == (((b"upgrade", b"websocket"),), UNTIL_CLOSE, True)


# --- framing (RFC 9112 section 6.3)

LENGTHS: list[tuple[bytes, bytes, str, int]] = [
    (b"200", b"Content-Length: 5", "GET", 5),
    (b"200", b"Content-Length: 0", "GET", 0),
    (b"200", b"Transfer-Encoding: chunked", "GET", CHUNKED),
    (b"200", b"transfer-encoding: CHUNKED", "GET", CHUNKED),
    (b"200", b"A: b", "GET", UNTIL_CLOSE),
    (b"404", b"A: b", "GET", UNTIL_CLOSE),
    (b"200", b"Content-Length: 5", "HEAD", 0),
    (b"200", b"Transfer-Encoding: chunked", "HEAD", 0),
    (b"200", b"A: b", "HEAD", 0),
    (b"304", b"Content-Length: 5", "GET", 0),
    (b"304", b"A: b", "GET", 0),
    (b"204", b"A: b", "GET", 0),
    (b"204", b"Content-Length: 0", "GET", 0),
    (b"100", b"A: b", "GET", 0),
    (b"205", b"Content-Length: 0", "GET", 0),
]


@pytest.mark.parametrize(("status", "field", "method", "length"), LENGTHS)
def test_the_length_of_a_body_follows_from_the_request_the_status_and_the_fields(
    status: bytes, field: bytes, method: str, length: int
) -> None:
    assert read(answer(field, line=b"HTTP/1.1 " + status + b" X")).body_length(method) == length


@pytest.mark.parametrize(
    ("version", "fields", "keeps"),
    [
        (b"1.1", [], True),
        (b"1.1", [b"Connection: close"], False),
        (b"1.1", [b"Connection: X, Close"], False),
        (b"1.1", [b"Connection: x", b"Connection: close"], False),
        (b"1.1", [b"Connection: keep-alive"], True),
        (b"1.0", [], False),
        (b"1.0", [b"Connection: keep-alive"], False),
    ],
)
def test_the_connection_is_kept_only_in_http_1_1_and_without_close(
    version: bytes, fields: list[bytes], keeps: bool
) -> None:
    assert read(answer(*fields, line=b"HTTP/" + version + b" 200 OK")).keep_alive is keeps


_FIELD = "A field line of the answer is malformed."
_LINE = "The answer's status line is malformed, or of a version other than 1.0 and 1.1."
_NONE = "The upstream's response is not HTTP/1.1 or HTTP/1.0."
_DIGITS = "The answer's Content-Length is not 1 to 19 decimal digits."
_CODING = "The answer's Transfer-Encoding is not exactly one chunked."
_BARE = "A bare LF in the answer's head: lines end in CRLF."

GARBAGE: list[tuple[bytes, str]] = [
    (b"HTTP/1.1 200 OK\nA: b\n\n", _BARE),
    (b"HTTP/1.1 200 OK\r\nA: b\n\r\n\r\n", _FIELD),
    (b"HTTP/1.1 200 OK\r\nA: b\rc: d\r\n\r\n", _FIELD),
    (b"SSH-2.0-OpenSSH_9.6\r\n", _NONE),
    (b"\x16\x03\x01", _NONE),
    (b"220 smtp.example ESMTP\r\n", _NONE),
    (b"\r\nHTTP/1.1 200 OK\r\n\r\n", _LINE),
    (b"<html>", _NONE),
    (b"HTTP/2.0 200 OK\r\n\r\n", _LINE),
    (b"HTTP/1.2 200 OK\r\n\r\n", _LINE),
    (b"HTTP/1.1 200OK\r\n\r\n", _LINE),
    (b"HTTP/1.1 200\tOK\r\n\r\n", _LINE),
    (b"HTTP/1.1  200 OK\r\n\r\n", _LINE),
    (b"HTTP/1.1 2000 OK\r\n\r\n", _LINE),
    (b"HTTP/1.1 099 OK\r\n\r\n", _LINE),
    (b"HTTP/1.1 600 OK\r\n\r\n", _LINE),
    (b"HTTP/1.1 +20 OK\r\n\r\n", _LINE),
    (b"HTTP/1.1 200 O\x00K\r\n\r\n", _LINE),
    (b"http/1.1 200 OK\r\n\r\n", _LINE),
    (answer(b"A : b"), _FIELD),
    (answer(b"A: b", b" folded"), _FIELD),
    (answer(b": b"), _FIELD),
    (answer(b"A"), _FIELD),
    (answer(b"A: \x00"), _FIELD),
    (answer(b"A: \x07"), _FIELD),
    (answer(b"A\xe9: b"), _FIELD),
    (answer(b"Content-Length: +5"), _DIGITS),
    (answer(b"Content-Length: 5, 5"), _DIGITS),
    (answer(b"Content-Length: 0x5"), _DIGITS),
    (answer(b"Content-Length:"), _DIGITS),
    (answer(b"Content-Length: -1"), _DIGITS),
    (answer(b"Content-Length: " + b"1" * 20), _DIGITS),
    (answer(b"Content-Length: 5", b"Content-Length: 5"), "The answer's Content-Length is repeated."),
    (answer(b"Content-Length: 5", b"content-length: 6"), "The answer's Content-Length is repeated."),
    (
        answer(b"Content-Length: 5", b"Transfer-Encoding: chunked"),
        "The answer's Transfer-Encoding and Content-Length exclude each other.",
    ),
    (answer(b"Transfer-Encoding: gzip, chunked"), _CODING),
    (answer(b"Transfer-Encoding: identity"), _CODING),
    (answer(b"Transfer-Encoding: chunked, chunked"), _CODING),
    (answer(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"), _CODING),
    (answer(b"Transfer-Encoding: xchunked"), _CODING),
    (answer(b"Transfer-Encoding: chunked;a=b"), _CODING),
    (
        answer(b"Transfer-Encoding: chunked", line=b"HTTP/1.0 200 OK"),
        "Transfer-Encoding has no meaning in an HTTP/1.0 response.",
    ),
]


@pytest.mark.parametrize(("raw", "reason"), GARBAGE)
def test_what_is_not_well_formed_or_means_two_things_is_garbage(raw: bytes, reason: str) -> None:
    assert refusal(raw) == reason


# --- limits: N passes, N + 1 does not


def _head_of(size: int) -> bytes:
    filler = [b"X: " + b"x" * 8000] * (size // 8005)
    raw = answer(*filler)
    return answer(*filler, b"Y: " + b"y" * (size - len(raw) - 5))


def test_a_head_has_a_longest_length() -> None:
    assert len(_head_of(MAX_HEAD)) == MAX_HEAD
    read(_head_of(MAX_HEAD))
    assert refusal(_head_of(MAX_HEAD + 1)) == f"The answer's head is longer than {MAX_HEAD} bytes."
    assert refusal(b"HTTP/1.1 200 " + b"x" * MAX_HEAD) == f"The answer's head is longer than {MAX_HEAD} bytes."


def test_a_line_has_a_longest_length() -> None:
    read(answer(b"A: " + b"a" * (MAX_LINE - 3)))
    assert refusal(answer(b"A: " + b"a" * (MAX_LINE - 2))).startswith("A line of the answer's head is longer")


def test_a_head_has_a_greatest_number_of_fields() -> None:
    read(answer(*[b"A: b"] * MAX_FIELDS))
    assert refusal(answer(*[b"A: b"] * (MAX_FIELDS + 1))) == f"The answer has more than {MAX_FIELDS} fields."


# --- what is repeated


def test_a_head_that_is_repeated_is_parsed_once_and_few_are_kept() -> None:
    reader = Reader()
    first = reader.read(answer(b"A: b"))
    again = reader.read(answer(b"A: b") + b"body")
    assert first is not None
    assert again is not None
    assert first[0] is again[0]
    for number in range(KEPT + 1):
        reader.read(answer(b"A: %d" % number))
    afresh = reader.read(answer(b"A: b"))
    assert afresh is not None
    assert afresh[0] is not first[0]
