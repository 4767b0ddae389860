"""How much a WebSocket takes: each bound is data, and an option of the command line."""

from collections.abc import Mapping
from typing import NamedTuple

from clerestory.handlers.backends.pool.bounds import Bound

MESSAGE = Bound(
    "websocket_max_message",
    16 * 1024 * 1024,
    "bytes",
    "in one message from a WebSocket client, decompressed, else it is closed with 1009; what most servers take",
)
FRAME = Bound(
    "websocket_max_frame",
    16 * 1024 * 1024,
    "bytes",
    "in one frame from a WebSocket client, decompressed, else it is closed with 1009; browsers send a message in one",
)
FRAGMENTS = Bound(
    "websocket_max_fragments",
    16 * 1024,
    "frames",
    "in one message from a WebSocket client, else it is closed with 1008; the longest message in pieces of 1 KiB",
)
QUEUE = Bound(
    "websocket_max_queue",
    32,
    "messages",
    "of a WebSocket client that the application has not taken, then no more is read; the longest message counts as all",
)
CONTROLS = Bound(
    "websocket_max_controls",
    64,
    "frames",
    "of pings and pongs from a WebSocket client in a second, else it is closed with 1008; each ping costs an answer",
)
UNSENT = Bound(
    "websocket_max_unsent",
    64 * 1024,
    "bytes",
    "of messages that a WebSocket client has not taken; then send() waits",
)
BOUNDS = (MESSAGE, FRAME, FRAGMENTS, QUEUE, CONTROLS, UNSENT)
COMPRESSION = "websocket_compression"
"""The option for permessage-deflate (RFC 7692)."""


class Bounds(NamedTuple):
    """The bounds in force."""

    message: int
    frame: int
    fragments: int
    queue: int
    controls: int
    unsent: int
    compression: bool


def bounds_of(limits: Mapping[str, float]) -> Bounds:
    """The bounds among a loop's limits; where one is not there, its default."""
    found = [int(limits.get(bound.option, bound.default)) for bound in BOUNDS]
    message, frame, fragments, queue, controls, unsent = found
    return Bounds(message, frame, fragments, queue, controls, unsent, bool(limits.get(COMPRESSION, False)))
