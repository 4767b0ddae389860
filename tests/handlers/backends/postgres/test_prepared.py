"""Which statements are prepared on a session, and which makes room for another."""

import pytest

from clerestory.handlers.backends.postgres import prepared as postgres_prepared
from clerestory.handlers.backends.postgres.prepared import STALE, Prepared, Step
from clerestory.handlers.backends.postgres.statement import Key, Mark


def key(number: int) -> Key:
    return b"SELECT %d" % number, ()


def prepare(prepared: Prepared, number: int, now: int = 0) -> list[Step]:
    """Do what is to be done for a statement; the steps that it took."""
    steps = []
    while key(number) not in prepared.entries:
        step = prepared.next_step(key(number), Mark.NOTHING, now)
        if step is None:
            break
        prepared.done(step, now)
        steps.append(step)
    return steps


def test_as_many_as_there_may_be_are_prepared_and_one_more_is_not() -> None:
    """Names differ, and the number is bounded: the server keeps them."""
    prepared = Prepared(3)
    names = [step.name for number in range(3) for step in prepare(prepared, number)]
    assert names == [b"c1", b"c2", b"c3"]
    assert prepare(prepared, 3) == []
    assert len(prepared.entries) == 3


def test_with_no_places_nothing_is_prepared() -> None:
    """Behind a transaction pooler each transaction may meet another server process, which knows none of our names."""
    assert prepare(Prepared(0), 1) == []


def test_a_stale_statement_is_closed_to_make_room() -> None:
    """The places are not taken for good: what is not used any more gives way to what is."""
    prepared = Prepared(2)
    prepare(prepared, 0)
    prepare(prepared, 1)
    prepared.entries[key(1)].used = now = 2 * STALE
    assert prepare(prepared, 2, now) == [Step(b"c1", None), Step(b"c3", key(2))]
    assert prepared.entries.keys() == {key(1), key(2)}


def test_statements_in_use_do_not_drive_each_other_out() -> None:
    """Where more are frequent than there are places, closing and preparing at every turn costs more than it gains."""
    prepared = Prepared(2)
    prepare(prepared, 0)
    prepare(prepared, 1)
    assert prepare(prepared, 2, 2 * STALE - 1) == []
    assert prepare(prepared, 2, 2 * STALE) == [], "it is not looked for again at once"
    assert prepare(prepared, 2, 2 * STALE + 1) != []


def test_without_a_way_to_close_those_prepared_first_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """libpq before 17 cannot close a prepared statement."""
    monkeypatch.setattr(postgres_prepared, "CAN_CLOSE", False)
    prepared = Prepared(1)
    prepare(prepared, 0)
    prepared.forget(key(0))
    assert prepare(prepared, 1, 1000) == []


def test_what_the_server_may_still_know_takes_a_place_until_it_is_closed() -> None:
    """A statement that was forgotten, or whose preparing was given up, is closed before another is prepared."""
    prepared = Prepared(1)
    step = prepared.next_step(key(0), Mark.NOTHING, 0)
    assert step is not None
    prepared.given_up(step)
    assert prepare(prepared, 1) == [Step(b"c1", None), Step(b"c2", key(1))]
    prepared.forget(key(1))
    assert prepare(prepared, 1) == [Step(b"c2", None), Step(b"c3", key(1))]


def test_a_name_is_not_used_twice_on_a_session() -> None:
    """Not even after the server has dropped all: a statement that was given up may still come to be."""
    prepared = Prepared(1)
    prepare(prepared, 0)
    prepared.clear()
    assert prepare(prepared, 0) == [Step(b"c2", key(0))]
