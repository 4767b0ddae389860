"""HTTP/1.1 over bytes: what a connection reads and writes, without a socket or a clock.

Two parsers stand behind one face, `Codec`, and the gate stands before both. The gate alone judges: whether a request
is well-formed, where it ends, whether the connection persists. A codec only reads out a head that the gate has
admitted, so that either parser gives the same request; a body needs no reading out (handlers.wire.chunks). `codec_for`
chooses one.
"""

from importlib import import_module
from typing import Protocol

from clerestory.handlers.api.messages import Fields


class Codec(Protocol):
    """A parser for requests. It holds nothing between calls: one serves every connection of a process."""

    @property
    def name(self) -> str: ...

    def read_head(self, head: bytes) -> tuple[str, str, Fields]:
        """Method, target and fields of one whole head, read by a fresh parser. Raises gate.Disagreement."""


def codec_for(name: str = "auto") -> Codec:
    """The codec called `name`: h11, httptools, or auto, which is httptools where that is installed, else h11.

    Raises ValueError for another name, and for httptools where it is missing.
    """
    if name not in {"auto", "h11", "httptools"}:
        raise ValueError(f"no parser is called {name!r}: choose auto, h11 or httptools")
    if name == "h11":
        return _load("h11")
    try:
        return _load("httptools")
    except ModuleNotFoundError as missing:
        if missing.name != "httptools":
            raise
        if name == "httptools":
            raise ValueError("the parser httptools is not installed: pip install httptools, or choose h11") from missing
    return _load("h11")


def _load(name: str) -> Codec:
    codec: Codec = import_module(f"clerestory.server.http.{name}_codec").CODEC
    return codec
