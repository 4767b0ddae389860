"""What an application says and is told of a WebSocket: the events of the ASGI WebSocket specification, checked."""

from collections.abc import Collection
from typing import Any

from clerestory.handlers.api.messages import Fields
from clerestory.handlers.asgi.errors import EventError
from clerestory.handlers.asgi.events import FieldChecker
from clerestory.handlers.websocket.codes import NORMAL, check_close

OURS = frozenset((b"sec-websocket-accept", b"sec-websocket-extensions", b"sec-websocket-protocol", b"content-length"))
"""Fields of a 101 that the server sends, and an application does not."""

CONNECT = {"type": "websocket.connect"}


def message_event(message: str | bytes) -> dict[str, Any]:
    """What `receive()` says of a message: exactly one of text and bytes is not None."""
    if isinstance(message, str):
        return {"type": "websocket.receive", "text": message, "bytes": None}
    return {"type": "websocket.receive", "text": None, "bytes": message}


def disconnect_event(code: int, reason: str) -> dict[str, Any]:
    """What `receive()` says at the end."""
    return {"type": "websocket.disconnect", "code": code, "reason": reason}


def accepted(event: Any, offered: Collection[str], checker: FieldChecker) -> tuple[str | None, Fields]:
    """The subprotocol that is chosen, and the fields for the 101. Raises EventError."""
    subprotocol = event.get("subprotocol")
    if subprotocol is not None and subprotocol not in offered:
        those = ", ".join(offered) or "none"
        raise EventError(f"subprotocol {subprotocol!r} was not offered by the client; it offers: {those}")
    fields, _ = checker.check(event.get("headers") or ())
    for name, _ in fields:
        if name == b"sec-websocket-protocol":
            raise EventError("choose a subprotocol with `subprotocol`, not with a header")
    return subprotocol, tuple(field for field in fields if field[0] not in OURS)


def message_of(event: Any) -> str | bytes:
    """The message to be sent. Raises EventError unless it is exactly one of text and bytes."""
    text, data = event.get("text"), event.get("bytes")
    if (text is None) == (data is None):
        raise EventError("websocket.send has either text or bytes")
    if text is not None:
        if not isinstance(text, str):
            raise EventError(f"text is str, not {type(text).__name__}")
        return text
    if isinstance(data, bytes):
        return data
    if isinstance(data, bytearray | memoryview):
        return bytes(data)
    raise EventError(f"bytes is bytes, not {type(data).__name__}")


def closing_of(event: Any) -> tuple[int, str]:
    """The code and the reason of a close. Raises EventError."""
    code = event.get("code", NORMAL)
    code = NORMAL if code is None else code
    reason = event.get("reason") or ""
    try:
        check_close(code, reason)
    except ValueError as error:
        raise EventError(str(error)) from None
    return code, reason
