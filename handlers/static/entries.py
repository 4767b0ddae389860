"""The entries of a directory, in order and page by page: what a listing shows.

It shows what can be fetched: directories, regular files, and links to either that stay beneath the root; hidden names
are not shown. The laws:

- the order is that of the whole directory, not of a page: directories first, then names, whatever their case;
- for entries that are not on the page only name and kind are read, which the directory itself contains; links beyond
  the first MAX_LINKS are listed as files, whatever they lead to;
- no single step is long. This runs in a thread beside the loop's, and sorting a hundred thousand names in one call
  would hold the interpreter's lock, and so stop the loop, all that time: names are sorted in slices and then merged;
- MAX_NAMES limits the memory; if there are more, `is_cut` says so.
"""

import errno
import os
import stat
from collections.abc import Iterator
from heapq import merge
from itertools import islice
from typing import NamedTuple

from clerestory.handlers.static.paths import Walk

PAGE = 5_000
"""Entries on one page: a page of 1 MB, made in 50 ms."""

MAX_NAMES = 200_000
"""Names of one directory that are sorted: about 40 MB meanwhile, and half a second."""

MAX_LINKS = 1_000
"""Links of one directory that are followed to find out what they lead to: each is a walk of its own."""

SLICE = 2_000
"""Names sorted in one go: a millisecond."""

_Key = tuple[bool, bytes, bytes]


class Entry(NamedTuple):
    """One line of the page."""

    name: bytes
    is_directory: bool
    size: int
    modified: float


class Page(NamedTuple):
    """One page of a directory: its entries, its number and that of the last one, how many entries there are in all (a
    link that turns out to lead nowhere is counted), and whether there are more that are not listed."""

    entries: list[Entry]
    number: int
    last: int
    total: int
    is_cut: bool


def open_directory(root: str, segments: list[bytes]) -> int:
    """A descriptor of the directory `segments` beneath `root`, whose entries can be read. Raises OSError."""
    with Walk(root) as walk:
        if not walk.descend(segments):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        return walk.open_directory()


def read_page(descriptor: int, root: str, segments: list[bytes], number: int) -> Page:
    """Page `number`, or the last one where there are fewer, of the directory that `descriptor` is. Raises OSError."""
    with os.scandir(descriptor) as entries:
        runs, is_cut = _sorted_runs(entries, root, segments)
    total = sum(map(len, runs))
    last = max(1, -(-total // PAGE))
    number = min(number, last)
    chosen = islice(merge(*runs), (number - 1) * PAGE, number * PAGE)
    found = [_entry(descriptor, root, segments, name) for _, _, name in chosen]
    return Page([entry for entry in found if entry is not None], number, last, total, is_cut)


def _sorted_runs(
    entries: Iterator["os.DirEntry[str]"], root: str, segments: list[bytes]
) -> tuple[list[list[_Key]], bool]:
    runs: list[list[_Key]] = []
    links = 0
    for count, entry in enumerate(_visible(entries, at_top=not segments)):
        if count == MAX_NAMES:
            return runs, True
        if count % SLICE == 0:
            if runs:
                runs[-1].sort()
            runs.append([])
        name = os.fsencode(entry.name)
        try:
            links += entry.is_symlink()
            if entry.is_symlink():
                is_directory = links <= MAX_LINKS and _leads_to_directory(root, segments, name)
            else:
                is_directory = entry.is_dir(follow_symlinks=False)
        except OSError:  # the directory does not contain kinds, and this one cannot be read
            is_directory = False
        runs[-1].append((not is_directory, name.lower(), name))
    if runs:
        runs[-1].sort()
    return runs, False


def _visible(entries: Iterator["os.DirEntry[str]"], *, at_top: bool) -> Iterator["os.DirEntry[str]"]:
    for entry in entries:
        name = entry.name
        if name.startswith(".") and not (at_top and name == ".well-known"):
            continue
        if "\\" in name or any(letter < " " or letter == "\x7f" for letter in name):
            continue  # a request for it would be refused
        yield entry


def _leads_to_directory(root: str, segments: list[bytes], name: bytes) -> bool:
    try:
        with Walk(root) as walk:
            return walk.descend([*segments, name])
    except OSError:
        return False


def _entry(descriptor: int, root: str, segments: list[bytes], name: bytes) -> Entry | None:
    """The entry `name`; None if it is not shown, or has been removed."""
    try:
        status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
        if stat.S_ISLNK(status.st_mode):
            with Walk(root) as walk:
                walk.descend([*segments, name])
                status = walk.status()
    except OSError:
        return None
    if not stat.S_ISDIR(status.st_mode) and not stat.S_ISREG(status.st_mode):
        return None
    return Entry(name, stat.S_ISDIR(status.st_mode), status.st_size, status.st_mtime)
