"""Pictures of the page, for people to look at: `pytest -k screenshots --basetemp DIRECTORY` keeps them there.

What a test can see in them is asserted: nothing is cut off at the side, at any width, and no text lies over another.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright, of the test extra, drives the browser")

from playwright.sync_api import Browser, expect

from tests.server.xray.page.browser import Looked, looking, shoot
from tests.server.xray.page.crowd import BODY, HEAD, Asking, Crowd
from tests.server.xray.page.mixture import USUAL, mixed
from tests.support.client import Client, request
from tests.support.server import ServerProcess
from tests.support.waiting import eventually

OVERLAPS = """() => {
  const texts = [...document.querySelectorAll('#diagram text')].filter(one => one.textContent);
  const boxes = texts.map(one => ({text: one.textContent, box: one.getBoundingClientRect()}));
  const found = [];
  boxes.forEach(({text, box: a}, at) => boxes.slice(at + 1).forEach(({text: other, box: b}) => {
    const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
    const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
    if (wide > 1 && high > 3) found.push(`${text} / ${other}`);
  }));
  return found;
}"""


@pytest.fixture(scope="module")
def server(choices: list[str]) -> Iterator[ServerProcess]:
    """A server in the midst of its work, with a bit of everything."""
    with mixed(choices, USUAL) as shared:
        busy = Asking(shared.address, count=40, rate=600), Asking(shared.address, "/sleep/120", count=16, rate=40)
        with busy[0], busy[1]:
            yield shared


def settled(looked: Looked) -> None:
    """Wait for rates and rows."""
    expect(looked.page.locator(".edge[data-way=HAPPY] .rate").first).to_contain_text("/s")  # also where it is hidden
    eventually(lambda: len(looked.lines()) > 10)
    looked.page.wait_for_timeout(1200)


def good(looked: Looked) -> None:
    """Nothing is cut off or overlaps."""
    assert looked.page.evaluate("() => document.documentElement.scrollWidth - innerWidth") <= 0
    assert looked.page.evaluate(OVERLAPS) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_screenshots_under_load(browser: Browser, server: ServerProcess, tmp_path: Path, scheme: str) -> None:
    with looking(browser, server.wait_for("xray")["url"], color_scheme=scheme, device_scale_factor=1.5) as looked:
        settled(looked)
        good(looked)
        shoot(looked, tmp_path / f"{scheme}.png")
        looked.page.locator(".state[data-state=QUERYING_BACKEND]").click()
        looked.page.get_by_role("textbox", name="Path").fill("/wait")
        expect(looked.page.locator("#matched")).to_contain_text("7 of ")
        looked.page.locator(".line[data-kind=row]").first.click()
        expect(looked.page.locator(".passage")).not_to_have_count(0)
        looked.page.wait_for_timeout(1200)
        good(looked)
        shoot(looked, tmp_path / f"{scheme}-detail.png")
        looked.page.keyboard.press("Escape")
        looked.page.locator("#tab-ended").click()
        expect(looked.page.locator(".ends")).to_have_count(2)
        shoot(looked, tmp_path / f"{scheme}-ended.png")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_screenshots_for_the_documentation(
    browser: Browser, server: ServerProcess, tmp_path: Path, scheme: str
) -> None:
    """docs/xray-light.png and docs/xray-dark.png are these two."""
    with Crowd(server.address) as crowd, Client(server.address) as stuck:
        for number in (3, 11, 20):
            stuck.get(f"/sleep/{number}")
        stuck.send(request("/wait/a-lock-on-orders", "User-Agent: shop/2.1", "Authorization: Basic c2hvcDpzaG9w"))
        for path in ("/wait/the-mailbox", "/stream-and-wait/prices", "/wait/a-lock-on-orders"):
            crowd.add(4, request(path), "127.0.0.9")
        crowd.add(3, BODY, "127.0.0.12")
        crowd.add(5, HEAD, "127.0.0.7")
        with looking(browser, server.wait_for("xray")["url"], (1520, 900), color_scheme=scheme) as looked:
            page = looked.page
            page.get_by_role("combobox", name="State").select_option("any but idle")
            eventually(lambda: "READING_HEAD" in looked.column("code"))
            if scheme == "dark":
                page.get_by_role("textbox", name="Path").fill("/wait")
                page.get_by_role("button", name="Id", exact=True).click()
                page.get_by_role("textbox", name="Peer").fill("127.0.0.")
                eventually(lambda: stuck.name in looked.column("peer"))
                page.wait_for_timeout(1000)
                page.locator(".line[data-kind=row]:not([hidden])").filter(has_text=stuck.name).click()
                expect(page.locator("#detail .passage")).to_have_count(14)
                page.mouse.move(5, 5)
            page.wait_for_timeout(6000)
            good(looked)
            shoot(looked, tmp_path / f"xray-{scheme}.png")


def test_screenshots_of_a_blocked_loop(browser: Browser, server: ServerProcess, tmp_path: Path) -> None:
    with looking(browser, server.wait_for("xray")["url"], color_scheme="dark") as looked:
        settled(looked)
        with Client(server.address) as client:
            client.send(request("/block/4500"))
            looked.page.get_by_text("The Python stack").click()
            time.sleep(1.5)
            good(looked)
            shoot(looked, tmp_path / "blocked.png")
            assert client.answer().status == 200
