"""`wsgi.file_wrapper`: an open file as an answer, by sendfile(2) where it is a regular file, else block by block."""

import io
import os
import stat
import tempfile
from typing import Any

from clerestory.handlers.api.messages import File

BLOCK = 64 * 1024
"""Bytes read at a time, where an application does not say."""


class FileWrapper:
    """Iterates over what is left of `filelike`, in blocks; needs no more of it than `read`."""

    def __init__(self, filelike: Any, blksize: int = BLOCK) -> None:
        self.filelike = filelike
        self.blksize = blksize

    def __iter__(self) -> "FileWrapper":
        return self

    def __next__(self) -> Any:
        block = self.filelike.read(self.blksize)
        if not block:
            raise StopIteration
        return block

    def close(self) -> None:
        """Close the file, if it can be closed."""
        close = getattr(self.filelike, "close", None)
        if close is not None:
            close()


def file_of(wrapper: FileWrapper, most: int | None) -> File | None:
    """What is left of a regular file from where it is read next, `most` bytes of it at most, with a descriptor of its
    own; None where only reading tells what would come: what a GzipFile calls its descriptor has other bytes."""
    found = wrapper.filelike
    if isinstance(found, tempfile._TemporaryFileWrapper):  # noqa: SLF001 - what NamedTemporaryFile gives
        found = found.file
    raw = found.raw if isinstance(found, io.BufferedReader | io.BufferedRandom) else found
    if type(raw) is not io.FileIO:
        return None
    try:
        if isinstance(found, io.BufferedRandom):
            found.flush()
        about = os.fstat(raw.fileno())
        offset = found.tell()
        if not stat.S_ISREG(about.st_mode):
            return None
        count = max(0, about.st_size - offset)
        return File(os.dup(raw.fileno()), offset, count if most is None else min(count, most))
    except (OSError, ValueError):  # closed, or a pipe
        return None
