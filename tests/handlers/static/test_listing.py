"""A directory's page: what it shows, in which order, and that a name can do no harm."""

import os
import re
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pytest

from clerestory.handlers.static import entries as static_entries
from clerestory.handlers.static import listing as static_listing
from clerestory.handlers.static.entries import Entry, open_directory, read_page
from clerestory.handlers.static.listing import FRESH, MAX_KEPT, THREAD, Listings, page_number, render
from tests.handlers.pages import Page
from tests.handlers.running import FakeLoop

pytestmark = pytest.mark.usefixtures("no_descriptor_left")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    root.mkdir()
    return root


def touch(root: Path, *names: str | bytes) -> None:
    for name in names:
        path = os.path.join(os.fsencode(root), os.fsencode(name))
        if path.endswith(b"/"):
            os.mkdir(path)
        else:
            with open(path, "wb"):
                pass


def listing_page(root: str, segments: list[bytes], base: str = "", number: int = 1) -> str:
    descriptor = open_directory(root, segments)
    try:
        return render(read_page(descriptor, root, segments, number), segments, base)
    finally:
        os.close(descriptor)


def test_directories_come_first_then_names_whatever_their_case(root: Path) -> None:
    touch(root, "b.txt", "A.txt", "a.txt", "C.txt", "z/", "Y/")
    assert Page(listing_page(str(root), [])).names() == ["Y/", "z/", "A.txt", "a.txt", "b.txt", "C.txt"]


def test_sizes_dates_and_the_count_are_shown(root: Path) -> None:
    touch(root, "sub/", "small", "large")
    os.truncate(root / "large", 1536)
    for name in ("sub", "small", "large"):
        os.utime(root / name, (784111777, 784111777))
    page = Page(listing_page(str(root), []))
    date = "1994-11-06 08:49"
    assert page.cells == ["sub/", "", date, "large", "1.5 KiB", date, "small", "0 B", date]
    assert "1 directory, 2 files" in page.text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1024**2 - 1, "1.0 MiB"),
        (5 * 1024**3, "5.0 GiB"),
        (2**63 - 1, "8.0 EiB"),
    ],
)
def test_sizes_are_readable(size: int, text: str) -> None:
    assert static_listing._size(size) == text


def test_a_date_that_no_calendar_has_is_left_out() -> None:
    assert static_listing._date(1e18) == ""
    assert '<td class="date"></td>' in static_listing._row(Entry(b"a", False, 0, -1e18))


NASTY: list[str | bytes] = [
    "<script>alert(1)</script>".replace("/", "-"),
    '"onmouseover="alert(1)',
    "a&amp;b",
    "a'b",
    "javascript:alert(1)",
    "a:b",
    "a b",
    "100%",
    "%2e%2e",
    "a?b#c",
    "{title}",
    "ä€😀",
    "evil\u202egpj.exe",
    b"\xff\xfe",
]


def test_every_name_is_escaped_and_its_link_leads_to_it(root: Path) -> None:
    touch(root, *NASTY)
    text = listing_page(str(root), [], "/files")
    page = Page(text)
    assert page.tags == {
        *("html", "head", "meta", "title", "style", "body", "h1", "table", "thead", "tbody"),
        *("tr", "th", "td", "a", "p"),
    }
    hrefs = [href for href, _ in page.links]
    assert {unquote_to_bytes(href.removeprefix("./")) for href in hrefs} == {os.fsencode(name) for name in NASTY}
    assert all(re.fullmatch(r"\./[A-Za-z0-9_.~%-]+", href) for href in hrefs)
    assert "\u202e" not in text
    assert "evil\ufffdgpj.exe" in text
    assert page.names().count("\ufffd\ufffd") == 1


def test_a_page_names_its_place_and_links_upwards(root: Path) -> None:
    (root / "a" / "<b>" / "c").mkdir(parents=True)
    page = Page(listing_page(str(root), [b"a", b"<b>", b"c"], "/files"))
    assert page.links == [("../../../", "/files/"), ("../../", "a/"), ("../", "<b>/"), ("../", "../")]
    assert "/files/a/<b>/c/" in page.text
    assert "This directory is empty." in page.text
    assert Page(listing_page(str(root), [])).links == [("./a/", "a/")]


class TestPages:
    @pytest.fixture(autouse=True)
    def few(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(static_entries, "PAGE", 3)

    def test_a_full_page_is_all_there_is_and_one_entry_more_makes_two(self, root: Path) -> None:
        touch(root, "1", "2", "3")
        page = Page(listing_page(str(root), []))
        assert page.names() == ["1", "2", "3"]
        assert "3 files" in page.text
        assert "Page" not in page.text
        touch(root, "4")
        page = Page(listing_page(str(root), []))
        assert page.names() == ["1", "2", "3"]
        assert "Page 1 of 2, 4 entries in all. Next" in page.text
        assert page.links[-1] == ("?page=2", "Next")
        page = Page(listing_page(str(root), [], number=2))
        assert page.names() == ["4"]
        assert page.links[-1] == ("?page=1", "Previous")

    def test_a_page_between_leads_both_ways(self, root: Path) -> None:
        touch(root, *"1234567")
        page = Page(listing_page(str(root), [], number=2))
        assert page.links[-2:] == [("?page=1", "Previous"), ("?page=3", "Next")]

    def test_a_bound_on_what_is_listed_is_said(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(static_entries, "MAX_NAMES", 6)
        touch(root, *"123456")
        assert "6 entries in all. Next" in listing_page(str(root), []).replace('<a href="?page=2">', "")
        touch(root, "7")
        assert "More than 6 entries: the others are not listed." in listing_page(str(root), [])


@pytest.mark.parametrize(
    ("query", "number"),
    [
        ("", 1), ("page=2", 2), ("a=b&page=3", 3), ("page=3&a=b", 3), ("page=0", 1), ("page=", 1), ("page=-1", 1),
        ("page=x", 1), ("page=1000000", 1), ("page=999999", 999_999), ("xpage=2", 1), ("page=2x", 1),
    ],
)  # fmt: skip
def test_a_query_asks_for_a_page_by_its_number(query: str, number: int) -> None:
    assert page_number(query) == number


class TestKept:
    """The same page that many ask for at once is made once."""

    def test_a_page_is_made_once_in_a_moment(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        clock = [1000.0]
        listings = Listings(str(root), lambda: clock[0])
        touch(root, "a")
        first = listings.make([], "", 1)
        assert listings.make([], "", 1) is first
        assert listings.make([], "/base", 1) is not first
        clock[0] += FRESH
        assert listings.make([], "", 1) is not first
        clock[0] -= 10
        again = listings.make([], "", 1)
        assert again == first
        assert again is not first, "a clock that was set back keeps nothing for ever"

    def test_an_entry_that_is_new_is_on_the_next_page(self, root: Path) -> None:
        listings = Listings(str(root), lambda: 1000.0)
        touch(root, "a")
        first = listings.make([], "", 1)
        at = root.stat().st_mtime_ns
        touch(root, "b")
        os.utime(root, ns=(at, at + 1))  # the kernel's clock may not have ticked
        assert Page(listings.make([], "", 1).decode()).names() == ["a", "b"]
        assert Page(first.decode()).names() == ["a"]

    def test_so_many_pages_are_kept_and_one_more_drops_the_others(self, root: Path) -> None:
        listings = Listings(str(root), lambda: 1000.0)
        first = listings.make([], "", 1)
        for number in range(2, MAX_KEPT + 1):
            listings.make([], "", number)
        assert listings.make([], "", 1) is first
        listings.make([], "", MAX_KEPT + 1)
        assert listings.make([], "", 1) is not first

    def test_pages_are_made_one_after_the_other(self) -> None:
        """Threads that compute take turns with the loop: beside one it has every second turn, beside eight a ninth."""
        assert THREAD.size == 1
        THREAD.engine_on(FakeLoop())  # type: ignore[arg-type]
        assert THREAD.size == 1


def test_a_page_needs_nothing_from_elsewhere_and_has_both_colour_schemes(root: Path) -> None:
    text = listing_page(str(root), [])
    assert not re.search(r"https?:|src=|url\(|@import|<link|<script", text)
    assert "prefers-color-scheme: dark" in text
    assert '<meta name="color-scheme" content="light dark">' in text
