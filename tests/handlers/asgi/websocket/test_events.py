"""The events of the ASGI WebSocket specification."""

from typing import Any

import pytest

from clerestory.handlers.asgi.errors import EventError
from clerestory.handlers.asgi.events import FieldChecker
from clerestory.handlers.asgi.websocket.events import (
    accepted,
    closing_of,
    disconnect_event,
    message_event,
    message_of,
)


@pytest.mark.parametrize(("message", "text", "data"), [("", "", None), ("a", "a", None), (b"", None, b"")])
def test_exactly_one_of_text_and_bytes_is_not_none(message: str | bytes, text: Any, data: Any) -> None:
    assert message_event(message) == {"type": "websocket.receive", "text": text, "bytes": data}


def test_a_disconnect_has_a_code_and_a_reason() -> None:
    assert disconnect_event(1006, "") == {"type": "websocket.disconnect", "code": 1006, "reason": ""}


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ({"text": "a"}, "a"),
        ({"text": "", "bytes": None}, ""),
        ({"bytes": b"a", "text": None}, b"a"),
        ({"bytes": bytearray(b"a")}, b"a"),
        ({"bytes": memoryview(b"a")}, b"a"),
    ],
)
def test_a_message_is_text_or_bytes(event: dict[str, Any], message: str | bytes) -> None:
    assert message_of(event) == message


@pytest.mark.parametrize(
    "event", [{}, {"text": None}, {"text": "a", "bytes": b"a"}, {"text": b"a"}, {"bytes": "a"}, {"bytes": 7}]
)
def test_a_message_that_is_neither_or_both_is_an_error(event: dict[str, Any]) -> None:
    with pytest.raises(EventError):
        message_of(event)


@pytest.mark.parametrize(
    ("event", "close"),
    [
        ({}, (1000, "")),
        ({"code": None, "reason": None}, (1000, "")),
        ({"code": 3000, "reason": "bye"}, (3000, "bye")),
        ({"code": 4999, "reason": "x" * 123}, (4999, "x" * 123)),
    ],
)
def test_a_close_has_a_code_and_a_reason(event: dict[str, Any], close: tuple[int, str]) -> None:
    assert closing_of(event) == close


@pytest.mark.parametrize(
    "event",
    [
        *({"code": code} for code in (0, 999, 1004, 1005, 1006, 1015, 2999, 5000, "1000")),
        {"reason": "x" * 124},
        {"reason": "ä" * 62},
        {"reason": b"bye"},
    ],
)
def test_a_close_that_cannot_be_sent_is_an_error(event: dict[str, Any]) -> None:
    with pytest.raises(EventError):
        closing_of(event)


def test_what_is_the_handshakes_is_not_the_applications() -> None:
    given = [(b"X-A", b"1"), (b"sec-websocket-accept", b"x"), (b"connection", b"close"), (b"content-length", b"7")]
    event = {"subprotocol": "b", "headers": given}
    assert accepted(event, ["a", "b"], FieldChecker()) == ("b", ((b"x-a", b"1"),))


@pytest.mark.parametrize(
    "event",
    [
        {"subprotocol": "c"},
        {"headers": [(b"sec-websocket-protocol", b"a")]},
        {"headers": [(b"x", b"a\r\nb: c")]},
    ],
)
def test_only_what_was_offered_may_be_chosen_and_only_fields_be_sent(event: dict[str, Any]) -> None:
    with pytest.raises(EventError):
        accepted(event, ["a", "b"], FieldChecker())
