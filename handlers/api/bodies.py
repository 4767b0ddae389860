"""How bodies are closed, of whatever kind they are.

Closing may run code of the application, which may raise: the caller guards against it.
"""

from contextlib import suppress
from typing import Any

from clerestory.handlers.api.messages import File


def close_body(body: object) -> None:
    """Close a body, or a piece of one, if it is something that can be closed."""
    if isinstance(body, File):
        _close_file(body)
    elif hasattr(body, "aclose"):
        _unwind_aclose(body.aclose())
    elif hasattr(body, "close"):
        body.close()
    elif isinstance(body, list | tuple):  # has no close() of its own, and may hold what has not been reached
        for piece in body:
            if isinstance(piece, File):
                _close_file(piece)


def _close_file(file: File) -> None:
    """A descriptor that is no longer valid needs no closing: what was wrong with it has been said."""
    with suppress(OSError):
        file.close()


def _unwind_aclose(closing: Any) -> None:
    with suppress(StopIteration, StopAsyncIteration, GeneratorExit):
        closing.__await__().send(None)
        raise RuntimeError("the body's producer awaited something while it was being closed")
