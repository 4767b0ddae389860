"""Somebody who has never seen it asks five questions; each is answered within three clicks, and within three commands.

The answers are read from what is shown, as the stranger would: what names a request, a route or an upstream in one
answer is what the next click or command is given.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright, of the test extra, drives the browser")

from playwright.sync_api import Browser, Locator, expect

from tests.server.xray.page.browser import Looked, looking
from tests.support.client import Client, request
from tests.support.server import ROOT, TOKEN, ServerProcess
from tests.support.waiting import eventually

CLICKS = COMMANDS = 3
SLOW = "GET /sleep/"


class Terminal:
    """A terminal, and how many commands are left."""

    def __init__(self, server: ServerProcess) -> None:
        self.url = server.wait_for("xray")["url"]
        self.left = COMMANDS

    def run(self, *words: str) -> str:
        """What the command prints, on both streams."""
        assert self.left, "it takes more commands"
        self.left -= 1
        done = subprocess.run(
            [sys.executable, "-m", "clerestory", *words, "--xray", self.url],
            cwd=ROOT,
            env=dict(os.environ, CLERESTORY_TOKEN=TOKEN, PYTHONPATH=str(ROOT)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=60,
            check=False,
        )
        return done.stdout.decode()


class Hand:
    """A hand on the page, and how many clicks are left."""

    def __init__(self, looked: Looked) -> None:
        self.page = looked.page
        self.left = CLICKS

    def click(self, place: Locator) -> None:
        assert self.left, "it takes more clicks"
        self.left -= 1
        place.click()

    def open_waits(self) -> None:
        self.click(self.page.get_by_role("tab", name="Where the time goes"))


@pytest.fixture(scope="module")
def slow(choices: list[str]) -> Iterator[ServerProcess]:
    """A server one of whose routes is slow: 1.5 s in a thread, beside many that are quick."""
    server = ServerProcess(*choices, "--xray", "127.0.0.1:0")
    with Client(server.address) as client:
        for _ in range(20):
            assert client.get("/hello").status == 200
        for _ in range(2):
            assert client.get("/sleep/1500").status == 200
    yield server
    server.finish()


@pytest.fixture(scope="module")
def halved(choices: list[str]) -> Iterator[ServerProcess]:
    """A reverse proxy one of whose two upstreams has gone; its address is `down`."""
    stays, gone = ServerProcess(*choices, "--no-xray"), ServerProcess(*choices, "--no-xray")
    urls = [server.url.rstrip("/") for server in (stays, gone)]
    gone.kill()
    proxy = ServerProcess(*choices, "--xray", "127.0.0.1:0", "--upstream", urls[1], target=urls[0])
    proxy.url = urls[1].removeprefix("http://")
    with Client(proxy.address) as client:
        for _ in range(12):
            assert client.get("/hello").status == 200
    proxy.wait_for("upstream_down")
    yield proxy
    proxy.finish()
    stays.finish()


@pytest.fixture
def ending(choices: list[str]) -> Iterator[ServerProcess]:
    """A server that is to end, and waits for a client that reads nothing."""
    server = ServerProcess(*choices, "--xray", "127.0.0.1:0")
    data = request("/bytes/20000000", "Connection: close")
    with Client(server.address, data=data, window=4096):
        eventually(lambda: "SENDING_RESPONSE" in Terminal(server).run("ps"))
        server.signal()
        server.wait_for("draining")
        yield server
    server.finish()


# --- which route is slow?


def test_a_terminal_says_which_route_is_slow(slow: ServerProcess) -> None:
    first = next(line for line in Terminal(slow).run("waits", "--sort", "p99").splitlines() if " /" in line)
    assert first.startswith(SLOW)


def test_the_page_says_which_route_is_slow(browser: Browser, slow: ServerProcess) -> None:
    with looking(browser, slow.wait_for("xray")["url"]) as looked:
        hand = Hand(looked)
        hand.open_waits()
        expect(hand.page.locator("#waits tbody tr").first).to_contain_text(SLOW)


# --- on what?


def test_a_terminal_says_on_what_it_waits(slow: ServerProcess) -> None:
    assert re.search(r"p99 +(9\d|100) % +#+ +thread \w+", Terminal(slow).run("waits", "--route", "/sleep"))


def test_the_page_says_on_what_it_waits(browser: Browser, slow: ServerProcess) -> None:
    with looking(browser, slow.wait_for("xray")["url"]) as looked:
        hand = Hand(looked)
        hand.open_waits()
        expect(hand.page.locator("#waits tbody tr").first).to_contain_text(re.compile(r"thread \w+"))


# --- which upstream is down?


def test_a_terminal_says_which_upstream_is_down(halved: ServerProcess) -> None:
    assert re.search(rf"Upstream {halved.url} has been down for", Terminal(halved).run("ps"))


def test_the_page_says_which_upstream_is_down(browser: Browser, halved: ServerProcess) -> None:
    with looking(browser, halved.wait_for("xray")["url"]) as looked:
        banner = looked.page.locator(".banner")
        expect(banner).to_contain_text("has been down for")
        expect(banner).to_contain_text(halved.url)


# --- who holds the shutdown?


def test_a_terminal_says_who_holds_the_shutdown_and_ends_it(ending: ServerProcess) -> None:
    terminal = Terminal(ending)
    found = re.search(r"waiting for 1 connection \((\d+): GET /bytes/20000000 SENDING_RESPONSE", terminal.run("ps"))
    assert found is not None
    assert "1 connection closed." in terminal.run("close", found[1], "--yes")
    assert ending.wait() == 0


def test_the_page_says_who_holds_the_shutdown(browser: Browser, ending: ServerProcess) -> None:
    with looking(browser, ending.wait_for("xray")["url"]) as looked:
        hand = Hand(looked)
        expect(hand.page.locator(".banner")).to_contain_text("waiting for 1 connection")
        hand.click(hand.page.locator(".banner .chip").first)
        expect(hand.page.locator("#detail")).to_contain_text("GET /bytes/20000000")
        expect(hand.page.locator("#detail")).to_contain_text("SENDING_RESPONSE")


# --- what did this request wait for?


def test_a_terminal_says_what_a_request_waited_for(slow: ServerProcess) -> None:
    terminal = Terminal(slow)
    found = re.search(r"^ +(\S+) +[\d.]+ s  GET /sleep/1500", terminal.run("waits", "--route", "/sleep"), re.MULTILINE)
    assert found is not None
    told = terminal.run("waits", "--request", found[1])
    assert re.search(r"[\d.]+ s +(9\d|100) % +#+ +thread \w+", told)
    assert "QUERYING_BACKEND" in told
    logged = slow.wait_for("request", target="/sleep/1500")  # under the name that the log has for it
    assert found[1] in {event["id"] for event in slow.events("request", target="/sleep/1500")}
    assert "GET /sleep/1500 from" in terminal.run("waits", "--request", logged["id"])


def test_the_page_says_what_a_request_waited_for(browser: Browser, slow: ServerProcess) -> None:
    with looking(browser, slow.wait_for("xray")["url"]) as looked:
        hand = Hand(looked)
        hand.open_waits()
        hand.click(hand.page.locator("#waits tbody tr").first)
        hand.click(hand.page.locator(".example").first)
        expect(hand.page.locator("#waits .one")).to_contain_text("thread")
        expect(hand.page.locator("#waits .one")).to_contain_text("QUERYING_BACKEND")
