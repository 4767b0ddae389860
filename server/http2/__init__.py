"""HTTP/2 (RFC 9113): connections of many streams, each of which carries one exchange.

The library that reads and writes its frames takes time to import, and is an extra: all of this is imported only where
HTTP/2 may be spoken.
"""

from importlib import import_module
from typing import Any


class MissingError(Exception):
    """HTTP/2 was asked for, and the library is not installed; the message is one line."""


def http2_of(service: Any, choice: str, h2c: bool, secure: bool) -> Any:
    """What takes over the connections of `service` that speak HTTP/2; None where none may. Raises MissingError."""
    if not (h2c or (secure and choice != "off")):
        return None
    try:
        return import_module("clerestory.server.http2.adoption").HTTP2(service)
    except ModuleNotFoundError as missing:
        if missing.name not in ("h2", "hpack", "hyperframe"):
            raise
        if h2c:
            raise MissingError("--h2c: h2 is not installed: pip install h2") from missing
    return None
