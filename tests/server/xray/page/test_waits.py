"""The page's answer to the second question: which route is slow, and on what does it wait, usually?"""

from collections.abc import Iterator

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright, of the test extra, drives the browser")

from playwright.sync_api import Browser, expect

from tests.server.xray.page.browser import Looked, looking
from tests.support.client import Client
from tests.support.server import ServerProcess

SIZES = {"small": (1280, 720), "usual": (1440, 900), "phone": (400, 800)}


@pytest.fixture(scope="module")
def server(choices: list[str]) -> Iterator[ServerProcess]:
    """A server that has answered quickly often, and slowly twice."""
    shared = ServerProcess(*choices, "--xray", "127.0.0.1:0", "--no-access-log")
    with Client(shared.address) as client:
        for _ in range(5):
            assert client.get("/hello").status == 200
        for milliseconds in (1500, 700):
            assert client.get(f"/sleep/{milliseconds}?customer=ada").status == 200
    yield shared
    shared.finish()


def opened(looked: Looked) -> None:
    looked.page.get_by_role("tab", name="Where the time goes").click()
    expect(looked.page.locator(".flame-cell").first).to_be_visible()


def test_the_slow_route_and_what_it_waits_for_are_seen_after_one_click(browser: Browser, server: ServerProcess) -> None:
    with looking(browser, server.wait_for("xray")["url"]) as looked:
        opened(looked)
        row = looked.page.locator("#waits tbody tr").first
        expect(row).to_contain_text("GET /sleep/")
        expect(row).to_contain_text("thread")
        expect(row).to_contain_text("1.5")
        expect(looked.page.locator(".flame-cell").nth(1)).to_contain_text("GET /sleep/")


def test_a_slow_request_with_its_path_is_two_clicks_further_and_its_query_is_hidden(
    browser: Browser, server: ServerProcess
) -> None:
    with looking(browser, server.wait_for("xray")["url"]) as looked:
        opened(looked)
        looked.page.locator("#waits tbody tr").first.click()
        expect(looked.page.locator("#waits h3").first).to_contain_text("Slow requests of GET /sleep/")
        expect(looked.page.locator(".example")).to_have_count(2)
        looked.page.locator(".example").first.click()
        expect(looked.page.locator("#waits .passage")).to_have_count(4)
        expect(looked.page.locator("#waits .one")).to_contain_text("BACKEND_ANSWERED")
        assert "customer" not in looked.text("#waits")
        looked.page.locator(".example").first.click()
        expect(looked.page.locator("#waits .passage")).to_have_count(0)


def test_a_bar_too_narrow_to_be_hit_is_seen_and_is_no_button(browser: Browser, server: ServerProcess) -> None:
    draw = """async () => {
      const { Flame, treeOf } = await import(new URL('page/flame.js', location.href).href);
      const flame = new Flame(() => {}, String);
      document.body.append(flame.element);
      const part = (seconds) => ({ state: '', whom: 'client', line: '', seconds });
      const routes = [{ route: 'wide', whole: [part(99)] }, { route: 'slight', whole: [part(1)] }];
      flame.draw(treeOf(routes, 'whole'), '');
      const found = [...flame.element.children].map((cell) => [cell.title.split(' ')[0], cell.localName]);
      flame.element.remove();
      return found;
    }"""
    with looking(browser, server.wait_for("xray")["url"]) as looked:
        cells = looked.page.evaluate(draw)
    assert cells == [
        ["all", "button"],
        ["wide", "button"],
        ["client", "button"],
        ["slight", "span"],
        ["client", "span"],
    ]


def test_a_bar_of_the_flame_graph_is_chosen_by_click_and_key_and_has_all_the_width(
    browser: Browser, server: ServerProcess
) -> None:
    with looking(browser, server.wait_for("xray")["url"]) as looked:
        opened(looked)
        whom = looked.page.locator(".flame-cell").filter(has_text="thread").first
        whom.focus()
        looked.page.keyboard.press("Enter")
        expect(looked.page.locator("#waits tr[aria-selected=true]")).to_have_count(1)
        widths = looked.page.locator(".flame-cell").evaluate_all(
            "cells => cells.slice(0, 4).map(cell => cell.style.width)"
        )
        assert widths == ["100%"] * 4
        assert looked.page.evaluate("() => document.activeElement.dataset.flame").count("\n") == 3
        looked.page.wait_for_timeout(2500)  # a beat or two later
        assert looked.page.evaluate("() => document.activeElement.dataset.flame").count("\n") == 3
        looked.page.locator(".flame-cell").first.click()
        expect(looked.page.locator("#waits tr[aria-selected=true]")).to_have_count(0)


def test_the_median_and_the_slowest_are_asked_for_by_buttons(browser: Browser, server: ServerProcess) -> None:
    with looking(browser, server.wait_for("xray")["url"]) as looked:
        opened(looked)
        button = looked.page.get_by_role("button", name="The slowest hundredth")
        button.click()
        expect(button).to_have_attribute("aria-pressed", "true")
        expect(looked.page.get_by_role("button", name="All requests")).to_have_attribute("aria-pressed", "false")


@pytest.mark.parametrize("size", SIZES)
def test_nothing_is_cut_off_at_the_side(browser: Browser, server: ServerProcess, size: str) -> None:
    with looking(browser, server.wait_for("xray")["url"], SIZES[size], address="view=waits") as looked:
        expect(looked.page.locator(".flame-cell").first).to_be_visible()
        assert looked.page.evaluate("() => document.documentElement.scrollWidth - innerWidth") <= 0
        beyond = """cells => cells.filter(cell =>
            cell.getBoundingClientRect().right > cell.parentNode.getBoundingClientRect().right + 1).length"""
        assert looked.page.locator(".flame-cell").evaluate_all(beyond) == 0


def test_the_upstreams_of_a_reverse_proxy_are_listed_those_that_are_down_first(
    browser: Browser, server: ServerProcess, choices: list[str]
) -> None:
    host, port = server.address
    gone = ServerProcess(*choices, "--no-xray")
    down = "http://{}:{}".format(*gone.address)
    gone.kill()
    gone.wait()
    proxy = ServerProcess(*choices, "--xray", "127.0.0.1:0", "--upstream", down, target=f"http://{host}:{port}")
    with Client(proxy.address) as client:
        for _ in range(12):
            assert client.get("/hello").status == 200
    proxy.wait_for("upstream_down")
    with looking(browser, proxy.wait_for("xray")["url"]) as looked:
        opened(looked)
        expect(looked.page.locator(".upstreams tbody tr")).to_have_count(2)
        expect(looked.page.locator(".upstreams tbody tr").first).to_contain_text(down.removeprefix("http://"))
        expect(looked.page.locator(".upstreams tbody tr").first).to_contain_text("refused")
        expect(looked.page.locator(".banner")).to_contain_text("has been down for")
    proxy.finish()
