"""What was found at a path, remembered for a moment: a file that is asked for again costs an open, and no search.

The laws:

- the file is opened anew for each answer, and beneath the root as ever: what is remembered is where it was, never what
  is in it; a way with a link on it is not remembered, for a link is there to be switched;
- what was computed from fstat counts for that very file alone: its device, inode, size, time of modification, and time
  of change, which every write moves;
- what is not asked each time is believed for FRESH seconds: that the name is a file's, so that it can be opened without
  being looked at first, and which compressed variants lie beside it. One that is gone since is passed over; one that is
  new is sent, and said in Vary, that much later;
- when the memory is full it is emptied: whatever is asked for often is soon back.
"""

from os import stat_result
from typing import NamedTuple

from handlers.messages import Fields
from handlers.static_conditions import Validators
from handlers.static_paths import Way

FRESH = 1.0
"""Seconds: as long as the date of an answer is kept; at a thousand requests a second, one in a thousand searches."""

Identity = tuple[int, int, int, int, int]


def identity(status: stat_result) -> Identity:
    """What two files, or one before and after a write, differ in."""
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


class Version(NamedTuple):
    """One version of one representation of a file: its validators, and the fields of an answer that has it, and of one
    that says that the client has it."""

    identity: Identity
    current: Validators
    fields: Fields
    unchanged: Fields


class Known:
    """A file that was found: the way to it, the name it is opened by, its media type, the codings that it was seen to
    have, with the names of these variants, and when that was (wall clock). `versions` are by coding."""

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
    """What is known, by the request's path: at most `bound` of them, 0 for none. Each takes some 2 KiB, and at most 8
    more: a path is as long as a request line may be."""

    def __init__(self, bound: int) -> None:
        self.bound = bound
        self._known: dict[str, Known] = {}

    def recall(self, path: str, now: float) -> Known | None:
        """What is at `path`, if that was seen not longer than FRESH seconds before `now`, a clock that may be set."""
        known = self._known.get(path)
        return known if known is not None and 0.0 <= now - known.looked < FRESH else None

    def keep(self, path: str, known: Known) -> None:
        """Remember `known`, which is what is at `path` now."""
        if len(self._known) >= self.bound and path not in self._known:
            self._known.clear()
        if self.bound:
            self._known[path] = known

    def forget(self, path: str) -> None:
        """It is not there any more."""
        self._known.pop(path, None)
