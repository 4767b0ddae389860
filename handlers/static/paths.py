"""From a request's path to an open file beneath a root, and never to one outside.

The laws:

- a path is split at its slashes, then each segment is percent-decoded, once; a malformed path is 400;
- dot segments are resolved on the names, before the file system is accessed; a path above the root is 404;
- names that begin with a dot are not served, except `.well-known` at the top (RFC 8615);
- outside, forbidden, hidden and missing files get the same 404, so that a client cannot tell them apart.

The file is opened component by component, each with `openat(2)` and O_NOFOLLOW relative to the directory before it,
so no rename or link made meanwhile can lead outside. A symbolic link is read and its target followed in the same way;
`..` in a target goes back in our own list of open directories, without the kernel, and an absolute target is outside.
This is what openat2(2) does with RESOLVE_BENEATH, but it works on every POSIX system, in a sandbox that forbids
openat2, and without ctypes. A link's target may have a hidden name, since the link was made on purpose (`current ->
.releases/7`, and the volumes of Kubernetes).

A file that was found without a link on its path is opened again by its names alone: each directory and the file itself
are opened with O_NOFOLLOW, as in the walk, but without stat(2) first.

The root itself is looked up again for each request: a rebuilt directory, or a link that is switched to the next
release, is served at once. All this runs on the loop's thread: it takes a few microseconds if the directories are in
the kernel's cache; a root on a slow network file system needs a server process of its own.
"""

import errno
import os
import re
import stat
from collections import deque
from collections.abc import Iterable
from types import TracebackType
from typing import Self
from urllib.parse import unquote_to_bytes

from clerestory.handlers.api.errors import HTTPError

MAX_LINKS = 40
"""Symbolic links in one path: Linux's own limit."""

_STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_REFUSED = re.compile(rb"[\x00-\x1f\x7f\\]")

# O_PATH needs permission to pass through a directory, not to list it; not every system has it.
_DIRECTORY = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY
# O_NONBLOCK: opening a FIFO that took the file's name a moment ago must not wait for a writer.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY

_MISSING = frozenset(
    {
        errno.ENOENT,
        errno.ENOTDIR,
        errno.EACCES,
        errno.EPERM,
        errno.ELOOP,
        errno.ENAMETOOLONG,
        errno.EINVAL,
        errno.ENXIO,
        errno.ESTALE,
    }
)
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})


def missing() -> HTTPError:
    """The one 404 for everything that is not served."""
    return HTTPError(404, "There is no such file.")


def http_error(error: OSError) -> HTTPError | None:
    """The response to a failed open; None for a fault of the server (an I/O error)."""
    if error.errno in _MISSING:
        return missing()
    if error.errno in _EXHAUSTED:
        # RFC 9110 section 15.6.4
        return HTTPError(503, "The server has too many files open.", ((b"retry-after", b"1"),))
    return None


def locate(path: str) -> tuple[list[bytes], bool]:
    """The decoded segments of a request's path, and whether it names a directory (ends with a slash).

    Raises HTTPError 400 for a malformed path, 404 for one that cannot name a served file.
    """
    if _STRAY_PERCENT.search(path):
        # RFC 3986 section 2.1
        raise HTTPError(400, "The path has a % that is not followed by two hexadecimal digits.")
    segments: list[bytes] = []
    parts = [unquote_to_bytes(part) for part in path.split("/")[1:]]
    last = parts.pop() if parts else b""
    # RFC 3986 section 5.2.4: a dot segment at the end names the directory.
    is_directory = last in (b"", b".", b"..")
    if last:
        parts.append(last)
    for part in parts:
        if _REFUSED.search(part):
            raise HTTPError(400, "The path has a control byte or a backslash.")
        if part == b".":
            continue
        if part == b"..":
            if not segments:
                raise missing()
            segments.pop()
        elif not part or b"/" in part:
            # An empty name, or an encoded slash, which is not a separator: no file has such a name.
            raise missing()
        else:
            segments.append(part)
    if any(part.startswith(b".") for part in segments[1:]) or (
        segments and segments[0].startswith(b".") and segments[0] != b".well-known"
    ):
        raise missing()
    return segments, is_directory


class Walk:
    """A walk down from the root: its directories are open; names are looked up in the last one.

    Every method raises OSError; ENOENT for what is outside, or neither a file nor a directory.
    """

    def __init__(self, root: str | bytes) -> None:
        self._directories = [os.open(root, _DIRECTORY)]
        self.name = b""
        self.links = 0
        """How many links were followed."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for descriptor in self._directories:
            os.close(descriptor)
        self._directories.clear()

    def descend(self, names: Iterable[bytes]) -> bool:
        """Go down along `names`, following links. True: to a directory. False: to a file, whose name is `name`."""
        pending = deque(names)
        while pending:
            name = pending.popleft()
            if name == b"..":
                if len(self._directories) == 1:
                    raise _outside()
                os.close(self._directories.pop())
            elif name not in (b"", b"."):
                kind = self._kind(name) if not pending else stat.S_IFDIR
                if kind == stat.S_IFREG:
                    self.name = name
                    return False
                if kind == stat.S_IFDIR and self._enter(name):
                    continue
                self.links += 1
                if kind not in (stat.S_IFDIR, stat.S_IFLNK) or self.links > MAX_LINKS:
                    raise _outside()
                pending.extendleft(reversed(self._target(name)))
        return True

    def open(self, name: bytes) -> tuple[int, os.stat_result]:
        """A descriptor of the regular file `name` in this directory, and its fstat."""
        return _open(name, self._directories[-1])

    def has(self, name: bytes) -> bool:
        """Whether `name` exists in this directory; only `open` checks that it is a file."""
        return os.access(name, os.F_OK, dir_fd=self._directories[-1])

    def status(self) -> os.stat_result:
        """The stat of what `descend` found: the file `name`, or this directory."""
        if self.name:
            return os.stat(self.name, dir_fd=self._directories[-1], follow_symlinks=False)
        return os.fstat(self._directories[-1])

    def open_directory(self) -> int:
        """A descriptor of this directory from which its entries can be read."""
        return os.open(".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=self._directories[-1])

    def _kind(self, name: bytes) -> int:
        # Checked before it is opened: opening a device can have effects (rewind a tape, start a watchdog).
        return stat.S_IFMT(os.stat(name, dir_fd=self._directories[-1], follow_symlinks=False).st_mode)

    def _enter(self, name: bytes) -> bool:
        """Enter the directory `name`; False if it is not one; a link is not."""
        try:
            descriptor = os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=self._directories[-1])
        except OSError as error:
            if error.errno in (errno.ENOTDIR, errno.ELOOP):
                return False
            raise
        self._directories.append(descriptor)
        return True

    def _target(self, name: bytes) -> list[bytes]:
        """The components of the target of the link `name`; EINVAL if it is not a link."""
        target = os.readlink(name, dir_fd=self._directories[-1])
        if target.startswith(b"/"):
            raise _outside()
        return target.split(b"/")


class Way:
    """A path from `root` through `directories` on which a walk found no link. It is opened again each time, as in the
    walk; if a component has become a link, or is no longer a directory, that is an error.
    """

    __slots__ = ("_first", "_others")

    def __init__(self, root: bytes, directories: list[bytes]) -> None:
        # The root needs no descriptor: the kernel resolves it together with its first component.
        self._first = os.path.join(root, directories[0] if directories else b"")
        self._others = directories[1:] if directories else None

    def open(self, name: bytes) -> tuple[int, os.stat_result]:
        """As Walk.open."""
        if self._others is None:
            return _open(self._first + name, None)
        directory = os.open(self._first, _DIRECTORY | os.O_NOFOLLOW)
        try:
            for other in self._others:
                deeper = os.open(other, _DIRECTORY | os.O_NOFOLLOW, dir_fd=directory)
                os.close(directory)
                directory = deeper
            return _open(name, directory)
        finally:
            os.close(directory)


def _open(name: bytes, directory: int | None) -> tuple[int, os.stat_result]:
    descriptor = os.open(name, _FILE, dir_fd=directory)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise _outside()
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor, status


def _outside() -> FileNotFoundError:
    return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
