"""Request heads: exact, framed by us, and closed to whatever a handler hands in."""

import h11
import pytest

from clerestory.handlers.api.messages import Fields
from clerestory.handlers.backends.upstream.request import (
    CHUNKED,
    KEPT,
    LAST_CHUNK,
    MAX_KEPT,
    NO_BODY,
    HeadWriter,
    write_chunk,
    write_head,
)


def test_a_head_is_written_from_its_parts() -> None:
    fields = ((b"accept", b"*/*"), (b"x-empty", b""))
    raw = b"GET /a?b HTTP/1.1\r\nhost: h:80\r\naccept: */*\r\nx-empty: \r\n\r\n"
    assert write_head("GET", "/a?b", fields, b"h:80", NO_BODY) == raw


@pytest.mark.parametrize(
    ("length", "line"),
    [(0, b"content-length: 0\r\n"), (5, b"content-length: 5\r\n"), (CHUNKED, b"transfer-encoding: chunked\r\n")],
)
def test_the_framing_is_written_from_the_length(length: int, line: bytes) -> None:
    assert write_head("POST", "/", (), b"h", length) == b"POST / HTTP/1.1\r\nhost: h\r\n" + line + b"\r\n"


def test_a_host_among_the_fields_wins() -> None:
    assert write_head("GET", "/", ((b"Host", b"a.example"),), b"h", NO_BODY).count(b"ost: ") == 1


WRONG: list[tuple[str, str, Fields]] = [
    ("GET", "/", ((b"a", b"b\r\nx-injected: 1"),)),
    ("GET", "/", ((b"a", b"b\r\n\r\nGET /admin HTTP/1.1"),)),
    ("GET", "/", ((b"a\r\nb", b"c"),)),
    ("GET", "/", ((b"a\r\nb: c\r\nd", b"e"),)),
    ("GET", "/", ((b"a", b"b\nc: d"),)),
    ("GET", "/", ((b"a", b"\x00"),)),
    ("GET", "/", ((b"a b", b"c"),)),
    ("GET", "/", ((b"", b"c"),)),
    ("GET", "/", ((b"host", b"a"), (b"Host", b"b"))),
    ("GET", "/", ((b"content-length", b"5"),)),
    ("GET", "/", ((b"Transfer-Encoding", b"chunked"),)),
    ("GET", "/ HTTP/1.1\r\nx: y", ()),
    ("GET", "/a b", ()),
    ("GET", "", ()),
    ("GET", "/\x7f", ()),
    ("GET /", "/", ()),
    ("", "/", ()),
    ("G\r\n", "/", ()),
    ("GET", "/\u00e9", ()),
]


@pytest.mark.parametrize(("method", "target", "fields"), WRONG)
def test_nothing_that_is_handed_in_adds_a_line_or_frames_the_message(method: str, target: str, fields: Fields) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - which of them is not the point
        write_head(method, target, fields, b"h", NO_BODY)


def test_a_wrong_host_is_refused() -> None:
    with pytest.raises(ValueError, match="not well-formed"):
        write_head("GET", "/", (), b"h\r\nx: y", NO_BODY)


def test_chunks_are_what_a_parser_reads() -> None:
    parser = h11.Connection(h11.SERVER)
    parser.receive_data(write_head("POST", "/", (), b"h", CHUNKED))
    assert isinstance(parser.next_event(), h11.Request)
    parser.receive_data(write_chunk(b"a" * 20) + write_chunk(b"b") + LAST_CHUNK)
    data = []
    while isinstance(event := parser.next_event(), h11.Data):
        data.append(bytes(event.data))
    assert b"".join(data) == b"a" * 20 + b"b"
    assert isinstance(event, h11.EndOfMessage)


def test_the_same_fields_again_are_written_as_before_whatever_else_is_another() -> None:
    heads, fields = HeadWriter(), ((b"accept", b"*/*"),)
    for method, target, host, length in (
        ("GET", "/a", b"h", NO_BODY),
        ("GET", "/b", b"h", NO_BODY),
        ("X-Y", "/b", b"h", NO_BODY),
        ("GET", "/a", b"i", NO_BODY),
        ("POST", "/a", b"i", 5),
        ("POST", "/a", b"i", CHUNKED),
        ("GET", "/a", b"h", NO_BODY),
    ):
        assert heads.head(method, target, fields, host, length) == write_head(method, target, fields, host, length)


@pytest.mark.parametrize(("method", "target"), [("G T", "/"), ("", "/"), ("GET", "/ a"), ("GET", ""), ("GET", "/\r\n")])
def test_the_line_is_checked_each_time(method: str, target: str) -> None:
    heads, fields = HeadWriter(), ((b"accept", b"*/*"),)
    heads.head("GET", "/", fields, b"h", NO_BODY)
    with pytest.raises(ValueError, match="not well-formed"):
        heads.head(method, target, fields, b"h", NO_BODY)


def test_what_is_kept_is_bounded_in_number_and_in_size() -> None:
    heads = HeadWriter()
    kept = [((b"a", b"%d" % number),) for number in range(KEPT + 1)]
    for fields in kept:
        heads.head("GET", "/", fields, b"h", NO_BODY)
        assert len(heads._kept) <= KEPT
    framing = len(b"host: h\r\na: \r\n\r\n")
    for size, count in ((MAX_KEPT - framing, 2), (MAX_KEPT - framing + 1, 2)):
        heads.head("GET", "/", ((b"a", b"x" * size),), b"h", NO_BODY)
        assert len(heads._kept) == count


def test_tags_come_first_and_leave_what_is_kept_as_it_is() -> None:
    heads, fields = HeadWriter(), ((b"accept", b"*/*"),)
    for number in (b"1", b"2"):
        line = b"x-request-id: %b\r\n" % number
        raw = b"GET / HTTP/1.1\r\n" + line + b"host: h\r\naccept: */*\r\n\r\n"
        assert heads.head("GET", "/", fields, b"h", NO_BODY, ((b"x-request-id", number),)) == raw
    assert heads.head("GET", "/", fields, b"h", NO_BODY) == b"GET / HTTP/1.1\r\nhost: h\r\naccept: */*\r\n\r\n"


@pytest.mark.parametrize(
    "tag", [(b"a b", b"c"), (b"a", b"c\r\nd: e"), (b"host", b"c"), (b"content-length", b"1"), (b"a", b" c")]
)
def test_a_tag_that_would_break_the_head_is_refused(tag: tuple[bytes, bytes]) -> None:
    with pytest.raises(ValueError, match="not well-formed"):
        HeadWriter().head("GET", "/", (), b"h", NO_BODY, (tag,))
