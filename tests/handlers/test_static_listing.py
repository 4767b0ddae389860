"""A directory's page: what it shows, in which order, and that a name can do no harm."""

import os
import re
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pytest

from handlers import static_listing
from handlers.static_listing import Entry, listing_page
from tests.handlers.pages import Page

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


def test_what_cannot_be_fetched_is_not_shown(root: Path) -> None:
    touch(root, "file", ".env", ".git/", ".well-known/", "sub/", "sub/.well-known", "back\\slash", "new\nline")
    touch(root.parent, "secret")
    os.mkfifo(root / "fifo")
    for link, target in {
        "in": "file",
        "in_directory": "sub",
        "out": "../secret",
        "dangling": "nothing",
        "to_fifo": "fifo",
        "absolute": str(root / "file"),
    }.items():
        (root / link).symlink_to(target)
    assert Page(listing_page(str(root), [])).names() == [".well-known/", "in_directory/", "sub/", "file", "in"]
    assert Page(listing_page(str(root), [b"sub"])).names() == []


def test_a_page_names_its_place_and_links_upwards(root: Path) -> None:
    (root / "a" / "<b>" / "c").mkdir(parents=True)
    page = Page(listing_page(str(root), [b"a", b"<b>", b"c"], "/files"))
    assert page.links == [("../../../", "/files/"), ("../../", "a/"), ("../", "<b>/"), ("../", "../")]
    assert "/files/a/<b>/c/" in page.text
    assert "This directory is empty." in page.text
    assert Page(listing_page(str(root), [])).links == [("./a/", "a/")]


def test_a_full_page_passes_and_one_entry_more_is_said(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(static_listing, "MAX_ENTRIES", 3)
    touch(root, "1", "2", "3")
    page = Page(listing_page(str(root), []))
    assert page.names() == ["1", "2", "3"]
    assert "3 files" in page.text
    touch(root, "4")
    page = Page(listing_page(str(root), []))
    assert len(page.names()) == 3
    assert "More than 3; these are some of them." in page.text


def test_a_page_needs_nothing_from_elsewhere_and_has_both_colour_schemes(root: Path) -> None:
    text = listing_page(str(root), [])
    assert not re.search(r"https?:|src=|url\(|@import|<link|<script", text)
    assert "prefers-color-scheme: dark" in text
    assert '<meta name="color-scheme" content="light dark">' in text


def test_a_file_is_no_directory(root: Path) -> None:
    touch(root, "file")
    with pytest.raises(NotADirectoryError):
        listing_page(str(root), [b"file"])
