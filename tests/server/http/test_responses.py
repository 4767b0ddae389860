"""Response heads: what an application hands out is checked, and what goes out always parses to what was meant."""

import email.utils
import string
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import h11
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from clerestory.handlers.api.messages import REASONS, Field, Fields, File, Response
from clerestory.server.http.responses import KEPT, MAX_KEPT, Head, HeadWriter, Lines, ResponseError

NOON = 1_795_435_200.0
DATE = b"date: Mon, 23 Nov 2026 12:00:00 GMT\r\n"
OURS = (b"transfer-encoding", b"keep-alive", b"te", b"trailer")
PARTICULAR = (*OURS, b"upgrade", b"content-length", b"connection", b"date")


def writer() -> HeadWriter:
    return HeadWriter(lambda: NOON)


def head_of(
    body: Any = b"",
    *fields: Field,
    status: Any = 200,
    reason: Any = None,
    method: str = "GET",
    minor: int = 1,
    keep_alive: bool = True,
) -> Head:
    return writer().head(Response(body, status, fields, reason=reason), method, minor, keep_alive, 0.0)


def parsed(head: Head, method: str = "GET") -> h11.Response:
    """What a client of another make reads."""
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method=method, target="/", headers=[("host", "x")]))
    client.send(h11.EndOfMessage())
    client.receive_data(head.data)
    response = client.next_event()
    assert isinstance(response, h11.Response)
    return response


# --- the usual


def test_a_head_is_a_status_line_the_fields_a_date_and_a_length() -> None:
    head = head_of(b"hello", (b"Content-Type", b"text/plain"))
    assert head.data == b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n" + DATE + b"content-length: 5\r\n\r\n"
    assert (head.length, head.chunked, head.has_body, head.keep_alive) == (5, False, True, True)


@pytest.mark.parametrize("status", [HTTPStatus.OK, 200])
def test_a_status_may_be_one_of_the_librarys(status: int) -> None:
    assert head_of(status=status).data.startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize("status", sorted(status for status in REASONS if status >= 200))
def test_every_known_status_has_its_reason(status: int) -> None:
    head = head_of(status=status)
    assert head.data.startswith(f"HTTP/1.1 {status} {REASONS[status]}\r\n".encode())
    assert parsed(head).status_code == status


def test_an_unknown_status_has_no_reason_and_one_may_be_given() -> None:
    assert head_of(status=299).data.startswith(b"HTTP/1.1 299 \r\n")
    assert head_of(status=299, reason="Odd\tenough").data.startswith(b"HTTP/1.1 299 Odd\tenough\r\n")
    assert head_of(reason="").data.startswith(b"HTTP/1.1 200 \r\n")


def test_a_date_that_the_application_gives_is_the_only_one() -> None:
    head = head_of(b"", (b"Date", b"then"))
    assert head.data.count(b"date:") == 1
    assert b"date: then\r\n" in head.data


# --- the framing table


def chunks() -> Iterator[bytes]:
    yield b"x"


LENGTH = (b"content-length", b"5")
KEEP = b"connection: keep-alive\r\n"
FRAMING: list[tuple[str, str, int, Any, tuple[Field, ...], int, tuple[int | None, bool, bool, bool], bytes]] = [
    # what, method, minor, body, fields, status, (length, chunked, has_body, keep_alive), the lines after the date
    ("bytes", "GET", 1, b"hello", (), 200, (5, False, True, True), b"content-length: 5\r\n"),
    ("bytes, their length given", "GET", 1, b"hello", (LENGTH,), 200, (5, False, True, True), b""),
    ("no bytes", "GET", 1, b"", (), 200, (0, False, True, True), b"content-length: 0\r\n"),
    ("a file", "GET", 1, File(-1, 0, 7), (), 200, (7, False, True, True), b"content-length: 7\r\n"),
    ("pieces", "GET", 1, chunks, (), 200, (None, True, True, True), b"transfer-encoding: chunked\r\n"),
    ("pieces, their length given", "GET", 1, chunks, (LENGTH,), 200, (5, False, True, True), b""),
    ("HEAD of bytes", "HEAD", 1, b"hello", (), 200, (5, False, False, True), b"content-length: 5\r\n"),
    ("HEAD of nothing, a length given", "HEAD", 1, b"", (LENGTH,), 200, (5, False, False, True), b""),
    ("HEAD of a file", "HEAD", 1, File(-1, 0, 7), (), 200, (7, False, False, True), b"content-length: 7\r\n"),
    ("HEAD of pieces", "HEAD", 1, chunks, (), 200, (None, True, False, True), b"transfer-encoding: chunked\r\n"),
    ("HEAD of pieces, a length given", "HEAD", 1, chunks, (LENGTH,), 200, (5, False, False, True), b""),
    ("204", "GET", 1, b"", (), 204, (0, False, False, True), b""),
    ("204 of bytes", "GET", 1, b"hello", (), 204, (0, False, False, True), b""),
    ("204 of pieces", "GET", 1, chunks, (), 204, (0, False, False, True), b""),
    ("304", "GET", 1, b"", (), 304, (0, False, False, True), b""),
    ("304 that tells the length", "GET", 1, b"", (LENGTH,), 304, (0, False, False, True), b""),
    ("304 of pieces", "GET", 1, chunks, (), 304, (0, False, False, True), b""),
    (
        "1.0, bytes",
        "GET",
        0,
        b"hello",
        (),
        200,
        (5, False, True, True),
        b"content-length: 5\r\nconnection: keep-alive\r\n",
    ),
    ("1.0, pieces", "GET", 0, chunks, (), 200, (None, False, True, False), b"connection: close\r\n"),
    ("1.0, pieces, a length", "GET", 0, chunks, (LENGTH,), 200, (5, False, True, True), KEEP),
    ("1.0, 204", "GET", 0, b"", (), 204, (0, False, False, True), KEEP),
    (
        "1.0, HEAD",
        "HEAD",
        0,
        b"hi",
        (),
        200,
        (2, False, False, True),
        b"content-length: 2\r\nconnection: keep-alive\r\n",
    ),
]


@pytest.mark.parametrize(("what", "method", "minor", "body", "fields", "status", "framed", "lines"), FRAMING)
def test_a_body_is_framed_by_its_kind_the_method_the_version_and_the_status(
    what: str,
    method: str,
    minor: int,
    body: Any,
    fields: tuple[Field, ...],
    status: int,
    framed: tuple[int | None, bool, bool, bool],
    lines: bytes,
) -> None:
    made = body() if callable(body) else body
    head = head_of(made, *fields, status=status, method=method, minor=minor)
    assert (head.length, head.chunked, head.has_body, head.keep_alive) == framed, what
    assert head.data.partition(DATE)[2] == lines + b"\r\n"
    assert parsed(head, method).status_code == status


@pytest.mark.parametrize("minor", [0, 1])
def test_the_close_is_announced_when_it_will_come(minor: int) -> None:
    head = head_of(b"x", minor=minor, keep_alive=False)
    assert head.data.endswith(b"connection: close\r\n\r\n")
    assert not head.keep_alive


@pytest.mark.parametrize("value", [b"close", b"Close", b"CLOSE"])
def test_an_applications_connection_field_is_taken_as_a_wish(value: bytes) -> None:
    head = head_of(b"x", (b"Connection", value))
    assert head.data.count(b"connection:") == 1
    assert head.data.endswith(b"connection: close\r\n\r\n")
    assert not head.keep_alive


@pytest.mark.parametrize("value", [b"keep-alive", b"upgrade", b"x"])
def test_an_applications_other_wishes_for_the_connection_are_not_passed_on(value: bytes) -> None:
    head = head_of(b"x", (b"connection", value))
    assert b"connection:" not in head.data
    assert head.keep_alive


# --- what is refused


WRONG: list[tuple[str, Any, tuple[Any, ...], Any, Any]] = [
    ("an interim status", b"", (), 100, None),
    ("a status too high", b"", (), 600, None),
    ("a status in text", b"", (), "200", None),
    ("no status", b"", (), None, None),
    ("a status that has no hash", b"", (), [], None),
    ("a truth", b"", (), True, None),
    ("CR LF in the reason", b"", (), 200, "a\r\nb"),
    ("NUL in the reason", b"", (), 200, "a\0b"),
    ("a reason beyond ASCII", b"", (), 200, "schön"),
    ("a reason in bytes", b"", (), 200, b"OK"),
    ("a reason that is a number", b"", (), 200, 5),
    ("CR LF in a value", b"", ((b"a", b"b\r\nc: d"),), 200, None),
    ("LF in a value", b"", ((b"a", b"b\nc"),), 200, None),
    ("CR in a value", b"", ((b"a", b"b\rc"),), 200, None),
    ("NUL in a value", b"", ((b"a", b"\0"),), 200, None),
    ("DEL in a value", b"", ((b"a", b"\x7f"),), 200, None),
    ("white space before a value", b"", ((b"a", b" b"),), 200, None),
    ("white space after a value", b"", ((b"a", b"b\t"),), 200, None),
    ("a value in text", b"", ((b"a", "b"),), 200, None),
    ("no value", b"", ((b"a", None),), 200, None),
    ("a value that has no hash", b"", ((b"a", bytearray(b"b")),), 200, None),
    ("an empty name", b"", ((b"", b"b"),), 200, None),
    ("a colon in a name", b"", ((b"a:", b"b"),), 200, None),
    ("a space in a name", b"", ((b"a b", b"c"),), 200, None),
    ("CR LF in a name", b"", ((b"a\r\nb", b"c"),), 200, None),
    ("a name beyond ASCII", b"", ((b"\xe4", b"c"),), 200, None),
    ("a name in text", b"", (("a", b"b"),), 200, None),
    ("no pair", b"", ((b"a",),), 200, None),
    ("too much of a pair", b"", ((b"a", b"b", b"c"),), 200, None),
    ("no pair at all", b"", (5,), 200, None),
    ("bytes for a pair", b"", (b"ab",), 200, None),
    ("a length in words", b"", ((b"content-length", b"five"),), 200, None),
    ("a length with a sign", b"", ((b"content-length", b"+0"),), 200, None),
    ("a length below nothing", b"", ((b"content-length", b"-1"),), 200, None),
    ("an empty length", b"", ((b"content-length", b""),), 200, None),
    ("a length of twenty digits", b"", ((b"content-length", b"0" * 20),), 200, None),
    ("two lengths", b"", ((b"content-length", b"0"), (b"Content-Length", b"0")), 200, None),
    ("another length", b"abc", ((b"content-length", b"4"),), 200, None),
    ("another length of a file", File(-1, 0, 3), ((b"content-length", b"4"),), 200, None),
    ("a file of negative size", File(-1, 0, -1), (), 200, None),
    ("a length with a 204", b"", ((b"content-length", b"5"),), 204, None),
    ("a length with a 205", b"", ((b"content-length", b"5"),), 205, None),
    ("a length of nothing with a 204", b"", ((b"content-length", b"0"),), 204, None),
]
WRONG += [(f"{name.decode()} of the application's own", b"", ((name, b"x"),), 200, None) for name in OURS]
WRONG += [("the same, written differently", b"", ((b"Transfer-Encoding", b"chunked"),), 200, None)]


@pytest.mark.parametrize(("what", "body", "fields", "status", "reason"), WRONG)
def test_what_can_not_be_sent_is_refused(what: str, body: Any, fields: Any, status: Any, reason: Any) -> None:
    with pytest.raises(ResponseError) as refused:
        head_of(body, *fields, status=status, reason=reason)
    assert str(refused.value).isprintable(), what


@pytest.mark.parametrize("fields", [None, 5, "ab", [(b"a", b"b")], {b"a": b"b"}, (bytearray(b"a"), b"b")])
def test_fields_that_are_no_tuple_are_refused(fields: Any) -> None:
    with pytest.raises(ResponseError):
        writer().head(Response(b"", 200, fields), "GET", 1, True, 0.0)


def test_a_head_request_may_hide_a_wrong_length_only_behind_no_body_at_all() -> None:
    with pytest.raises(ResponseError):
        head_of(b"abc", LENGTH, method="HEAD")


def test_a_refusal_is_not_kept() -> None:
    heads = writer()
    for _ in range(2):
        with pytest.raises(ResponseError):
            heads.head(Response(b"", 200, ((b"a", b"\n"),)), "GET", 1, True, 0.0)
    assert heads._lines == {}


# --- properties


TOKEN = st.text(string.ascii_letters + string.digits + "!#$%&'*+-.^_`|~", min_size=1, max_size=20).map(str.encode)
TEXT = st.lists(st.sampled_from([9, *range(0x20, 0x7F), *range(0x80, 0x100)]), max_size=30).map(bytes)
NAMES = TOKEN.filter(lambda name: name.lower() not in PARTICULAR)
VALUES = TEXT.map(lambda value: value.strip(b" \t"))
LAWFUL = st.lists(st.tuples(NAMES, VALUES), max_size=8).map(tuple)
STATUSES = st.integers(200, 599)
PHRASES = st.none() | st.text("\t" + "".join(map(chr, range(0x20, 0x7F))), max_size=20)
ANYTHING = st.one_of(
    st.binary(max_size=12), TOKEN, TEXT, st.text(max_size=5), st.none(), st.integers(), st.sampled_from(PARTICULAR)
)


@given(LAWFUL, STATUSES, PHRASES, st.binary(max_size=20), st.sampled_from(["GET", "HEAD", "POST"]), st.booleans())
def test_a_lawful_head_is_read_by_another_client_as_it_was_meant(
    fields: tuple[Field, ...], status: int, reason: str | None, body: bytes, method: str, keep_alive: bool
) -> None:
    head = head_of(body, *fields, status=status, reason=reason, method=method, keep_alive=keep_alive)
    response = parsed(head, method)
    assert response.status_code == status
    assert response.reason.decode() == (REASONS.get(status, "") if reason is None else reason)
    ours = [(name, value) for name, value in response.headers if name not in (b"content-length", b"connection")]
    assert ours == [*[(name.lower(), value) for name, value in fields], (b"date", DATE[6:-2])]
    assert (b"connection", b"close") in list(response.headers) or head.keep_alive


@given(st.lists(st.tuples(ANYTHING, ANYTHING), max_size=4).map(tuple), STATUSES | ANYTHING, PHRASES | ANYTHING)
def test_whatever_is_handed_out_is_refused_or_is_a_head_of_one_line_a_field(
    fields: Any, status: Any, reason: Any
) -> None:
    try:
        head = head_of(b"", *fields, status=status, reason=reason)
    except ResponseError:
        return
    lines = head.data.removesuffix(b"\r\n\r\n").split(b"\r\n")
    assert not any(byte in line for line in lines for byte in (b"\r", b"\n", b"\0"))
    wishes = sum(name.lower() == b"connection" for name, _ in fields)
    added = sum(line.startswith((b"date:", b"content-length:", b"connection:")) for line in lines[1:])
    given_by_it = sum(name.lower() in (b"date", b"content-length") for name, _ in fields)
    assert len(lines) == 1 + len(fields) - wishes - given_by_it + added
    assume(sum(name.lower() == b"content-length" for name, _ in fields) == 0)
    assert parsed(head).status_code == status


@given(STATUSES, st.sampled_from(["GET", "HEAD"]), st.sampled_from([0, 1]), st.binary(max_size=9), st.booleans())
def test_a_whole_answer_leaves_another_client_at_its_end(
    status: int, method: str, minor: int, body: bytes, keep_alive: bool
) -> None:
    head = head_of(body, status=status, method=method, minor=minor, keep_alive=keep_alive)
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method=method, target="/", headers=[("host", "x")]))
    client.send(h11.EndOfMessage())
    client.receive_data(head.data + (body if head.has_body else b""))
    events = []
    while not isinstance(event := client.next_event(), h11.EndOfMessage):
        assert event is not h11.NEED_DATA
        events.append(event)
    assert b"".join(bytes(event.data) for event in events if isinstance(event, h11.Data)) == (
        body if head.has_body else b""
    )
    assert client.their_state is (h11.DONE if head.keep_alive else h11.MUST_CLOSE)
    assert client.trailing_data == (b"", False)


# --- what is kept


def fields_of(size: int, number: int = 0) -> Fields:
    """Fields that differ by `number`, and are not the same object as those before."""
    return ((b"n", b"%d" % number), (b"x", b"x" * size))


def test_lines_that_have_come_before_are_kept_and_not_made_again() -> None:
    """What comes once is not kept: fields that vary with each answer would be gathered in vain."""
    heads = writer()
    for number in (1, 2):
        heads.head(Response(b"", 200, fields_of(1, number)), "GET", 1, True, 0.0)
    assert heads._lines == {}
    for number in (1, 2):
        heads.head(Response(b"", 200, fields_of(1, number)), "GET", 1, True, 0.0)
    assert len(heads._lines) == 2


@pytest.mark.parametrize(("beyond", "kept"), [(0, 1), (1, 0)])
def test_lines_are_kept_up_to_a_size(beyond: int, kept: int) -> None:
    heads = writer()
    least = len(Lines(200, None, fields_of(0)).data)
    for number in (0, 1, 0, 1, 0):
        size = MAX_KEPT - least + beyond if number == 0 else 0
        heads.head(Response(b"", 200, fields_of(size, number)), "GET", 1, True, 0.0)
    assert len([key for key in heads._lines if key[2][0][1] == b"0"]) == kept


def test_what_varies_with_each_answer_takes_no_memory() -> None:
    heads = writer()
    for number in range(3 * KEPT):
        heads.head(Response(b"", 200, fields_of(500, number)), "GET", 1, True, 0.0)
    assert heads._lines == {}
    assert len(heads._seen) <= KEPT


def test_statuses_reasons_and_fields_that_differ_are_not_confused() -> None:
    heads = writer()
    kinds = [
        (200, None, ()),
        (200, "", ()),
        (404, None, ()),
        (200, None, ((b"a", b"b"),)),
        (200, None, ((b"a", b"c"),)),
    ]
    first = [heads.head(Response(b"", s, f, reason=r), "GET", 1, True, 0.0).data for s, r, f in kinds]
    second = [heads.head(Response(b"", s, f, reason=r), "GET", 1, True, 0.0).data for s, r, f in kinds]
    assert first == second
    assert len(set(first)) == len(kinds)


@pytest.mark.parametrize("beyond", [0, 1])
def test_what_is_kept_has_a_bound(beyond: int) -> None:
    heads = writer()
    for number in range(KEPT + beyond):
        for _ in range(2):
            heads.head(Response(b"", 200, fields_of(0, number)), "GET", 1, True, 0.0)
    assert len(heads._lines) == (1 if beyond else KEPT)


# --- Upgrade, and responses without content


@pytest.mark.parametrize(
    ("minor", "keep_alive", "connection"),
    [(1, True, b"upgrade"), (1, False, b"close, upgrade"), (0, True, b"keep-alive"), (0, False, b"close, upgrade")],
)
def test_a_426_says_what_to_upgrade_to(minor: int, keep_alive: bool, connection: bytes) -> None:
    """RFC 9110 section 15.5.22: it must; section 7.8: with the option in Connection, which HTTP/1.0 does not know."""
    response = Response(b"no", 426, ((b"upgrade", b"HTTP/2.0, websocket"),))
    head = writer().head(response, "GET", minor, keep_alive, 0.0)
    lines = head.data.split(b"\r\n")
    assert lines[0] == b"HTTP/1.1 426 Upgrade Required"
    assert b"upgrade: HTTP/2.0, websocket" in lines
    assert b"connection: " + connection in lines
    assert b"content-length: 2" in lines


@pytest.mark.parametrize("body", [b"", b"form", [b"form"]])
def test_a_205_has_no_content_and_says_so(body: Any) -> None:
    """RFC 9110 section 15.3.6."""
    head = writer().head(Response(body, 205), "GET", 1, True, 0.0)
    assert b"\r\ncontent-length: 0\r\n" in head.data
    assert (head.length, head.chunked, head.has_body, head.keep_alive) == (0, False, False, True)


# --- the date


class WallClock:
    def __init__(self) -> None:
        self.now = NOON
        self.asked = 0

    def __call__(self) -> float:
        self.asked += 1
        return self.now


def at(seconds: float) -> bytes:
    return b"date: %b\r\n" % email.utils.formatdate(seconds, usegmt=True).encode()


def test_the_date_is_asked_for_once_a_second() -> None:
    wall = WallClock()
    heads = HeadWriter(wall)
    for eighth in range(8):
        assert heads.date(1000 + eighth / 8) == at(NOON)
    assert wall.asked == 1
    wall.now += 1
    assert heads.date(1001.0) == at(NOON + 1)
    assert wall.asked == 2


def test_the_date_changes_when_the_second_does_and_not_a_second_after_it_was_asked_for() -> None:
    wall = WallClock()
    wall.now += 0.75
    heads = HeadWriter(wall)
    assert heads.date(1000.0) == at(NOON)
    wall.now += 0.125
    assert heads.date(1000.125) == at(NOON)
    wall.now += 0.125
    assert heads.date(1000.25) == at(NOON + 1)


@pytest.mark.parametrize("jump", [-86_400.0, 3_600.0])
def test_the_date_follows_a_wall_clock_that_jumps(jump: float) -> None:
    wall = WallClock()
    heads = HeadWriter(wall)
    assert heads.date(1000.0) == at(NOON)
    wall.now += jump
    assert heads.date(1000.5) == at(NOON)
    wall.now += 1
    assert heads.date(1001.0) == at(NOON + jump + 1)


def test_the_date_of_the_real_clock_is_one() -> None:
    date = HeadWriter().date(0.0)
    assert email.utils.parsedate_to_datetime(date[6:-2].decode()).tzinfo is not None


# --- upgrades


def test_the_head_of_an_upgrade_is_a_101_with_what_was_agreed_upon_and_no_framing() -> None:
    head = writer().switching(((b"sec-websocket-accept", b"s"),), b"websocket")
    lines = b"sec-websocket-accept: s\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
    assert head.data == b"HTTP/1.1 101 Switching Protocols\r\n" + lines
    assert (head.keep_alive, head.has_body, head.chunked) == (False, False, False)


@pytest.mark.parametrize("field", [(b"a", b"b\r\nc: d"), (b"a b", b"c"), (b"upgrade", b"h2c")])
def test_what_an_upgrade_says_is_checked_like_any_other(field: Field) -> None:
    with pytest.raises(ResponseError):
        writer().switching((field,), b"websocket")
