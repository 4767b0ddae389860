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
NARROW = [(900, 700), (390, 844)]
"""Where there is no room for the picture beside the table, or at all: there is the list."""

SCHEMES = ["light", "dark"]

SMALLEST_IN_PICTURE = 9.0
SMALLEST = 11.0
"""Pixels, as rendered."""

SEEN = """() => {
  const seen = [];
  const clipped = (owner, rect) => {
    let [left, top, right, bottom] = [Math.max(0, rect.left), Math.max(0, rect.top), Math.min(innerWidth, rect.right),
      Math.min(innerHeight, rect.bottom)];
    for (let one = owner; one; one = one.parentElement) {
      const how = getComputedStyle(one);
      if (how.overflowX === "visible" || how.display === "inline") continue;
      const box = one.getBoundingClientRect();
      [left, top] = [Math.max(left, box.left), Math.max(top, box.top)];
      [right, bottom] = [Math.min(right, box.right), Math.min(bottom, box.bottom)];
    }
    return right - left > 1 && bottom - top > 3 ? [left, top, right, bottom] : null;
  };
  const hidden = (owner, rect) => {
    for (let one = owner; one && !one.matches(".panel, .body, body"); one = one.parentElement) {
      const how = getComputedStyle(one);
      if (how.display === "inline" || !["hidden", "clip"].includes(how.overflowX)) continue;
      if (rect.right > one.getBoundingClientRect().right + 1) return true;
    }
    return false;
  };
  let number = 0;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const text = node.textContent.trim();
    const owner = node.parentElement;
    if (!text || owner.closest(".unseen, .skip, noscript, title, option")) continue;
    if (!owner.checkVisibility({visibilityProperty: true})) continue;
    const picture = Boolean(owner.ownerSVGElement);
    number += 1;
    const range = document.createRange();
    range.selectNodeContents(node);
    const rects = picture ? [owner.getBoundingClientRect()] : [...range.getClientRects()];
    for (const rect of rects) {
      const box = clipped(owner, rect);
      // What is scrolled out of its panel, or lies behind what is open, is not seen.
      const at = box && document.elementFromPoint((box[0] + box[2]) / 2, (box[1] + box[3]) / 2);
      const same = (places) => at?.closest(places) === owner.closest(places);
      if (!at || !same(".panel, .top, dialog, .banners") || !same(".heads")) continue;
      seen.push({
        text, picture, box, number, panel: owner.closest(".panel, .top, dialog, .banners")?.className,
        size: parseFloat(getComputedStyle(owner).fontSize) * (picture ? owner.getScreenCTM().a : 1),
        cut: !picture && !owner.closest("[title]") && hidden(owner, rect),
      });
    }
  }
  return seen;
}"""
"""Every text on the page: how high its letters are, where it is, whether it is cut off with no way to read it whole."""


def texts(looked: Looked) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = looked.page.evaluate(SEEN)
    return found


def overlapping(found: list[dict[str, Any]]) -> list[str]:
    """Pairs of texts of which one lies over the other."""
    pairs = []
    for number, one in enumerate(found):
        for other in found[number + 1 :]:
            (left, top, right, bottom), (a, b, c, d) = one["box"], other["box"]
            wide, high = min(right, c) - max(left, a), min(bottom, d) - max(top, b)
            if one["number"] == other["number"] or one["panel"] != other["panel"]:
                continue  # an ellipsis, or a panel that lies before another
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


def is_waiting_widest(looked: Looked) -> bool:
    """Whether the column of what is waited for, below the request's, is the widest, and the state's words are whole."""
    widths = looked.page.evaluate(
        "() => Object.fromEntries([...document.querySelector('.line[data-kind=row]').children]"
        ".map(cell => [cell.classList[1], cell.getBoundingClientRect().width]))"
    )
    cut = looked.page.evaluate(
        "() => Math.max(...[...document.querySelectorAll('.line[data-kind=row] .cell.state')]"
        ".map(cell => cell.scrollWidth - cell.clientWidth))"
    )
    return bool(widths["why"] == widths["request"] == max(widths.values()) and cut <= 0)


def names_are_plain(looked: Looked, place: str, other: str) -> None:
    """In the picture, or in the list: plain words, and beside them the name of the table."""
    expect(looked.page.locator(place)).to_be_visible()
    expect(looked.page.locator(other)).to_be_hidden()
    told = looked.page.locator(f"{place} [data-state=AWAITING_REQUEST]").first
    expect(told).to_contain_text("waiting for a request")
    expect(told).to_contain_text("AWAITING_REQUEST")


def test_all_of_the_page_can_be_read(looked: Looked, size: tuple[int, int], scheme: str, tmp_path: Path) -> None:
    page = looked.page

    def look(name: str) -> None:
        shoot(looked, tmp_path / f"{scheme}-{size[0]}-{name}.png")
        good(looked)

    names_are_plain(looked, *(("#aslist", "#diagram") if size in NARROW else ("#diagram", "#aslist")))
    assert is_waiting_widest(looked)
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
