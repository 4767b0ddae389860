"""What requests for a WebSocket get where there is none."""

from typing import Any

import pytest

from clerestory.handlers.asgi.websocket import opening
from tests.handlers.asgi.bench import give, start
from tests.handlers.asgi.websocket.bench import talking


def test_a_bad_handshake_does_not_reach_the_application() -> None:
    called: list[Any] = []

    async def app(*_: Any) -> None:
        called.append(1)

    with talking(app, (b"sec-websocket-key", b"x"), joined=False) as talk:
        assert talk.answer.status == 400
    assert called == []


def test_without_the_library_it_is_a_request_like_others_and_the_log_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await start(send)
        await give(send, scope["type"].encode())

    monkeypatch.setattr(opening, "is_installed", lambda: False)
    with talking(app, joined=False) as talk:
        assert (talk.answer.status, talk.answer.body) == (200, b"http")
        ((level, event, fields),) = talk.bench.told
        assert (level, event) == ("warning", "websocket_unavailable")
        assert "pip install websockets" in fields["hint"]
