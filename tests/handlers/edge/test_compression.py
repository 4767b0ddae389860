"""Which responses are compressed, and what their fields say: RFC 9110."""

import zlib
from collections.abc import Iterable
from typing import Any

import pytest

from clerestory.handlers.api.messages import File, Request, Response
from clerestory.handlers.edge.coded import PIECE, Coded
from clerestory.handlers.edge.compression import MIN_SIZE, Compression, with_vary
from tests.handlers.edge.stepping import pieces_of
from tests.server.support import temporary

pytestmark = pytest.mark.usefixtures("every_descriptor_back")

TEXT = b"words and words and words. " * 100
HTML = (b"content-type", b"text/html; charset=utf-8")


def request(accept: bytes | None = b"gzip", method: str = "GET", *more: tuple[bytes, bytes]) -> Request:
    fields = () if accept is None else ((b"accept-encoding", accept),)
    return Request(method, "/", (*fields, *more))


def apply(
    response: Response, asked: Request | None = None, compression: Compression | None = None
) -> tuple[Response, dict[bytes, bytes]]:
    made = (compression or Compression(codings=(b"gzip",))).apply(asked or request(), response)
    return made, dict(made.fields)


def html(body: Any = TEXT, *more: tuple[bytes, bytes], status: int = 200) -> Response:
    return Response(body, status, (HTML, *more))


def unzipped(body: object) -> bytes:
    assert isinstance(body, bytes)
    return zlib.decompress(body, zlib.MAX_WBITS | 16)


def test_a_short_body_is_compressed_whole_and_the_response_itself_is_left_as_it_is() -> None:
    given = html(TEXT, (b"etag", b'"a"'), (b"accept-ranges", b"bytes"), (b"content-length", b"%d" % len(TEXT)))
    before = given.fields
    made, fields = apply(given)
    assert unzipped(made.body) == TEXT
    assert fields == {HTML[0]: HTML[1], b"etag": b'W/"a"', b"vary": b"accept-encoding", b"content-encoding": b"gzip"}
    assert (given.body, given.fields) == (TEXT, before)


def test_a_weak_tag_stays_as_it_is() -> None:
    assert apply(html(TEXT, (b"etag", b'W/"a"')))[1][b"etag"] == b'W/"a"'


@pytest.mark.parametrize("accept", [None, b"", b"identity", b"br", b"gzip;q=0"])
def test_who_does_not_ask_gets_it_plain_and_caches_are_told(accept: bytes | None) -> None:
    made, fields = apply(html(TEXT, (b"etag", b'"a"')), request(accept))
    assert made.body is TEXT
    assert fields == {HTML[0]: HTML[1], b"etag": b'"a"', b"vary": b"accept-encoding"}


@pytest.mark.parametrize(
    "response",
    [
        html(TEXT, (b"content-encoding", b"br")),
        html(TEXT, (b"content-encoding", b"identity")),
        html(TEXT, (b"content-range", b"bytes 0-1/2")),
        html(TEXT, status=206),
        html(TEXT, (b"cache-control", b"public, No-Transform")),
        html(TEXT, (b"content-digest", b"sha-256=:x:")),
        html(TEXT, (b"content-md5", b"x")),
        html(b"", status=204),
        html(b""),
        Response(TEXT, 200, ((b"content-type", b"image/png"),)),
        Response(TEXT, 200, ((b"content-type", b"application/octet-stream"),)),
        Response(TEXT, 200),
        html(TEXT[: MIN_SIZE - 1]),
    ],
    ids=lambda response: f"{response.status} {response.fields[-1:]}",
)
def test_what_is_left_alone_says_nothing_of_codings(response: Response) -> None:
    assert apply(response)[0] is response


def test_the_least_size_is_compressed_and_one_byte_less_is_not() -> None:
    for size, coded in ((MIN_SIZE, True), (MIN_SIZE - 1, False)):
        assert (b"content-encoding" in apply(html(TEXT[:size]))[1]) is coded
        stream = html(iter([b""]), (b"content-length", b"%d" % size))
        made, fields = apply(stream)
        assert (b"content-encoding" in fields) is coded
        if isinstance(made.body, Coded):
            made.body.close()


def test_a_request_may_forbid_it() -> None:
    assert apply(html(), request(b"gzip", "GET", (b"cache-control", b"no-transform")))[1] == {HTML[0]: HTML[1]}


@pytest.mark.parametrize(
    ("kind", "coded"),
    [
        (b"application/json", True),
        (b"application/problem+json", True),
        (b"Application/JSON;charset=utf-8", True),
        (b"image/svg+xml", True),
        (b"text/event-stream", True),
        (b"text/", True),
        (b"application/jsonx", False),
        (b"xtext/html", False),
        (b"font/woff2", False),
    ],
)
def test_types(kind: bytes, coded: bool) -> None:
    assert (b"content-encoding" in apply(Response(TEXT, 200, ((b"content-type", kind),)))[1]) is coded


def test_who_refuses_identity_gets_a_coding_though_nothing_is_gained() -> None:
    refusing = request(b"gzip, identity;q=0")
    for response in (html(b"x"), Response(b"\x89PNG", 200, ((b"content-type", b"image/png"),))):
        made, fields = apply(response, refusing)
        assert fields[b"content-encoding"] == b"gzip"
        assert unzipped(made.body) == response.body
    assert apply(html(b"x"), request(b"identity;q=0"))[0].body == b"x"  # there is nothing that it would take


def test_what_gets_no_shorter_is_sent_as_it_is() -> None:
    noise = bytes((7 * index * index + index // 3) % 251 for index in range(1100))
    noise = zlib.compress(noise * 1, 9) + bytes(range(256)) * 4
    made, fields = apply(html(noise), compression=Compression(codings=(b"gzip",), min_size=1))
    assert (b"content-encoding" in fields) is (len(made.body) < len(noise))  # type: ignore[arg-type]
    made, fields = apply(html(b"x"), compression=Compression(codings=(b"gzip",), min_size=1))
    assert made.body == b"x"
    assert fields == {HTML[0]: HTML[1], b"vary": b"accept-encoding"}


@pytest.mark.parametrize("body", [TEXT, b""])
def test_head_says_what_get_would_but_for_the_length(body: bytes) -> None:
    asked = request(b"gzip", "HEAD")
    made, fields = apply(html(body, (b"content-length", b"%d" % len(TEXT)), (b"etag", b'"a"')), asked)
    assert fields == {HTML[0]: HTML[1], b"etag": b'W/"a"', b"vary": b"accept-encoding", b"content-encoding": b"gzip"}
    assert list(made.body) == []  # type: ignore[arg-type]
    file = File(temporary(TEXT), 0, len(TEXT))
    assert b"content-encoding" in apply(html(file), asked)[1]
    assert not file.owned


def test_files_are_compressed_whole_or_while_they_are_sent() -> None:
    for size, kind in ((PIECE, bytes), (PIECE + 1, Coded)):
        content = (TEXT * 20)[:size]
        made, _ = apply(html(File(temporary(content), 0, size)))
        assert isinstance(made.body, kind)
        body: Any = b"".join(pieces_of(made.body)) if isinstance(made.body, Coded) else made.body
        assert unzipped(body) == content
        made, _ = apply(html(content))
        assert isinstance(made.body, kind)
        if isinstance(made.body, Coded):
            assert unzipped(b"".join(pieces_of(made.body))) == content


def test_so_many_are_compressed_at_once_and_one_more_is_sent_as_it_is() -> None:
    compression = Compression(codings=(b"gzip",), max_streams=2)
    held: list[Any] = [apply(html(iter([TEXT])), compression=compression)[0].body for _ in range(2)]
    assert compression.streams == 2
    response = html(iter([TEXT]))
    made, fields = apply(response, compression=compression)
    assert made.body is response.body
    assert fields == {HTML[0]: HTML[1], b"vary": b"accept-encoding"}
    held.pop().close()
    made, fields = apply(response, compression=compression)
    assert fields[b"content-encoding"] == b"gzip"
    for one in (*held, made.body):
        one.close()
    assert compression.streams == 0


@pytest.mark.parametrize(
    ("named", "tag"), [(b'W/"a"', b'W/"a"'), (b'"a"', b'"a"'), (b'"b", W/"a"', b'W/"a"'), (b"*", b'"a"')]
)
def test_a_304_has_the_tag_of_the_response_that_the_client_has(named: bytes, tag: bytes) -> None:
    _, fields = apply(Response(b"", 304, ((b"etag", b'"a"'),)), request(b"gzip", "GET", (b"if-none-match", named)))
    assert fields == {b"etag": tag, b"vary": b"accept-encoding"}


@pytest.mark.parametrize(
    ("fields", "vary"),
    [
        ((), [b"accept-encoding"]),
        (((b"Vary", b"Origin"),), [b"Origin", b"accept-encoding"]),
        (((b"vary", b"origin, Accept-Encoding"),), [b"origin, Accept-Encoding"]),
        (((b"vary", b"*"),), [b"*"]),
    ],
)
def test_vary_names_it_once(fields: Iterable[tuple[bytes, bytes]], vary: list[bytes]) -> None:
    assert [value for _, value in with_vary(fields, b"accept-encoding")] == vary
