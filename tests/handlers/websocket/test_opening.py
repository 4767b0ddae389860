"""Which requests ask for a WebSocket, and whether the library is there."""

from importlib.metadata import PackageNotFoundError, version

import pytest

from clerestory.handlers.api.messages import Request
from clerestory.handlers.websocket.opening import asks_for_websocket, is_installed
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
