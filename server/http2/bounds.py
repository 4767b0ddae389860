"""How many frames of a kind one connection may send: those that cost us more than the client.

Flow control bounds DATA, and nothing bounds the others. Each has an answer, or makes us begin work and throw it away:

- *Resets*: a client that opens streams and resets them has as many handlers begun as it likes (CVE-2023-44487). One
  that makes us reset them does the same (CVE-2025-8671), so a stream that is reset by us for its fault counts as well.
- *Control frames*: SETTINGS and PING are answered; PRIORITY, WINDOW_UPDATE, frames of unknown kinds and DATA with next
  to nothing in it are only work (CVE-2019-9511 to 9518). A window that is opened for what has been sent is allowed for.
- *CONTINUATION*: a head that never ends (CVE-2024-27316).

Counted is by the second; beyond a bound the connection ends, with ENHANCE_YOUR_CALM.
"""

from clerestory.server.config import Limits
from clerestory.server.http2.frames import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    ENHANCE_YOUR_CALM,
    HEADERS,
    RST_STREAM,
    WINDOW_UPDATE,
    Frame,
    Violation,
)

SMALL = 64
"""Bytes in a DATA frame below which it is counted: what it costs us is its being a frame."""

PER_UPDATE = 1024
"""Bytes of DATA that we have sent for which the client may send two WINDOW_UPDATE, of the stream and of the connection,
that are not counted."""


class Bounds:
    """The counts of one connection."""

    __slots__ = ("_block", "_continuations", "_controls", "_limits", "_most_block", "_resets", "_second", "_updates")

    def __init__(self, limits: Limits, most_block: int) -> None:
        """`most_block` bounds the bytes of a field block as it comes, compressed."""
        self._limits = limits
        self._most_block = most_block
        self._second = 0
        self._resets = self._controls = 0
        self._continuations = self._block = 0
        self._updates = 0
        """WINDOW_UPDATE that are not counted."""

    def sent(self, size: int) -> None:
        """So many bytes of DATA have been sent, for which the client will open its window again."""
        self._updates += 2 * (size // PER_UPDATE)

    def count(self, frame: Frame, now: float) -> None:
        """Count a frame that has come. Raises Violation beyond a bound."""
        kind = frame.kind
        if kind == HEADERS:
            self._continuations, self._block = 0, frame.size
        elif kind == CONTINUATION:
            self._continue(frame)
        elif kind == RST_STREAM:
            self.count_reset(now)
        elif kind == DATA:
            if frame.size < SMALL and not frame.flags & END_STREAM:
                self._control(now)
        elif kind == WINDOW_UPDATE and self._updates > 0:
            self._updates -= 1
        else:
            self._control(now)

    def _continue(self, frame: Frame) -> None:
        most = self._limits.http2_max_continuations
        self._continuations += 1
        self._block += frame.size
        if self._continuations > most:
            raise Violation(ENHANCE_YOUR_CALM, f"A field block has more than {most} CONTINUATION frames.")
        if self._block > self._most_block:
            raise Violation(ENHANCE_YOUR_CALM, f"A field block has more than {self._most_block} bytes.")
        if frame.flags & END_HEADERS:
            self._continuations = self._block = 0

    def count_reset(self, now: float) -> None:
        """A stream has been reset by the client, or for its fault. Raises Violation beyond the bound."""
        self._turn(now)
        self._resets += 1
        most = self._limits.http2_max_resets
        if self._resets > most:
            raise Violation(ENHANCE_YOUR_CALM, f"More than {most} streams were reset within a second.")

    def _control(self, now: float) -> None:
        self._turn(now)
        self._controls += 1
        most = self._limits.http2_max_controls
        if self._controls > most:
            raise Violation(ENHANCE_YOUR_CALM, f"More than {most} control frames within a second.")

    def _turn(self, now: float) -> None:
        """Begin to count anew in each second."""
        second = int(now)
        if second != self._second:
            self._second = second
            self._resets = self._controls = 0
