"""A real browser: its WebSockets, with the codes that a page is told, and event streams that it takes up again."""

from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright, of the test extra, drives the browser")

from playwright.sync_api import Browser, Page

from tests.server.xray.page.browser import browse
from tests.support.server import serving

TARGET = "tests.e2e.hosting.applications.browser_app:app"

TALK = """(messages) => new Promise((done) => {
    const socket = new WebSocket(location.href.replace("http", "ws") + "chat");
    const heard = [];
    socket.binaryType = "arraybuffer";
    socket.onopen = () => messages.forEach((message) => socket.send(message));
    socket.onmessage = ({data}) => {
        heard.push(typeof data === "string" ? data : data.byteLength);
        if (heard.length === messages.length) socket.close(4000, "enough");
    };
    socket.onclose = ({code, reason, wasClean}) => done({heard, code, reason, wasClean});
})"""

EVENTS = """(count) => new Promise((done) => {
    const source = new EventSource("/events");
    const heard = [];
    let opened = 0;
    source.onopen = () => { opened += 1; };
    source.onmessage = ({data}) => {
        heard.push(Number(data));
        if (heard.length === count) { source.close(); done({heard, opened}); }
    };
})"""

browser = pytest.fixture(scope="module")(browse)


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    """A page of a server that also compresses, since a browser offers that."""
    with serving("--no-xray", "--websocket-compression", target=TARGET) as server:
        page = browser.new_page()
        page.goto(f"http://{server.address[0]}:{server.address[1]}/")
        yield page
        page.close()


def talk(page: Page, *messages: str) -> dict[str, Any]:
    told: dict[str, Any] = page.evaluate(TALK, list(messages))
    return told


def test_messages_come_back_and_the_page_closes(page: Page) -> None:
    messages = ["hello", "grüße", "x" * 100_000, ""]
    assert talk(page, *messages) == {"heard": messages, "code": 4000, "reason": "enough", "wasClean": True}


@pytest.mark.parametrize(
    ("message", "code", "reason"),
    [("4001", 4001, "as you wish"), ("1000", 1000, "as you wish"), ("return", 1000, ""), ("raise", 1011, "")],
)
def test_the_page_is_told_how_the_application_has_ended(page: Page, message: str, code: int, reason: str) -> None:
    assert talk(page, message) == {"heard": [], "code": code, "reason": reason, "wasClean": True}


def test_an_event_stream_that_ends_is_taken_up_where_it_was(page: Page) -> None:
    assert page.evaluate(EVENTS, 7) == {"heard": [1, 2, 3, 4, 5, 6, 7], "opened": 4}
