"""A directory as a web page: escaped, sorted, readable on a phone, light and dark, without external resources.

`entries` decides what is shown, and in which order. Names are bytes: links have them percent-encoded, the text shows
them decoded from UTF-8, with replacement characters.
"""

import os
import re
from collections.abc import Callable
from datetime import UTC, datetime
from html import escape
from typing import NamedTuple
from urllib.parse import quote_from_bytes

from clerestory.handlers.backends.threads.threads import ThreadPool
from clerestory.handlers.backends.threads.work import ThreadCall
from clerestory.handlers.static.entries import Entry, Page, open_directory, read_page

MAX_KEPT = 8
"""Pages that are cached; up to 1 MB each."""

FRESH = 1.0
"""Seconds for which a page is cached: sizes may be that old; names are not, as they change the directory's own time."""

THREAD = ThreadPool(1, label="listing")

LISTING_FIELDS = (
    (b"content-type", b"text/html; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'"),
    (b"referrer-policy", b"same-origin"),
)

# Control characters, and those that change the direction of the text: a name must not look like another.
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")

_NUMBER = re.compile(r"(?:.*&)?page=([0-9]{1,6})(?:&.*)?").fullmatch

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>
:root {{ --ink: #1c2430; --quiet: #667085; --line: #e4e7ec; --paper: #fcfcfd; --hover: #f2f4f7; --link: #1849a9 }}
@media (prefers-color-scheme: dark) {{
  :root {{ --ink: #e6e9ef; --quiet: #8f99ab; --line: #2a3140; --paper: #12161d; --hover: #1b212b; --link: #8db8ff }}
}}
body {{ margin: 0 auto; max-width: 56rem; padding: 2.5rem 1.25rem; color: var(--ink); background: var(--paper);
  font: 1rem/1.5 system-ui, sans-serif }}
h1 {{ margin: 0 0 1.5rem; font-size: 1.25rem; font-weight: 600; overflow-wrap: anywhere }}
a {{ color: var(--link); text-decoration: none }}
a:hover, a:focus-visible {{ text-decoration: underline }}
table {{ width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums }}
th {{ text-align: left; font-size: .8rem; font-weight: 500; color: var(--quiet) }}
th, td {{ padding: .4rem .6rem; border-bottom: 1px solid var(--line) }}
tbody tr:hover {{ background: var(--hover) }}
td:first-child {{ overflow-wrap: anywhere }}
.size, .date {{ text-align: right; white-space: nowrap; color: var(--quiet) }}
p {{ color: var(--quiet) }}
@media (max-width: 34rem) {{ .date {{ display: none }} }}
</style>
</head>
<body>
<h1>{crumbs}</h1>
<table>
<thead><tr><th>Name</th><th class="size">Size</th><th class="date">Modified (UTC)</th></tr></thead>
<tbody>
{rows}
</tbody>
</table>
<p>{summary}</p>
</body>
</html>
"""


Key = tuple[tuple[bytes, ...], str, int]
Identity = tuple[int, int, int]


class Kept(NamedTuple):
    """A cached page: the state of its directory, when it was made, and the page."""

    identity: Identity
    made: float
    page: bytes


class Listings:
    """Makes pages of the directories beneath `root`, one after the other in a thread of their own: neither the loop nor
    other threads wait for them, however many are requested. The last pages are cached for a moment, since many clients
    request the same one. `now` is the wall clock.
    """

    def __init__(self, root: str, now: Callable[[], float]) -> None:
        self._root = root
        self._now = now
        self._kept: dict[Key, Kept] = {}

    def page(self, segments: list[bytes], base: str, number: int) -> ThreadCall[bytes]:
        """An operation: page `number` of the directory `segments`, served at `base`. Awaiting it may raise OSError."""
        return THREAD.call(self.make, segments, base, number)

    def make(self, segments: list[bytes], base: str, number: int) -> bytes:
        """As `page`, in this thread."""
        descriptor = open_directory(self._root, segments)
        try:
            status = os.fstat(descriptor)
            identity = (status.st_dev, status.st_ino, status.st_mtime_ns)
            key = (tuple(segments), base, number)
            now = self._now()
            kept = self._kept.get(key)
            if kept is not None and kept.identity == identity and 0.0 <= now - kept.made < FRESH:
                return kept.page
            page = render(read_page(descriptor, self._root, segments, number), segments, base).encode()
        finally:
            os.close(descriptor)
        if len(self._kept) >= MAX_KEPT:
            self._kept.clear()
        self._kept[key] = Kept(identity, now, page)
        return page


def page_number(query: str) -> int:
    """The page number in a query: `page=2`. Anything else is the first page."""
    found = _NUMBER(query)
    return max(1, int(found[1])) if found is not None else 1


def render(page: Page, segments: list[bytes], base: str = "") -> str:
    """`page` of the directory `segments`, served at `base`, as HTML."""
    rows = [_row(entry) for entry in page.entries]
    if segments:
        rows.insert(0, '<tr><td><a href="../">../</a></td><td class="size"></td><td class="date"></td></tr>')
    path = "/" + "".join(_text(segment) + "/" for segment in segments)
    return _PAGE.format(
        title=escape(base + path),
        crumbs=_crumbs(segments, base),
        rows="\n".join(rows),
        summary=_summary(page),
    )


def _row(entry: Entry) -> str:
    slash = "/" if entry.is_directory else ""
    # The dot before the name: `a:b` would be read as a URL with the scheme a.
    link = f'<a href="./{quote_from_bytes(entry.name, safe="")}{slash}">{escape(_text(entry.name))}{slash}</a>'
    size = "" if entry.is_directory else _size(entry.size)
    return f'<tr><td>{link}</td><td class="size">{size}</td><td class="date">{_date(entry.modified)}</td></tr>'


def _crumbs(segments: list[bytes], base: str) -> str:
    """The path, each directory on it a link, the last one text."""
    top = escape(base) + "/"
    if not segments:
        return top
    links = [f'<a href="{"../" * len(segments)}">{top}</a>']
    for depth, segment in enumerate(segments[:-1], 1):
        links.append(f'<a href="{"../" * (len(segments) - depth)}">{escape(_text(segment))}/</a>')
    return "".join(links) + escape(_text(segments[-1])) + "/"


def _text(name: bytes) -> str:
    return _UNSEEN.sub("\ufffd", name.decode("utf-8", "replace"))


def _size(size: int) -> str:
    """`0 B`, `999 B`, `1.5 KiB`."""
    if size < 1024:
        return f"{size} B"
    amount, unit = float(size), ""
    for unit in ("KiB", "MiB", "GiB", "TiB", "PiB", "EiB"):  # noqa: B007 - the last one asked is used
        amount /= 1024
        if amount < 1023.95:
            break
    return f"{amount:.1f} {unit}"


def _date(modified: float) -> str:
    try:
        return f"{datetime.fromtimestamp(modified, UTC):%Y-%m-%d %H:%M}"
    except (ValueError, OverflowError, OSError):
        return ""  # before the year 1 or after 9999: file systems have times that calendars do not


def _summary(page: Page) -> str:
    if page.last == 1:
        return _count(page.entries)
    cut = f" More than {page.total:,} entries: the others are not listed." if page.is_cut else ""
    links = [
        f'<a href="?page={number}">{label}</a>'
        for number, label in ((page.number - 1, "Previous"), (page.number + 1, "Next"))
        if 1 <= number <= page.last
    ]
    return f"Page {page.number:,} of {page.last:,}, {page.total:,} entries in all.{cut} {' '.join(links)}"


def _count(shown: list[Entry]) -> str:
    directories = sum(entry.is_directory for entry in shown)
    files = len(shown) - directories
    if not shown:
        return "This directory is empty."
    parts = [
        f"{number:,} {noun if number == 1 else nouns}"
        for number, noun, nouns in ((directories, "directory", "directories"), (files, "file", "files"))
        if number
    ]
    return ", ".join(parts)
