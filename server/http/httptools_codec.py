"""httptools (llhttp, in C) behind the face `Codec`: the fast parser, of the `standard` extra.

A parser reads one head and is thrown away, so that llhttp's own idea of a connection, of a body's framing, of upgrades
and of what may follow them never comes into play.

llhttp knows a closed list of methods, and reads some of those as other protocols (PRI as HTTP/2, DESCRIBE as RTSP).
Any token is a method (RFC 9110 section 9.1), and which are served is the router's business; so the heads of methods
beyond HTTP's usual ones are read by h11.
"""

import httptools

from clerestory.handlers.api.messages import Field, Fields
from clerestory.server.http import h11_codec
from clerestory.server.http.gate import Disagreement

# RFC 9110, RFC 5789 (PATCH), RFC 4918 (WebDAV) and its companions: methods that llhttp reads as plain HTTP.
_METHODS = {
    b"GET": "GET",
    b"HEAD": "HEAD",
    b"POST": "POST",
    b"PUT": "PUT",
    b"DELETE": "DELETE",
    b"OPTIONS": "OPTIONS",
    b"TRACE": "TRACE",
    b"PATCH": "PATCH",
    b"PROPFIND": "PROPFIND",
    b"PROPPATCH": "PROPPATCH",
    b"MKCOL": "MKCOL",
    b"COPY": "COPY",
    b"MOVE": "MOVE",
    b"LOCK": "LOCK",
    b"UNLOCK": "UNLOCK",
}


class _Head:
    """What a parser says of one head."""

    __slots__ = ("fields", "target")

    def __init__(self) -> None:
        self.fields: list[Field] = []
        self.target = b""

    def on_url(self, target: bytes) -> None:
        self.target = target

    def on_header(self, name: bytes, value: bytes) -> None:
        # llhttp leaves the white space behind a value in it (RFC 9112 section 5.1).
        self.fields.append((name.lower(), value.rstrip(b" \t")))


class HttptoolsCodec:
    """Reads with httptools."""

    __slots__ = ()

    name = "httptools"

    def read_head(self, head: bytes) -> tuple[str, str, Fields]:
        """Method, target and fields of one whole head. Raises Disagreement."""
        method = _METHODS.get(head[: head.index(b" ")])
        if method is None:
            return h11_codec.CODEC.read_head(head)
        read = _Head()
        try:
            httptools.HttpRequestParser(read).feed_data(head)
        except httptools.HttpParserUpgrade:
            pass  # it stops at the end of a head with Upgrade, which is where the head ends anyway
        except httptools.HttpParserError as error:
            raise Disagreement(self.name) from error
        return method, read.target.decode("ascii"), tuple(read.fields)


CODEC = HttptoolsCodec()
