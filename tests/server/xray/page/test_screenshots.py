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
from tests.support.client import Client, request
from tests.support.server import ServerProcess
from tests.support.waiting import eventually

SIZES = {"wide": (1920, 1080), "usual": (1440, 900), "narrow": (900, 800), "phone": (400, 800)}
COOKED = request("/wait/a-report?quarter=3", "Cookie: session=1", "User-Agent: curl/8.5.0", "Accept: */*")

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
    timeouts = {"keep-alive": 75, "head": 90, "body": 120, "backend": 120, "send": 120}
    options = [word for name, seconds in timeouts.items() for word in (f"--{name}-timeout", str(seconds))]
    options += ["--body-min-rate", "0", "--send-min-rate", "0", "--no-access-log"]
    shared = ServerProcess(*choices, "--xray", "127.0.0.1:0", *options)
    url = shared.address
    with (
        Crowd(url) as crowd,
        Asking(url, count=40, rate=600),
        Asking(url, "/sleep/120", count=16, rate=40),
    ):
        crowd.add(60)
        for data, status in ((b"BAD\r\n\r\n", 400), (request("/hello", "Connection: close"), 200)):
            for _ in range(9):
                with Client(url, data=data) as client:
                    assert client.answer().status == status
        crowd.add(6, HEAD, "127.0.0.7")
        crowd.add(5, BODY, "127.0.0.8")
        crowd.add(7, COOKED, "127.0.0.9")
        crowd.add(3, request("/bytes/20000000"), "127.0.0.9", window=4096)
        yield shared
    shared.finish()


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
            eventually(lambda: "READING_HEAD" in looked.column("state"))
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


@pytest.mark.parametrize("size", SIZES)
def test_screenshots_at_every_width(browser: Browser, server: ServerProcess, tmp_path: Path, size: str) -> None:
    with looking(browser, server.wait_for("xray")["url"], SIZES[size]) as looked:
        settled(looked)
        good(looked)
        looked.page.screenshot(path=tmp_path / f"{size}.png", full_page=True)
        looked.page.get_by_role("combobox", name="Group by").select_option("state")
        group = looked.page.locator(".line[data-kind=group]:not([hidden])").filter(has_text="QUERYING_BACKEND")
        group.click()
        eventually(lambda: "QUERYING_BACKEND" in looked.column("state"))
        looked.page.locator(".line[data-kind=row]:not([hidden])").first.click()
        expect(looked.page.locator(".passage")).not_to_have_count(0)
        good(looked)
        shoot(looked, tmp_path / f"{size}-grouped.png")


def test_on_a_phone_the_states_are_a_list_that_can_be_read(browser: Browser, server: ServerProcess) -> None:
    """The picture would be 390 px wide, and its letters 5 px high."""
    with looking(browser, server.wait_for("xray")["url"], SIZES["phone"]) as looked:
        expect(looked.page.locator("#aslist .states")).to_be_visible()
        expect(looked.page.locator("#diagram")).to_be_hidden()
        expect(looked.page.locator("#aslist th", has_text="QUERYING_BACKEND").first).to_be_visible()
        size = looked.page.evaluate("() => parseFloat(getComputedStyle(document.querySelector('#aslist th')).fontSize)")
        assert size >= 12


def test_screenshots_of_every_machine(browser: Browser, server: ServerProcess, tmp_path: Path) -> None:
    with looking(browser, server.wait_for("xray")["url"]) as looked:
        looked.page.get_by_role("button", name="not in use").click()
        for tab in looked.page.locator("#machines [role=tab]").all():
            tab.click()
            looked.page.wait_for_timeout(300)
            good(looked)
            shoot(looked, tmp_path / f"machine-{tab.get_attribute('data-kind')}.png")


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
