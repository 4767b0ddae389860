"""The test client: the whole server but the listener, in one thread."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from clerestory import (
    HTTPError,
    Request,
    Response,
    Router,
    event_stream,
    gather,
    in_background,
    in_thread,
    redirect,
    sleep,
)
from clerestory.testing import Client

router = Router()


@router.get("/orders/{n:int}")
def order(request: Request, n: int, verbose: bool = False) -> dict[str, Any]:
    return {"n": n, "verbose": verbose}


@router.post("/echo")
async def echo(request: Request) -> Any:
    return await request.json()


@router.post("/form")
async def form(request: Request) -> dict[str, Any]:
    fields = await request.form()
    return {"name": fields["name"], "tags": fields.all("tag")}


@router.put("/text")
async def text(request: Request) -> str:
    return (await request.text()).upper()


@router.get("/threads")
async def threads(request: Request) -> list[Any]:
    return list(await gather(in_thread(pow, 2, 10), in_thread(len, "abc"), sleep(0.01)))


@router.get("/login")
def login(request: Request) -> Response:
    response = redirect("/me")
    response.set_cookie("session", "abc", max_age=60)
    return response


@router.get("/me")
def me(request: Request) -> dict[str, str]:
    return request.cookies


@router.get("/logout")
def logout(request: Request) -> Response:
    response = Response(status=204)
    response.delete_cookie("session")
    return response


@router.get("/broken")
def broken(request: Request) -> Response:
    raise KeyError("broken")


@router.get("/refused")
def refused(request: Request) -> Response:
    raise HTTPError(409, "Not now.")


@router.get("/events")
def events(request: Request) -> Response:
    async def numbers() -> AsyncIterator[int]:
        for number in range(3):
            await sleep(0.001)
            yield number

    return event_stream(numbers())


@router.get("/never")
async def never(request: Request) -> Response:
    await sleep(60)
    return Response()


@router.get("/cut")
def cut(request: Request) -> Response:
    def pieces() -> Iterator[bytes]:
        yield b"x" * 100_000
        raise KeyError("cut")

    return Response(pieces())


@pytest.fixture
def client() -> Iterator[Client]:
    with Client(router) as made:
        yield made


def test_an_answer_has_status_fields_text_and_json(client: Client) -> None:
    answer = client.get("/orders/7", query={"verbose": "true"})
    assert (answer.status, answer.json()) == (200, {"n": 7, "verbose": True})
    assert answer.headers["content-type"] == "application/json"
    assert answer.text == '{"n": 7, "verbose": true}'
    assert repr(answer) == "<Answer 200, 25 bytes>"


@pytest.mark.parametrize(
    ("target", "status", "detail"),
    [
        ("/orders/7?verbose=perhaps", 400, "The query parameter verbose must be true or false."),
        ("/orders/x", 404, "There is nothing at this path."),
        ("/echo", 405, "GET is not allowed here; use OPTIONS or POST."),
        ("/refused", 409, "Not now."),
    ],
)
def test_errors_are_answers(client: Client, target: str, status: int, detail: str) -> None:
    answer = client.get(target, headers={"Accept": "application/json"})
    assert (answer.status, answer.json()["detail"]) == (status, detail)


def test_bodies_go_both_ways(client: Client) -> None:
    assert client.post("/echo", json={"ä": [1]}).json() == {"ä": [1]}
    assert client.post("/echo", body=b"{").status == 400
    assert client.post("/form", form={"name": "Ada L", "tag": ["a", "b"]}).json() == {
        "name": "Ada L",
        "tags": ["a", "b"],
    }
    assert client.post("/form", body=b"x", headers={"content-type": "text/plain"}).status == 415
    assert client.put("/text", body="straße".encode()).text == "STRASSE"
    large = {"text": "x" * 900_000}
    assert client.post("/echo", json=large).json() == large


def test_operations_are_carried_out(client: Client) -> None:
    assert client.get("/threads").json() == [1024, 3, None]


def test_cookies_are_kept_until_they_end(client: Client) -> None:
    answer = client.get("/login")
    assert (answer.status, answer.headers["location"]) == (303, "/me")
    assert answer.headers["set-cookie"] == "session=abc; Max-Age=60; Path=/; SameSite=Lax; HttpOnly"
    assert client.get("/me").json() == {"session": "abc"}
    assert client.get("/logout").status == 204
    assert client.get("/me").json() == {}


def test_what_a_handler_raises_is_raised_in_the_test(client: Client) -> None:
    with pytest.raises(KeyError, match="broken"):
        client.get("/broken")
    with pytest.raises(KeyError, match="cut"):
        client.get("/cut")
    assert client.get("/orders/1").status == 200


def test_or_is_a_500_as_to_everybody_else() -> None:
    with Client(router, raises=False) as client:
        answer = client.get("/broken")
        assert (answer.status, answer.text) == (500, "500 Internal Server Error\n")


def test_a_stream_is_read_to_its_end(client: Client) -> None:
    assert client.get("/events").text == ":\n\ndata: 0\n\ndata: 1\n\ndata: 2\n\n"


def test_an_answer_that_does_not_come_is_a_time_out() -> None:
    with Client(router, timeout=0.05) as client, pytest.raises(TimeoutError, match=r"no answer within 0\.05 s"):
        client.get("/never")


def test_the_servers_limits_hold() -> None:
    with Client(router, max_body=10, backend_timeout=0.05) as client:
        assert client.post("/echo", json="x" * 10).status == 413
        assert client.get("/never").status == 504


def test_the_gate_stands_before_the_handler(client: Client) -> None:
    assert client.get("/me", headers={"host": "not a host"}).status == 400


def test_other_methods(client: Client) -> None:
    assert client.delete("/me").status == 405
    assert client.patch("/me").status == 405
    assert client.request("OPTIONS", "/me").headers["allow"] == "GET, HEAD, OPTIONS"


def test_hooks_run_and_work_behind_answers_ends_before_it_is_closed() -> None:
    done: list[str] = []
    service = Router()

    @service.on_start
    async def begin() -> None:
        await sleep(0.001)
        done.append("started")

    @service.on_stop
    def end() -> None:
        done.append("stopped")

    async def work() -> None:
        await sleep(0.01)
        done.append("worked")

    @service.get("/")
    async def index(request: Request) -> str:
        await in_background(work())
        return "answered"

    with Client(service) as client:
        assert done == ["started"]
        assert client.get("/").text == "answered"
    assert done == ["started", "worked", "stopped"]


def test_a_start_that_fails_is_an_error_of_the_test() -> None:
    service = Router()

    @service.on_start
    def begin() -> None:
        raise OSError("no database")

    with pytest.raises(RuntimeError, match="begin: OSError: no database"):
        Client(service)
