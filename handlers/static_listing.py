"""A directory as a page: escaped, sorted, readable on a phone, by day and by night, without any outside resource.

Shown is what can be fetched: directories, regular files, and links to either that stay beneath the root; nothing
hidden. Names are bytes: a link has them percent-encoded, the text shows what is UTF-8 of them.
"""

import errno
import os
import re
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from html import escape
from itertools import islice
from typing import NamedTuple
from urllib.parse import quote_from_bytes

from handlers.static_paths import Walk

MAX_ENTRIES = 5_000
"""Entries on one page: a page of 1 MB, made in 50 ms; nobody scrolls further."""

LISTING_FIELDS = (
    (b"cache-control", b"no-cache"),
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'"),
    (b"referrer-policy", b"same-origin"),
)

# Control characters, and those that turn the direction of the text around: a name may not disguise another.
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")

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


class Entry(NamedTuple):
    """One line of the page."""

    name: bytes
    is_directory: bool
    size: int
    modified: float


def listing_page(root: str, segments: list[bytes], base: str = "") -> str:
    """The page of the directory `segments` beneath `root`, served at `base`. Raises OSError."""
    with Walk(root) as walk:
        if not walk.descend(segments):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        descriptor = walk.open_directory()
    try:
        with os.scandir(descriptor) as entries:
            shown = list(islice(_entries(root, segments, entries), MAX_ENTRIES + 1))
    finally:
        os.close(descriptor)
    more = len(shown) > MAX_ENTRIES
    del shown[MAX_ENTRIES:]
    shown.sort(key=lambda entry: (not entry.is_directory, entry.name.lower(), entry.name))
    rows = [_row(entry) for entry in shown]
    if segments:
        rows.insert(0, '<tr><td><a href="../">../</a></td><td class="size"></td><td class="date"></td></tr>')
    summary = f"More than {MAX_ENTRIES:,}; these are some of them." if more else _count(shown)
    path = "/" + "".join(_text(segment) + "/" for segment in segments)
    return _PAGE.format(
        title=escape(base + path),
        crumbs=_crumbs(segments, base),
        rows="\n".join(rows),
        summary=summary,
    )


def _entries(root: str, segments: list[bytes], entries: Iterator["os.DirEntry[str]"]) -> Iterator[Entry]:
    for entry in entries:
        name = os.fsencode(entry.name)
        if name.startswith(b".") and (segments or name != b".well-known"):
            continue
        if b"\\" in name or any(byte < 0x20 or byte == 0x7F for byte in name):
            continue  # a request for it would be refused
        try:
            status = entry.stat(follow_symlinks=False)
            if stat.S_ISLNK(status.st_mode):
                with Walk(root) as walk:
                    walk.descend([*segments, name])
                    status = walk.status()
        except OSError:
            continue  # gone since, or not to be had
        if stat.S_ISDIR(status.st_mode) or stat.S_ISREG(status.st_mode):
            yield Entry(name, stat.S_ISDIR(status.st_mode), status.st_size, status.st_mtime)


def _row(entry: Entry) -> str:
    slash = "/" if entry.is_directory else ""
    # The dot before the name: `a:b` would be read as a URL of the scheme a.
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
        return ""  # before the year 1 or after 9999: file systems hold what calendars do not


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
