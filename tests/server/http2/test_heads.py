"""Heads of HTTP/2 are held to RFC 9113, and then to the gate of HTTP/1.1; what is read is what was asked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clerestory.handlers.api.messages import Request
from clerestory.handlers.api.security import Security
from clerestory.server.config import Limits
from clerestory.server.http import codec_for
from clerestory.server.http.gate import Refusal
from clerestory.server.http.reading import HeadReader
from clerestory.server.http2.heads import HTTP_2, LONGEST_KEPT, Heads, check_trailers, fields_of, response_fields

M, S, A, P = b":method", b":scheme", b":authority", b":path"
USUAL = [(M, b"GET"), (S, b"http"), (A, b"site"), (P, b"/a?b=c")]


def read(headers: list[tuple[bytes, bytes]], ended: bool = True, secure: bool = False, **limits: int) -> Request:
    reader = HeadReader(Limits(**limits), codec_for("h11"))  # type: ignore[arg-type]
    if secure:
        reader.security = Security("TLSv1.3", "TLS_AES_128_GCM_SHA256")
    return Heads(reader).request(headers, ended)


def refusal(headers: list[tuple[bytes, bytes]], ended: bool = True, secure: bool = False, **limits: int) -> str:
    with pytest.raises(Refusal) as refused:
        read(headers, ended, secure, **limits)
    return f"{refused.value.status} {refused.value.reason}"


def test_a_request_is_read() -> None:
    request = read([*USUAL, (b"accept", b"*/*")])
    assert (request.method, request.target, request.authority) == ("GET", "/a?b=c", b"site")
    assert request.fields == ((b"host", b"site"), (b"accept", b"*/*"))
    assert (request.minor, request.content_length, request.body_ended) == (HTTP_2, 0, True)


def test_a_body_has_the_length_that_it_says_or_none() -> None:
    assert read(USUAL, ended=False).content_length is None
    assert not read(USUAL, ended=False).body_ended
    assert read([*USUAL, (b"content-length", b"5")], ended=False).content_length == 5
    assert read([*USUAL, (b"content-length", b"0")]).body_ended


def test_who_expects_100_with_a_body_without_a_length_is_known() -> None:
    assert read([*USUAL, (b"expect", b"100-continue")], ended=False).expects_continue
    assert not read([*USUAL, (b"expect", b"100-continue")]).expects_continue


def test_cookies_are_one_field() -> None:
    request = read([*USUAL, (b"cookie", b"a=1"), (b"x", b"y"), (b"cookie", b"b=2")])
    assert request.get(b"cookie") == b"a=1; b=2"
    assert [name for name, _ in request.fields] == [b"host", b"x", b"cookie"]


def test_host_may_stand_for_the_authority_or_say_the_same() -> None:
    assert read([*USUAL[:2], USUAL[3], (b"host", b"other")]).authority == b"other"
    assert read([*USUAL, (b"host", b"SITE")]).fields == ((b"host", b"site"),)


OFFENCES = [
    ([*USUAL, (P, b"/")], "400 The pseudo-field :path is repeated."),
    ([*USUAL[:3], (b"x", b"y"), USUAL[3]], "400 The pseudo-field :path stands behind a field."),
    ([*USUAL[:3], (b"cookie", b"y"), USUAL[3]], "400 The pseudo-field :path stands behind a field."),
    ([*USUAL[:3], (b"host", b"site"), USUAL[3]], "400 The pseudo-field :path stands behind a field."),
    ([*USUAL, (b":status", b"200")], "400 There is no pseudo-field :status in a request."),
    ([*USUAL, (b":protocol", b"websocket")], "400 There is no pseudo-field :protocol in a request."),
    ([*USUAL, (b":x\r\n", b"y")], "400 There is no pseudo-field :x?? in a request."),
    (USUAL[1:], "400 There is no :method that is one."),
    ([(M, b""), *USUAL[1:]], "400 There is no :method that is one."),
    ([(M, b"G T"), *USUAL[1:]], "400 There is no :method that is one."),
    ([(M, b"GET / HTTP/1.1\r\nx:"), *USUAL[1:]], "400 There is no :method that is one."),
    ([(M, b"CONNECT"), *USUAL[1:]], "501 CONNECT is not supported."),
    ([USUAL[0], *USUAL[2:]], "400 The :scheme is neither http nor https."),
    ([USUAL[0], (S, b"ftp"), *USUAL[2:]], "400 The :scheme is neither http nor https."),
    (USUAL[:3], "400 There is no :path that is one."),
    ([*USUAL[:3], (P, b"")], "400 There is no :path that is one."),
    ([*USUAL[:3], (P, b"/a b")], "400 There is no :path that is one."),
    ([*USUAL[:3], (P, b"/ HTTP/1.1\r\nx: y\r\n\r\nGET /")], "400 There is no :path that is one."),
    ([*USUAL[:3], (P, b"/\xc3\xa9")], "400 There is no :path that is one."),
    ([*USUAL[:3], (P, b"a")], "400 The :path does not begin with a slash."),
    ([*USUAL[:3], (P, b"*")], "400 The :path does not begin with a slash."),
    ([*USUAL[:3], (P, b"http://other/")], "400 The :path does not begin with a slash."),
    ([*USUAL[:3], (P, b"/#x")], "400 Byte 0x23 is not allowed in the request target."),
    ([*USUAL[:2], USUAL[3]], "400 There is neither an :authority nor a Host that is one."),
    ([*USUAL[:2], (A, b""), USUAL[3]], "400 There is neither an :authority nor a Host that is one."),
    ([*USUAL[:2], (A, b"site\r\nx: y"), USUAL[3]], "400 There is neither an :authority nor a Host that is one."),
    ([*USUAL[:2], (A, b"user@site"), USUAL[3]], "400 The Host field holds user information."),
    ([*USUAL[:2], (A, b"a,b"), USUAL[3]], "400 The Host field is not a host with an optional port."),
    ([*USUAL, (b"host", b"other")], "400 Host is not what :authority is."),
    ([*USUAL, (b"host", b"site"), (b"host", b"site")], "400 The Host field is repeated."),
    ([*USUAL, (b"X", b"y")], "400 A field name has an upper-case letter."),
    ([*USUAL, (b"", b"y")], "400 A field name is not a token."),
    ([*USUAL, (b"a b", b"y")], "400 A field name is not a token."),
    ([*USUAL, (b"a:", b"y")], "400 A field name is not a token."),
    ([*USUAL, (b"x\r\ny", b"z")], "400 A field name is not a token."),
    ([*USUAL, (b"x\xe9", b"z")], "400 A field name is not a token."),
    ([*USUAL, (b"x", b"a\r\nhost: b")], "400 The value of x has a control character, or white space at an end."),
    ([*USUAL, (b"x", b"a\nb")], "400 The value of x has a control character, or white space at an end."),
    ([*USUAL, (b"x", b"a\0b")], "400 The value of x has a control character, or white space at an end."),
    ([*USUAL, (b"x", b" a")], "400 The value of x has a control character, or white space at an end."),
    ([*USUAL, (b"x", b"a\t")], "400 The value of x has a control character, or white space at an end."),
    ([*USUAL, (b"cookie", b"a\r\nb: c")], "400 The value of cookie has a control character, or white space at an end."),
    *(
        ([*USUAL, (name, value)], f"400 {name.decode()} is not a field of HTTP/2.")
        for name, value in (
            (b"connection", b"close"),
            (b"keep-alive", b"5"),
            (b"proxy-connection", b"close"),
            (b"transfer-encoding", b"chunked"),
            (b"upgrade", b"websocket"),
        )
    ),
    ([*USUAL, (b"te", b"gzip")], "400 te is not trailers."),
    ([*USUAL, (b"te", b"trailers, deflate")], "400 te is not trailers."),
    ([*USUAL, (b"content-length", b"+5")], "400 Content-Length is not 1 to 19 decimal digits."),
    ([*USUAL, (b"content-length", b"5"), (b"content-length", b"5")], "400 The Content-Length field is repeated."),
    ([*USUAL, (b"expect", b"200-ok")], "417 The only supported expectation is 100-continue."),
]


@pytest.mark.parametrize(("headers", "reason"), OFFENCES, ids=[str(number) for number in range(len(OFFENCES))])
def test_an_offence_is_named(headers: list[tuple[bytes, bytes]], reason: str) -> None:
    assert refusal(headers, ended=False) == reason


def test_a_length_without_a_body_is_refused() -> None:
    assert refusal([*USUAL, (b"content-length", b"5")]) == "400 Content-Length is 5, and there is no body."


def test_options_may_ask_of_the_whole_server() -> None:
    assert read([(M, b"OPTIONS"), *USUAL[1:3], (P, b"*")]).target == "*"


def test_te_trailers_is_let_through() -> None:
    assert read([*USUAL, (b"te", b"trailers")]).get(b"te") == b"trailers"


def test_over_tls_the_scheme_is_https_and_without_it_either() -> None:
    https = [USUAL[0], (S, b"https"), *USUAL[2:]]
    assert read(https, secure=True).scheme == "https"
    assert read(https).scheme == "http"
    assert refusal(USUAL, secure=True) == "400 The :scheme is http, and the request came over TLS."


def test_the_limits_of_heads_are_those_of_http_1_1() -> None:
    many = [(b"x%d" % number, b"y") for number in range(9)]
    assert len(read([*USUAL, *many], max_fields=10).fields) == 10
    assert refusal([*USUAL, *many, (b"z", b"y")], max_fields=10) == "431 There are more than 10 fields."
    long = [*USUAL, (b"x", b"y" * 96)]
    assert read(long, max_field_line=99).get(b"x") == b"y" * 96
    assert refusal([*USUAL, (b"x", b"y" * 98)], max_field_line=99) == "431 A field line is longer than 99 bytes."
    assert refusal([*USUAL[:3], (P, b"/" * 100)], max_request_line=99).startswith("414")


NAMES = st.from_regex(rb"[a-z][a-z0-9_-]{0,8}", fullmatch=True).filter(
    lambda name: name not in (b"te", b"host", b"cookie", b"expect", b"connection", b"upgrade")
)
VALUES = st.from_regex(rb"[!-~\x80-\xff]([ -~\x80-\xff]{0,8}[!-~\x80-\xff])?", fullmatch=True)


@given(st.lists(st.tuples(NAMES, VALUES), max_size=8), st.from_regex(rb"/[a-z0-9/.%-]{0,9}", fullmatch=True))
def test_what_is_read_is_what_was_asked(fields: list[tuple[bytes, bytes]], path: bytes) -> None:
    path = path.replace(b"%", b"%41")
    request = read([*USUAL[:3], (P, path), *fields])
    assert request.target.encode() == path
    assert request.fields == ((b"host", b"site"), *fields)


@given(st.lists(st.tuples(st.binary(max_size=8), st.binary(max_size=12)), max_size=6), st.booleans())
def test_anything_is_refused_or_is_one_request_with_these_fields(
    fields: list[tuple[bytes, bytes]], ended: bool
) -> None:
    try:
        request = read([*USUAL, *fields], ended)
    except Refusal:
        return
    assert (request.method, request.target) == ("GET", "/a?b=c")
    plain = [field for field in fields if field[0] not in (b"cookie", b"host")]
    assert [field for field in request.fields if field[0] not in (b"cookie", b"host")] == plain


def test_trailers_have_nothing_that_frames_or_routes() -> None:
    check_trailers([(b"x-sum", b"1")])
    for name in (b":status", b"content-length", b"host", b"transfer-encoding", b"X", b"connection"):
        with pytest.raises(Refusal):
            check_trailers([(name, b"1")])


def test_a_response_s_head_loses_what_is_about_a_connection() -> None:
    head = b"HTTP/1.1 404 Not Found\r\nx: y: z\r\nconnection: close, upgrade\r\ntransfer-encoding: chunked\r\n\r\n"
    assert response_fields(head) == ((b":status", b"404"), (b"x", b"y: z"))
    assert fields_of(b"a: b\r\n".split(b"\r\n")) == [(b"a", b"b")]


# --- a WebSocket (RFC 8441)

WEBSOCKET = [(M, b"CONNECT"), (b":protocol", b"websocket"), (S, b"http"), (A, b"site"), (P, b"/chat?a=b")]


def connected(headers: list[tuple[bytes, bytes]], *, connects: bool = True) -> Request:
    return Heads(HeadReader(Limits(), codec_for("h11")), connects=connects).request(headers, False)


def test_a_connect_may_ask_for_a_websocket() -> None:
    request = connected([*WEBSOCKET, (b"sec-websocket-version", b"13"), (b"expect", b"100-continue")])
    assert (request.method, request.protocol, request.target) == ("CONNECT", "websocket", "/chat?a=b")
    assert (request.minor, request.body_ended, request.expects_continue) == (HTTP_2, True, False)
    assert request.authority == b"site"


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ([(M, b"GET"), *WEBSOCKET[1:]], "400 There is a :protocol, and the method is not CONNECT."),
        ([*WEBSOCKET, (b":protocol", b"websocket")], "400 The pseudo-field :protocol is repeated."),
        ([*WEBSOCKET[:2], *WEBSOCKET[3:]], "400 The :scheme is neither http nor https."),
        ([*WEBSOCKET[:3], *WEBSOCKET[4:]], "400 There is neither an :authority nor a Host that is one."),
        (WEBSOCKET[:4], "400 There is no :path that is one."),
        ([*WEBSOCKET, (b"content-length", b"0")], "400 A CONNECT has no content-length."),
        ([WEBSOCKET[0], (b":protocol", b"a b"), *WEBSOCKET[2:]], "400 There is no :protocol that is one."),
        ([WEBSOCKET[0], (b":protocol", b""), *WEBSOCKET[2:]], "400 There is no :protocol that is one."),
        ([WEBSOCKET[0], (b":protocol", b"ip"), *WEBSOCKET[2:]], "501 The protocol ip is not spoken here."),
        ([WEBSOCKET[0], *WEBSOCKET[2:]], "501 CONNECT is not supported."),
    ],
)
def test_what_is_wrong_with_a_connect(headers: list[tuple[bytes, bytes]], reason: str) -> None:
    with pytest.raises(Refusal) as refused:
        connected(headers)
    assert f"{refused.value.status} {refused.value.reason}" == reason


def test_where_it_is_not_offered_there_is_no_protocol() -> None:
    with pytest.raises(Refusal) as refused:
        connected(WEBSOCKET, connects=False)
    assert refused.value.reason == "There is no pseudo-field :protocol in a request."


def test_what_is_accepted_is_a_200() -> None:
    head = b"HTTP/1.1 101 Switching Protocols\r\nx: y\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
    assert response_fields(head) == ((b":status", b"200"), (b"x", b"y"))


def test_short_heads_of_responses_are_remembered_and_long_ones_are_not() -> None:
    short = b"HTTP/1.1 200 OK\r\nx: y\r\n\r\n"
    long = b"HTTP/1.1 200 OK\r\nx: %b\r\n\r\n" % (b"y" * LONGEST_KEPT)
    assert response_fields(short) is response_fields(bytes(bytearray(short)))
    assert response_fields(long) is not response_fields(long)
    assert response_fields(long) == response_fields(long)
