"""Requests of HTTP/2 through the proxy to an upstream of HTTP/1.1 that reads with a parser of its own: what is meant to
become another request, or another message's length, there arrives as exactly one equal request or not at all.
"""

import socket
from collections.abc import Iterator

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ConnectionTerminated, ResponseReceived, StreamEnded, StreamReset

from tests.conftest import Start
from tests.support.recording import Recorded, RecordingUpstream

Headers = list[tuple[bytes, bytes]]

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nhost: site\r\n\r\n"
INJECTED = b"x\r\n\r\n" + SMUGGLED


def head(
    method: bytes = b"POST", path: bytes = b"/p", *fields: tuple[bytes, bytes], authority: bytes = b"site"
) -> Headers:
    return [(b":method", method), (b":scheme", b"http"), (b":authority", authority), (b":path", path), *fields]


WHOLE = Recorded(b"POST", b"/p", b"hello")
NOTHING = Recorded(b"POST", b"/p", b"")
BARE = Recorded(b"GET", b"/p", b"")

CASES: list[tuple[str, Headers, bytes | None, Recorded | None]] = [
    ("a plain one", head(), b"hello", WHOLE),
    ("one with its length", head(b"POST", b"/p", (b"content-length", b"5")), b"hello", WHOLE),
    ("one without a body", head(b"GET"), None, BARE),
    ("a body that is a request", head(), SMUGGLED, Recorded(b"POST", b"/p", SMUGGLED)),
    ("a body of GET", head(b"GET"), SMUGGLED, Recorded(b"GET", b"/p", SMUGGLED)),
    ("a length of nothing, and more", head(b"POST", b"/p", (b"content-length", b"0")), SMUGGLED, NOTHING),
    ("a length that is too short", head(b"POST", b"/p", (b"content-length", b"3")), b"hello", None),
    ("a length that is too long", head(b"POST", b"/p", (b"content-length", b"9")), b"hello", None),
    ("a length without a body", head(b"POST", b"/p", (b"content-length", b"5")), None, None),
    ("two lengths", head(b"POST", b"/p", (b"content-length", b"5"), (b"content-length", b"0")), b"hello", None),
    ("two lengths in one", head(b"POST", b"/p", (b"content-length", b"5, 5")), b"hello", None),
    ("a length with a sign", head(b"POST", b"/p", (b"content-length", b"+5")), b"hello", None),
    ("transfer-encoding", head(b"POST", b"/p", (b"transfer-encoding", b"chunked")), b"0\r\n\r\n" + SMUGGLED, None),
    ("connection", head(b"POST", b"/p", (b"connection", b"transfer-encoding")), b"hello", None),
    ("upgrade", head(b"GET", b"/p", (b"upgrade", b"h2c")), None, None),
    ("te", head(b"GET", b"/p", (b"te", b"chunked")), None, None),
    ("CRLF in a value", head(b"GET", b"/p", (b"x", INJECTED)), None, None),
    ("LF in a value", head(b"GET", b"/p", (b"x", b"y\nhost: other")), None, None),
    ("CR in a value", head(b"GET", b"/p", (b"x", b"y\rhost: other")), None, None),
    ("NUL in a value", head(b"GET", b"/p", (b"x", b"y\0")), None, None),
    ("CRLF in a name", head(b"GET", b"/p", (b"x: y\r\n\r\nGET /smuggled HTTP/1.1\r\nhost", b"site")), None, None),
    ("a colon in a name", head(b"GET", b"/p", (b"transfer-encoding: chunked\r\nx", b"y")), None, None),
    ("an upper-case name", head(b"POST", b"/p", (b"Transfer-Encoding", b"chunked")), b"0\r\n\r\n", None),
    ("white space in a name", head(b"POST", b"/p", (b"transfer-encoding ", b"chunked")), b"0\r\n\r\n", None),
    ("CRLF in the path", head(b"GET", b"/p HTTP/1.1\r\nhost: site\r\n\r\nGET /smuggled"), None, None),
    ("a space in the path", head(b"GET", b"/p HTTP/1.1"), None, None),
    ("a path of another host", head(b"GET", b"http://other/p"), None, None),
    ("a path without a slash", head(b"GET", b"p"), None, None),
    ("an empty path", head(b"GET", b""), None, None),
    ("CRLF in the method", head(b"GET / HTTP/1.1\r\nhost: site\r\n\r\nGET"), None, None),
    ("CRLF in the authority", head(b"GET", authority=b"site\r\nx: y"), None, None),
    ("a path in the authority", head(b"GET", authority=b"site/p"), None, None),
    ("another Host", head(b"GET", b"/p", (b"host", b"other")), None, None),
    ("two Hosts", head(b"GET", b"/p", (b"host", b"site"), (b"host", b"other")), None, None),
    ("the same Host", head(b"GET", b"/p", (b"host", b"site")), None, BARE),
    ("a pseudo-field too late", [*head(b"GET")[:3], (b"x", b"y"), (b":path", b"/p")], None, None),
    ("two paths", [*head(b"GET"), (b":path", b"/smuggled")], None, None),
    ("two methods", [*head(b"GET"), (b":method", b"POST")], None, None),
    ("a pseudo-field that there is not", [*head(b"GET"), (b":version", b"1.1")], None, None),
    ("CRLF in a pseudo-field's name", [(b":path\r\n", b"/smuggled"), *head(b"GET")], None, None),
    ("CONNECT", [(b":method", b"CONNECT"), (b":authority", b"site:80")], None, None),
]


def ask(address: tuple[str, int], headers: Headers, body: bytes | None) -> None:
    """Ask, and wait for what comes of it."""
    library = H2Connection(
        H2Configuration(header_encoding=None, validate_outbound_headers=False, normalize_outbound_headers=False)
    )
    with socket.create_connection(address, timeout=30) as connection:
        library.initiate_connection()
        library.send_headers(1, headers, end_stream=body is None)
        if body is not None:
            library.send_data(1, body, end_stream=True)
        connection.sendall(library.data_to_send())
        while data := connection.recv(65_536):
            events = library.receive_data(data)
            if any(isinstance(event, StreamEnded | StreamReset | ConnectionTerminated) for event in events):
                return
            if any(isinstance(event, ResponseReceived) for event in events):
                connection.sendall(library.data_to_send())


@pytest.fixture
def upstream() -> Iterator[RecordingUpstream]:
    with RecordingUpstream("h11") as found:
        yield found


def test_what_arrives_is_one_equal_request_or_none(start: Start, upstream: RecordingUpstream) -> None:
    server = start("--no-access-log", "--h2c", target=upstream.url)
    wrong: dict[str, object] = {}
    for what, headers, body, expected in CASES:
        before = len(upstream.recorded)
        ask(server.address, headers, body)
        ask(server.address, head(b"GET", b"/after"), None)
        arrived = upstream.recorded[before:]
        wanted = [*([expected] if expected is not None else []), Recorded(b"GET", b"/after", b"")]
        if arrived != wanted or upstream.offences:
            wrong[what] = (arrived, upstream.offences[:])
            upstream.offences.clear()
    assert wrong == {}
