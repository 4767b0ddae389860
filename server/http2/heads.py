"""Heads of HTTP/2 as HTTP/1.1 has them, and back.

There is one gate (server.http.gate). A request's field section is checked for what HTTP/2 asks of it (RFC 9113 section
8), then written as a head of HTTP/1.1, and read as one: the grammar of targets and fields, their limits, Host,
Content-Length and Expect are the gate's to judge. Since each name, each value and the path are known to have no line
end, space or control byte where HTTP/1.1 has one of its own, what is read is exactly what was written.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from clerestory.handlers.api.messages import Request
from clerestory.handlers.wire.grammar import is_token, is_value
from clerestory.server.http.gate import Refusal
from clerestory.server.http.reading import HeadReader
from clerestory.server.http2.blocks import KEPT as KEPT_BLOCKS

HTTP_2 = 2
"""The `minor` of a request that came by HTTP/2, which has no minor version."""

Headers = Iterable[tuple[bytes, bytes]]

CONNECTION_SPECIFIC = frozenset({b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"})
"""Section 8.2.2."""

PSEUDO = frozenset({b":method", b":scheme", b":authority", b":path"})
"""Section 8.3.1."""
PROTOCOL = b":protocol"
"""RFC 8441 section 4."""

KEPT, LONGEST_KEPT = 128, 512
"""Heads of responses whose fields are known, and the bytes of one at most."""

_is_lower = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]++").fullmatch
_is_visible = re.compile(rb"[\x21-\x7e]++").fullmatch
_invisible = re.compile(rb"[^\x21-\x7e]").sub
_FRAMING = frozenset({b"content-length", b"host", b"transfer-encoding"})


def _shown(name: bytes) -> str:
    return _invisible(b"?", name[:64]).decode("ascii")


def _check(name: bytes, value: bytes) -> None:
    """Section 8.2.1. Raises Refusal."""
    if _is_lower(name) is None:
        if name != name.lower():
            raise Refusal(400, "A field name has an upper-case letter.")
        raise Refusal(400, "A field name is not a token.")
    if is_value(value) is None:
        raise Refusal(400, f"The value of {_shown(name)} has a control character, or white space at an end.")
    if name in CONNECTION_SPECIFIC:
        raise Refusal(400, f"{_shown(name)} is not a field of HTTP/2.")
    if name == b"te" and value.lower() != b"trailers":
        raise Refusal(400, "te is not trailers.")


class Kept(NamedTuple):
    """A field section that has been read: the head that was made of it."""

    headers: Headers
    head: bytes
    length: bytes | None
    expect: bytes | None


class Heads:
    """Reads the heads of one connection's requests."""

    __slots__ = ("_kept", "_known", "_reader")

    def __init__(self, reader: HeadReader, *, connects: bool = False) -> None:
        """With `connects`, a CONNECT may ask for a WebSocket."""
        self._reader = reader
        self._known = PSEUDO | {PROTOCOL} if connects else PSEUDO
        self._kept: dict[int, Kept] = {}

    def request(self, headers: Headers, ended: bool) -> Request:
        """The request of a field section; `ended` where it has no body. Raises Refusal."""
        kept = self._kept.get(id(headers))
        if kept is not None and kept.headers is headers:
            return self._read(kept.head, kept.length, kept.expect, ended)
        pseudo: dict[bytes, bytes] = {}
        lines: list[bytes] = []
        cookies: list[bytes] = []
        host = length = expect = None
        for name, value in headers:
            if name[:1] == b":":
                self._take_pseudo(pseudo, name, value, late=bool(lines or cookies or host is not None))
                continue
            _check(name, value)
            if name == b"cookie":
                cookies.append(value)
                continue
            if name == b"host":
                if host is not None:
                    raise Refusal(400, "The Host field is repeated.")
                host = value
                continue
            if name == b"content-length":
                length = value
            elif name == b"expect":
                expect = value
            lines.append(b"%b: %b\r\n" % (name, value))
        if cookies:  # section 8.2.3
            lines.append(b"cookie: %b\r\n" % b"; ".join(cookies))
        line, authority = self._line(pseudo), self._authority(pseudo, host)
        if PROTOCOL in pseudo:
            return self._connect(pseudo[PROTOCOL], line, authority, lines, length)
        head = b"%bhost: %b\r\n%b\r\n" % (line, authority, b"".join(lines))
        request = self._read(head, length, expect, ended)
        if isinstance(headers, tuple):  # it will come again (server.http2.blocks)
            if len(self._kept) >= KEPT_BLOCKS:
                self._kept.clear()
            self._kept[id(headers)] = Kept(headers, head, length, expect)
        return request

    def _take_pseudo(self, pseudo: dict[bytes, bytes], name: bytes, value: bytes, *, late: bool) -> None:
        """Section 8.3. Raises Refusal."""
        if late:
            raise Refusal(400, f"The pseudo-field {_shown(name)} stands behind a field.")
        if name not in self._known:
            raise Refusal(400, f"There is no pseudo-field {_shown(name)} in a request.")
        if name in pseudo:
            raise Refusal(400, f"The pseudo-field {_shown(name)} is repeated.")
        pseudo[name] = value

    def _line(self, pseudo: dict[bytes, bytes]) -> bytes:
        """The request line. Raises Refusal."""
        method, path, scheme = pseudo.get(b":method"), pseudo.get(b":path"), pseudo.get(b":scheme")
        if method is None or is_token(method) is None:
            raise Refusal(400, "There is no :method that is one.")
        if PROTOCOL in pseudo:
            if method != b"CONNECT":
                raise Refusal(400, "There is a :protocol, and the method is not CONNECT.")
            method = b"GET"  # as on HTTP/1.1: it is read so, and made a CONNECT again when that is done
        elif method == b"CONNECT":
            raise Refusal(501, "CONNECT is not supported.")
        if scheme is None or scheme.lower() not in (b"http", b"https"):
            raise Refusal(400, "The :scheme is neither http nor https.")
        if self._reader.security is not None and scheme.lower() != b"https":
            raise Refusal(400, "The :scheme is http, and the request came over TLS.")
        if path is None or _is_visible(path) is None:
            raise Refusal(400, "There is no :path that is one.")
        if path[:1] != b"/" and not (path == b"*" and method == b"OPTIONS"):
            raise Refusal(400, "The :path does not begin with a slash.")
        return b"%b %b HTTP/1.1\r\n" % (method, path)

    @staticmethod
    def _authority(pseudo: dict[bytes, bytes], host: bytes | None) -> bytes:
        """What Host is to be. Raises Refusal."""
        authority = pseudo.get(b":authority")
        if authority is None:
            authority = host
        elif host is not None and host.lower() != authority.lower():
            raise Refusal(400, "Host is not what :authority is.")
        if not authority or _is_visible(authority) is None:
            raise Refusal(400, "There is neither an :authority nor a Host that is one.")
        return authority

    def _connect(
        self, protocol: bytes, line: bytes, authority: bytes, lines: list[bytes], length: bytes | None
    ) -> Request:
        """A CONNECT behind which `protocol` is to be spoken. Raises Refusal."""
        if is_token(protocol) is None:
            raise Refusal(400, "There is no :protocol that is one.")
        if protocol.lower() != b"websocket":
            raise Refusal(501, f"The protocol {_shown(protocol)} is not spoken here.")
        if length is not None:
            raise Refusal(400, "A CONNECT has no content-length.")
        request = self._read(b"%bhost: %b\r\n%b\r\n" % (line, authority, b"".join(lines)), None, None, True)
        request.method, request.protocol = "CONNECT", "websocket"
        return request

    def _read(self, head: bytes, length: bytes | None, expect: bytes | None, ended: bool) -> Request:
        request = self._reader.read(head)
        assert request is not None, "a head that is written whole is read whole"
        assert self._reader.consumed == len(head), "and nothing is left of it"
        request.minor = HTTP_2
        if ended:
            if request.content_length:
                raise Refusal(400, f"Content-Length is {request.content_length}, and there is no body.")
            request.expects_continue = False
        elif length is None:
            request.content_length, request.body_ended = None, False
            request.expects_continue = expect is not None
        return request


def check_trailers(headers: Headers) -> None:
    """Section 8.1: a trailer section has no pseudo-fields, and nothing that frames or routes. Raises Refusal."""
    for name, value in headers:
        if name[:1] == b":":
            raise Refusal(400, "A trailer section has a pseudo-field.")
        _check(name, value)
        if name in _FRAMING:
            raise Refusal(400, f"{_shown(name)} is not allowed in a trailer section.")


def response_fields(head: bytes) -> Headers:
    """The field section of a response's head as HTTP/1.1 has it. Within a second, short ones repeat."""
    return _remembered(head) if len(head) <= LONGEST_KEPT else _response_fields(head)


def _response_fields(head: bytes) -> tuple[tuple[bytes, bytes], ...]:
    lines = head.split(b"\r\n")
    status = lines[0][9:12]
    found = [(b":status", status if status != b"101" else b"200")]  # RFC 8441 section 5
    found += fields_of(lines[1:])
    return tuple(found)


_remembered = lru_cache(KEPT)(_response_fields)


def fields_of(lines: Iterable[bytes]) -> list[tuple[bytes, bytes]]:
    """Field lines without those that are about a connection."""
    found = []
    for line in lines:
        name, _, value = line.partition(b": ")
        if name and name not in CONNECTION_SPECIFIC:
            found.append((name, value))
    return found
