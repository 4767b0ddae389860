"""What a machine's table is made of, and what the core and the loop promise each other.

A table is data: specs (one for each state) and rows (one for each thing that may happen in a state). The engine
compiles it, the checks prove it, the diagrams draw it. Nothing here runs.

The laws a table keeps, and `statemachines.checks` proves:

- a state is what is awaited; its spec says for what, until when, and what looks at the descriptor when it is ready;
- a trigger is a fact; it fires only when what we wait for changes;
- for one state and trigger, guarded rows stand directly above their unguarded default, which must be there;
- an action does one step, in the state the row leads to, and hands back the next trigger, or None when it must wait;
- only the rows in the file are in the table: none is added by code.
"""

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from statemachines.engine import Dispatch, Machine


class Name(enum.StrEnum):
    """A state or a trigger. A StrEnum because its hash is a C function: 14 ns a look-up where Enum's takes 66.

    Naming a member (`T.OUTPUT_FLUSHED`) takes 0.15 us before Python 3.12: shells keep at hand what each request needs.
    """

    @staticmethod
    def _generate_next_value_(name: str, start: int, count: int, last_values: list[Any]) -> str:  # noqa: ARG004
        return name


class Interest(enum.IntFlag):
    """What a state waits for on its descriptor. The bits are those of epoll(7), and of poll(2).

    A hang-up needs no asking, the kernel always reports it: HANG_UP names a state that waits for nothing else.
    """

    NOTHING = 0
    READABLE = 0x001
    WRITABLE = 0x004
    HANG_UP = 0x010

    def phrase(self) -> str:
        """For people: `readable`, `readable or writable`, `hang-up only`, `nothing`."""
        if self is Interest.HANG_UP:
            return "hang-up only"
        return " or ".join(str(bit.name).lower() for bit in self) or "nothing"


HUNG_UP = 0x038
"""EPOLLERR | EPOLLHUP, and POLLNVAL: both ends are closed, the peer reset, or the descriptor is no more. Reported
whatever the interest."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """How long a state may last. `option` names the limit that sets it; `seconds` is that limit's default.

    The time counts from the entry into the state; with `idle`, from the last byte that moved. With `min_rate` likewise,
    and besides, once `grace` seconds have been spent waiting in this exchange, bytes must have moved at `min_rate`
    (bytes a second): an idle timer alone is reset by one byte now and then.
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
    """A wait without a deadline, and the reason why it may be one."""

    why: str


@dataclass(frozen=True, slots=True)
class Spec:
    """One state: what it waits for, until when, and which method of the model looks when it is ready.

    `when_ready` names a method that takes the readiness bits, does one bounded read or write, and hands back the
    trigger that names the fact, or None when nothing changed. A final state has none. `awaits` says what is waited for
    where that is no descriptor's readiness.
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
    """What kind of row this is: the picture and the logs tell them apart."""

    HAPPY = "the usual course"
    LAWFUL = "lawful, less usual"
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

    `guard` and `action` name methods of the model. `ends` is set on a row from which there is only the way to the final
    state: who it was that ended the machine.
    """

    source: Name
    trigger: Name
    dest: Name
    guard: str = ""
    action: str = ""
    way: Way = Way.LAWFUL
    ends: Cause | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """One machine: its name, states, triggers, and rows.

    `departures` are the triggers that say that the peer has gone; empty where there is no peer.
    """

    name: str
    states: type[Name]
    triggers: type[Name]
    initial: Name
    specs: tuple[Spec, ...]
    rows: tuple[Row, ...]
    departures: frozenset[Name]

    def spec(self, state: Name) -> Spec:
        """The spec of `state`."""
        return next(spec for spec in self.specs if spec.state is state)


class Facts(NamedTuple):
    """What a machine tells of itself besides its state, for whoever looks at it (`Machine.glance`).

    References and numbers only, since a glance is taken of every machine while its loop stands still; making words of
    them is for later, and for another thread. `request` and `operation` are what is being answered and what is waited
    for, if any; `status` the answer's, None before it has begun. The last four are there in a paced state: its pace
    (seconds without progress, bytes a second, seconds of grace), when a byte last moved, how many seconds had been
    spent here before, and how many bytes have moved.
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
"""Bytes kept of the head that a machine last received, and of that which it last sent, by machines that have a method
`excerpts`: the line that says what is asked or answered, and the fields that come first. An idle connection holds them,
so they are few."""


class Loop(Protocol):
    """What a loop offers to whatever runs on it."""

    @property
    def clock(self) -> Callable[[], float]:
        """Seconds, monotonic: the only clock there is."""

    @property
    def limits(self) -> Mapping[str, float]:
        """The deadlines in force, by option."""

    @property
    def dispatch(self) -> "Dispatch":
        """Who walks the tables of the machines that run on it."""

    @property
    def kept(self) -> dict[object, Any]:
        """What shells keep for this loop and as long as it lives, by whose it is: pools, engines."""

    def add(self, machine: "Machine") -> None:
        """Put a machine into the map under its `descriptor` and wait for what its state waits for. A negative one is
        no descriptor: such a machine is moved from outside only."""

    def fire(self, machine: "Machine", trigger: Name) -> None:
        """Fire from outside the machine's own readiness: an operation finished, a process drains."""

    def revisit(self, machine: "Machine") -> None:
        """In the next turn treat the machine as readable: what it waits for lies in its own buffer already."""

    def presume_writable(self, machine: "Machine") -> None:
        """At the end of this turn treat the machine as writable: what the machines of a turn send leaves together."""

    def attend(self, machine: "Machine", interest: int | None) -> None:
        """Of what a machine's state waits for, wait for so much; with None, not even for a hang-up. For a tunnel's two
        ends, whose state waits for two things at once: which of them, changes with what has passed."""

    def call_from_thread(self, callback: Callable[[], None]) -> None:
        """Run `callback` on the loop's thread. The only method that other threads may call."""

    def call_at(self, when: float, callback: Callable[[], None]) -> None:
        """Run `callback` in the first sweep from `when` on. A call is not taken back: it sees for itself whether it is
        still wanted."""
