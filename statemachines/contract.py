"""The parts of a machine's table, and what a machine reports about itself.

A table is data: specs (one for each state) and rows (one for each thing that may happen in a state). The engine
compiles it, the checks prove properties of it, the diagrams draw it. Nothing here runs.

The laws of a table, which `statemachines.checks` proves:

- a state is what the machine waits for; its spec says for what, until when, and which method is called when the
  descriptor is ready;
- a trigger is a fact; it fires only when what the machine waits for changes;
- for one state and trigger, guarded rows are directly above their unguarded default, which is required;
- an action does one step, in the state the row leads to, and returns the next trigger, or None if it must wait;
- the table has only the rows in the file: none is added by code.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Name(enum.StrEnum):
    """A state or a trigger. A StrEnum because its hash is a C function: 14 ns a look-up where Enum's takes 66.

    Naming a member (`T.OUTPUT_FLUSHED`) takes 0.15 us before Python 3.12: shells store those that each request needs.
    """

    @staticmethod
    def _generate_next_value_(name: str, start: int, count: int, last_values: list[Any]) -> str:  # noqa: ARG004
        return name


class Interest(enum.IntFlag):
    """What a state waits for on its descriptor. The bits are those of epoll(7), and of poll(2).

    The kernel always reports a hang-up: HANG_UP is for a state that waits for nothing else.
    HALF_CLOSE (EPOLLRDHUP) is the peer's FIN: it has shut down its sending side, or has closed altogether, which
    looks the same until something is sent to it. A state that reads does not need it: the end of the stream is
    readable.
    """

    NOTHING = 0
    READABLE = 0x001
    WRITABLE = 0x004
    HANG_UP = 0x010
    HALF_CLOSE = 0x2000

    def phrase(self) -> str:
        """For people: `readable`, `readable or writable`, `nothing but a disconnect`, `nothing`."""
        moves = self & (Interest.READABLE | Interest.WRITABLE)
        if self and not moves:
            return "nothing but a disconnect"
        return " or ".join(str(bit.name).lower() for bit in moves) or "nothing"


HUNG_UP = 0x038
"""EPOLLERR | EPOLLHUP, and POLLNVAL: both ends are closed, the peer reset, or the descriptor is closed. Always
reported, whatever the interest."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """How long a state may last. `option` names the limit that sets it; `seconds` is that limit's default.

    The time counts from the entry into the state; with `idle` or `min_rate`, from the last byte that moved. With
    `min_rate`, in addition, once `grace` seconds have been spent waiting in this exchange, bytes must have moved at
    that rate (bytes a second): an idle timer alone is reset by a single byte now and then.
    """

    name: str
    option: str
    seconds: float
    why: str
    min_rate: int = 0
    rate_why: str = ""
    grace: float = 0.0
    grace_why: str = ""
    idle: bool = False


@dataclass(frozen=True, slots=True)
class Unbounded:
    """A wait without a deadline, and why it needs none."""

    why: str


@dataclass(frozen=True, slots=True)
class Spec:
    """One state: what it waits for, until when, and which method of the model is called when that is ready.

    `when_ready` names a method that takes the readiness bits, does one bounded read or write, and returns the
    trigger that names the fact, or None if nothing changed. A final state has none. `awaits` says what the state waits
    for if that is not the readiness of a descriptor.
    """

    state: Name
    waits_for: Interest
    deadline: Deadline | Unbounded
    when_ready: str
    true_while: str
    final: bool = False
    awaits: str = ""

    def phrase(self) -> str:
        """What it waits for, for people: `readable`, `a free thread`."""
        return self.awaits or self.waits_for.phrase()


class Way(enum.Enum):
    """What kind of row this is: the pictures and the logs distinguish them."""

    HAPPY = "the usual path"
    NORMAL = "another normal path"
    FAULT = "something went wrong"


class Cause(enum.StrEnum):
    """Who ended a machine."""

    CLIENT = "client"
    SERVER = "server"
    UPSTREAM = "upstream"
    OPERATOR = "operator"
    DEADLINE = "deadline"


@dataclass(frozen=True, slots=True)
class Row:
    """In `source`, on `trigger` (if `guard` holds), go to `dest`; there do `action`.

    `guard` and `action` name methods of the model. `ends` is set on a row after which the machine can only go to its
    final state: who ended the machine.
    """

    source: Name
    trigger: Name
    dest: Name
    guard: str = ""
    action: str = ""
    way: Way = Way.NORMAL
    ends: Cause | None = None


HandsBack = Mapping[str | tuple[Name, str], tuple[Name, ...]]
"""What methods may return, by their names; for one state alone, by that state and the name."""


@dataclass(frozen=True, slots=True)
class Table:
    """One machine: its name, states, triggers, and rows.

    `departures` are the triggers that mean that the peer has gone; empty if there is no peer. `hands_back` names, for
    each action and each method for readiness, the triggers that it may return; each of them may also return None.
    """

    name: str
    states: type[Name]
    triggers: type[Name]
    initial: Name
    specs: tuple[Spec, ...]
    rows: tuple[Row, ...]
    departures: frozenset[Name]
    hands_back: HandsBack = field(default_factory=dict, compare=False)

    def handed_back(self, state: Name, method: str) -> tuple[Name, ...]:
        """The triggers that `method` may return in `state`."""
        return self.hands_back.get((state, method), self.hands_back.get(method, ()))

    def spec(self, state: Name) -> Spec:
        """The spec of `state`."""
        return next(spec for spec in self.specs if spec.state is state)


class Facts(NamedTuple):
    """What a machine reports about itself, apart from its state, to the x-ray (`Machine.facts`).

    References and numbers only, since every machine is copied while its loop is stopped; they are put into words
    later, on another thread. `request` is the request being answered and `operation` what the handler waits for, if
    any; `status` is the response's, None before it has begun. The last four are set in a paced state: its pace
    (seconds without progress, bytes a second, seconds of grace), when a byte last moved, how many seconds had been
    spent in this state before, and how many bytes have moved.
    """

    number: int = 0
    peer: str = ""
    born: float = 0.0
    bytes_in: int = 0
    bytes_out: int = 0
    served: int = 0
    request: Any = None
    operation: Any = None
    status: int | None = None
    pace: tuple[float, int, float] | None = None
    progressed: float = 0.0
    waited: float = 0.0
    moved: int = 0


EXCERPT = 256
"""Bytes kept of the head that a machine last received, and of the one it last sent, by machines that have a method
`excerpts`: the first line, and the first fields. An idle connection holds them, so they are few."""
