"""The codings that a response can be compressed with: gzip, which Python has, and zstd and br where they are installed
(the extra `compression`).

Their windows are small: what is compressed while it is sent keeps them for as long as it takes, and there may be
hundreds of such responses. Levels are those that take about a millisecond for a piece (handlers.edge.coded.PIECE).
"""

import zlib
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Protocol

WINDOW = 17
"""Of zstd and br, the binary logarithm: 128 KiB. gzip has 32 KiB at most."""

GZIP_LEVEL, ZSTD_LEVEL, BROTLI_QUALITY = 6, 3, 4


class Coder(Protocol):
    """Compresses one body, piece by piece. What it returns may be empty."""

    def code(self, data: bytes | memoryview) -> bytes:
        """The next piece."""

    def flush(self) -> bytes:
        """What it holds back, so that the client can read all that was coded."""

    def finish(self) -> bytes:
        """The end."""


class Gzip:
    """RFC 1952."""

    __slots__ = ("_coder",)

    def __init__(self) -> None:
        self._coder = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, zlib.MAX_WBITS | 16)

    def code(self, data: bytes | memoryview) -> bytes:
        """As Coder.code."""
        return self._coder.compress(data)

    def flush(self) -> bytes:
        """As Coder.flush."""
        return self._coder.flush(zlib.Z_SYNC_FLUSH)

    def finish(self) -> bytes:
        """As Coder.finish."""
        return self._coder.flush()


class Zstandard:
    """RFC 8878; RFC 9659 bounds its window."""

    __slots__ = ("_coder", "_flush_block", "_flush_finish")

    def __init__(self) -> None:
        library: Any = import_module("zstandard")
        parameters = library.ZstdCompressionParameters.from_level(ZSTD_LEVEL, window_log=WINDOW)
        self._coder = library.ZstdCompressor(compression_params=parameters).compressobj()
        self._flush_block = library.COMPRESSOBJ_FLUSH_BLOCK
        self._flush_finish = library.COMPRESSOBJ_FLUSH_FINISH

    def code(self, data: bytes | memoryview) -> bytes:
        """As Coder.code."""
        return bytes(self._coder.compress(data))

    def flush(self) -> bytes:
        """As Coder.flush."""
        return bytes(self._coder.flush(self._flush_block))

    def finish(self) -> bytes:
        """As Coder.finish."""
        return bytes(self._coder.flush(self._flush_finish))


class Brotli:
    """RFC 7932."""

    __slots__ = ("_coder",)

    def __init__(self) -> None:
        library: Any = import_module("brotli")
        self._coder = library.Compressor(quality=BROTLI_QUALITY, lgwin=WINDOW)

    def code(self, data: bytes | memoryview) -> bytes:
        """As Coder.code."""
        return bytes(self._coder.process(bytes(data)))

    def flush(self) -> bytes:
        """As Coder.flush."""
        return bytes(self._coder.flush())

    def finish(self) -> bytes:
        """As Coder.finish."""
        return bytes(self._coder.finish())


CODERS: dict[bytes, tuple[str, Callable[[], Coder]]] = {
    b"zstd": ("zstandard", Zstandard),
    b"br": ("brotli", Brotli),
    b"gzip": ("zlib", Gzip),
}
"""Codings, the library of each, and what makes a coder; at equal quality the first that is installed is taken: it
takes the least time for what it saves."""


def installed() -> tuple[bytes, ...]:
    """The codings whose libraries are there."""
    return tuple(coding for coding, (library, _) in CODERS.items() if find_spec(library) is not None)


def coder_for(coding: bytes) -> Coder:
    """What compresses one body with `coding`."""
    return CODERS[coding][1]()
