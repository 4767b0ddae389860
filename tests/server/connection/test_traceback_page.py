"""A developer is shown a traceback: the application's own frames first, as HTML, JSON or text, with --debug alone."""

import json
from pathlib import Path
from typing import Any

import pytest

from clerestory import Handle, Router
from clerestory.handlers.api.messages import Request, Response
from clerestory.server.connection.traceback_page import AROUND, traceback_response
from tests.handlers.api.test_pages import Reader
from tests.server.support import bench_of

ABOUT = "GET /orders/1, request 3-1"


def failing(value: str) -> None:
    json.loads(value)  # the library's frames are above this one


def caught(value: str = "<b>") -> BaseException:
    try:
        failing(value)
    except ValueError as error:
        return error
    raise AssertionError


def body_of(response: Response) -> str:
    assert isinstance(response.body, bytes)
    assert response.status == 500
    return response.body.decode()


def test_a_browser_gets_the_applications_frames_with_their_lines() -> None:
    text = body_of(traceback_response(caught(), ABOUT, "html"))
    shown = Reader(text)
    assert shown.text[0:1] != []
    line = failing.__code__.co_firstlineno + 1
    assert f"{__file__}:{line}" in shown.text
    assert shown.text.index(f"{__file__}:{line}") < text.index("The whole traceback")
    marked = text.partition("<mark>")[2].partition("</mark>")[0]
    assert marked.endswith("json.loads(value)  # the library&#x27;s frames are above this one")
    excerpt = text.partition("<pre>")[2].partition("</pre>")[0]
    assert len(excerpt.splitlines()) <= 2 * AROUND + 1
    assert "raw_decode" not in text.partition("<details>")[0]
    assert "raw_decode" in text.partition("<details>")[2]
    assert ABOUT in text


def test_nothing_of_the_error_is_html() -> None:
    error = ValueError("<script>alert(1)</script>")
    text = body_of(traceback_response(error, "GET /<script>", "html"))
    assert "script" not in Reader(text).tags


def test_who_asks_for_json_gets_frames_and_lines() -> None:
    said = json.loads(body_of(traceback_response(caught(), ABOUT, "json")))
    assert said["exception"].startswith("json.decoder.JSONDecodeError: ")
    assert said["frames"][0]["function"] == "failing"
    assert said["frames"][1]["function"] == "caught"
    assert said["traceback"][0] == "Traceback (most recent call last):"


def test_all_others_get_text() -> None:
    text = body_of(traceback_response(caught(), ABOUT, "text"))
    assert text.startswith(f"500 Internal Server Error: {ABOUT}\n\nTraceback (most recent call last):\n")


def test_an_error_without_a_traceback_is_shown() -> None:
    assert "KeyError" in body_of(traceback_response(KeyError("x"), ABOUT, "html"))


def test_a_source_that_is_gone_is_no_trouble(tmp_path: Path) -> None:
    module: dict[str, Any] = {}
    exec(compile("def fail():\n    raise KeyError('x')\n", str(tmp_path / "gone.py"), "exec"), module)
    with pytest.raises(KeyError) as raised:
        module["fail"]()
    text = body_of(traceback_response(raised.value, ABOUT, "html"))
    assert f"{tmp_path / 'gone.py'}:2" in text


@pytest.mark.parametrize("debug", [True, False])
def test_a_client_sees_it_only_where_it_is_asked_for(debug: bool) -> None:
    def handler(request: Request) -> Response:
        raise KeyError("secret")

    with bench_of(handler) as bench:
        bench.service.debug = debug
        sent = bench.connect().send(b"GET / HTTP/1.1\r\nhost: h\r\naccept: text/html\r\n\r\n").sent
        assert (b"secret" in sent) is debug
        assert (b"test_traceback_page.py" in sent) is debug
        assert b"text/html" in sent
        assert (b"request 1-1" in sent) is debug


def returns_nothing(request: Request) -> Any: ...


async def returns_a_pair(request: Request, n: int = 0) -> Any:
    return {}, 404


def sends_a_wrong_field(request: Request) -> Response:
    return Response(b"", 200, (("X", "y"),))  # type: ignore[arg-type]


@pytest.mark.parametrize("handler", [returns_nothing, returns_a_pair, sends_a_wrong_field])
@pytest.mark.parametrize("around", [False, True])
@pytest.mark.parametrize("accept", [b"text/html", b"*/*"])
def test_an_error_that_no_line_of_the_application_raised_names_the_handler(
    handler: Any, around: bool, accept: bytes
) -> None:
    router = Router()
    router.get("/", backend_timeout=5)(handler)
    if around:

        @router.around
        async def passes(request: Request, handle: Handle) -> Response:
            return await handle()

    with bench_of(router) as bench:
        bench.service.debug = True
        sent = bench.connect().send(b"GET / HTTP/1.1\r\nhost: h\r\naccept: %b\r\n\r\n" % accept).sent.decode()
        place = f"{handler.__name__} ({__file__}:{handler.__code__.co_firstlineno})"
        assert place in sent


def test_notes_are_shown_and_are_not_the_title() -> None:
    error = ValueError("what is wrong")
    error.add_note("first\nsecond")
    text = body_of(traceback_response(error, ABOUT, "html"))
    assert "<title>ValueError: what is wrong</title>" in text
    assert "<p>first</p>\n<p>second</p>\n" in text
    assert json.loads(body_of(traceback_response(error, ABOUT, "json")))["exception"] == ("ValueError: what is wrong")
