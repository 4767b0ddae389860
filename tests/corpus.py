"""The corpus: raw requests, well-formed and hostile, each with its verdict, under the default limits.

A row is what was sent and what must come of it; the tests send every row through both parsers whole, byte by byte and
randomly cut. Most rows differ from a good request in one place, so they stand in tables of that place: methods,
targets, versions, fields, chunk lines… `CASES` is all of them; `what` names a case and is unique, as is `raw`.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple


class Case(NamedTuple):
    """`status` 0 is a request that is admitted; with `whole` False one that may still become good."""

    what: str
    raw: bytes
    status: int = 0
    reason: str = ""
    body: bytes = b""
    rest: bytes = b""  # what of `raw` belongs to the next request
    keep_alive: bool = True
    whole: bool = True
    target: bytes = b""  # how it is read, where that is not what was sent
    alone: bool = True  # whether h11 and llhttp read it without the gate before them: they are stricter here and there


def _head(*lines: bytes) -> bytes:
    return b"\r\n".join(lines) + b"\r\n\r\n"


def _with(*fields: bytes, line: bytes = b"GET / HTTP/1.1") -> bytes:
    return _head(line, b"Host: a.example", *fields)


def _posted(*fields: bytes) -> bytes:
    return _with(*fields, line=b"POST /form HTTP/1.1")


_CHUNKED_HEAD = _posted(b"Transfer-Encoding: chunked")


def _control(byte: int, where: str) -> str:
    return f"Control byte 0x{byte:02x} in {where}."


def _alien(byte: int, where: str) -> str:
    return f"Byte 0x{byte:02x} is not allowed in {where}."


def _bare(what: str, where: str) -> str:
    return f"A bare {what} in {where}: lines end in CRLF."


# Every control byte that never ends a line. (HTAB is white space, in some places allowed.)
_CONTROLS = [byte for byte in [*range(0x20), 0x7F] if byte not in b"\t\n\r"]

# --- methods ------------------------------------------------------------------------------------------------------

_GOOD_METHODS = b"""
    GET HEAD POST PUT DELETE OPTIONS TRACE PATCH QUERY
    PROPFIND PROPPATCH MKCOL COPY MOVE LOCK UNLOCK SEARCH REPORT ACL BIND REBIND UNBIND MKCALENDAR CHECKOUT MERGE
    MKACTIVITY LINK UNLINK PURGE NOTIFY SUBSCRIBE UNSUBSCRIBE M-SEARCH SOURCE BREW
    PRI DESCRIBE SETUP PLAY PAUSE TEARDOWN ANNOUNCE RECORD REDIRECT FLUSH
    GE GETT get Get gET pOST HTTP HTTP1 X 0 A1 1A connect CONNECTED
    ! # $ % & ' * + - . ^ _ ` | ~ !#$%&'*+-.^_`|~ PO-ST PO_ST PO.ST
""".split()

_NOT_IN_METHOD = b'"(),/:;<=>?@[\\]{}\x80\xa0\xc3\xff'


def _methods() -> Iterator[Case]:
    for method in _GOOD_METHODS:
        yield Case(f"method {method!r}", _with(line=method + b" /m HTTP/1.1"))
    for byte in _NOT_IN_METHOD:
        raw = b"GE" + bytes([byte]) + b"T / HTTP/1.1\r\nHost: a.example\r\n\r\n"
        yield Case(f"0x{byte:02x} in the method", raw, 400, _alien(byte, "the method"))
        yield Case(f"0x{byte:02x} before the method", raw[2:], 400, _alien(byte, "the method"))
    for byte in [*_CONTROLS, 9]:
        raw = b"GE" + bytes([byte]) + b"T / HTTP/1.1\r\nHost: a.example\r\n\r\n"
        yield Case(f"control 0x{byte:02x} in the method", raw, 400, _control(byte, "the method"))
    yield Case("white space before the method", b" " + _with(), 400, "White space where the method should begin.")
    yield Case("a tab after the method", _with(line=b"GET\t/tab HTTP/1.1"), 400, _control(9, "the method"))
    yield Case("CONNECT", _with(line=b"CONNECT a.example:443 HTTP/1.1"), 501, "CONNECT is not supported.")
    yield Case("CONNECT with a path", _with(line=b"CONNECT /p HTTP/1.1"), 501, "CONNECT is not supported.")
    yield Case("CONNECT, version 1.0", _with(line=b"CONNECT h:1 HTTP/1.0"), 501, "CONNECT is not supported.")


# --- targets ------------------------------------------------------------------------------------------------------

_GOOD_TARGETS = b"""
    / // /// //evil.example/ /a /a/b/c /a/./b /a/../b /.. /../../etc/passwd /a;b=c;d /a,b /a:b /@ /a@b /~user /%7Euser
    /-._~ /!$&'()*+,;= /? /?? /?a /?a=b&c=d /?a=b?c=/d /a?b /a?/../ /?q=%20 /%00 /%0d%0a /%2e%2e/ /%2F /%5C /%FF /%fF
    /%25 /?a[]=1&a[]=2 /[::1] /?[x] /*  /http://other.example/ /?url=http://other.example/?x=y /0 /index.html
    http://a.example http://a.example/ http://a.example/p?q http://a.example?q http://b.example:8080/p
    https://a.example/ HTTP://A.EXAMPLE/ hTtPs://a.example http://127.0.0.1/ http://[::1]/ http://[::1]:80/p
    http://[2001:db8::7]/ http://a_b.example/ http://a.example:/ http://a.example:0/ http://a.example:65535/
    http://a.example/@x http://a.example//b http://a.example/:x http://a%41.example/ http://a.example/?http://c.example/
""".split()

# What browsers and curl leave bare in a path or a query (WHATWG URL), and how it is read.
_BARE_TARGETS: list[tuple[bytes, bytes]] = [
    (b"/a|b.txt", b"/a%7Cb.txt"),
    (b"/a^b", b"/a%5Eb"),
    (b"/a`b`", b"/a%60b%60"),
    (b"/{id}", b"/%7Bid%7D"),
    (b"/{", b"/%7B"),
    (b"/|", b"/%7C"),
    (b"/|?|", b"/%7C?%7C"),
    (b"/%", b"/%25"),
    (b"/%4", b"/%254"),
    (b"/%zz", b"/%25zz"),
    (b"/%4z", b"/%254z"),
    (b"/%%41", b"/%25%41"),
    (b"/%%34%31", b"/%25%34%31"),
    (b"/%%%", b"/%25%25%25"),
    (b"/a%2", b"/a%252"),
    (b"/%2e%", b"/%2e%25"),
    (b"/%u0041", b"/%25u0041"),
    (b"/%-1", b"/%25-1"),
    (b"/%0x", b"/%250x"),
    (b"/%/", b"/%25/"),
    (b"/%?a", b"/%25?a"),
    (b"/?%", b"/?%25"),
    (b"/?a=%", b"/?a=%25"),
    (b"/?a=100%", b"/?a=100%25"),
    (b"/?a=100%&b", b"/?a=100%25&b"),
    (b"/?a=%%20", b"/?a=%25%20"),
    (b'/?q={"a":1}', b"/?q=%7B%22a%22:1%7D"),
    (b"/?q={%22a%22:1}", b"/?q=%7B%22a%22:1%7D"),
    (b"/?t=A|B", b"/?t=A%7CB"),
    (b"/?x=a^b", b"/?x=a%5Eb"),
    (b"/?x=`y`", b"/?x=%60y%60"),
    (b"/?x=<y>", b"/?x=%3Cy%3E"),
    (b"/?x=a\\b", b"/?x=a%5Cb"),
    (b"/?\\", b"/?%5C"),
    (b'/?"', b"/?%22"),
    (b"/??<", b"/??%3C"),
    (b"http://a.example/a|b", b"http://a.example/a%7Cb"),
    (b"http://a.example?a|b", b"http://a.example?a%7Cb"),
    (b"http://a.example?\\@b.example/", b"http://a.example?%5C@b.example/"),
    (b"http://a.example/%", b"http://a.example/%25"),
    (b"http://a%41.example/%", b"http://a%41.example/%25"),
    (b"http://a.example:80/{}?{}", b"http://a.example:80/%7B%7D?%7B%7D"),
]
_NO_FORM = "The target is neither a path nor an http or https URI."
_NO_HOST = "The authority of the target is not a host with an optional port."
_NO_VERSION = "What follows the target is not HTTP/digit.digit."

_BAD_TARGETS: list[tuple[bytes, str]] = [
    (b"*", "The target * is allowed only with OPTIONS."),
    (b"**", _NO_FORM),
    (b"*/", _NO_FORM),
    (b"a.example:443", _NO_FORM),
    (b"a.example", _NO_FORM),
    (b"foo/bar", _NO_FORM),
    (b"?q", _NO_FORM),
    (b"..", _NO_FORM),
    (b"./a", _NO_FORM),
    (b":", _NO_FORM),
    (b"%2Fa", _NO_FORM),
    (b"ftp://a.example/", _NO_FORM),
    (b"file:///etc/passwd", _NO_FORM),
    (b"ws://a.example/", _NO_FORM),
    (b"urn:isbn:1", _NO_FORM),
    (b"javascript:alert(1)", _NO_FORM),
    (b"http:a.example", _NO_FORM),
    (b"http:/a.example", _NO_FORM),
    (b"httpx://a.example/", _NO_FORM),
    (b"xhttp://a.example/", _NO_FORM),
    (b"http", _NO_FORM),
    (b"http:", _NO_FORM),
    (b"http://", "The authority of the target is empty."),
    (b"http:///p", "The authority of the target is empty."),
    (b"http://?q", "The authority of the target is empty."),
    (b"https://", "The authority of the target is empty."),
    (b"http://user@a.example/", "The authority of the target holds user information."),
    (b"http://user:pw@a.example/", "The authority of the target holds user information."),
    (b"http://@a.example/", "The authority of the target holds user information."),
    (b"http://a.example@b.example/", "The authority of the target holds user information."),
    (b"http://a.example:65536/", "The authority of the target has a port above 65535."),
    (b"http://a.example:99999", "The authority of the target has a port above 65535."),
    (b"http://a.example:123456/", _NO_HOST),
    (b"http://a.example:x/", _NO_HOST),
    (b"http://a.example:80:80/", _NO_HOST),
    (b"http://:80/", _NO_HOST),
    (b"http://[::1/", _NO_HOST),
    (b"http://::1/", _NO_HOST),
    (b"http://[]/", _NO_HOST),
    (b"http://[1]/", _NO_HOST),
    (b"http://[v1.x]/", _NO_HOST),
    (b"http://[fe80::1%25eth0]/", _NO_HOST),
    (b"http://a.example,b.example/", _NO_HOST),
    (b"http://a|b.example/", _NO_HOST),
    (b"http://{a}/", _NO_HOST),
    (b"http://a%.example/", _NO_HOST),
    (b"http://a%4.example/", _NO_HOST),
    (b"http://a^b?c|d", _NO_HOST),
    (b"|", _NO_FORM),
    (b"{}/", _NO_FORM),
    (b"%", _NO_FORM),
    (b"%?/", _NO_FORM),
    (b"/#", _alien(0x23, "the request target")),
    (b"/a#fragment", _alien(0x23, "the request target")),
    (b"/?q#", _alien(0x23, "the request target")),
    (b"/?{#}", _alien(0x23, "the request target")),
    (b"/%#", _alien(0x23, "the request target")),
    (b"/{ }", _NO_VERSION),
    (b"http://a.example/#f", _alien(0x23, "the request target")),
    (b"http://a.example\\@b.example/", _alien(0x5C, "the request target")),
    ("/é".encode(), _alien(0xC3, "the request target")),
    ("/\uff15".encode(), _alien(0xEF, "the request target")),
    (b"", "White space where the request target should begin."),
    (b" /", "White space where the request target should begin."),
    (b"/a b", _NO_VERSION),
    (b"/a ", _NO_VERSION),
    (b"/ /", _NO_VERSION),
]
_NOT_IN_PATH = b'"#<>\\\x80\xa0\xff'
_NOT_IN_QUERY = b"#\x80\xa0\xff"


def _targets() -> Iterator[Case]:
    for target in _GOOD_TARGETS:
        yield Case(f"target {target!r}", _with(line=b"GET " + target + b" HTTP/1.1"))
    for target, reason in _BAD_TARGETS:
        yield Case(f"target {target!r}", _with(line=b"GET " + target + b" HTTP/1.1"), 400, reason)
    for target, read in _BARE_TARGETS:
        yield Case(f"target {target!r}", _with(line=b"GET " + target + b" HTTP/1.1"), target=read)
    for where, begin, alien in (("path", b"/a", _NOT_IN_PATH), ("query", b"/?a", _NOT_IN_QUERY)):
        for byte in alien:
            line = b"GET " + begin + bytes([byte]) + b"b HTTP/1.1"
            yield Case(f"0x{byte:02x} in the {where}", _with(line=line), 400, _alien(byte, "the request target"))
        for byte in [*_CONTROLS, 9]:
            line = b"GET " + begin + bytes([byte]) + b"b HTTP/1.1"
            reason = _control(byte, "the request target")
            yield Case(f"control 0x{byte:02x} in the {where}", _with(line=line), 400, reason)
    yield Case(
        "a bare target with a body",
        _head(b"POST /|?% HTTP/1.1", b"Host: a", b"Content-Length: 3") + b"abc" + _with(),
        body=b"abc",
        rest=_with(),
        target=b"/%7C?%25",
    )
    yield Case("a bare target behind empty lines", b"\r\n\r\n" + _with(line=b"GET /| HTTP/1.1"), target=b"/%7C")
    yield Case("a bare target in HTTP/1.0", _head(b"GET /| HTTP/1.0"), keep_alive=False, target=b"/%7C")
    yield Case("a bare target of an unknown method", _with(line=b"BREW /?{} HTTP/1.1"), target=b"/?%7B%7D")
    yield Case("OPTIONS *", _with(line=b"OPTIONS * HTTP/1.1"))
    yield Case("OPTIONS * in HTTP/1.0", _head(b"OPTIONS * HTTP/1.0"), keep_alive=False)
    yield Case("options *", _with(line=b"options * HTTP/1.1"), 400, "The target * is allowed only with OPTIONS.")
    yield Case("absolute-form in HTTP/1.0", _head(b"GET http://a.example/ HTTP/1.0"), keep_alive=False)
    yield Case(
        "absolute-form without Host",
        _head(b"GET http://a.example/ HTTP/1.1"),
        400,
        "An HTTP/1.1 request needs a Host field.",
    )
    yield Case(
        "absolute-form with a bad Host",
        _head(b"GET http://a.example/ HTTP/1.1", b"Host: a b"),
        400,
        "The Host field is not a host with an optional port.",
    )


# --- versions and line ends ---------------------------------------------------------------------------------------

_FOREIGN = "The major version is not HTTP/1."
_MISSHAPEN = "The version is not HTTP/digit.digit."

_BAD_VERSIONS: list[tuple[bytes, int, str]] = [
    (b"HTTP/0.9", 505, _FOREIGN),
    (b"HTTP/0.0", 505, _FOREIGN),
    (b"HTTP/2.0", 505, _FOREIGN),
    (b"HTTP/2.1", 505, _FOREIGN),
    (b"HTTP/3.0", 505, _FOREIGN),
    (b"HTTP/3.7", 505, _FOREIGN),
    (b"HTTP/9.9", 505, _FOREIGN),
    (b"", 400, _MISSHAPEN),
    (b"H", 400, _MISSHAPEN),
    (b"HTTP", 400, _MISSHAPEN),
    (b"HTTP/", 400, _MISSHAPEN),
    (b"HTTP/1", 400, _MISSHAPEN),
    (b"HTTP/1.", 400, _MISSHAPEN),
    (b"HTTP/2", 400, _MISSHAPEN),
    (b"HTTP/1.10", 400, _NO_VERSION),
    (b"HTTP/1.1.1", 400, _NO_VERSION),
    (b"HTTP/11", 400, _NO_VERSION),
    (b"HTTP/10.1", 400, _NO_VERSION),
    (b"HTTP/.1", 400, _NO_VERSION),
    (b"HTTP/+1.1", 400, _NO_VERSION),
    (b"HTTP/1,1", 400, _NO_VERSION),
    (b"HTTP/1.x", 400, _NO_VERSION),
    (b"HTTP/x.1", 400, _NO_VERSION),
    (b"HTTP 1.1", 400, _NO_VERSION),
    (b"HTTP/ 1.1", 400, _NO_VERSION),
    (b"HTTP /1.1", 400, _NO_VERSION),
    (b"HTTP/1.1 ", 400, _NO_VERSION),
    (b"HTTP/1.1 x", 400, _NO_VERSION),
    (b" HTTP/1.1", 400, _NO_VERSION),
    (b"http/1.1", 400, _NO_VERSION),
    (b"Http/1.1", 400, _NO_VERSION),
    (b"HTTPS/1.1", 400, _NO_VERSION),
    (b"HTP/1.1", 400, _NO_VERSION),
    (b"ICY/1.1", 400, _NO_VERSION),
    (b"RTSP/1.0", 400, _NO_VERSION),
    (b"SIP/2.0", 400, _NO_VERSION),
    ("HTTP/\uff11.1".encode(), 400, _NO_VERSION),
    (b"HTTP/1.1\t", 400, _control(9, "the version")),
    (b"\tHTTP/1.1", 400, _control(9, "the version")),
    (b"HTTP/1.1\x00", 400, _control(0, "the version")),
    (b"HTTP/1.1\x0b", 400, _control(11, "the version")),
]

_TOO_EMPTY = "More than 4 empty lines before the request line."
_LINE_ENDS: list[tuple[str, bytes, str]] = [
    ("LF after the request line", b"GET / HTTP/1.1\nHost: a\r\n\r\n", _bare("LF", "the version")),
    ("LF everywhere", b"GET / HTTP/1.1\nHost: a\n\n", _bare("LF", "the version")),
    ("CR CR LF after the request line", b"GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", _bare("CR", "the request line")),
    ("CR alone after the request line", b"GET / HTTP/1.1\rHost: a\r\n\r\n", _bare("CR", "the request line")),
    ("LF CR after the request line", b"GET / HTTP/1.1\n\rHost: a\r\n\r\n", _bare("LF", "the version")),
    ("LF in the method", b"GE\nT / HTTP/1.1\r\nHost: a\r\n\r\n", _bare("LF", "the method")),
    ("LF in the target", b"GET /\n HTTP/1.1\r\nHost: a\r\n\r\n", _bare("LF", "the request target")),
    ("LF in the version", b"GET / HTTP\n/1.1\r\nHost: a\r\n\r\n", _bare("LF", "the version")),
    ("a simple request, LF", b"GET /\n", _bare("LF", "the request target")),
    ("a simple request", b"GET /\r\n", "The request line has no version."),
    ("a simple request and a head", b"GET /\r\nHost: a\r\n\r\n", "The request line has no version."),
    ("a method alone", b"GET\r\n\r\n", "The request line has no target."),
    ("a method and a space", b"GET \r\n\r\n", "The request line has no version."),
    ("CR in the method", b"GE\rT / HTTP/1.1\r\nHost: a\r\n\r\n", "The request line has no target."),
    ("CR in the target", b"GET /\r HTTP/1.1\r\nHost: a\r\n\r\n", "The request line has no version."),
    ("CR in the version", b"GET / HTTP\r/1.1\r\nHost: a\r\n\r\n", _MISSHAPEN),
    ("LF after a field", b"GET / HTTP/1.1\r\nHost: a\n\r\n", _bare("LF", "a field value")),
    ("LF after a later field", b"GET / HTTP/1.1\r\nHost: a\r\nB: c\nD: e\r\n\r\n", _bare("LF", "a field value")),
    ("CR alone after a field", b"GET / HTTP/1.1\r\nHost: a\rB: c\r\n\r\n", _bare("CR", "a field line")),
    ("CR CR LF after a field", b"GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", _bare("CR", "a field line")),
    ("CR in a value", b"GET / HTTP/1.1\r\nHost: a\r\nB: c\rd\r\n\r\n", _bare("CR", "a field line")),
    ("LF in a name", b"GET / HTTP/1.1\r\nHost: a\r\nB\nC: d\r\n\r\n", _bare("LF", "a field name")),
    ("CR in a name", b"GET / HTTP/1.1\r\nHost: a\r\nB\rC: d\r\n\r\n", "A field line has no colon."),
    ("LF as the last line", b"GET / HTTP/1.1\r\nHost: a\r\n\n", _bare("LF", "a field name")),
    (
        "CR and a letter as the last line",
        b"GET / HTTP/1.1\r\nHost: a\r\n\rX",
        _bare("CR", "the line that ends the fields"),
    ),
    ("CR CR LF as the last line", b"GET / HTTP/1.1\r\nHost: a\r\n\r\r\n", _bare("CR", "the line that ends the fields")),
    ("LF before the request", b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", _bare("LF", "the method")),
    ("CR before the request", b"\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", _bare("CR", "the empty line before a request")),
    ("five empty lines first", b"\r\n" * 5 + b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", _TOO_EMPTY),
    ("empty lines without end", b"\r\n" * 100, _TOO_EMPTY),
    ("four empty lines, then CR", b"\r\n\r\n\r\n\r\n\r", _TOO_EMPTY),
    ("two empty lines, then LF", b"\r\n\r\n\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", _bare("LF", "the method")),
    ("two empty lines, then CR", b"\r\n\r\n\rGET /", _bare("CR", "the empty line before a request")),
    ("an empty line, then LF", b"\r\n\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", _bare("LF", "the method")),
    (
        "an empty line with a space",
        b" \r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "White space where the method should begin.",
    ),
]


def _versions() -> Iterator[Case]:
    yield Case("HTTP/1.1", _with(line=b"GET /v HTTP/1.1"))
    yield Case("HTTP/1.0", _with(line=b"GET /v HTTP/1.0"), keep_alive=False)
    yield Case("HTTP/1.0 without fields", _head(b"GET /v HTTP/1.0"), keep_alive=False)
    for version in (b"HTTP/1.2", b"HTTP/1.9"):
        line = b"GET /v " + version
        yield Case(f"version {version!r}", _with(line=line), alone=False)
        raw = _with(b"Connection: close", line=line)
        yield Case(f"version {version!r}, to be closed", raw, keep_alive=False, alone=False)
        yield Case(f"version {version!r} without Host", _head(line), 400, "An HTTP/1.1 request needs a Host field.")
    chunked = _with(b"Transfer-Encoding: chunked", line=b"POST / HTTP/1.2")
    chunked += b"3\r\nabc\r\n0\r\n\r\n"
    yield Case("chunks in HTTP/1.2", chunked + _with(), body=b"abc", rest=_with(), alone=False)
    yield Case("CONNECT, version 1.2", _with(line=b"CONNECT h:1 HTTP/1.2"), 501, "CONNECT is not supported.")
    for version, status, reason in _BAD_VERSIONS:
        yield Case(f"version {version!r}", _with(line=b"GET / " + version), status, reason)
    for what, raw, reason in _LINE_ENDS:
        yield Case(what, raw, 400, reason)
    yield Case("one empty line before the request", b"\r\n" + _with())
    yield Case("four empty lines before the request", b"\r\n" * 4 + _with())
    yield Case("one empty line before HTTP/1.0", b"\r\n" + _head(b"GET / HTTP/1.0"), keep_alive=False)
    yield Case("one empty line before absolute-form", b"\r\n" + _with(line=b"GET http://b.example/ HTTP/1.1"))
    yield Case("one empty line before a version 2", b"\r\n" + _with(line=b"GET / HTTP/2.0"), 505, _FOREIGN)


# --- fields -------------------------------------------------------------------------------------------------------

_GOOD_FIELDS: list[bytes] = [
    b"A:", b"A: ", b"A:\t", b"A: \t \t ", b"A:b", b"A:  b", b"A:\tb\t", b"A: b ", b"A: b  c", b"A: b\tc", b"A: b, c",
    b"A: :", b"A::", b"A: b:c", b'A: "b"', b"A: (b)", b"A: \\", b"A: =?utf-8?q?b?=", b"A: {\"b\": [1]}", b"A: <b>",
    b"A: \x80", b"A: \x85", b"A: \xa0", b"A: \xff", b"A: \xc3\xa9", b"A: \xff b \x80", b"A: " + b"b" * 100,
    b"a: b", b"A-B: c", b"A_B: c", b"A.B: c", b"0: 1", b"!#$%&'*+-.^_`|~: b", b"Accept: */*", b"Accept:",
    b"Content-Type: text/plain", b"Content-Type:", b"Content-Type: text/plain, text/html", b"TE: trailers",
    b"Trailer: X", b"Upgrade: websocket", b"Upgrade: h2c", b"Via: 1.1 a", b"Forwarded: for=\"[::1]\"",
    b"X-Forwarded-Host: b.example", b"X_Forwarded_For: 1", b"Proxy: b.example", b"Cookie: a=b; c=d", b"Range: bytes=0-",
    b"HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA", b"Proxy-Connection: close", b"Keep-Alive: timeout=5",
    b"Authorization: Basic YTpi", b"If-None-Match: *", b"Content-Encoding: gzip", b"Xhost: b", b"Host-: b",
    b"Content-Length-: 5", b"X-Content-Length: 5", b"X-Transfer-Encoding: chunked", b"Transfer-Encoding-: chunked",
    b"A: Host: b", b"A: Content-Length: 5", b"A: Transfer-Encoding: chunked", b"Date: yesterday", b"Max-Forwards: 0",
]  # fmt: skip
_NOT_IN_NAME = b'"(),/;<=>?@[\\]{}\x80\xa0\xff'
_FOLDED = "A line begins with white space: folded field lines are not accepted."
_SPACED = "White space in a field name, or before its colon."

_BAD_FIELDS: list[tuple[bytes, str]] = [
    (b"A", "A field line has no colon."),
    (b"Host", "A field line has no colon."),
    (b": b", "A field line has no name."),
    (b":", "A field line has no name."),
    (b":A: b", "A field line has no name."),
    (b"A : b", _SPACED),
    (b"A\t: b", _SPACED),
    (b"A b: c", _SPACED),
    (b"Content-Length : 5", _SPACED),
    (b"Content-Length\t: 5", _SPACED),
    (b"Transfer-Encoding : chunked", _SPACED),
    (b"GET / HTTP/1.1", _SPACED),
    (b" A: b", _FOLDED),
    (b"\tA: b", _FOLDED),
    (b" folded", _FOLDED),
    (b" ", _FOLDED),
    (b"\t", _FOLDED),
    (b"A: b\r\n c", _FOLDED),
    (b"A: b\r\n\tc", _FOLDED),
    (b"A: b\r\n ", _FOLDED),
    (b"Transfer-Encoding:\r\n chunked", _FOLDED),
    (b"Content-Length:\r\n 5", _FOLDED),
    (b"\x0bA: b", _control(11, "a field name")),
    (b"\xef\xbb\xbfA: b", _alien(0xEF, "a field name")),
    ("\uff21: b".encode(), _alien(0xEF, "a field name")),
    (b"Transfer-Encoding\x00: chunked", _control(0, "a field name")),
    (b"Transfer-Encoding: \x0bchunked", _control(11, "a field value")),
    (b"Content-Length: 5\x00", _control(0, "a field value")),
]


def _fields() -> Iterator[Case]:
    for field in _GOOD_FIELDS:
        yield Case(f"field {field!r}", _with(field))
    for field, reason in _BAD_FIELDS:
        yield Case(f"field {field!r}", _with(field), 400, reason)
    for byte in _NOT_IN_NAME:
        raw = _with(b"A" + bytes([byte]) + b"B: c")
        yield Case(f"0x{byte:02x} in a name", raw, 400, _alien(byte, "a field name"))
    for byte in _CONTROLS:
        raw = _with(b"A" + bytes([byte]) + b"B: c")
        yield Case(f"control 0x{byte:02x} in a name", raw, 400, _control(byte, "a field name"))
        raw = _with(b"A: b" + bytes([byte]) + b"c")
        yield Case(f"control 0x{byte:02x} in a value", raw, 400, _control(byte, "a field value"))
    yield Case("a folded line first", _head(b"GET / HTTP/1.1", b" Host: a"), 400, _FOLDED)
    yield Case(
        "a field with no name first", _head(b"GET / HTTP/1.1", b": x", b"Host: a"), 400, "A field line has no name."
    )
    yield Case("Host last", _head(b"GET / HTTP/1.1", b"A: b", b"C: d", b"Host: a"))
    yield Case("a field repeated", _with(b"A: b", b"a: c", b"A: b"))
    yield Case("Content-Type repeated", _with(b"Content-Type: a/b", b"Content-Type: a/b"), 400, _twice("Content-Type"))
    raw = _with(b"Content-Type: a/b", b"C: d", b"CONTENT-type: c/d")
    yield Case("Content-Type repeated, spelt otherwise", raw, 400, _twice("Content-Type"))


def _twice(name: str) -> str:
    return f"The {name} field is repeated."


# --- Host ---------------------------------------------------------------------------------------------------------

_GOOD_HOSTS = [
    b"a", b"a.example", b"A.EXAMPLE", b"a.example.", b"a-b.example", b"a_b.example", b"1.example", b"xn--nxasmq6b",
    b"localhost", b"a.example:80", b"a.example:8080", b"a.example:", b"a.example:0", b"a.example:00080",
    b"a.example:65535", b"127.0.0.1", b"127.0.0.1:80", b"0.0.0.0", b"999.1.1.1", b"[::]", b"[::1]", b"[::1]:80",
    b"[::1]:", b"[2001:db8::7]", b"[2001:DB8:0:0:8:800:200C:417A]:8443", b"[::ffff:192.0.2.1]", b"[::192.0.2.1]",
    b"a~b", b"a!b", b"a$b", b"a&b", b"a'b", b"a(b)", b"a*b", b"a+b", b"a;b", b"a=b", b"%41", b"a%2Fb.example",
    b"\ta.example\t", b" a.example ", b"-", b".", b"", b" ", b"\t \t",
]  # fmt: skip
_HOST_MISSHAPEN = "The Host field is not a host with an optional port."
_HOST_USER = "The Host field holds user information."
_BAD_HOSTS: list[tuple[bytes, str]] = [
    (b"user@a.example", _HOST_USER),
    (b"user:pw@a.example", _HOST_USER),
    (b"@a.example", _HOST_USER),
    (b"a.example@", _HOST_USER),
    (b"a.example, b.example", _HOST_MISSHAPEN),
    (b"a.example,b.example", _HOST_MISSHAPEN),
    (b"a.example,", _HOST_MISSHAPEN),
    (b",", _HOST_MISSHAPEN),
    (b"a b", _HOST_MISSHAPEN),
    (b"a\tb", _HOST_MISSHAPEN),
    (b"a.example/", _HOST_MISSHAPEN),
    (b"a.example/path", _HOST_MISSHAPEN),
    (b"/", _HOST_MISSHAPEN),
    (b"a.example?q", _HOST_MISSHAPEN),
    (b"?", _HOST_MISSHAPEN),
    (b"a.example#f", _HOST_MISSHAPEN),
    (b"#", _HOST_MISSHAPEN),
    (b"http://a.example", _HOST_MISSHAPEN),
    (b"a.example\\b", _HOST_MISSHAPEN),
    (b":", _HOST_MISSHAPEN),
    (b":80", _HOST_MISSHAPEN),
    (b"a.example:x", _HOST_MISSHAPEN),
    (b"a.example:-1", _HOST_MISSHAPEN),
    (b"a.example:+80", _HOST_MISSHAPEN),
    (b"a.example: 80", _HOST_MISSHAPEN),
    (b"a.example :80", _HOST_MISSHAPEN),
    (b"a.example:80:80", _HOST_MISSHAPEN),
    (b"a.example:123456", _HOST_MISSHAPEN),
    (b"a.example:65536", "The Host field has a port above 65535."),
    (b"a.example:99999", "The Host field has a port above 65535."),
    (b"::1", _HOST_MISSHAPEN),
    (b"[::1", _HOST_MISSHAPEN),
    (b"::1]", _HOST_MISSHAPEN),
    (b"[]", _HOST_MISSHAPEN),
    (b"[:]", _HOST_MISSHAPEN),
    (b"[1]", _HOST_MISSHAPEN),
    (b"[127.0.0.1]", _HOST_MISSHAPEN),
    (b"[::1]a", _HOST_MISSHAPEN),
    (b"[::1]80", _HOST_MISSHAPEN),
    (b"[[::1]]", _HOST_MISSHAPEN),
    (b"[:::]", _HOST_MISSHAPEN),
    (b"[1::2::3]", _HOST_MISSHAPEN),
    (b"[1:2:3:4:5:6:7:8:9]", _HOST_MISSHAPEN),
    (b"[12345::]", _HOST_MISSHAPEN),
    (b"[::g]", _HOST_MISSHAPEN),
    (b"[::1.2.3]", _HOST_MISSHAPEN),
    (b"[fe80::1%25eth0]", _HOST_MISSHAPEN),
    (b"[fe80::1%eth0]", _HOST_MISSHAPEN),
    (b"[v1.fe80]", _HOST_MISSHAPEN),
    (b"a%", _HOST_MISSHAPEN),
    (b"a%4", _HOST_MISSHAPEN),
    (b"a%zz", _HOST_MISSHAPEN),
    (b'"a"', _HOST_MISSHAPEN),
    (b"<a>", _HOST_MISSHAPEN),
    (b"a^b", _HOST_MISSHAPEN),
    (b"a`b", _HOST_MISSHAPEN),
    (b"a|b", _HOST_MISSHAPEN),
    (b"{a}", _HOST_MISSHAPEN),
    (b"\xc3\xa9.example", _HOST_MISSHAPEN),
    (b"a.example\xa0", _HOST_MISSHAPEN),
]


def _hosts() -> Iterator[Case]:
    for host in _GOOD_HOSTS:
        yield Case(f"Host {host!r}", _head(b"GET /h HTTP/1.1", b"Host:" + host))
    for host, reason in _BAD_HOSTS:
        yield Case(f"Host {host!r}", _head(b"GET /h HTTP/1.1", b"Host:" + host), 400, reason)
    missing = "An HTTP/1.1 request needs a Host field."
    yield Case("no Host", _head(b"GET / HTTP/1.1"), 400, missing)
    yield Case("no Host but others", _head(b"GET / HTTP/1.1", b"A: b"), 400, missing)
    yield Case("a Host in another field's value", _head(b"GET / HTTP/1.1", b"A: Host: b"), 400, missing)
    yield Case("two Hosts", _with(b"Host: b.example"), 400, _twice("Host"))
    yield Case("two equal Hosts", _with(b"Host: a.example"), 400, _twice("Host"))
    yield Case("two Hosts, spelt otherwise", _with(b"A: b", b"hOST: a.example"), 400, _twice("Host"))
    yield Case("two Hosts in HTTP/1.0", _with(b"Host: a.example", line=b"GET / HTTP/1.0"), 400, _twice("Host"))
    yield Case("a bad Host in HTTP/1.0", _head(b"GET / HTTP/1.0", b"Host: a/b"), 400, _HOST_MISSHAPEN)
    yield Case("an empty Host in HTTP/1.0", _head(b"GET / HTTP/1.0", b"Host:"), keep_alive=False)
    yield Case("an empty Host and absolute-form", _head(b"GET http://a.example/ HTTP/1.1", b"Host:"))
    yield Case("two empty Hosts", _head(b"GET / HTTP/1.1", b"Host:", b"Host:"), 400, _twice("Host"))
    yield Case("an empty Host and another", _with(b"Host:"), 400, _twice("Host"))


# --- Content-Length -----------------------------------------------------------------------------------------------

_BAD_LENGTHS = [
    b"", b" ", b"+5", b"-5", b"-0", b"+0", b"0x5", b"0X5", b"5h", b"a", b"1_0", b"1,000", b"1.0", b"5.", b".5", b"1e1",
    b"5,5", b"5, 5", b"5,", b",5", b"5 5", b"5\t5", b"5;", b"5 ;a=b", b'"5"', b"(5)", b"chunked", b"5\xa0", b"\xa05",
    "\uff15".encode(), "\u0665".encode(), b"\xb2", b"00000000000000000005", b"99999999999999999999",
    b"18446744073709551616", b"10000000000000000000000000000000000000000005",
]  # fmt: skip


def _lengths() -> Iterator[Case]:
    for digits in (b"5", b"05", b"0000000000000000005", b"  5", b"5\t "):
        yield Case(f"Content-Length {digits!r}", _posted(b"Content-Length:" + digits) + b"hello", body=b"hello")
    for digits in (b"0", b"00", b"0000000000000000000"):
        yield Case(f"Content-Length {digits!r}", _posted(b"Content-Length: " + digits))
        yield Case(f"Content-Length {digits!r} and more", _posted(b"Content-Length:" + digits) + b"X", rest=b"X")
    for digits in _BAD_LENGTHS:
        raw = _posted(b"Content-Length: " + digits) + b"hello"
        yield Case(f"Content-Length {digits!r}", raw, 400, "Content-Length is not 1 to 19 decimal digits.")
    for one, other in ((b"5", b"5"), (b"5", b"6"), (b"0", b"5"), (b"5", b""), (b"", b""), (b"x", b"5")):
        raw = _posted(b"Content-Length: " + one, b"content-length: " + other) + b"hello"
        yield Case(f"Content-Length {one!r} and {other!r}", raw, 400, _twice("Content-Length"))
    yield Case("a body with GET", _with(b"Content-Length: 3") + b"abc", body=b"abc")
    yield Case("a body with DELETE", _with(b"Content-Length: 3", line=b"DELETE / HTTP/1.1") + b"abc", body=b"abc")
    yield Case(
        "a body with an unknown method", _with(b"Content-Length: 3", line=b"BREW / HTTP/1.1") + b"abc", body=b"abc"
    )
    yield Case(
        "a body in HTTP/1.0", _head(b"POST / HTTP/1.0", b"Content-Length: 3") + b"abc", body=b"abc", keep_alive=False
    )
    yield Case("a body of line ends", _posted(b"Content-Length: 4") + b"\r\n\r\n", body=b"\r\n\r\n")
    yield Case("a body of every byte", _posted(b"Content-Length: 256") + bytes(range(256)), body=bytes(range(256)))
    yield Case(
        "a body and Upgrade", _posted(b"Content-Length: 3", b"Upgrade: x", b"Connection: upgrade") + b"abc", body=b"abc"
    )
    yield Case(
        "a body and the next request", _posted(b"Content-Length: 3") + b"abc" + _with(), body=b"abc", rest=_with()
    )
    yield Case("no length, no body", _posted())
    yield Case("no length, and something", _posted() + b"hello", rest=b"hello")
    for digits in (b"1048577", b"9999999999999999999"):
        raw = _posted(b"Content-Length: " + digits)
        yield Case(f"a length of {digits!r}", raw, 413, "The body is longer than 1048576 bytes.")
    yield Case(
        "the length allowed, body to come", _posted(b"Content-Length: 1048576") + b"abc", body=b"abc", whole=False
    )


# --- Transfer-Encoding --------------------------------------------------------------------------------------------

_GOOD_CODINGS = [b"chunked", b"Chunked", b"CHUNKED", b"cHuNkEd", b" chunked", b"  chunked", b"chunked ", b"  chunked  "]
_OTHER_CODING = "The only supported transfer coding is chunked."
_NOT_CHUNKED = "Transfer-Encoding is not exactly one chunked."
_BAD_CODINGS: list[tuple[bytes, int, str]] = [
    (b"gzip", 400, _NOT_CHUNKED),
    (b"gzip, chunked", 501, _OTHER_CODING),
    (b"chunked, gzip", 400, _NOT_CHUNKED),
    (b"gzip,chunked", 501, _OTHER_CODING),
    (b"identity", 400, _NOT_CHUNKED),
    (b"chunked, identity", 400, _NOT_CHUNKED),
    (b"identity, chunked", 501, _OTHER_CODING),
    (b"deflate", 400, _NOT_CHUNKED),
    (b"compress", 400, _NOT_CHUNKED),
    (b"trailers", 400, _NOT_CHUNKED),
    (b"xchunked", 400, _NOT_CHUNKED),
    (b"chunkedx", 400, _NOT_CHUNKED),
    (b"chunke", 400, _NOT_CHUNKED),
    (b"x-chunked", 400, _NOT_CHUNKED),
    (b"chunked-", 400, _NOT_CHUNKED),
    (b"'chunked'", 400, _NOT_CHUNKED),
    (b"0", 400, _NOT_CHUNKED),
    (b"gzip;q=1", 400, _NOT_CHUNKED),
    (b"gzip ; q=1, chunked", 501, _OTHER_CODING),
    (b"gzip, Chunked", 501, _OTHER_CODING),
    (b"gzip, deflate,  chunked", 501, _OTHER_CODING),
    (b"gzip\t, chunked", 501, _OTHER_CODING),
    (b"gzip, chunked, chunked", 400, _NOT_CHUNKED),
    (b"chunked, gzip, chunked", 400, _NOT_CHUNKED),
    (b"gzip, chunked;a=b", 400, _NOT_CHUNKED),
    (b"gzip,\tchunked", 400, _NOT_CHUNKED),
    (b"gzip,, chunked", 400, _NOT_CHUNKED),
    (b"(gzip), chunked", 400, _NOT_CHUNKED),
    (b"chunked, chunked, gzip", 400, _NOT_CHUNKED),
    (b"", 400, _NOT_CHUNKED),
    (b" ", 400, _NOT_CHUNKED),
    (b",", 400, _NOT_CHUNKED),
    (b"chunked,", 400, _NOT_CHUNKED),
    (b",chunked", 400, _NOT_CHUNKED),
    (b", chunked", 400, _NOT_CHUNKED),
    (b"chunked,,chunked", 400, _NOT_CHUNKED),
    (b"chunked, chunked", 400, _NOT_CHUNKED),
    (b"chunked,Chunked", 400, _NOT_CHUNKED),
    (b"chunked;", 400, _NOT_CHUNKED),
    (b"chunked;a=b", 400, _NOT_CHUNKED),
    (b"chunked ; a", 400, _NOT_CHUNKED),
    (b'"chunked"', 400, _NOT_CHUNKED),
    (b"(chunked)", 400, _NOT_CHUNKED),
    (b"chun ked", 400, _NOT_CHUNKED),
    (b"chunked chunked", 400, _NOT_CHUNKED),
    (b"gzip chunked", 400, _NOT_CHUNKED),
    (b"gzip,", 400, _NOT_CHUNKED),
    (b"chunked\t", 400, _NOT_CHUNKED),
    (b"\tchunked", 400, _NOT_CHUNKED),
    (b" \tchunked", 400, _NOT_CHUNKED),
    (b"chunked\t ", 400, _NOT_CHUNKED),
    (b"chunked\xa0", 400, _NOT_CHUNKED),
    (b"\x85chunked", 400, _NOT_CHUNKED),
    (b"chunked=", 400, _NOT_CHUNKED),
    (b":chunked", 400, _NOT_CHUNKED),
]


def _codings() -> Iterator[Case]:
    chunks = b"3\r\nabc\r\n0\r\n\r\n"
    for value in _GOOD_CODINGS:
        yield Case(f"Transfer-Encoding {value!r}", _posted(b"Transfer-Encoding:" + value) + chunks, body=b"abc")
    for value, status, reason in _BAD_CODINGS:
        raw = _posted(b"Transfer-Encoding:" + value) + chunks
        yield Case(f"Transfer-Encoding {value!r}", raw, status, reason)
    for one, other in (
        (b"chunked", b"chunked"),
        (b"chunked", b"identity"),
        (b"gzip", b"chunked"),
        (b"", b"chunked"),
        (b"chunked", b""),
    ):
        raw = _posted(b"Transfer-Encoding: " + one, b"A: b", b"transfer-encoding: " + other) + chunks
        yield Case(f"Transfer-Encoding {one!r} and {other!r}", raw, 400, _twice("Transfer-Encoding"))
    both = "Transfer-Encoding and Content-Length exclude each other."
    for length in (b"0", b"3", b"13", b"14", b"x"):
        raw = _posted(b"Content-Length: " + length, b"Transfer-Encoding: chunked")
        yield Case(f"Content-Length {length!r}, then chunked", raw + chunks, 400, both)
        raw = _posted(b"Transfer-Encoding: chunked", b"Content-Length: " + length)
        yield Case(f"chunked, then Content-Length {length!r}", raw + chunks, 400, both)
    yield Case(
        "gzip with Content-Length", _posted(b"Transfer-Encoding: gzip", b"Content-Length: 3") + b"abc", 400, both
    )
    old = "Transfer-Encoding has no meaning in HTTP/1.0."
    for value in (b"chunked", b"gzip", b"identity", b""):
        raw = _head(b"POST / HTTP/1.0", b"Transfer-Encoding: " + value) + chunks
        yield Case(f"Transfer-Encoding {value!r} in HTTP/1.0", raw, 400, old)
    raw = _head(b"POST / HTTP/1.0", b"Transfer-Encoding: chunked", b"Content-Length: 3") + b"abc"
    yield Case("both in HTTP/1.0", raw, 400, old)
    yield Case("chunks with GET", _with(b"Transfer-Encoding: chunked") + chunks, body=b"abc")
    yield Case(
        "chunks with a method beyond HTTP's",
        _with(b"Transfer-Encoding: chunked", line=b"BREW / HTTP/1.1") + chunks,
        body=b"abc",
    )
    raw = _posted(b"Transfer-Encoding: chunked", b"Connection: upgrade", b"Upgrade: h2c") + chunks
    yield Case("chunks and Upgrade", raw, body=b"abc")
    raw = _posted(b"Transfer-Encoding: chunked", b"Connection: close") + chunks
    yield Case("chunks and close", raw, body=b"abc", keep_alive=False)


# --- Connection and Expect ----------------------------------------------------------------------------------------

# Connection, whether HTTP/1.1 persists, whether HTTP/1.0 does
_CONNECTIONS: list[tuple[bytes, bool, bool]] = [
    (b"close", False, False),
    (b"Close", False, False),
    (b"CLOSE", False, False),
    (b"keep-alive", True, True),
    (b"Keep-Alive", True, True),
    (b"keep-alive, close", False, False),
    (b"close, keep-alive", False, False),
    (b"keep-alive, Upgrade", True, True),
    (b"upgrade", True, False),
    (b"upgrade,close", False, False),
    (b"a, b ,\tclose\t, c", False, False),
    (b"", True, False),
    (b",", True, False),
    (b", ,close", False, False),
    (b"closed", True, False),
    (b"notclose", True, False),
    (b"close;x", True, False),
    (b'"close"', True, False),
    (b"keep-alive;x", True, False),
    (b"keepalive", True, False),
    (b"te, close", False, False),
    (b"close close", True, False),
]

_ONLY_CONTINUE = "The only supported expectation is 100-continue."
_BAD_EXPECTATIONS = [
    b"", b"100", b"continue", b"100-continued", b"x100-continue", b"100-continue, 100-continue", b"100-continue,",
    b"100-continue;q=1", b'"100-continue"', b"200-ok", b"100 continue", b"100_continue", b"a=b",
]  # fmt: skip


def _options() -> Iterator[Case]:
    for value, persists, formerly in _CONNECTIONS:
        raw = _with(b"Connection: " + value)
        yield Case(f"Connection {value!r}", raw, keep_alive=persists)
        raw = _with(b"Connection: " + value, line=b"GET / HTTP/1.0")
        yield Case(f"Connection {value!r} in HTTP/1.0", raw, keep_alive=formerly)
    yield Case("close in a second Connection", _with(b"Connection: a", b"A: b", b"connection: close"), keep_alive=False)
    yield Case("close in the first of two", _with(b"Connection: close", b"Connection: keep-alive"), keep_alive=False)
    raw = _with(b"Connection: a", b"Connection: keep-alive", line=b"GET / HTTP/1.0")
    yield Case("keep-alive in a second Connection", raw)
    for value in (b"100-continue", b"100-Continue", b" 100-CONTINUE\t"):
        yield Case(f"Expect {value!r}", _posted(b"Expect:" + value, b"Content-Length: 2") + b"ok", body=b"ok")
        yield Case(f"Expect {value!r} without a body", _with(b"Expect:" + value))
    yield Case(
        "Expect and chunks",
        _posted(b"Expect: 100-continue", b"Transfer-Encoding: chunked") + b"1\r\na\r\n0\r\n\r\n",
        body=b"a",
    )
    for value in _BAD_EXPECTATIONS:
        yield Case(f"Expect {value!r}", _posted(b"Expect: " + value, b"Content-Length: 2"), 417, _ONLY_CONTINUE)
        raw = _head(b"POST / HTTP/1.0", b"Expect: " + value, b"Content-Length: 2") + b"ok"
        yield Case(f"Expect {value!r} in HTTP/1.0", raw, body=b"ok", keep_alive=False)
    yield Case("Expect twice", _posted(b"Expect: 100-continue", b"Expect: 100-continue"), 417, _ONLY_CONTINUE)


# --- chunks -------------------------------------------------------------------------------------------------------

# RFC 9112 section 7.1.1: white space may stand around the `;` and the `=`.
_SPACED_EXTENSIONS = [
    b" ;a", b"; a", b" ; a", b"\t;\ta", b" \t ; \t a", b";a =b", b";a= b", b"; a = b", b" ;a\t=\tb", b"; a ; b",
    b'; a = "b c" ; d', b' ; a="b" ; c = "d"', b"; a=b ;c",
]  # fmt: skip
_GOOD_CHUNKS: list[tuple[bytes, bytes]] = [
    (b"0\r\n\r\n", b""),
    (b"00\r\n\r\n", b""),
    (b"0000000000000000\r\n\r\n", b""),
    (b"0;a\r\n\r\n", b""),
    (b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
    (b"05\r\nhello\r\n0\r\n\r\n", b"hello"),
    (b"0000000000000005\r\nhello\r\n0\r\n\r\n", b"hello"),
    (b"a\r\n0123456789\r\n0\r\n\r\n", b"0123456789"),
    (b"A\r\n0123456789\r\n0\r\n\r\n", b"0123456789"),
    (b"0a\r\n0123456789\r\n0\r\n\r\n", b"0123456789"),
    (b"1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\n\r\n", b"abc"),
    (b"2\r\n\r\n\r\n0\r\n\r\n", b"\r\n"),
    (b"5\r\n0\r\n\r\n\r\n0\r\n\r\n", b"0\r\n\r\n"),
    (b"4\r\n\x00\xff\n\r\r\n0\r\n\r\n", b"\x00\xff\n\r"),
    (b"3;a\r\nabc\r\n0\r\n\r\n", b"abc"),
    (b"3;a=b\r\nabc\r\n0\r\n\r\n", b"abc"),
    (b"3;a=b;c=d;e\r\nabc\r\n0\r\n\r\n", b"abc"),
    (b"3;a;b\r\nabc\r\n0\r\n\r\n", b"abc"),
    (b'3;a=""\r\nabc\r\n0\r\n\r\n', b"abc"),
    (b'3;a="b"\r\nabc\r\n0\r\n\r\n', b"abc"),
    (b'3;a="b c;d=,"\r\nabc\r\n0\r\n\r\n', b"abc"),
    (b'3;a="\t"\r\nabc\r\n0\r\n\r\n', b"abc"),
    (b'3;a="\\""\r\nabc\r\n0\r\n\r\n', b"abc"),
    (b'3;a="\\\\"\r\nabc\r\n0\r\n\r\n', b"abc"),
    (b'3;a="\\b\\ \\\t"\r\nabc\r\n0\r\n\r\n', b"abc"),
    (b'3;a="\x80\xff"\r\nabc\r\n0\r\n\r\n', b"abc"),
    (b'3;a="\\\xff"\r\nabc\r\n0\r\n\r\n', b"abc"),
    (b'3;a="b";c="d"\r\nabc\r\n0\r\n\r\n', b"abc"),
    (b'3;a="b";c;d=e\r\nabc\r\n0\r\n\r\n', b"abc"),
    (b"3;!#$%&'*+-.^_`|~=1\r\nabc\r\n0\r\n\r\n", b"abc"),
    (b"3;0=0\r\nabc\r\n0;1=1\r\n\r\n", b"abc"),
    (b"3;chunked\r\nabc\r\n0\r\n\r\n", b"abc"),
]
_NO_SIZE = "A chunk size is not hexadecimal."
_NO_EXTENSION = "A chunk size is followed by something that is not a chunk extension."
_UNCLOSED = "A chunk's data is not followed by CRLF."
_LF_IN_CHUNK = _bare("LF", "a chunk line")
_CR_IN_CHUNK = _bare("CR", "a chunk line")
_BAD_CHUNKS: list[tuple[bytes, str]] = [
    (b"\r\n", _NO_SIZE),
    (b"g\r\n", _NO_SIZE),
    (b"x5\r\nhello\r\n0\r\n\r\n", _NO_SIZE),
    (b"-5\r\nhello\r\n0\r\n\r\n", _NO_SIZE),
    (b"+5\r\nhello\r\n0\r\n\r\n", _NO_SIZE),
    (b" 5\r\nhello\r\n0\r\n\r\n", _NO_SIZE),
    (b"\t5\r\nhello\r\n0\r\n\r\n", _NO_SIZE),
    (b";a\r\nhello\r\n0\r\n\r\n", _NO_SIZE),
    (b"\r5\r\nhello\r\n0\r\n\r\n", _NO_SIZE),
    ("\uff15\r\nhello\r\n0\r\n\r\n".encode(), _NO_SIZE),
    (b'"5"\r\nhello\r\n0\r\n\r\n', _NO_SIZE),
    (b"hello", _NO_SIZE),
    (b"\n5\r\nhello\r\n0\r\n\r\n", _LF_IN_CHUNK),
    (b"\x005\r\nhello\r\n0\r\n\r\n", _control(0, "a chunk line")),
    (b"5\nhello\r\n0\r\n\r\n", _LF_IN_CHUNK),
    (b"5;a\nhello\r\n0\r\n\r\n", _LF_IN_CHUNK),
    (b"5;\nhello\r\n0\r\n\r\n", _LF_IN_CHUNK),
    (b'5;a="\n"\r\nhello\r\n0\r\n\r\n', _LF_IN_CHUNK),
    (b"5\rhello\r\n0\r\n\r\n", _CR_IN_CHUNK),
    (b"5\r\rhello\r\n0\r\n\r\n", _CR_IN_CHUNK),
    (b"5\r\r\nhello\r\n0\r\n\r\n", _CR_IN_CHUNK),
    (b"5;a\rb\r\nhello\r\n0\r\n\r\n", _CR_IN_CHUNK),
    (b"5;a\rX\nhello\r\n0\r\n\r\n", _CR_IN_CHUNK),
    (b"5;a\x00\r\nhello\r\n0\r\n\r\n", _control(0, "a chunk line")),
    (b"5\x00\r\nhello\r\n0\r\n\r\n", _control(0, "a chunk line")),
    (b"5;a\x07\r\nhello\r\n0\r\n\r\n", _control(7, "a chunk line")),
    (b"5;a=\x7f\r\nhello\r\n0\r\n\r\n", _control(127, "a chunk line")),
    (b"5\x0b\r\nhello\r\n0\r\n\r\n", _control(11, "a chunk line")),
    (b"5 \r\nhello\r\n0\r\n\r\n", _NO_EXTENSION),
    (b"5\t\r\nhello\r\n0\r\n\r\n", _NO_EXTENSION),
    (b"5; a \r\nhello\r\n0\r\n\r\n", _NO_EXTENSION),
    (b"5;a=b \r\nhello\r\n0\r\n\r\n", _NO_EXTENSION),
    (b"5;a= \r\nhello\r\n0\r\n\r\n", _NO_EXTENSION),
    (b"5;a = = b\r\nhello\r\n0\r\n\r\n", _NO_EXTENSION),
    (b"5;a b\r\nhello\r\n0\r\n\r\n", _NO_EXTENSION),
    (b"5;a=b c\r\nhello\r\n0\r\n\r\n", _NO_EXTENSION),
    (b"5;a=b =c\r\nhello\r\n0\r\n\r\n", _NO_EXTENSION),
    (b"5 ; ; a\r\nhello\r\n0\r\n\r\n", _NO_EXTENSION),
    (b"5 a\r\nhello\r\n0\r\n\r\n", _NO_EXTENSION),
    (b"5 =a\r\nhello\r\n0\r\n\r\n", _NO_EXTENSION),
    (b"5;\x0ba\r\nhello\r\n0\r\n\r\n", _control(11, "a chunk line")),
    (b"5; a\nhello\r\n0\r\n\r\n", _LF_IN_CHUNK),
    (b"5 ;\ra\r\nhello\r\n0\r\n\r\n", _CR_IN_CHUNK),
    (b"5;a \r\nhello\r\n0\r\n\r\n", _NO_EXTENSION),
    (b"0x", _NO_EXTENSION),
    (b"5;\r\nhello\r\n0\r\n\r\n", _NO_EXTENSION),
    (b"5;;a\r\nhello\r\n0\r\n\r\n", _NO_EXTENSION),
    (b"5;a;\r\nhello\r\n0\r\n\r\n", _NO_EXTENSION),
    (b"5;a=\r\nhello\r\n0\r\n\r\n", _NO_EXTENSION),
    (b"5;=b\r\nhello\r\n0\r\n\r\n", _NO_EXTENSION),
    (b"5;a==b\r\nhello\r\n0\r\n\r\n", _NO_EXTENSION),
    (b'5;a="\r\nhello\r\n0\r\n\r\n', _NO_EXTENSION),
    (b'5;a="b\r\nhello\r\n0\r\n\r\n', _NO_EXTENSION),
    (b'5;a="b"c\r\nhello\r\n0\r\n\r\n', _NO_EXTENSION),
    (b'5;a=b"c"\r\nhello\r\n0\r\n\r\n', _NO_EXTENSION),
    (b'5;a="\\"\r\nhello\r\n0\r\n\r\n', _NO_EXTENSION),
    (b'5;"a"\r\nhello\r\n0\r\n\r\n', _NO_EXTENSION),
    (b"5;\xff\r\nhello\r\n0\r\n\r\n", _NO_EXTENSION),
    (b"5;a=\xff\r\nhello\r\n0\r\n\r\n", _NO_EXTENSION),
    (b"5,a\r\nhello\r\n0\r\n\r\n", _NO_EXTENSION),
    (b"5:a\r\nhello\r\n0\r\n\r\n", _NO_EXTENSION),
    (b"5h\r\nhello\r\n0\r\n\r\n", _NO_EXTENSION),
    (b"0x5\r\nhello\r\n0\r\n\r\n", _NO_EXTENSION),
    (b"5_\r\nhello\r\n0\r\n\r\n", _NO_EXTENSION),
    (b"5.0\r\nhello\r\n0\r\n\r\n", _NO_EXTENSION),
    (b"5 5\r\nhello\r\n0\r\n\r\n", _NO_EXTENSION),
    (b"0 \r\n\r\n", _NO_EXTENSION),
    (b"0; \r\n\r\n", _NO_EXTENSION),
    (b"00000000000000005\r\nhello\r\n0\r\n\r\n", "A chunk size has more than 16 digits."),
    (b"10000000000000000\r\n", "A chunk size has more than 16 digits."),
    (b"ffffffffffffffffffffffffffffffff\r\n", "A chunk size has more than 16 digits."),
    (b"00000000000000000\r\n\r\n", "A chunk size has more than 16 digits."),
    (b"5\r\nhelloXX0\r\n\r\n", _UNCLOSED),
    (b"5\r\nhello0\r\n\r\n", _UNCLOSED),
    (b"5\r\nhello\n0\r\n\r\n", _UNCLOSED),
    (b"5\r\nhello\r0\r\n\r\n", _UNCLOSED),
    (b"5\r\nhello\r\r\n0\r\n\r\n", _UNCLOSED),
    (b"5\r\nhello\n\r0\r\n\r\n", _UNCLOSED),
    (b"5\r\nhello\rX0\r\n\r\n", _UNCLOSED),
    (b"5\r\nhelloo\r\n0\r\n\r\n", _UNCLOSED),
    (b"5\r\nhell\r\n0\r\n\r\n", _UNCLOSED),
    (b"4\r\nhello\r\n0\r\n\r\n", _UNCLOSED),
    (b"1\r\nab\r\n0\r\n\r\n", _UNCLOSED),
    (b"5\r\nhello\r\n\r\n", _NO_SIZE),
    (b"5\r\nhello\r\n \r\n0\r\n\r\n", _NO_SIZE),
    (b"5\r\nhello\r\nGET / HTTP/1.1\r\n", _NO_SIZE),
]

_GOOD_TRAILERS = [
    b"A: b\r\n", b"A:\r\n", b"A: b\r\nA: c\r\n", b"A: \xff\r\n", b"Digest: x\r\nServer-Timing: a;dur=1\r\n",
    b"Content-Type: a/b\r\nContent-Type: a/b\r\n", b"Connection: close\r\n", b"Expect: x\r\n", b"X-Host: a\r\n",
    b"Trailer: b\r\n", b"Upgrade: x\r\n", b"Content-Length-: 1\r\n", b"A: Host: b\r\n",
]  # fmt: skip
_BAD_TRAILERS: list[tuple[bytes, str]] = [
    (b"Content-Length: 0\r\n\r\n", "Content-Length is not allowed in a trailer section."),
    (b"content-length: 5\r\n\r\n", "Content-Length is not allowed in a trailer section."),
    (b"A: b\r\nCONTENT-LENGTH:\r\n\r\n", "Content-Length is not allowed in a trailer section."),
    (b"Transfer-Encoding: chunked\r\n\r\n", "Transfer-Encoding is not allowed in a trailer section."),
    (b"transfer-encoding: gzip\r\n\r\n", "Transfer-Encoding is not allowed in a trailer section."),
    (b"Host: a.example\r\n\r\n", "Host is not allowed in a trailer section."),
    (b"A: b\r\nhOsT: a.example\r\n\r\n", "Host is not allowed in a trailer section."),
    (b"A\r\n\r\n", "A field line has no colon."),
    (b": b\r\n\r\n", "A field line has no name."),
    (b"A : b\r\n\r\n", _SPACED),
    (b" A: b\r\n\r\n", _FOLDED),
    (b"A: b\r\n c\r\n\r\n", _FOLDED),
    (b"A: b\n\r\n", _bare("LF", "a field value")),
    (b"A: b\rc\r\n\r\n", _bare("CR", "a field line")),
    (b"A: b\x00\r\n\r\n", _control(0, "a field value")),
    (b"A: \x07\r\n\r\n", _control(7, "a field value")),
    (b"A: \x7f\r\n\r\n", _control(127, "a field value")),
    (b"A\x00: b\r\n\r\n", _control(0, "a field name")),
    (b'"A": b\r\n\r\n', _alien(0x22, "a field name")),
    (b"\xff: b\r\n\r\n", _alien(0xFF, "a field name")),
    (b"\n", _bare("LF", "a field name")),
    (b"\rX", _bare("CR", "the line that ends the fields")),
    (b"\r\r\n", _bare("CR", "the line that ends the fields")),
    (b"GET / HTTP/1.1\r\n\r\n", _SPACED),
]


def _chunks() -> Iterator[Case]:
    for sent, body in _GOOD_CHUNKS:
        yield Case(f"chunks {sent!r}", _CHUNKED_HEAD + sent, body=body)
    for extension in _SPACED_EXTENSIONS:
        sent = b"3" + extension + b"\r\nabc\r\n0" + extension + b"\r\n\r\n"
        yield Case(f"chunks {sent!r}", _CHUNKED_HEAD + sent, body=b"abc", alone=False)
    for sent, reason in _BAD_CHUNKS:
        yield Case(f"chunks {sent!r}", _CHUNKED_HEAD + sent, 400, reason)
    for size in (b"100001", b"fffffff", b"7fffffffffffffff", b"8000000000000000", b"FFFFFFFFFFFFFFFF"):
        raw = _CHUNKED_HEAD + size + b"\r\n"
        yield Case(f"chunk of {size!r}", raw, 413, "The body is longer than 1048576 bytes.")
    yield Case("chunk of the size allowed", _CHUNKED_HEAD + b"100000\r\nabc", body=b"abc", whole=False)
    raw = _CHUNKED_HEAD + b"3\r\nabc\r\nffffe\r\n"
    yield Case("chunks that announce more than is allowed", raw, 413, "The body is longer than 1048576 bytes.")
    for lines in _GOOD_TRAILERS:
        yield Case(f"trailers {lines!r}", _CHUNKED_HEAD + b"1\r\na\r\n0\r\n" + lines + b"\r\n", body=b"a")
    for lines, reason in _BAD_TRAILERS:
        yield Case(f"trailers {lines!r}", _CHUNKED_HEAD + b"1\r\na\r\n0\r\n" + lines, 400, reason)
    raw = _CHUNKED_HEAD + b"1\r\na\r\n0\r\n\r\n"
    yield Case("chunks, then a request", raw + _with(), body=b"a", rest=_with())
    yield Case("chunks, then an empty line", raw + b"\r\n", body=b"a", rest=b"\r\n")
    yield Case("trailers, then a request", raw[:-2] + b"A: b\r\n\r\n" + _with(), body=b"a", rest=_with())


# --- limits, both sides of each -----------------------------------------------------------------------------------


def _line_of(size: int, version: bytes = b" HTTP/1.1") -> bytes:
    return b"GET /" + b"l" * (size - 5 - len(version)) + version


def _head_of(size: int) -> bytes:
    """A head of `size` bytes with short lines, a space behind each colon not counted."""
    short = _with()
    filler = [b"F: " + b"f" * 995] * ((size - len(short) - 10) // 1000)
    whole = _with(*filler)
    return _with(*filler, b"G: " + b"g" * (size - len(whole) + whole.count(b": ") - 4))


def _limits() -> Iterator[Case]:
    too_long = "The request line is longer than 8190 bytes."
    yield Case("a request line of 8190", _with(line=_line_of(8190)))
    yield Case("a request line of 8191", _with(line=_line_of(8191)), 414, too_long)
    yield Case("a request line of 8191 of another version", _with(line=_line_of(8191, b" HTTP/2.0")), 414, too_long)
    yield Case("a request line of 8190, absolute", _with(line=b"GET http://a.example/" + b"m" * 8160 + b" HTTP/1.1"))
    yield Case(
        "a request line of 8191, absolute",
        _with(line=b"GET http://a.example/" + b"m" * 8161 + b" HTTP/1.1"),
        414,
        too_long,
    )
    yield Case("a request line of 8190 after an empty line", b"\r\n" + _with(line=_line_of(8190)))
    yield Case("a request line of 8191 after an empty line", b"\r\n" + _with(line=_line_of(8191)), 414, too_long)
    method = "The method is longer than 8190 bytes."
    yield Case("a method without end", b"A" * 8191, 501, method)
    yield Case("a method of 9000", _with(line=b"A" * 9000 + b" / HTTP/1.1"), 501, method)
    yield Case("a method of 8190", b"A" * 8190 + b" / HTTP/1.1\r\nHost: a\r\n\r\n", 501, method)
    yield Case("a method of 8179", _with(line=b"A" * 8179 + b" / HTTP/1.1"))
    yield Case("a bare target without end", b"GET /" + b"|" * 8186, 414, too_long)
    yield Case("a bare query without end", b"GET /?" + b"%" * 8185, 414, too_long)
    yield Case(
        "a request line of 8190 that is read as a longer one",
        _with(line=b"GET /" + b"|" * 8176 + b" HTTP/1.1"),
        target=b"/" + b"%7C" * 8176,
    )
    yield Case("a target without end", b"GET /" + b"t" * 8186, 414, too_long)
    yield Case("a target of triplets without end", b"GET /" + b"%41" * 2800, 414, too_long)
    wide = "A field line is longer than 8190 bytes."
    yield Case("a field line of 8190", _with(b"A:" + b"a" * 8188))
    yield Case("a field line of 8190 and a space", _with(b"A: " + b"a" * 8188))
    yield Case("a field line of 8191", _with(b"A:" + b"a" * 8189), 431, wide)
    yield Case("a field line of 8191 and a space", _with(b"A: " + b"a" * 8189), 431, wide)
    yield Case("a field line of 8191 with white space", _with(b"A:" + b" " * 8189))
    yield Case("a field line of 8192 with white space", _with(b"A:" + b" " * 8190), 431, wide)
    yield Case("a field name of 8189", _with(b"A" * 8189 + b":"))
    yield Case("a field name of 8190", _with(b"A" * 8190 + b":"), 431, wide)
    yield Case("a field line without end", b"GET / HTTP/1.1\r\nA: " + b"b" * 9000, 431, wide)
    yield Case("a field name without end", b"GET / HTTP/1.1\r\n" + b"b" * 9000, 431, wide)
    many = "There are more than 100 fields."
    yield Case("100 fields", _with(*[b"A: b"] * 99))
    yield Case("101 fields", _with(*[b"A: b"] * 100), 431, many)
    yield Case("101 fields, unfinished", b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 100 + b"A:", 431, many)
    way = [b"Via: 1.1 a", b"X-Forwarded-For: 192.0.2.1"] * 4
    yield Case("100 fields, and 8 that tell its way", _with(*[b"A: b"] * 99, *way))
    yield Case("100 fields, and 9 that tell its way", _with(*[b"A: b"] * 99, *way, b"Via: 1.1 a"), 431, many)
    yield Case("a thousand empty fields", _with(*[b"A:"] * 1000), 431, many)
    large = "The head is longer than 32768 bytes."
    yield Case("a head of 32768", _head_of(32768))
    yield Case("a head of 32769", _head_of(32769), 431, large)
    yield Case("a head of 32768 after an empty line", b"\r\n" + _head_of(32768))
    yield Case("a head of 32769 after an empty line", b"\r\n" + _head_of(32769), 431, large)
    yield Case("a head of 544 KB", _with(*[b"A: " + b"a" * 8000] * 68), 431, large)
    line = "A chunk line is longer than 256 bytes."
    chunks = b"\r\nabc\r\n0\r\n\r\n"
    yield Case("a chunk line of 256", _CHUNKED_HEAD + b"3;" + b"e" * 254 + chunks, body=b"abc")
    yield Case("a chunk line of 257", _CHUNKED_HEAD + b"3;" + b"e" * 255 + chunks, 400, line)
    yield Case("a chunk line without end", _CHUNKED_HEAD + b"3;" + b"e" * 300, 400, line)
    yield Case("a last chunk line of 256", _CHUNKED_HEAD + b"0;" + b"e" * 254 + b"\r\n\r\n")
    yield Case("a last chunk line of 257", _CHUNKED_HEAD + b"0;" + b"e" * 255 + b"\r\n\r\n", 400, line)
    yield from _overhead()
    yield from _trailer_limits()


def _overhead() -> Iterator[Case]:
    # Each one-byte chunk brings four bytes more framing than body: 4,095 of them 16,380, the last chunk line the rest.
    ones = _CHUNKED_HEAD + b"1\r\nx\r\n" * 4095
    outweighs = "The chunk framing is larger than the body by more than 16384 bytes."
    yield Case("framing of 16383 beyond the body", ones + b"0\r\n\r\n", body=b"x" * 4095)
    yield Case("framing of 16384 beyond the body", ones + b"00\r\n\r\n", body=b"x" * 4095)
    yield Case("framing of 16385 beyond the body", ones + b"000\r\n\r\n", 400, outweighs)
    yield Case("one-byte chunks", _CHUNKED_HEAD + b"1\r\nx\r\n" * 5000 + b"0\r\n\r\n", 400, outweighs)
    extended = b"1;" + b"e" * 254 + b"\r\nx\r\n"
    yield Case("long extensions", _CHUNKED_HEAD + extended * 70 + b"0\r\n\r\n", 400, outweighs)
    large = b"64;" + b"e" * 60 + b"\r\n" + b"x" * 100 + b"\r\n"
    yield Case("extensions shorter than their chunks", _CHUNKED_HEAD + large * 400 + b"0\r\n\r\n", body=b"x" * 40000)


def _trailer_limits() -> Iterator[Case]:
    last = _CHUNKED_HEAD + b"0\r\n"
    many = "There are more than 100 fields."
    yield Case("100 trailers", last + b"A: b\r\n" * 100 + b"\r\n")
    yield Case("101 trailers", last + b"A: b\r\n" * 101 + b"\r\n", 400, many)
    wide = "A field line is longer than 8190 bytes."
    yield Case("a trailer line of 8190", last + b"A: " + b"a" * 8187 + b"\r\n\r\n")
    yield Case("a trailer line of 8191", last + b"A: " + b"a" * 8188 + b"\r\n\r\n", 400, wide)
    full = (b"A: " + b"a" * 1019 + b"\r\n") * 31  # 31 times 1,024
    large = "The trailer section is longer than 32768 bytes."
    yield Case("trailers of 32768", last + full + b"A: " + b"a" * 1017 + b"\r\n\r\n")
    yield Case("trailers of 32769", last + full + b"A: " + b"a" * 1018 + b"\r\n\r\n", 400, large)


# --- other protocols, unfinished heads, what follows --------------------------------------------------------------

_TLS = "This is a TLS handshake on a port that speaks plain HTTP."
_OTHER_PROTOCOLS: list[tuple[str, bytes, int, str]] = [
    ("a TLS 1.0 hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, _TLS),
    ("a TLS 1.2 hello", b"\x16\x03\x03\x00\xf4\x01\x00\x00\xf0\x03\x03", 400, _TLS),
    ("the first byte of a TLS hello", b"\x16", 400, _TLS),
    ("a TLS hello after an empty line", b"\r\n\x16\x03\x01", 400, _TLS),
    ("an SSL 2 hello", b"\x80\x2e\x01\x00\x02\x00\x15", 400, _alien(0x80, "the method")),
    ("an SSH banner", b"SSH-2.0-OpenSSH_9.6\r\n", 400, "The request line has no target."),
    ("the HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, _FOREIGN),
    ("an SMTP greeting", b"EHLO a.example\r\n", 400, "The request line has no version."),
    ("an FTP command", b"USER anonymous\r\n", 400, "The request line has no version."),
    ("a RESP command", b"*1\r\n$4\r\nPING\r\n", 400, "The request line has no target."),
    ("a memcached command", b"get key\r\n", 400, "The request line has no version."),
    ("a memcached binary command", b"\x80\x00\x00\x03", 400, _alien(0x80, "the method")),
    ("a PROXY version 1 line", b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" + _with(), 400, _NO_VERSION),
    ("a PROXY version 2 header", b"\r\n\r\n\x00\r\nQUIT\n", 400, _control(0, "the method")),
    ("an RTSP request", b"DESCRIBE rtsp://a.example/ RTSP/1.0\r\n\r\n", 400, _NO_VERSION),
    ("a SIP request", b"INVITE sip:a@b.example SIP/2.0\r\n\r\n", 400, _NO_VERSION),
    ("a Minecraft ping", b"\xfe\x01", 400, _alien(0xFE, "the method")),
    ("an RDP cookie", b"\x03\x00\x00\x2f", 400, _control(3, "the method")),
    ("an AMQP header", b"AMQP\x00\x00\x09\x01", 400, _control(0, "the method")),
    ("a PostgreSQL startup", b"\x00\x00\x00\x08\x04\xd2\x16\x2f", 400, _control(0, "the method")),
    ("a response", b"HTTP/1.1 200 OK\r\n\r\n", 400, _alien(0x2F, "the method")),
    ("JSON", b'{"method": "GET"}\r\n', 400, _alien(0x7B, "the method")),
    ("XML", b"<?xml version='1.0'?>", 400, _alien(0x3C, "the method")),
    ("a byte order mark", b"\xef\xbb\xbf" + _with(), 400, _alien(0xEF, "the method")),
    ("UTF-16", "GET / HTTP/1.1\r\n\r\n".encode("utf-16-le"), 400, _control(0, "the method")),
]

_UNFINISHED = [
    b"", b"\r", b"\r\n", b"\r\n\r", b"\r\n\r\n", b"\r\n\r\n\r\n\r\n", b"G", b"GET", b"GET ",
    b"GET /", b"GET /%", b"GET /%4", b"GET /%41", b"GET /?", b"GET /|?%",
    b"GET / ", b"GET / H",
    b"GET / HTTP", b"GET / HTTP/", b"GET / HTTP/1", b"GET / HTTP/1.", b"GET / HTTP/1.1", b"GET / HTTP/2.0",
    b"GET / HTTP/1.1\r", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost", b"GET / HTTP/1.1\r\nHost:",
    b"GET / HTTP/1.1\r\nHost: a", b"GET / HTTP/1.1\r\nHost: a\r", b"GET / HTTP/1.1\r\nHost: a\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\n\r", b"\r\nGET", b"GET http://a", b"GET * HTTP/1.1", b"foo", b"CONNECT a:1",
    b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n", b"GET / HTTP/1.0\r\n", b"POST / HTTP/1.1\r\nContent-Length: x\r\n",
]  # fmt: skip
_UNFINISHED_BODIES: list[tuple[bytes, bytes]] = [
    (_posted(b"Content-Length: 5"), b""),
    (_posted(b"Content-Length: 5") + b"hell", b"hell"),
    (_CHUNKED_HEAD, b""),
    (_CHUNKED_HEAD + b"5", b""),
    (_CHUNKED_HEAD + b"5;", b""),
    (_CHUNKED_HEAD + b"5;a", b""),
    (_CHUNKED_HEAD + b"5 ", b""),
    (_CHUNKED_HEAD + b"5;a ", b""),
    (_CHUNKED_HEAD + b"5; a = ", b""),
    (_CHUNKED_HEAD + b"5;a=b ", b""),
    (_CHUNKED_HEAD + b'5;a="', b""),
    (_CHUNKED_HEAD + b"5\r", b""),
    (_CHUNKED_HEAD + b"5\r\n", b""),
    (_CHUNKED_HEAD + b"5\r\nhell", b"hell"),
    (_CHUNKED_HEAD + b"5\r\nhello", b"hello"),
    (_CHUNKED_HEAD + b"5\r\nhello\r", b"hello"),
    (_CHUNKED_HEAD + b"5\r\nhello\r\n", b"hello"),
    (_CHUNKED_HEAD + b"5\r\nhello\r\n0", b"hello"),
    (_CHUNKED_HEAD + b"5\r\nhello\r\n0\r", b"hello"),
    (_CHUNKED_HEAD + b"5\r\nhello\r\n0\r\n", b"hello"),
    (_CHUNKED_HEAD + b"5\r\nhello\r\n0\r\n\r", b"hello"),
    (_CHUNKED_HEAD + b"5\r\nhello\r\n0\r\nA", b"hello"),
    (_CHUNKED_HEAD + b"5\r\nhello\r\n0\r\nA: b", b"hello"),
    (_CHUNKED_HEAD + b"5\r\nhello\r\n0\r\nA: b\r\n", b"hello"),
    (_CHUNKED_HEAD + b"5\r\nhello\r\n0\r\nA: b\r\n\r", b"hello"),
    (_CHUNKED_HEAD + b"5\r\nhello\r\n0\r\nHost: b\r\n", b"hello"),
]

_BROWSER = _head(
    b"GET /emails?page=2 HTTP/1.1",
    b"Host: mail.example",
    b"Connection: keep-alive",
    b'sec-ch-ua: "Not/A)Brand";v="8", "Chromium";v="126"',
    b"sec-ch-ua-mobile: ?0",
    b'sec-ch-ua-platform: "Linux"',
    b"Upgrade-Insecure-Requests: 1",
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0",
    b"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    b"Accept-Encoding: gzip, deflate, br, zstd",
    b"Accept-Language: en-GB,en;q=0.9",
    b"Cookie: session=0123456789abcdef; theme=dark",
)
_CLIENTS: list[tuple[str, bytes]] = [
    ("a browser", _BROWSER),
    ("curl", _with(b"User-Agent: curl/8.5.0", b"Accept: */*")),
    ("wget", _with(b"User-Agent: Wget/1.21.4", b"Accept-Encoding: identity", b"Connection: Keep-Alive")),
    ("requests", _with(b"User-Agent: python-requests/2.32", b"Accept-Encoding: gzip", b"Connection: keep-alive")),
    ("a WebSocket handshake", _with(b"Upgrade: websocket", b"Connection: Upgrade", b"Sec-WebSocket-Version: 13",
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")),
    ("an h2c upgrade", _with(b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABk")),
    ("a preflight", _with(b"Origin: https://b.example", line=b"OPTIONS /x HTTP/1.1")),
    ("a conditional request", _with(b'If-None-Match: "a", W/"b"', b"If-Modified-Since: yesterday")),
]  # fmt: skip


def _others() -> Iterator[Case]:
    for what, raw, status, reason in _OTHER_PROTOCOLS:
        yield Case(what, raw, status, reason)
    for raw in _UNFINISHED:
        yield Case(f"unfinished {raw!r}", raw, whole=False)
    for raw, body in _UNFINISHED_BODIES:
        yield Case(f"unfinished {raw!r}", raw, body=body, whole=False)
    for what, raw in _CLIENTS:
        yield Case(what, raw)
        yield Case(f"{what}, and again", raw + raw, rest=raw)
    for rest in (b"\r\n", b"\x16\x03", b"\n", b"GET", b"\x00", b"HTTP/1.1 400 Bad Request\r\n\r\n", b" "):
        yield Case(f"a request, then {rest!r}", _with() + rest, rest=rest)
    yield Case("a bad request, then a good one", _with(b"A : b") + _with(), 400, _SPACED)
    smuggled = b"0\r\n\r\nGET /admin HTTP/1.1\r\nHost: a.example\r\n\r\n"
    length = b"Content-Length: %d" % len(smuggled)
    yield Case("chunks as a body of known length", _posted(length) + smuggled, body=smuggled)
    raw = _posted(b"Transfer-Encoding: chunked") + smuggled
    yield Case("a request behind a last chunk", raw, rest=smuggled[5:])
    raw = _posted(length, b"Transfer-Encoding: chunked") + smuggled
    yield Case("a request smuggled by both", raw, 400, "Transfer-Encoding and Content-Length exclude each other.")


def _all(*families: Iterable[Case]) -> list[Case]:
    return [case for family in families for case in family]


CASES = _all(
    _methods(),
    _targets(),
    _versions(),
    _fields(),
    _hosts(),
    _lengths(),
    _codings(),
    _options(),
    _chunks(),
    _limits(),
    _others(),
)
