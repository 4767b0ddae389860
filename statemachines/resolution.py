"""The machine of one look-up of a name: the addresses of an upstream are asked for in a thread, for all who need them.

    ASKING -> DONE

is all of it. It has no descriptor: getaddrinfo(3) blocks, so a thread calls it, and what is waited for is the thread.
Nothing can stop a thread, but nobody has to wait for it: when the deadline has passed, the look-up has failed, and
whatever the thread brings later is forgotten. The requests that need the addresses are not waited for here; each of
them waits for a connection (statemachines.slot).
"""

from enum import auto
from typing import Protocol

from clerestory.statemachines.contract import Cause, Deadline, Interest, Name, Row, Spec, Table, Unbounded, Way


class State(Name):
    ASKING = auto()
    DONE = auto()


class Trigger(Name):
    ADDRESSES_FOUND = auto()
    """The name has addresses."""
    LOOK_UP_FAILED = auto()
    """The name has none, or the resolver did not answer, or no thread was free."""
    DEADLINE_PASSED = auto()
    CLOSE_ORDERED = auto()
    """An operator wants nobody to wait for it any longer."""


class Model(Protocol):
    """What the shell of a look-up does."""

    def tell(self) -> Name | None:
        """Note the outcome, and tell the pool."""

    def give_up(self) -> Name | None:
        """Forget the thread, and tell the pool that there is no outcome."""


S, T = State, Trigger

RESOLVE = Deadline(
    "resolve",
    "upstream_resolve_timeout",
    5.0,
    "for the addresses of an upstream's name; as long as resolv.conf(5) waits for one name server",
)

SPECS = (
    Spec(S.ASKING, Interest.NOTHING, RESOLVE, "", "a thread asks the system's resolver", awaits="the resolver"),
    Spec(S.DONE, Interest.NOTHING, Unbounded("it is final"), "", "the outcome is known", final=True),
)

ROWS = (
    Row(S.ASKING, T.ADDRESSES_FOUND, S.DONE, action="tell", way=Way.HAPPY, ends=Cause.SERVER),
    Row(S.ASKING, T.LOOK_UP_FAILED, S.DONE, action="tell", way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.ASKING, T.DEADLINE_PASSED, S.DONE, action="give_up", way=Way.FAULT, ends=Cause.DEADLINE),
    Row(S.ASKING, T.CLOSE_ORDERED, S.DONE, action="give_up", way=Way.FAULT, ends=Cause.OPERATOR),
)

TABLE = Table(
    name="resolution",
    states=State,
    triggers=Trigger,
    initial=S.ASKING,
    specs=SPECS,
    rows=ROWS,
    departures=frozenset({T.LOOK_UP_FAILED}),
)
