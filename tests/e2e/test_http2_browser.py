"""HTTP/2 as a real browser speaks it, over TLS: a page, what it fetches, uploads, events."""

from collections.abc import Iterator

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright, of the test extra, drives the browser")

from playwright.sync_api import Browser, Page

from tests.conftest import Start
from tests.server.xray.page.browser import browse
from tests.support.certificates import Authority
from tests.support.server import ServerProcess
from tests.support.waiting import eventually
from tests.support.xray import look

browser = pytest.fixture(scope="module")(browse)
TARGET = "tests.support.spoken:router"
APPLICATION = "tests.e2e.hosting.applications.browser_app:app"


@pytest.fixture
def server(start: Start, authority: Authority) -> ServerProcess:
    pair = authority.issue()
    options = ("--tls-certificate", pair[0], "--tls-key", pair[1], "--xray", "127.0.0.1:0")
    return start(*options, trusting=authority.client(), target=TARGET)


@pytest.fixture
def page(browser: Browser, server: ServerProcess) -> Iterator[Page]:
    context = browser.new_context(ignore_https_errors=True)
    try:
        opened = context.new_page()
        opened.goto(server.url)
        yield opened
    finally:
        context.close()


def test_a_page_and_what_it_fetches_come_by_one_connection(page: Page, server: ServerProcess) -> None:
    assert page.evaluate("performance.getEntriesByType('navigation')[0].nextHopProtocol") == "h2"
    found = page.evaluate(
        "Promise.all([...Array(60).keys()].map(async n => Number(await (await fetch(`/squares/${n}`)).text())))"
    )
    assert found == [n * n for n in range(60)]
    protocols = page.evaluate("performance.getEntriesByType('resource').map(entry => entry.nextHopProtocol)")
    assert set(protocols) == {"h2"}
    assert look(server, "snapshot.json")["machines"]["h2_connection"]["total"] >= 1
    assert page.evaluate("async () => (await (await fetch('/zeros/5000000')).arrayBuffer()).byteLength") == 5_000_000


def test_a_browser_uploads(page: Page) -> None:
    upload = "async () => (await fetch('/length', {method: 'POST', body: new Blob([new Uint8Array(3e6)])})).text()"
    assert page.evaluate(upload) == "3000000"


def test_a_browser_takes_events_and_leaves(page: Page, server: ServerProcess) -> None:
    take = """() => new Promise((resolve, reject) => {
        const source = new EventSource('/events'), seen = [];
        source.onmessage = event => { seen.push(event.data); if (seen.length == 5) { source.close(); resolve(seen); } };
        source.onerror = reject;
    })"""
    assert page.evaluate(take) == ["0", "1", "2", "3", "4"]
    eventually(lambda: look(server, "connections.json?path=/events")["matched"] == 0, what="the end of its stream")
    assert page.evaluate("async () => (await fetch('/squares/9')).text()") == "81"


@pytest.mark.parametrize("whose", ["an application's", "a router's", "an upstream's"])
def test_a_browser_s_websockets_come_by_the_connection_of_its_page(
    browser: Browser, start: Start, authority: Authority, whose: str
) -> None:
    pair = authority.issue()
    options = ("--tls-certificate", pair[0], "--tls-key", pair[1], "--xray", "127.0.0.1:0")
    target = APPLICATION if whose == "an application's" else TARGET
    if whose == "an upstream's":
        target = start(target=target).url
    server = start(*options, trusting=authority.client(), target=target)
    talk = """(messages) => Promise.all(messages.map((message) => new Promise((done) => {
        const socket = new WebSocket(location.href.replace("http", "ws") + "chat");
        socket.onopen = () => socket.send(message);
        socket.onmessage = ({data}) => { socket.heard = data; socket.close(4000, "enough"); };
        socket.onclose = ({code, reason, wasClean}) => done([socket.heard, code, reason, wasClean]);
    })))"""
    context = browser.new_context(ignore_https_errors=True)
    try:
        opened = context.new_page()
        opened.goto(server.url)
        messages = [f"message {number}" for number in range(8)]
        assert opened.evaluate(talk, messages) == [[one, 4000, "enough", True] for one in messages]
        eventually(
            lambda: len([one for one in server.events("request") if one["status"] == 101]) == 8, what="their end"
        )
        told = [one for one in server.events("request") if one["status"] == 101]
        assert {(one["method"], one["end"]) for one in told} == {("CONNECT", None)}
        assert len({one["id"].partition("/")[0] for one in told}) == 1, "one connection"
    finally:
        context.close()
