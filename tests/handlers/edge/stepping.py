"""Reads the pieces of a body that is coded, as the exchange does."""

from typing import Any

from clerestory.handlers.edge.coded import Coded


def next_piece(coded: Coded, given: Any = None) -> bytes:
    """The next piece. Raises StopAsyncIteration at the end, AssertionError where it waits for something."""
    step = coded.__anext__()
    try:
        waits = step.send(None)
        while waits is not None:
            waits = step.send(given)
        raise AssertionError("it waits")
    except StopIteration as stop:
        piece: bytes = stop.value
        return piece


def pieces_of(coded: Coded) -> list[bytes]:
    """All of them; then it is closed."""
    found = []
    try:
        while True:
            found.append(next_piece(coded))
    except StopAsyncIteration:
        return found
    finally:
        coded.close()
