"""The opening of a WebSocket through the proxy: what the upstream is asked by HTTP/1.1, and what of it is handed on.

A client of HTTP/1.1 asks with Upgrade, and makes its own key (RFC 6455 section 4.1); one of HTTP/2 asks with CONNECT,
and there is no key (RFC 8441 section 5). So for that one we make the key, and check the upstream's answer to it as a
client does; behind that bytes pass both ways as they are.
"""

from base64 import b64encode
from hashlib import sha1
from secrets import token_bytes

from clerestory.handlers.api.messages import Fields, Request
from clerestory.handlers.backends.upstream.errors import UpstreamError
from clerestory.handlers.backends.upstream.upstream import Answer
from clerestory.handlers.wire.grammar import members

WEBSOCKET = b"websocket"
KEY, ACCEPT = b"sec-websocket-key", b"sec-websocket-accept"
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def asks_by_upgrade(request: Request) -> bool:
    """RFC 6455 section 4.1, RFC 9110 section 7.8: the protocol in Upgrade, and Upgrade in Connection."""
    upgrade = request.get(b"upgrade")
    return (
        upgrade is not None
        and upgrade.lower() == WEBSOCKET
        and request.minor == 1
        and b"upgrade" in members(request.get(b"connection") or b"")
    )


def new_key() -> bytes:
    """RFC 6455 section 4.1: 16 random bytes."""
    return b64encode(token_bytes(16))


def accept_of(key: bytes) -> bytes:
    """What a server says that has read `key` (RFC 6455 section 4.2.2)."""
    return b64encode(sha1(key + _GUID, usedforsecurity=False).digest())


def with_key(fields: Fields, key: bytes) -> Fields:
    """The fields of a CONNECT as those of the GET that asks the upstream."""
    return (*without(fields, KEY), (KEY, key))


def without(fields: Fields, name: bytes) -> Fields:
    """All the others."""
    return tuple(field for field in fields if field[0] != name)


async def check(answer: Answer, key: bytes) -> None:
    """Let `answer` be handed on, to a client that has asked by CONNECT, only where it refuses or opens the WebSocket:
    any other would be taken for one that opens it. Raises UpstreamError, and has then let the connection go."""
    if answer.tunnel is not None:
        if answer.get(ACCEPT) == accept_of(key):
            return
        answer.tunnel.cancel()
        raise UpstreamError(502, "malformed answer", "The upstream has not answered the WebSocket's key.")
    if answer.status < 300:
        await answer.body.aclose()
        reason = f"The upstream has not opened the WebSocket, and says {answer.status}."
        raise UpstreamError(502, "malformed answer", reason)
