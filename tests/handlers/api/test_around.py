"""What surrounds the handlers of a router: the order, what `handle` returns and raises, and that it is the handler."""

from collections.abc import Callable
from typing import Any

import pytest

from clerestory import Handle, HTTPError, Request, Response, Router, in_thread, sleep, text_response
from clerestory.handlers.api.around import check
from clerestory.testing import Client

SHARED = text_response("the same each time")


def router_of(*arounds: Callable[[Request, Handle], Any]) -> Router:
    router = Router()
    inner = Router()

    @inner.get("/")
    def below(request: Request) -> str:
        return request.base

    @router.get("/constant")
    def constant(request: Request) -> Response:
        return SHARED

    @router.get("/numbers/{n:int}", backend_timeout=0.05)
    async def numbers(request: Request, n: int) -> dict[str, Any]:
        await sleep(n)
        return {"n": n, "state": request.state}

    @router.get("/refused")
    def refused(request: Request) -> Response:
        raise HTTPError(409, "Not now.")

    @router.post("/bodies", max_body=3)
    async def bodies(request: Request) -> bytes:
        return await request.read()

    @router.get("/broken")
    def broken(request: Request) -> Response:
        raise KeyError("broken")

    for around in arounds:
        router.around(around)
    router.mount("/below", inner)
    return router


async def signed(request: Request, handle: Handle) -> Response:
    response = await handle()
    response.fields += ((b"x-route", request.route.encode()),)
    return response


def writes(name: str, into: list[str]) -> Callable[[Request, Handle], Any]:
    async def around(request: Request, handle: Handle) -> Response:
        into.append(f"{name} before")
        response = await handle()
        into.append(f"{name} after")
        return response

    return around


def test_the_first_is_the_outermost() -> None:
    said: list[str] = []
    with Client(router_of(writes("first", said), writes("second", said))) as client:
        assert client.get("/constant").text == "the same each time"
    assert said == ["first before", "second before", "second after", "first after"]


@pytest.mark.parametrize(
    ("path", "route"),
    [("/constant", "/constant"), ("/numbers/0", "/numbers/{n}"), ("/below/", "")],
)
def test_every_route_and_mount_is_surrounded_and_its_response_may_be_changed(path: str, route: str) -> None:
    """That of a handler that returns the same one each time, too."""
    before = SHARED.fields
    with Client(router_of(signed)) as client:
        for _ in range(2):
            answer = client.get(path)
            assert (answer.status, answer.headers["x-route"]) == (200, route)
    assert SHARED.fields == before


def test_a_plain_answer_is_a_response_by_then() -> None:
    kinds: list[type] = []

    async def looks(request: Request, handle: Handle) -> Response:
        response = await handle()
        kinds.append(type(response))
        return response

    with Client(router_of(looks)) as client:
        assert client.get("/numbers/0").json() == {"n": 0, "state": {}}
        assert client.get("/below/").text == "/below"
    assert kinds == [Response, Response]


def test_one_may_answer_itself_and_leave_something_for_the_handler() -> None:
    async def known(request: Request, handle: Handle) -> Any:
        if request.get(b"authorization") is None:
            return {"who": "are you?"}
        request.state["user"] = await in_thread(str.upper, "ada")
        return await handle()

    with Client(router_of(known)) as client:
        assert client.get("/numbers/0").json() == {"who": "are you?"}
        answer = client.get("/numbers/0", headers={"authorization": "x"})
        assert answer.json() == {"n": 0, "state": {"user": "ADA"}}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/refused", 409), ("GET", "/nothing", 404), ("DELETE", "/constant", 405), ("POST", "/bodies", 413)],
)
def test_what_is_wrong_is_raised_by_handle(method: str, path: str, status: int) -> None:
    async def tells(request: Request, handle: Handle) -> Any:
        try:
            return await handle()
        except HTTPError as error:
            return {"told": error.status}

    with Client(router_of(tells)) as client:
        assert client.request(method, path, body=b"1234" if method == "POST" else b"").json() == {"told": status}
    with Client(router_of(signed)) as client:
        assert client.request(method, path, body=b"1234" if method == "POST" else b"").status == status


def test_options_are_answered_inside() -> None:
    with Client(router_of(signed)) as client:
        answer = client.request("OPTIONS", "/constant")
        assert (answer.status, answer.headers["allow"]) == (204, "GET, HEAD, OPTIONS")
        assert "x-route" in answer.headers


def test_the_deadline_of_the_route_holds_further_in() -> None:
    with Client(router_of(signed), raises=False) as client:
        assert client.get("/numbers/9").status == 504


def test_what_a_handler_raises_passes_through() -> None:
    with Client(router_of(signed)) as client, pytest.raises(KeyError, match="broken"):
        client.get("/broken")


def test_a_request_is_handled_once() -> None:
    async def twice(request: Request, handle: Handle) -> Response:
        await handle()
        return await handle()

    with Client(router_of(twice)) as client, pytest.raises(RuntimeError, match="handled once"):
        client.get("/constant")


def test_an_await_that_is_missing_is_told_with_the_function() -> None:
    async def forgetful(request: Request, handle: Handle) -> Any:
        return handle()

    line = f"{__file__}:{forgetful.__code__.co_firstlineno}"
    with Client(router_of(forgetful)) as client, pytest.raises(TypeError) as error:
        client.get("/constant")
    assert f"({line}) returned coroutine, " in str(error.value)
    assert str(error.value).endswith(": is an `await` missing?")


def test_a_router_that_is_mounted_has_its_own() -> None:
    said: list[str] = []
    outer = Router()
    outer.mount("/in", router_of(writes("inner", said)))
    with Client(outer) as client:
        assert client.get("/in/constant").status == 200
    assert said == ["inner before", "inner after"]


def plain(request: Request, handle: Handle) -> Response: ...  # type: ignore[empty-body]


async def short(request: Request) -> Response: ...  # type: ignore[empty-body]


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (plain, r"around: plain is not a coroutine function: write async def plain\(request, handle\)"),
        (short, r"around: short cannot be called with \(request, handle\): too many positional arguments"),
    ],
)
def test_a_function_that_cannot_be_called_so_is_refused_when_it_is_registered(function: Any, said: str) -> None:
    with pytest.raises(TypeError, match=said):
        check(function)
    with pytest.raises(TypeError, match=said):
        Router().around(function)
