"""The explorer: it sees every state, and each kind of fault, with a way to it."""

from dataclasses import replace

import pytest

from clerestory.statemachines.contract import Row
from proof.explorer import Explorer
from proof.recordings import told
from proof.world import Always, Event, Eventually
from tests.proof.toys import LAMP, S, T, lamps

DROPS = Event("peers", "at(b, LIT)", "", "b", "DROPPED", "b is dropped")


def test_every_state_is_seen_and_nothing_is_found_where_nothing_is_wrong() -> None:
    """a and b are dark or lit, b is counted: switched on together, they burn out one after the other."""
    outcome = Explorer(lamps()).explore()
    assert outcome.fault is None
    assert outcome.states == 6
    assert outcome.rows == {("lamp", 0), ("lamp", 1)}


def test_a_trigger_without_a_row_is_found_with_the_way_to_it() -> None:
    world = lamps("tell(b, SWITCHED)\ntell(b, SWITCHED)")
    fault = Explorer(world).explore().fault
    assert fault is not None
    assert fault.what == "b: no row for SWITCHED in LIT"
    assert told(world, fault).splitlines() == [
        "lamps: b: no row for SWITCHED in LIT",
        "  1. a: look: SWITCHED",
        "       a: DARK SWITCHED -> LIT: shine",
        "       b: DARK SWITCHED -> LIT: shine",
    ]


def test_what_is_offered_needs_no_row() -> None:
    assert Explorer(lamps("tell(b, SWITCHED)\noffer(b, SWITCHED)")).explore().fault is None


def test_who_has_ended_is_not_told() -> None:
    """Once b is broken it is not there any more: a message is dropped."""
    assert Explorer(lamps(events=(DROPS,))).explore().fault is None


def test_an_assertion_that_fails_is_found() -> None:
    fault = Explorer(lamps("tell(b, SWITCHED)\nassert not alive(a)")).explore().fault
    assert fault is not None
    assert fault.what == "not alive(a)"


def test_what_does_not_always_hold_is_found() -> None:
    fault = Explorer(lamps(always=(Always("it is never light", "not at(a, LIT)"),))).explore().fault
    assert fault is not None
    assert fault.what == "it is never light"
    assert [event for event, _ in fault.trace] == ["a: look: SWITCHED"]


def test_a_walk_that_does_not_end_is_found() -> None:
    table = replace(LAMP, rows=(*LAMP.rows[:1], Row(S.LIT, T.SWITCHED, S.LIT, action="shine"), *LAMP.rows[1:]))
    fault = Explorer(lamps("lit = 0\ntell(a, SWITCHED)", table=table)).explore().fault
    assert fault is None or fault.what == "a turn does not end"


@pytest.mark.parametrize(
    ("eventually", "is_kept"),
    [
        (Eventually("it burns out", "at(a, LIT)", "at(a, DARK)"), True),
        (Eventually("it is lit: the peers may do nothing for ever", "at(a, DARK)", "at(a, LIT)"), False),
        (Eventually("both are dark at once", "at(a, LIT)", "at(a, DARK) and at(b, DARK)"), True),
        (Eventually("the clock of b may always do something else", "lit > 0", "lit == 0"), False),
    ],
)
def test_a_promise_is_kept_if_fair_processes_alone_keep_it(eventually: Eventually, is_kept: bool) -> None:
    fault = Explorer(lamps(eventually=(eventually,))).explore().fault
    assert (fault is None) == is_kept


def test_without_its_deadline_a_lamp_burns_for_ever() -> None:
    table = replace(LAMP, specs=(LAMP.specs[0], replace(LAMP.specs[1], deadline=LAMP.specs[0].deadline), LAMP.specs[2]))
    fault = Explorer(lamps(table=table)).explore().fault
    assert fault is not None
    assert fault.what == "a lamp does not burn for ever: given at(a, LIT), and never not at(a, LIT)"
    assert fault.cycle


def test_a_world_that_is_too_large_is_an_error() -> None:
    with pytest.raises(OverflowError):
        Explorer(lamps()).explore(2)
