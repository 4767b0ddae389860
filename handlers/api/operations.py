"""Operations: what a handler awaits, and how an executor runs them.

A handler is a coroutine. `await operation` passes the operation to its executor (the connection), which starts it,
waits in a state, and resumes the coroutine with the result or the error. The connection's machine, not the coroutine,
says what it waits for; the operation adds which backend that is.

The laws of an operation:

- it is awaited once, on the loop's thread;
- `start` begins it and returns at once; it never calls `executor.finished` before it has returned;
- its end is reported once, on the loop's thread, by `executor.finished(operation, result, error)`;
- after `cancel` it reports nothing more, and releases what it held;
- what it still holds after its end (`holds`) belongs to the exchange, which releases it at its own end at the latest;
- it names what it waits for in `describe()`: one short phrase for an operator.
"""

from abc import ABC, abstractmethod
from collections.abc import Generator
from enum import StrEnum
from itertools import count
from typing import Any, Protocol, cast

from mypy_extensions import mypyc_attr

from clerestory.statemachines.loop import Loop


class Feed(Protocol):
    """Takes the pieces of a request's body while an operation is awaited: a call to an upstream, which sends them on.
    Both directions are active at once, so the handler's coroutine, which waits for the response, does not read the
    body.
    """

    @property
    def wants(self) -> bool:
        """Whether it takes a piece now."""

    @property
    def has_stopped(self) -> bool:
        """Whether it does not need the rest of the body, which may still be given to it, and is discarded."""

    def give(self, piece: bytes, *, last: bool) -> None:
        """Take the next piece, which may be empty; with `last` the body ends."""


class Executor(Protocol):
    """Runs a handler's coroutine. `loop` is for operations that have a descriptor of their own."""

    @property
    def loop(self) -> Loop: ...

    def finished(self, operation: "Operation", result: object = None, error: BaseException | None = None) -> None:
        """Resume the handler with `result`, or by raising `error`. A finished or cancelled operation is ignored."""


class HalfClose(StrEnum):
    """How long an operation is still awaited after the client has shut down its sending side.

    A client that has gone and one that has only sent its last request look the same until something is sent.
    """

    ANSWER = "answer"
    """Until its own deadline, as usual. For operations that are short and cheap."""
    BRIEFLY = "briefly"
    """For `half_close_timeout`. For scarce resources, and for silent streams."""
    CANCEL = "cancel"
    """Not at all."""


class Held(Protocol):
    """What an operation still holds after its own end: a connection whose response is still being read."""

    @property
    def is_over(self) -> bool:
        """Whether nothing is held any longer."""

    def leave(self) -> None:
        """Release it."""


class Relay(Protocol):
    """An executor that answers a request, and can read its body and wait for an operation at once: see `relay_of`."""

    def feed_from_body(self, feed: Feed) -> None:
        """From now on the request's body is read for `feed`, whenever it wants a piece."""

    def feed_wants(self, feed: Feed) -> None:
        """`feed` wants a piece again."""

    def interim(self, status: int, reason: str, fields: tuple[tuple[bytes, bytes], ...]) -> None:
        """Send an interim response (RFC 9110 section 15.2) before the final one, if the client supports that."""


def relay_of(executor: object) -> Relay | None:
    """`executor` if it is a relay, else None."""
    return cast("Relay", executor) if hasattr(executor, "feed_from_body") else None


@mypyc_attr(allow_interpreted_subclasses=True)
class Operation(ABC):
    """Something that takes time. Subclasses define how it is started, cancelled and described."""

    __slots__ = ()

    def __await__(self) -> Generator["Operation", Any, Any]:
        return (yield self)

    @abstractmethod
    def start(self, executor: Executor) -> None:
        """Begin; return at once."""

    @abstractmethod
    def cancel(self) -> None:
        """Cancel: the client has left or the deadline has passed."""

    def client_closed(self) -> HalfClose:
        """The client has shut down its sending side, or has gone, while this is awaited: how long to go on waiting.
        Called once for each wait; an operation that passes this on to an application overrides it. As in `start`,
        `executor.finished` must not be called before it has returned.
        """
        return HalfClose.ANSWER

    def holds(self) -> Held | None:
        """What it holds. Called once, after `start`."""
        return None

    @abstractmethod
    def describe(self) -> str:
        """What is waited for, for an operator: `work#7 RUNNING find 0.6 s`."""

    def subject(self) -> str:
        """What is waited for, in a few words that are the same for all such waits, for the profile of waiting:
        `thread find_order`. May be called from another thread."""
        return type(self).__name__.lower()

    def queued(self) -> tuple[str, float]:
        """The queue that came before it, and the seconds that were spent there: called once, when it has ended or is
        given up."""
        return "", 0.0

    def keeps_time(self) -> bool:
        """Whether it has deadlines of its own, so that the general one does not apply."""
        return False

    def timed_by(self) -> Any:
        """The machine (statemachines.engine.Machine) whose states have these deadlines; None where there is none.
        May be called from another thread."""
        return None

    def stack(self) -> list[tuple[str, int, str]]:
        """File, line and function of each frame in which Python code waits for this, the outermost first; empty where
        there is none. May be called from another thread."""
        return []


def span(seconds: float) -> str:
    """`0.3 s`, `12.0 s`, `3 min 20 s`, `2 h 05 min`."""
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02} min"


pseudo_descriptor = count(-1, -1).__next__
"""A negative number that is unique in the process: for a machine without a descriptor (Loop.add)."""


class NextPiece:
    """The next piece of the request's body, or b"" at its end.

    Not an operation: the executor handles it itself, since the body comes from its own socket and waiting for it is a
    state of its own (READING_BODY), not a backend.
    """

    __slots__ = ()

    def __await__(self) -> Generator["NextPiece", bytes, bytes]:
        return (yield self)


NEXT_PIECE = NextPiece()


class PieceAtHand(NextPiece):
    """The same, if a part of the body has already arrived; else b"" at once, which does not mean that the body has
    ended."""

    __slots__ = ()


PIECE_AT_HAND = PieceAtHand()
