"""The opening handshake (RFC 6455 section 4.2), checked by the library `websockets`; our gate has checked the request.

What is sent is written by us: the library says what the 101 must contain. A handshake that it refuses is answered as
the library says: 400, or 426 for a version that is not 13.
"""

import logging

from websockets.datastructures import Headers
from websockets.exceptions import InvalidHandshake
from websockets.extensions import Extension
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.headers import parse_subprotocol
from websockets.http11 import Request as LibraryRequest
from websockets.protocol import State
from websockets.server import ServerProtocol

from clerestory.handlers.api.messages import Fields, Request, Response
from clerestory.handlers.websocket.bounds import Bounds

_LOGGER = logging.Logger("clerestory.websocket", logging.CRITICAL)
"""Of no hierarchy, and silent: what is wrong is told by what the WebSocket is closed with."""

DEFLATE = ServerPerMessageDeflateFactory(
    server_no_context_takeover=True,
    client_no_context_takeover=True,
    server_max_window_bits=12,
    client_max_window_bits=12,
    compress_settings={"memLevel": 5},
)
"""Each message is compressed by itself: an idle WebSocket keeps no window of 4 KiB, nor a compressor's tables."""
DEFLATE_WIDE = ServerPerMessageDeflateFactory(
    server_no_context_takeover=True, client_no_context_takeover=True, compress_settings={"memLevel": 5}
)
"""For a client that does not let its window be bounded: it is kept only while a message is read."""

AS_HTTP_1_1 = (("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Key", "A" * 22 + "=="))
"""What the library wants to see, and HTTP/2 has no use for (RFC 8441 section 5)."""

KEY = b"sec-websocket-key"
PROTOCOL, EXTENSIONS, ACCEPT = b"sec-websocket-protocol", b"sec-websocket-extensions", b"sec-websocket-accept"


class Handshake:
    """The handshake of `request`. `refusal` is the answer to one that is not well-formed.

    `offered` are the subprotocols that the client offers, over all field lines, in its order.
    """

    __slots__ = ("_accept", "_bounds", "_checked", "_extensions", "offered", "refusal")

    def __init__(self, request: Request, bounds: Bounds) -> None:
        self._bounds = bounds
        self._checked: list[Extension] = []
        self.offered: list[str] = []
        self.refusal: Response | None = None
        self._accept = b""
        self._extensions: bytes | None = None
        self._check(request)

    def _check(self, request: Request) -> None:
        if not request.body_ended:
            self.refusal = _refusal(400, "A WebSocket handshake has no body.")
            return
        headers = Headers(AS_HTTP_1_1 if request.protocol else ())
        for name, value in request.fields:
            if request.protocol and name == KEY:
                continue
            headers[name.decode("ascii")] = value.decode("latin-1")
        asked = LibraryRequest(request.target, headers, "GET", "HTTP/1.1")
        known = [DEFLATE, DEFLATE_WIDE] if self._bounds.compression else None
        checking = ServerProtocol(extensions=known, logger=_LOGGER)
        found = checking.accept(asked)
        self._checked = checking.extensions
        if found.status_code != 101:
            reason = bytes(found.body or b"").decode("utf-8", "replace").strip()
            version = ((b"sec-websocket-version", b"13"),) if found.status_code in (400, 426) else ()
            self.refusal = _refusal(426 if _is_other_version(request) else found.status_code, reason, version)
            return
        if not request.protocol:
            self._accept = found.headers["Sec-WebSocket-Accept"].encode("ascii")
        extensions = found.headers.get("Sec-WebSocket-Extensions")
        self._extensions = extensions.encode("ascii") if extensions is not None else None
        try:
            for line in headers.get_all("Sec-WebSocket-Protocol"):
                self.offered += parse_subprotocol(line)
        except InvalidHandshake as error:
            self.refusal = _refusal(400, f"Failed to open a WebSocket connection: {error}.")

    def accept(self, subprotocol: str | None) -> Fields:
        """The fields of the 101 that are the handshake's."""
        fields = [(ACCEPT, self._accept)] if self._accept else []
        if self._extensions is not None:
            fields.append((EXTENSIONS, self._extensions))
        if subprotocol is not None:
            fields.append((PROTOCOL, subprotocol.encode("ascii")))
        return tuple(fields)

    def open(self) -> ServerProtocol:
        """What speaks frames from here on."""
        bounds = self._bounds
        protocol = ServerProtocol(state=State.OPEN, max_size=(bounds.message, bounds.frame), logger=_LOGGER)
        protocol.extensions = self._checked
        return protocol


def _is_other_version(request: Request) -> bool:
    """RFC 6455 section 4.4: the client may try again with the version that is named."""
    version = request.get(b"sec-websocket-version")
    return version is not None and version != b"13"


def _refusal(status: int, reason: str, fields: Fields = ()) -> Response:
    upgrade = ((b"upgrade", b"websocket"),) if status == 426 else ()
    text = (b"content-type", b"text/plain; charset=utf-8")
    return Response(reason.encode() + b"\n", status, (text, (b"connection", b"close"), *upgrade, *fields))
