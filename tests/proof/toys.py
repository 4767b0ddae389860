"""A toy world for the tests of the checkers: two lamps, of one table, and a switch between them."""

from enum import auto

from clerestory.statemachines.contract import Cause, Deadline, Interest, Name, Row, Spec, Table, Unbounded
from proof.world import Always, Event, Eventually, Part, Way, World


class S(Name):
    DARK = auto()
    LIT = auto()
    BROKEN = auto()


class T(Name):
    SWITCHED = auto()
    DEADLINE_PASSED = auto()
    DROPPED = auto()


BURN = Deadline("burn", "burn_timeout", 5.0, "for a lamp to burn")
LAMP = Table(
    name="lamp",
    states=S,
    triggers=T,
    initial=S.DARK,
    specs=(
        Spec(S.DARK, Interest.READABLE, Unbounded("nobody needs light"), "look", "it is dark"),
        Spec(S.LIT, Interest.NOTHING, BURN, "", "it burns", awaits="the end"),
        Spec(S.BROKEN, Interest.NOTHING, Unbounded("it is final"), "", "it is broken", final=True),
    ),
    rows=(
        Row(S.DARK, T.SWITCHED, S.LIT, action="shine"),
        Row(S.LIT, T.DEADLINE_PASSED, S.DARK),
        Row(S.LIT, T.DROPPED, S.BROKEN, ends=Cause.CLIENT),
    ),
    departures=frozenset(),
    hands_back={"look": (T.SWITCHED,)},
)


def lamps(
    shine: str = "tell(b, SWITCHED)",
    always: tuple[Always, ...] = (),
    eventually: tuple[Eventually, ...] = (Eventually("a lamp does not burn for ever", "at(a, LIT)", "not at(a, LIT)"),),
    table: Table = LAMP,
    events: tuple[Event, ...] = (),
) -> World:
    """The lamp `a` is switched on by the peers, and has `b` switched on by its action; both burn out."""
    a = Part("a", table, ways={"look": [Way("SWITCHED", "", "not at(b, LIT)")], "shine": [Way("", shine)]})
    b = Part("b", table, ways={"look": [], "shine": [Way("", "lit = 1")]})
    dims = Event("clock b", "lit > 0 and at(b, DARK)", "lit = 0", name="the count is forgotten")
    return World("lamps", "two lamps", [a, b], {"lit": 0}, [dims, *events], always, eventually)
