"""A loop on a fake clock with small machines of its own, for the tests of the loop and of what it is made of."""

import socket
from collections import deque
from collections.abc import Callable
from enum import auto

from clerestory.server.loop.loop import Loop
from clerestory.server.loop.poller import open_poller
from clerestory.statemachines.contract import Cause, Deadline, Interest, Name, Row, Spec, Table, Unbounded
from clerestory.statemachines.engine import Dispatch, Engine, Machine
from tests.server.support import Clock, RecordingPoller


class State(Name):
    READING = auto()
    WRITING = auto()
    RESTING = auto()
    CLOSED = auto()


class Trigger(Name):
    READ_WANTED = auto()
    WRITE_WANTED = auto()
    REST_WANTED = auto()
    DEADLINE_PASSED = auto()
    CLOSE_ORDERED = auto()


S, T = State, Trigger
REST = Deadline("rest", "rest_timeout", 5.0, "to rest")
FOREVER = Unbounded("a test says when")
SPECS = (
    Spec(S.READING, Interest.READABLE, FOREVER, "look", "it reads"),
    Spec(S.WRITING, Interest.WRITABLE, FOREVER, "look", "it writes"),
    Spec(S.RESTING, Interest.HANG_UP, REST, "look", "it rests"),
    Spec(S.CLOSED, Interest.NOTHING, FOREVER, "", "it is closed", final=True),
)
ROWS = (
    Row(S.READING, T.WRITE_WANTED, S.WRITING, action="act"),
    Row(S.READING, T.REST_WANTED, S.RESTING, action="act"),
    Row(S.READING, T.CLOSE_ORDERED, S.CLOSED, action="say_goodbye", ends=Cause.OPERATOR),
    Row(S.WRITING, T.READ_WANTED, S.READING, action="act"),
    Row(S.WRITING, T.REST_WANTED, S.RESTING, action="act"),
    Row(S.WRITING, T.CLOSE_ORDERED, S.CLOSED, action="say_goodbye", ends=Cause.OPERATOR),
    Row(S.RESTING, T.READ_WANTED, S.READING, action="act"),
    Row(S.RESTING, T.DEADLINE_PASSED, S.CLOSED, action="say_goodbye", ends=Cause.DEADLINE),
    Row(S.RESTING, T.CLOSE_ORDERED, S.CLOSED, action="say_goodbye", ends=Cause.OPERATOR),
)
TOY = Table("toy", State, Trigger, S.READING, SPECS, ROWS, frozenset())
STUBBORN = Table(
    "stubborn",
    State,
    Trigger,
    S.READING,
    SPECS,
    tuple(r for r in ROWS if r.trigger is not T.CLOSE_ORDERED),
    frozenset(),
)

Deed = Callable[[], Name | None] | Name | BaseException | None


class Toy(Machine):
    """Does, when it is looked at and when it acts, what it was told to do; notes everything in `told`."""

    def __init__(self, engine: Engine) -> None:
        self.near, self.far = socket.socketpair()
        self.near.setblocking(False)
        super().__init__(engine, self.near.fileno())
        self.looks: deque[Deed] = deque()
        self.acts: deque[Deed] = deque()
        self.goodbye: Deed = None
        self.at_end: Deed = None
        self.at_close: Deed = None
        self.told: list[str] = []
        self.about: object = None

    def is_about(self, payload: object) -> bool:
        return self.about is None or payload is self.about

    def look(self, ready: int) -> Name | None:
        self.told.append(f"look {ready & 5}")
        return done(self.looks.popleft()) if self.looks else None

    def act(self) -> Name | None:
        self.told.append("act")
        return done(self.acts.popleft()) if self.acts else None

    def say_goodbye(self) -> Name | None:
        self.told.append("goodbye")
        return done(self.goodbye)

    def ended(self) -> None:
        self.told.append("ended")
        done(self.at_end)

    def close(self) -> None:
        self.told.append("close")
        self.near.close()
        self.far.close()
        done(self.at_close)

    def is_in(self, state: State) -> bool:
        return self.state is state

    def is_open(self) -> bool:
        return self.near.fileno() >= 0


def done(deed: Deed) -> Name | None:
    if isinstance(deed, BaseException):
        raise deed
    if isinstance(deed, Name):
        return deed
    return deed() if deed is not None else None


class Yard:
    """A loop on a fake clock with toys."""

    def __init__(self, poller: str = "auto", dispatch: Dispatch = Dispatch.COMPILED) -> None:
        self.clock = Clock()
        self.poller = RecordingPoller(open_poller(poller))
        self.crashes: list[tuple[Machine, BaseException]] = []
        self.loop = Loop(self.poller, self._crashed, clock=self.clock, dispatch=dispatch)
        self.engines = {table.name: Engine(table, Toy, self.clock, dispatch=dispatch) for table in (TOY, STUBBORN)}
        self.poller.calls.clear()

    def _crashed(self, machine: Machine, error: BaseException) -> None:
        self.crashes.append((machine, error))

    def toy(self, *looks: Deed, ready: bool = True, stubborn: bool = False) -> Toy:
        """A toy in the loop; `ready`, there is a byte for it to read."""
        toy = Toy(self.engines["stubborn" if stubborn else "toy"])
        toy.looks.extend(looks)
        self.loop.add(toy)
        if ready:
            toy.far.send(b"x")
        return toy

    def turn(self) -> None:
        self.loop.turn(0)

    def after(self, seconds: float) -> None:
        self.clock.now += seconds
        self.loop.turn(0)

    def told_of(self, toy: Toy) -> list[str]:
        told, toy.told = toy.told, []
        return told

    def modified(self) -> list[tuple[str, int, int]]:
        calls, self.poller.calls = self.poller.calls, []
        return [call for call in calls if call[0] == "modify"]
