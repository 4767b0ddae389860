"""A short-lived cache of where files were found: a file that is requested again is opened without a search.

The laws:

- the file is opened again for each response, beneath the root as always: the cache has its location, never its content;
  a path with a link on it is not cached, since links are meant to be switched;
- what was computed from fstat is valid only for exactly that file: its device, inode, size, modification time, and
  change time, which every write updates;
- two things are not checked each time but trusted for FRESH seconds: that the name is a regular file, so that it can be
  opened without checking first, and which compressed variants exist. A variant that has been removed is skipped; a new
  one is sent, and listed in Vary, that much later;
- when the cache is full it is emptied: frequent files are soon in it again.
"""

from os import stat_result
from typing import NamedTuple

from clerestory.handlers.api.messages import Fields
from clerestory.handlers.static.conditions import Validators
from clerestory.handlers.static.paths import Way

FRESH = 1.0
"""Seconds: as long as the date line is cached; at a thousand requests a second, one in a thousand searches."""

Identity = tuple[int, int, int, int, int]


def identity(status: stat_result) -> Identity:
    """Differs between two files, and between one file before and after a write."""
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


class Version(NamedTuple):
    """One version of one representation of a file: its validators, the fields of a response with it, and those of a
    304."""

    identity: Identity
    current: Validators
    fields: Fields
    unchanged: Fields


class Known:
    """A file that was found: the way to it, its name, its media type, the codings of its variants with their names, and
    when it was found (wall clock). `versions` are by coding."""

    __slots__ = ("codings", "looked", "media_type", "name", "versions", "way")

    def __init__(
        self, way: Way, name: bytes, media_type: bytes, codings: list[tuple[bytes, bytes]], looked: float
    ) -> None:
        self.way = way
        self.name = name
        self.media_type = media_type
        self.codings = codings
        self.looked = looked
        self.versions: dict[bytes, Version] = {}


class Memory:
    """The known files, by the request's path: at most `bound`, 0 for none. Each takes about 2 KiB, and at most 8 KiB
    more, since a path may be as long as a request line."""

    def __init__(self, bound: int) -> None:
        self.bound = bound
        self._known: dict[str, Known] = {}

    def recall(self, path: str, now: float) -> Known | None:
        """The file at `path`, if it was found at most FRESH seconds before `now`, by a clock that may be set."""
        known = self._known.get(path)
        return known if known is not None and 0.0 <= now - known.looked < FRESH else None

    def keep(self, path: str, known: Known) -> None:
        """Store `known`, the file that is at `path` now."""
        if len(self._known) >= self.bound and path not in self._known:
            self._known.clear()
        if self.bound:
            self._known[path] = known

    def forget(self, path: str) -> None:
        """Remove `path`: the file is no longer there."""
        self._known.pop(path, None)
