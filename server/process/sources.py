"""The source files of an application, looked at a few times a second: the shell of statemachines/sources.py.

What is looked at is what can be read from the folder, not what has been imported: an application that could not be
imported is watched, too. A file is told from its former self by its time, its size and its number.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress

from clerestory.server.loop.loop import Loop
from clerestory.statemachines import sources
from clerestory.statemachines.engine import Engine, Machine

MOST = 10_000
"""Files that are looked at: what takes some hundredths of a second. More are not sources of one application."""

SUFFIXES = (".py", ".toml")

NOT_SOURCES = ("__pycache__", "node_modules", "site-packages")

NUMBER = -(1 << 40)
"""Stands for a descriptor in the loop's map; no other machine has it."""

Seen = dict[str, tuple[int, int, int]]


class Sources(Machine):
    """The files below `root`. `changed` is told the name of one that has changed, come or gone."""

    __slots__ = ("_changed", "_root", "_seen")

    def __init__(self, loop: Loop, root: str, changed: Callable[[str], object]) -> None:
        super().__init__(Engine(sources.TABLE, Sources, loop.clock, loop.limits, dispatch=loop.dispatch), NUMBER)
        self._root = os.path.abspath(root)
        self._changed = changed
        self._seen = look_at(self._root)

    def facts(self) -> tuple[object, ...]:
        """As Machine.facts."""
        return 0, self._root

    def look(self) -> None:
        """As Model.look."""
        before, self._seen = self._seen, look_at(self._root)
        if before != self._seen:
            differing = dict(before.items() ^ self._seen.items())
            self._changed(min(differing))


def look_at(root: str) -> Seen:
    """The source files below `root`."""
    found: Seen = {}
    for entry in _files(root):
        with suppress(OSError):  # it has gone meanwhile
            status = entry.stat()
            found[entry.path] = (status.st_mtime_ns, status.st_size, status.st_ino)
        if len(found) >= MOST:
            break
    return found


def _files(folder: str) -> Iterator["os.DirEntry[str]"]:
    below: list[str] = []
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(".") or entry.name in NOT_SOURCES:
                continue
            if entry.is_dir(follow_symlinks=False):
                below.append(entry.path)
            elif entry.name.endswith(SUFFIXES):
                yield entry
    for one in below:
        if not os.path.exists(os.path.join(one, "pyvenv.cfg")):
            yield from _files(one)
