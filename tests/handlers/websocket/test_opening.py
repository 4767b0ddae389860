"""Which requests ask for a WebSocket, and whether the library is there."""

from importlib.metadata import PackageNotFoundError, version
from types import SimpleNamespace

import pytest

from clerestory.handlers.api.messages import Request, Response
from clerestory.handlers.router import Router
from clerestory.handlers.websocket.opening import asks_for_websocket, is_installed, takes_websockets
from clerestory.handlers.websocket.socket import WebSocket
from tests.handlers.asgi.websocket.bench import FIELDS, asking


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


def test_the_library_is_looked_for_and_not_imported() -> None:
    try:
        version("websockets")
    except PackageNotFoundError:
        assert not is_installed()
    else:
        assert is_installed()


def test_on_http_2_it_is_asked_for_by_a_connect() -> None:
    request = Request("CONNECT", "/", (), 2)
    assert not asks_for_websocket(request)
    request.protocol = "websocket"
    assert asks_for_websocket(request)


@pytest.mark.parametrize("takes", [True, False])
def test_websockets_are_taken_where_one_of_all_does_whatever_stands_around_it(takes: bool) -> None:
    application = SimpleNamespace(takes_websockets=takes)
    assert takes_websockets(application) is takes
    assert takes_websockets(SimpleNamespace(inner=application)) is takes
    assert takes_websockets(SimpleNamespace(application=application)) is takes
    assert takes_websockets(SimpleNamespace(applications=[SimpleNamespace(), application])) is takes
    assert not takes_websockets(SimpleNamespace(applications=[]))
    assert not takes_websockets(lambda request: None)


def test_a_router_takes_them_by_a_route_of_its_own_or_of_what_is_mounted() -> None:
    async def talk(socket: WebSocket) -> None:
        raise NotImplementedError

    outer, inner = Router(), Router()
    outer.get("/")(lambda request: Response())
    outer.mount("/inner", inner, backend_timeout=1.0)
    assert not takes_websockets(outer)
    inner.websocket("/talk")(talk)
    assert takes_websockets(inner)
    assert takes_websockets(outer)
