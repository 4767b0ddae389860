"""The x-ray's page against a server as a user starts it: what a person on call does first, in a real browser.

All that the page can do is tested in tests/server/xray/page; here it meets every poller, parser and dispatch.
"""

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright, of the test extra, drives the browser")

from playwright.sync_api import Browser, expect

from tests.conftest import Start
from tests.server.xray.page.browser import browse, looking
from tests.server.xray.page.crowd import HEAD, Asking, Crowd
from tests.support.client import Client, request
from tests.support.waiting import eventually

browser = pytest.fixture(scope="module")(browse)


def test_what_is_stuck_is_seen_understood_and_closed(browser: Browser, start: Start) -> None:
    server = start("--xray", "127.0.0.1:0")
    with (
        Crowd(server.address) as crowd,
        Asking(server.address, count=10, rate=100),
        Client(server.address, data=request("/wait/a-lock")) as stuck,
        looking(browser, server.wait_for("xray")["url"]) as looked,
    ):
        crowd.add(20)
        crowd.add(3, HEAD)
        page = looked.page
        expect(page.locator("[data-kind=connection] .number")).to_have_text("34")
        eventually(lambda: sum(looked.counts().values()) == 34)
        page.get_by_role("button", name="QUERYING_BACKEND").click()
        page.get_by_role("textbox", name="Path").fill("/wait")
        expect(page.locator("#matched")).to_have_text("1 of 34 connections")
        page.keyboard.press("Escape")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        expect(page.locator("#detail .why")).to_contain_text("GET /wait/a-lock QUERYING_BACKEND")
        page.get_by_role("button", name="Close connection…").click()
        page.get_by_role("button", name="Close it").click()
        assert stuck.end() == "reset"
        expect(page.locator("#detail")).to_contain_text("Ended by the operator in QUERYING_BACKEND")


def test_the_page_of_a_blocked_server_says_where(browser: Browser, start: Start) -> None:
    server = start("--xray", "127.0.0.1:0")
    with Client(server.address) as client, looking(browser, server.wait_for("xray")["url"]) as looked:
        client.send(request("/block/4000"))
        banner = looked.page.locator(".banner[data-kind=blocked]")
        expect(banner).to_contain_text("(GET /block/4000), in block at ")
        assert client.answer().status == 200
        expect(banner).to_have_count(0)
