"""A toy machine for the tests of the engine: three states, two guards above a default, a row that ends."""

from enum import auto

from clerestory.statemachines.contract import Cause, Deadline, Interest, Name, Row, Spec, Table, Unbounded


class S(Name):
    RESTING = auto()
    WALKING = auto()
    GONE = auto()


class T(Name):
    CALLED = auto()
    TIRED = auto()
    DISMISSED = auto()


WALK = Deadline("walk", "walk_timeout", 5.0, "for a walk")
REST = Deadline("rest", "rest_timeout", 9.0, "for a rest", min_rate=10, grace=1.0)

TABLE = Table(
    name="walker",
    states=S,
    triggers=T,
    initial=S.RESTING,
    specs=(
        Spec(S.RESTING, Interest.READABLE, REST, "listen", "nobody has called"),
        Spec(S.WALKING, Interest.READABLE | Interest.WRITABLE, WALK, "look", "it walks"),
        Spec(S.GONE, Interest.NOTHING, Unbounded("it is final"), "", "it is over", final=True),
    ),
    rows=(
        Row(S.RESTING, T.CALLED, S.WALKING, "is_sunny", "skip"),
        Row(S.RESTING, T.CALLED, S.WALKING, "is_dry", "stroll"),
        Row(S.RESTING, T.CALLED, S.RESTING),
        Row(S.WALKING, T.TIRED, S.RESTING, action="sit"),
        Row(S.WALKING, T.DISMISSED, S.GONE, ends=Cause.OPERATOR),
    ),
    departures=frozenset(),
)
