"""Operations: what a handler awaits, and how whoever runs the handler carries them out.

A handler is a coroutine. `await operation` hands the operation to its executor (the connection), which starts it,
rests in a state, and resumes the coroutine with the result or the error. The connection's machine, not the coroutine,
says what is waited for; the operation adds on whom.

The laws of an operation:

- it is awaited once, on the loop's thread;
- `start` begins it and returns at once; it never calls `executor.finished` before it has returned;
- its end is reported once, on the loop's thread, by `executor.finished(operation, result, error)`;
- after `cancel` it reports nothing more, and what it held is given back;
- it names what it waits for in `describe()`: one short phrase for an operator.
"""

from abc import ABC, abstractmethod
from collections.abc import Generator
from itertools import count
from typing import Any, Protocol

from mypy_extensions import mypyc_attr

from statemachines.contract import Loop


class Executor(Protocol):
    """Whoever runs a handler's coroutine. `loop` is there for an operation that has a descriptor of its own."""

    @property
    def loop(self) -> Loop: ...

    def finished(self, operation: "Operation", result: object = None, error: BaseException | None = None) -> None:
        """Resume the handler with `result`, or by raising `error`. A finished or cancelled operation is ignored."""


@mypyc_attr(allow_interpreted_subclasses=True)
class Operation(ABC):
    """Something that takes time. Subclasses say how it is begun, given up and described."""

    __slots__ = ()

    def __await__(self) -> Generator["Operation", Any, Any]:
        return (yield self)

    @abstractmethod
    def start(self, executor: Executor) -> None:
        """Begin; return at once."""

    @abstractmethod
    def cancel(self) -> None:
        """Give up: the client left or the deadline passed."""

    @abstractmethod
    def describe(self) -> str:
        """What is waited for, for an operator: `work#7 RUNNING find 0.6 s`."""


def span(seconds: float) -> str:
    """`0.3 s`, `12.0 s`, `3 min 20 s`, `2 h 05 min`."""
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02} min"


placeless = count(-1, -1).__next__
"""A negative number that no other machine of the process has: for one without a descriptor (Loop.add)."""


class NextPiece:
    """The next piece of the request's body, or b"" at its end.

    No operation: the executor carries it out itself, since the body comes from its own socket and waiting for it is a
    state of its own (READING_BODY), not a backend.
    """

    __slots__ = ()

    def __await__(self) -> Generator["NextPiece", bytes, bytes]:
        return (yield self)


NEXT_PIECE = NextPiece()
