"""Routes for WebSockets, beside others at the same path."""

from typing import Any

import pytest

from clerestory import Request, Router, WebSocket
from clerestory.handlers.websocket import route
from clerestory.testing import Client


async def hello(socket: WebSocket, name: str = "nobody") -> None:
    await socket.send(f"hello {name}")


def page(request: Request) -> str:
    return "a page"


@pytest.mark.parametrize("first", ["page", "websocket"])
def test_a_page_and_a_websocket_may_be_at_one_path(first: str) -> None:
    router = Router()
    if first == "page":
        router.get("/chat")(page)
    router.websocket("/chat")(hello)
    if first != "page":
        router.get("/chat")(page)
    with Client(router) as client:
        assert client.get("/chat").text == "a page"
        assert client.request("HEAD", "/chat").status == 200
        with client.websocket("/chat?name=Ada") as socket:
            assert socket.receive() == "hello Ada"


def test_alone_it_answers_other_requests_with_426_and_allows_no_other_method() -> None:
    router = Router()
    router.websocket("/{name}")(hello)
    with Client(router) as client:
        answer = client.get("/Ada")
        assert (answer.status, answer.headers["upgrade"]) == (426, "websocket")
        answer = client.post("/Ada")
        assert (answer.status, answer.headers["allow"]) == (405, "GET, OPTIONS")
        with client.websocket("/Ada") as socket:
            assert socket.receive() == "hello Ada"


def test_http_2_has_no_upgrade_to_point_to() -> None:
    router = Router()
    router.websocket("/")(hello)
    with pytest.raises(Exception, match="CONNECT"):
        router(Request("GET", "/", (), minor=2))


def test_a_route_has_deadlines_of_its_own() -> None:
    router = Router()
    router.websocket("/", backend_timeout=7.0)(hello)
    request = Request("GET", "/", ((b"upgrade", b"websocket"), (b"connection", b"upgrade")))
    router(request).close()  # type: ignore[union-attr]
    assert request.limits is not None
    assert request.limits.backend_timeout == 7.0


def test_a_wrong_route_is_an_error_when_it_is_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    router = Router()

    def plain(socket: WebSocket) -> None: ...

    async def other(socket: WebSocket, size: Any) -> None: ...

    with pytest.raises(TypeError, match=r"websocket '/': plain is not a coroutine function: write async def plain"):
        router.websocket("/")(plain)  # type: ignore[type-var]
    with pytest.raises(TypeError, match=r"route '/': other cannot be called with \(request\)"):
        router.websocket("/")(other)
    router.websocket("/")(hello)
    with pytest.raises(ValueError, match="route websocket / is already registered"):
        router.websocket("/")(hello)
    monkeypatch.setattr(route, "is_installed", lambda: False)
    with pytest.raises(ImportError, match=r"websockets is not installed: pip install websockets"):
        router.websocket("/other")(hello)
