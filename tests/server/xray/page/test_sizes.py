"""The page at five sizes, light and dark: nothing lies over another, nothing is cut off, and all of it can be read.

`pytest tests/server/xray/page/test_sizes.py --basetemp DIRECTORY` keeps a screenshot of each view there.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright, of the test extra, drives the browser")

from playwright.sync_api import Browser, expect

from tests.server.xray.page.browser import Looked, looking, shoot
from tests.server.xray.page.crowd import Asking
from tests.server.xray.page.mixture import mixed
from tests.support.server import ServerProcess
from tests.support.waiting import eventually

SIZES = [(1920, 1080), (1280, 720), (900, 700), (768, 1024), (390, 844)]
SCHEMES = ["light", "dark"]

SMALLEST_IN_PICTURE = 9.0
SMALLEST = 11.0
"""Pixels, as rendered."""

SEEN = """() => {
  const seen = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const text = node.textContent.trim();
    const owner = node.parentElement;
    if (!text || owner.closest(".unseen, .skip, noscript, title, option, [hidden]")) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    const box = owner.ownerSVGElement ? owner.getBoundingClientRect() : range.getBoundingClientRect();
    if (!box.width || !owner.checkVisibility({checkVisibilityCSS: true})) continue;
    const scale = owner.ownerSVGElement ? owner.getScreenCTM().a : 1;
    // What is scrolled out of its panel, or lies behind what is open, is not seen.
    const at = document.elementsFromPoint((box.left + box.right) / 2, (box.top + box.bottom) / 2);
    seen.push({
      text, scale, size: parseFloat(getComputedStyle(owner).fontSize) * scale,
      picture: Boolean(owner.ownerSVGElement), shown: at.some(one => one === owner || one.contains(owner)) &&
        at[0]?.closest(".panel, .top, dialog, .banners") === owner.closest(".panel, .top, dialog, .banners"),
      cut: !owner.ownerSVGElement && owner.scrollWidth > owner.clientWidth + 1
        && !["visible", "auto"].includes(getComputedStyle(owner).overflowX) && !owner.closest("[title]"),
      box: [box.left, box.top, box.right, box.bottom],
    });
  }
  return seen;
}"""
"""Every text on the page: how high its letters are, where it is, whether it is cut off with no way to read it whole."""


def texts(looked: Looked) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = looked.page.evaluate(SEEN)
    return [one for one in found if one["shown"]]


def overlapping(found: list[dict[str, Any]]) -> list[str]:
    """Pairs of texts of which one lies over the other."""
    pairs = []
    for number, one in enumerate(found):
        for other in found[number + 1 :]:
            (left, top, right, bottom), (a, b, c, d) = one["box"], other["box"]
            wide, high = min(right, c) - max(left, a), min(bottom, d) - max(top, b)
            if wide > 1 and high > 3 and one["picture"] == other["picture"]:
                pairs.append(f"{one['text']} / {other['text']}")
    return pairs


def good(looked: Looked) -> None:
    """All of what is shown can be read."""
    page = looked.page
    assert page.evaluate("() => document.documentElement.scrollWidth - innerWidth") <= 0, "it scrolls sideways"
    found = texts(looked)
    assert found
    assert overlapping(found) == []
    assert [one["text"] for one in found if one["cut"]] == []
    assert [one for one in found if one["picture"] and one["size"] < SMALLEST_IN_PICTURE] == []
    assert [one for one in found if not one["picture"] and one["size"] < SMALLEST] == []


@pytest.fixture(scope="module")
def server(choices: list[str]) -> Iterator[ServerProcess]:
    """A server in the midst of its work, with a bit of everything."""
    with ExitStack() as stack:
        server = stack.enter_context(mixed(choices))
        stack.enter_context(Asking(server.address, count=12, rate=120))
        stack.enter_context(Asking(server.address, "/sleep/120", count=4, rate=10))
        yield server


@pytest.fixture(params=SCHEMES)
def scheme(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def size(request: pytest.FixtureRequest) -> tuple[int, int]:
    wide, high = request.param
    return wide, high


@pytest.fixture
def looked(browser: Browser, server: ServerProcess, size: tuple[int, int], scheme: str) -> Iterator[Looked]:
    with looking(browser, server.wait_for("xray")["url"], size, color_scheme=scheme) as page:
        expect(page.page.locator(".edge[data-way=HAPPY] .rate").first).to_contain_text("/s")
        eventually(lambda: len(page.lines()) > 5)
        yield page


def test_all_of_the_page_can_be_read(looked: Looked, size: tuple[int, int], scheme: str, tmp_path: Path) -> None:
    page = looked.page

    def look(name: str) -> None:
        good(looked)
        shoot(looked, tmp_path / f"{scheme}-{size[0]}-{name}.png")

    look("open")
    row = page.locator(".line[data-kind=row]:not([hidden])").filter(has_text="/wait").first
    row.click()
    expect(page.locator("#detail .passage").first).to_be_visible()
    look("detail")
    page.keyboard.press("Escape")
    page.get_by_role("combobox", name="Group by").select_option("state")
    expect(page.locator(".line[data-kind=group]:not([hidden])")).not_to_have_count(0)
    look("groups")
    page.locator("#tab-ended").click()
    expect(page.locator(".ends")).to_have_count(2)
    look("ended")
    page.locator("#tab-waits").click()
    expect(page.locator("#waits tbody tr").first).to_be_visible()
    look("waits")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    look("keys")


def test_what_is_waited_for_is_the_widest_column(looked: Looked) -> None:
    """And the words of the state are not cut."""
    widths = looked.page.evaluate(
        "() => Object.fromEntries([...document.querySelector('.line[data-kind=row]').children]"
        ".map(cell => [cell.classList[1], cell.getBoundingClientRect().width]))"
    )
    assert max(widths, key=lambda name: float(widths[name])) in ("why", "request")
    assert widths["why"] == widths["request"]
    longest = looked.page.evaluate(
        "() => Math.max(...[...document.querySelectorAll('.line[data-kind=row] .cell.state')]"
        ".map(cell => cell.scrollWidth - cell.clientWidth))"
    )
    assert longest <= 0


def test_the_names_are_plain_words_and_beside_them_the_names_of_the_table(
    looked: Looked, size: tuple[int, int]
) -> None:
    place = looked.page.locator("#diagram" if size[0] not in (900, 390) else "#aslist")
    expect(place).to_be_visible()
    expect(looked.page.locator("#aslist" if size[0] not in (900, 390) else "#diagram")).to_be_hidden()
    told = place.locator("[data-state=AWAITING_REQUEST]").first
    expect(told).to_contain_text("waiting for a request")
    expect(told).to_contain_text("AWAITING_REQUEST")


@pytest.mark.parametrize("size", [(1280, 720)], indirect=True)
@pytest.mark.parametrize("scheme", ["light"], indirect=True)
def test_the_picture_of_every_machine_can_be_read(looked: Looked, tmp_path: Path) -> None:
    page = looked.page
    page.locator("#unused").click()
    for tab in page.locator("#machines [role=tab]").all():
        tab.click()
        name = tab.get_attribute("data-kind")
        expect(page.locator("#diagram svg")).to_have_attribute("aria-label", f"The machine {name}, as it runs")
        small = page.evaluate(
            "() => [...document.querySelectorAll('#diagram text')].map(one => [one.textContent, "
            "parseFloat(getComputedStyle(one).fontSize) * one.getScreenCTM().a]).filter(([_, size]) => size < 9)"
        )
        assert small == [], name
        good(looked)
        shoot(looked, tmp_path / f"machine-{name}.png")
