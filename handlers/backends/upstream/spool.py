"""What of a message has come and was not taken yet: in memory up to a bound, then in a temporary file.

A slow client occupies a buffer, not a connection to an upstream: the answer is read at the upstream's pace, and kept
here until the client has taken it. Laws:

- Bytes leave in the order in which they came. Those in memory are older than those in the file.
- Each spool has a bound in memory and one in its file, and so have all spools of a loop together. What is asked is
  whether there is *room*, before a bounded read: a bound may be exceeded by that one read.
- A file that cannot be made, or written to, is a file without room: what is in memory already goes on.
- Memory and file are given back when the spool is closed, or is forgotten.

The file is written on the loop's thread: into the page cache, which is a copy, unless the system is short of memory.
"""

import os
import tempfile
from collections import deque
from collections.abc import Mapping

from clerestory.handlers.backends.pool.bounds import UPSTREAM_BUFFER, UPSTREAM_BUFFERS, UPSTREAM_FILE, UPSTREAM_FILES
from clerestory.statemachines.loop import Loop

READ_SIZE = 64 * 1024
"""Bytes taken out of the file at a time."""


class Store:
    """What all the spools of a loop hold together, and may hold: `memory` and `files` are bytes."""

    __slots__ = ("files", "memory", "most_files", "most_in_file", "most_in_memory", "most_memory")

    def __init__(self, limits: Mapping[str, float]) -> None:
        self.most_in_memory = int(limits.get(UPSTREAM_BUFFER.option, UPSTREAM_BUFFER.default))
        self.most_memory = int(limits.get(UPSTREAM_BUFFERS.option, UPSTREAM_BUFFERS.default))
        self.most_in_file = int(limits.get(UPSTREAM_FILE.option, UPSTREAM_FILE.default))
        self.most_files = int(limits.get(UPSTREAM_FILES.option, UPSTREAM_FILES.default))
        self.memory = 0
        self.files = 0

    @staticmethod
    def of(loop: Loop) -> "Store":
        """The one of `loop`."""
        store: Store | None = loop.registry.get(Store)
        if store is None:
            store = loop.registry[Store] = Store(loop.limits)
        return store

    def has_room(self, in_memory: int, in_file: int) -> bool:
        """Whether a spool that holds so much may take more."""
        return self.has_memory(in_memory) or self.has_file(in_file)

    def has_memory(self, held: int) -> bool:
        """Whether a spool with `held` bytes in memory may take more there."""
        return held < self.most_in_memory and self.memory < self.most_memory

    def has_file(self, held: int) -> bool:
        """Whether a spool with `held` bytes in its file may take more there."""
        return held < self.most_in_file and self.files < self.most_files


class Spool:
    """The pieces of one message. `in_memory` bytes of it are in memory, `in_file` in the file."""

    __slots__ = ("_begin", "_descriptor", "_end", "_is_broken", "_late", "_pieces", "_store", "in_memory")

    def __init__(self, store: Store) -> None:
        self._store = store
        self._pieces: deque[bytes] = deque()
        self._late: deque[bytes] = deque()
        """What came when the file could take no more: it is behind what the file holds."""
        self.in_memory = 0
        self._descriptor = -1
        self._begin = self._end = 0
        """What of the file has not been taken."""
        self._is_broken = False
        """Whether the file cannot be written to."""

    def __bool__(self) -> bool:
        return bool(self._pieces) or self._begin < self._end or bool(self._late)

    @property
    def in_file(self) -> int:
        """Bytes in the file that have not been taken."""
        return self._end - self._begin

    @property
    def has_room(self) -> bool:
        """Whether a further piece may come."""
        store = self._store
        if self._begin < self._end:  # what comes now comes behind it
            return not self._is_broken and store.has_file(self._end)
        return store.has_memory(self.in_memory) or (not self._is_broken and store.has_file(0))

    def put(self, piece: bytes) -> None:
        """Keep `piece`, behind the others."""
        store = self._store
        behind = self._begin < self._end
        in_memory = self._is_broken or (not behind and store.has_memory(self.in_memory))
        if not in_memory and self._write(piece):
            return
        (self._late if behind else self._pieces).append(piece)
        self.in_memory += len(piece)
        store.memory += len(piece)

    def take(self) -> bytes:
        """The next piece; b"" when there is none."""
        if not self._pieces and self._begin < self._end:
            return self._read()
        pieces = self._pieces or self._late
        if not pieces:
            return b""
        piece = pieces.popleft()
        self.in_memory -= len(piece)
        self._store.memory -= len(piece)
        return piece

    def whole(self) -> bytes | None:
        """All that is kept, where it is in memory, and else None."""
        return b"".join((*self._pieces, *self._late)) if self._begin == self._end else None

    def close(self) -> None:
        """Forget all, and give the memory and the file back."""
        self._store.memory -= self.in_memory
        self.in_memory = 0
        self._pieces.clear()
        self._late.clear()
        self._close_file()

    def __del__(self) -> None:
        self.close()

    # --- the file

    def _write(self, piece: bytes) -> bool:
        """Write `piece` to the file; whether that was possible."""
        if self._is_broken:
            return False
        try:
            if self._descriptor < 0:
                self._descriptor = _open()
            written = 0
            while written < len(piece):
                written += os.pwrite(self._descriptor, memoryview(piece)[written:], self._end + written)
        except OSError:  # no space left, no descriptor, no directory
            self._is_broken = True
            return False
        self._end += len(piece)
        self._store.files += len(piece)
        return True

    def _read(self) -> bytes:
        size = min(READ_SIZE, self._end - self._begin)
        piece = os.pread(self._descriptor, size, self._begin)
        if len(piece) < size:
            raise OSError("the temporary file has become shorter")
        self._begin += size
        if self._begin == self._end:
            self._close_file()
        return piece

    def _close_file(self) -> None:
        """Close the file, which has no name: its blocks are free at once."""
        self._store.files -= self._end
        self._begin = self._end = 0
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def _open() -> int:
    """A temporary file without a name, where the system keeps such files (TMPDIR)."""
    descriptor, path = tempfile.mkstemp(prefix="clerestory-")
    os.unlink(path)
    return descriptor
