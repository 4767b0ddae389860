"""Which requests ask for a WebSocket, and what they get where there is none."""

import builtins
from typing import Any

import pytest

from clerestory.handlers.api.messages import Request
from clerestory.handlers.asgi.websocket.opening import asks_for_websocket
from tests.handlers.asgi.bench import give, start
from tests.handlers.asgi.websocket.bench import FIELDS, asking, talking


@pytest.mark.parametrize(
    ("request_", "asks"),
    [
        (asking(), True),
        (asking((b"upgrade", b"WebSocket"), leave_out=b"upgrade"), True),
        (asking(method="POST"), False),
        (asking(leave_out=b"upgrade"), False),
        (asking(leave_out=b"connection"), False),
        (asking((b"connection", b"close"), leave_out=b"connection"), False),
        (asking((b"upgrade", b"h2c"), leave_out=b"upgrade"), False),
        (Request("GET", "/", FIELDS, 0), False),
    ],
)
def test_a_websocket_is_asked_for_by_get_upgrade_and_connection(request_: Request, asks: bool) -> None:
    assert asks_for_websocket(request_) is asks


def test_a_bad_handshake_does_not_reach_the_application() -> None:
    called: list[Any] = []

    async def app(*_: Any) -> None:
        called.append(1)

    with talking(app, (b"sec-websocket-key", b"x"), joined=False) as talk:
        assert talk.answer.status == 400
    assert called == []


def test_without_the_library_it_is_a_request_like_others_and_the_log_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "websockets":
            raise ImportError(name)
        return real(name, *rest)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await start(send)
        await give(send, scope["type"].encode())

    monkeypatch.setattr(builtins, "__import__", without)
    with talking(app, joined=False) as talk:
        assert (talk.answer.status, talk.answer.body) == (200, b"http")
        ((level, event, fields),) = talk.bench.told
        assert (level, event) == ("warning", "websocket_unavailable")
        assert "clerestory[websocket]" in fields["hint"]
