"""The page when something is wrong: it says what, and its words go when it is over."""

import signal

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright, of the test extra, drives the browser")

from playwright.sync_api import Browser, expect

from tests.conftest import Start
from tests.server.xray.page.browser import looking
from tests.server.xray.page.crowd import Crowd
from tests.support.client import Client, request
from tests.support.server import TOKEN

XRAY = ("--xray", "127.0.0.1:0")


def test_a_blocked_loop_is_named_with_its_handler_and_stack(browser: Browser, start: Start) -> None:
    server = start(*XRAY)
    with looking(browser, server.wait_for("xray")["url"]) as looked, Client(server.address) as client:
        page = looked.page
        client.send(request("/block/6000"))
        banner = page.locator(".banner[data-kind=blocked]")
        expect(banner).to_contain_text("The loop has been blocked for ")
        expect(banner).to_contain_text("by connection 1 (GET /block/6000)")
        expect(banner).to_have_attribute("data-level", "critical")
        expect(page.locator("#live")).to_contain_text("The loop has been blocked")
        expect(page.locator("[data-tile=lag]")).to_contain_text("blocked")
        banner.get_by_text("The Python stack").click()
        expect(banner.locator(".stack li").first).to_contain_text("time.sleep(milliseconds / 1000)")
        # The page works while the server does not: the connection can be looked at.
        banner.get_by_role("button", name="Open 1").click()
        expect(page.locator("#detail .why")).to_contain_text("GET /block/6000 QUERYING_BACKEND")
        assert client.answer().status == 200
        expect(banner).to_have_count(0)
        expect(page.locator("#live")).to_have_text("The loop is running again.")


def test_a_drain_says_what_holds_it_and_until_when(browser: Browser, start: Start) -> None:
    server = start(*XRAY, "--drain-timeout", "8")
    url = server.wait_for("xray")["url"]
    with Client(server.address, data=request("/wait/drain")), looking(browser, url) as looked:
        expect(looked.page.locator("[data-kind=connection] .number")).to_have_text("1")
        server.signal(signal.SIGTERM)
        banner = looked.page.locator(".banner[data-kind=draining]")
        expect(banner).to_contain_text("waiting for 1 connection (1: GET /wait/drain QUERYING_BACKEND")
        expect(banner).to_contain_text("what is left is closed.")
        looked.page.locator("#machines [data-kind=process]").click()
        expect(looked.page.locator(".state[data-state=DRAINING] .count")).to_have_text("1")
        # When the process has gone, the page says that what it shows is old.
        looked.expected = ("ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED_ENCODING", "ERR_CONNECTION_RESET")
        expect(looked.page.locator(".banner[data-kind=lost]")).to_contain_text(
            "The connection to the server is lost", timeout=20_000
        )
        expect(looked.page.locator("#link")).to_have_text("lost")
    assert server.wait() == 0


def test_a_shortage_of_slots_is_said_with_what_takes_them(browser: Browser, start: Start) -> None:
    server = start(*XRAY, "--max-connections", "20")
    with Crowd(server.address) as crowd, looking(browser, server.wait_for("xray")["url"]) as looked:
        expect(looked.page.locator(".banner")).to_have_count(0)
        crowd.add(19)
        banner = looked.page.locator(".banner[data-kind=capacity]")
        expect(banner).to_contain_text("19 of 20 slots are idle keep-alive")
        expect(banner).to_have_attribute("data-level", "warning")
        for one in crowd.sockets:
            one.close()
        expect(banner).to_have_count(0)


def test_without_events_the_page_polls(browser: Browser, start: Start) -> None:
    server = start(*XRAY)
    url = server.wait_for("xray")["url"]
    with looking(browser, url) as looked, Crowd(server.address) as crowd:
        looked.expected = ("ERR_FAILED", "EventSource")
        looked.page.route("**/events", lambda route: route.abort())
        looked.page.reload()
        expect(looked.page.locator("#link")).to_have_attribute("data-link", "polling")
        crowd.add(3)
        expect(looked.page.locator("[data-kind=connection] .number")).to_have_text("3")


def test_a_server_that_comes_back_is_shown_again(browser: Browser, start: Start) -> None:
    server = start(*XRAY)
    url = server.wait_for("xray")["url"]
    with looking(browser, url) as looked:
        looked.expected = ("ERR_", "401 (Unauthorized)")
        server.finish()
        expect(looked.page.locator("#link")).to_have_text("lost", timeout=10_000)
        again = start("--xray", url.removeprefix("http://").removesuffix("/"))
        again.wait_for("xray")
        looked.page.get_by_label("Token").fill(TOKEN)  # sessions end with their server
        looked.page.keyboard.press("Enter")
        expect(looked.page.locator("#link")).to_contain_text("live", timeout=10_000)
        expect(looked.page.locator(".banner")).to_have_count(0)
