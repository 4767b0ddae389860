"""Each check holds for our tables, and refuses a table that is broken in just that way."""

from collections.abc import Callable
from dataclasses import replace
from enum import auto
from typing import Protocol

import pytest

from clerestory.statemachines import checks, connection, listener, process, wakeup
from clerestory.statemachines.contract import Cause, Deadline, Interest, Name, Row, Spec, Table, Unbounded
from clerestory.statemachines.tables import TABLES
from tests.support.many import for_each


class S(Name):
    WAITING = auto()
    WORKING = auto()
    DONE = auto()


class T(Name):
    CALLED = auto()
    FINISHED = auto()
    PEER_GONE = auto()
    DEADLINE_PASSED = auto()


class Model(Protocol):
    def look(self, ready: int) -> Name | None: ...

    def is_worth_it(self) -> bool: ...

    def work(self) -> Name | None: ...


PATIENCE = Deadline("work", "work_timeout", 5.0, "for the work")
WAITING = Spec(S.WAITING, Interest.READABLE, Unbounded("callers call when they like"), "look", "nobody has called")
WORKING = Spec(S.WORKING, Interest.HANG_UP, PATIENCE, "look", "work goes on")
DONE = Spec(S.DONE, Interest.NOTHING, Unbounded("it is final"), "", "it is over", final=True)

CALLED = Row(S.WAITING, T.CALLED, S.WORKING, "is_worth_it", "work")
DECLINED = Row(S.WAITING, T.CALLED, S.DONE, ends=Cause.SERVER)
LEFT = Row(S.WAITING, T.PEER_GONE, S.DONE, ends=Cause.CLIENT)
FINISHED = Row(S.WORKING, T.FINISHED, S.WAITING)
LOST = Row(S.WORKING, T.PEER_GONE, S.DONE, ends=Cause.CLIENT)
LATE = Row(S.WORKING, T.DEADLINE_PASSED, S.DONE, ends=Cause.DEADLINE)

SOUND = Table(
    name="toy",
    states=S,
    triggers=T,
    initial=S.WAITING,
    specs=(WAITING, WORKING, DONE),
    rows=(CALLED, DECLINED, LEFT, FINISHED, LOST, LATE),
    departures=frozenset({T.PEER_GONE}),
    hands_back={"look": (T.FINISHED, T.PEER_GONE), (S.WAITING, "look"): (T.PEER_GONE,), "work": (T.FINISHED,)},
)


class Foreign(Name):
    WAITING = auto()
    NOWHERE = auto()


class Thirteen(Name):
    A = auto()
    B = auto()
    C = auto()
    D = auto()
    E = auto()
    F = auto()
    G = auto()
    H = auto()
    I = auto()  # noqa: E741
    J = auto()
    K = auto()
    L = auto()
    M = auto()


def with_rows(*rows: Row) -> Table:
    return replace(SOUND, rows=rows)


def with_specs(*specs: Spec) -> Table:
    return replace(SOUND, specs=specs)


BROKEN: list[tuple[checks.Check, Table, list[str]]] = [
    (
        checks.strangers,
        with_rows(*SOUND.rows, Row(S.WORKING, T.CALLED, Foreign.NOWHERE)),
        ["<Foreign.NOWHERE: 'NOWHERE'>"],
    ),
    (checks.strangers, replace(SOUND, initial=Foreign.WAITING), ["<Foreign.WAITING: 'WAITING'>"]),
    (checks.strangers, replace(SOUND, departures=frozenset({Foreign.NOWHERE})), ["<Foreign.NOWHERE: 'NOWHERE'>"]),
    (checks.misspecified, with_specs(WAITING, DONE), ["WORKING has 0 specs"]),
    (checks.misspecified, with_specs(WAITING, WORKING, WORKING, DONE), ["WORKING has 2 specs"]),
    (
        checks.misspecified,
        with_specs(replace(WAITING, true_while=""), WORKING, DONE),
        ["WAITING does not say what is true"],
    ),
    (
        checks.misspecified,
        with_specs(WAITING, replace(WORKING, when_ready=""), DONE),
        ["WORKING names no method for its descriptor"],
    ),
    (
        checks.misspecified,
        with_specs(WAITING, replace(WORKING, when_ready="", awaits="an answer"), DONE),
        ["WORKING names no method for its descriptor"],
    ),
    (checks.too_many, replace(SOUND, states=Thirteen), ["13 states"]),
    (checks.unreachable, with_rows(DECLINED, LEFT, FINISHED, LOST, LATE), ["WORKING"]),
    (
        checks.unending,
        with_specs(replace(WAITING, deadline=Unbounded("")), WORKING, DONE),
        ["WAITING does not say why"],
    ),
    (
        checks.unending,
        with_specs(WAITING, replace(WORKING, deadline=replace(PATIENCE, seconds=0.0)), DONE),
        ["WORKING has 0 s by option 'work_timeout'"],
    ),
    (
        checks.unending,
        with_specs(WAITING, replace(WORKING, deadline=replace(PATIENCE, option="")), DONE),
        ["WORKING has 5 s by option ''"],
    ),
    (checks.untimely, with_rows(CALLED, DECLINED, LEFT, FINISHED, LOST), ["WORKING has no row for its deadline"]),
    (
        checks.untimely,
        with_rows(*SOUND.rows, Row(S.WAITING, T.DEADLINE_PASSED, S.DONE)),
        ["WAITING has no deadline that could pass"],
    ),
    (checks.deaf, with_rows(CALLED, DECLINED, LEFT, FINISHED, LATE), ["WORKING"]),
    (checks.trapped, with_rows(CALLED, DECLINED, LEFT, Row(S.WORKING, T.FINISHED, S.WORKING)), ["WORKING"]),
    (checks.revived, with_rows(*SOUND.rows, Row(S.DONE, T.CALLED, S.WAITING)), ["DONE CALLED -> WAITING"]),
    (checks.revived, with_specs(WAITING, WORKING, replace(DONE, waits_for=Interest.READABLE)), ["DONE waits"]),
    (checks.revived, with_specs(WAITING, WORKING, replace(DONE, deadline=PATIENCE)), ["DONE waits"]),
    (checks.revived, with_specs(WAITING, WORKING, replace(DONE, when_ready="look")), ["DONE waits"]),
    (checks.revived, with_specs(WAITING, WORKING, replace(DONE, final=False)), ["no state is final"]),
    (checks.revived, replace(SOUND, initial=S.DONE), ["DONE is both initial and final"]),
    (checks.undecided, with_rows(CALLED, LEFT, FINISHED, LOST, LATE), ["WAITING CALLED"]),
    (checks.undecided, with_rows(DECLINED, CALLED, LEFT, FINISHED, LOST, LATE), ["WAITING CALLED"]),
    (checks.undecided, with_rows(CALLED, DECLINED, DECLINED, LEFT, FINISHED, LOST, LATE), ["WAITING CALLED"]),
    (checks.undecided, with_rows(CALLED, CALLED, DECLINED, LEFT, FINISHED, LOST, LATE), ["WAITING CALLED"]),
    (
        checks.undecided,
        with_rows(CALLED, DECLINED, LEFT, replace(DECLINED, dest=S.WORKING), FINISHED, LOST, LATE),
        ["WAITING CALLED"],
    ),
    (checks.scattered, with_rows(CALLED, DECLINED, FINISHED, LOST, LATE, LEFT), ["WAITING"]),
    (checks.unused, with_rows(CALLED, DECLINED, LEFT, LOST, LATE), ["FINISHED"]),
    (
        checks.mishanded,
        replace(SOUND, hands_back={"look": (T.CALLED,), "work": (T.CALLED, T.FINISHED)}),
        ["look hands back CALLED in WORKING", "work hands back CALLED in WORKING"],
    ),
    (
        checks.mishanded,
        replace(SOUND, hands_back={"toil": (), (S.WAITING, "work"): (T.CALLED,)}),
        ["toil is not called", "work is not called in WAITING"],
    ),
    (
        checks.unexplained,
        with_rows(CALLED, DECLINED, LEFT, FINISHED, LOST, replace(LATE, ends=None)),
        ["WORKING DEADLINE_PASSED -> DONE"],
    ),
    (
        checks.undead,
        with_rows(replace(CALLED, guard="", ends=Cause.CLIENT), LEFT, FINISHED, LOST, LATE),
        ["WAITING CALLED -> WORKING", "WORKING FINISHED -> WAITING"],
    ),
    (
        checks.undead,
        with_rows(CALLED, DECLINED, LEFT, replace(FINISHED, dest=S.WORKING, ends=Cause.SERVER), LOST, LATE),
        ["WORKING FINISHED -> WORKING"],
    ),
]


@pytest.mark.parametrize("law", checks.CHECKS)
@for_each("table", TABLES.values(), what=lambda table: table.name, shares=1)
def test_every_check_holds_for_every_table(table: Table, law: str) -> None:
    assert checks.CHECKS[law](table) == []


@pytest.mark.parametrize("law", checks.CHECKS)
def test_every_check_holds_for_the_toy_from_which_the_broken_ones_are_made(law: str) -> None:
    assert checks.CHECKS[law](SOUND) == []


@pytest.mark.parametrize(("check", "table", "offenders"), BROKEN, ids=[check.__name__ for check, _, _ in BROKEN])
def test_a_broken_table_is_refused_and_its_offenders_named(
    check: checks.Check, table: Table, offenders: list[str]
) -> None:
    assert check(table) == offenders


@pytest.mark.parametrize("check", checks.CHECKS.values(), ids=lambda check: check.__name__)
def test_every_check_is_shown_to_be_able_to_fail(check: Callable[[Table], list[str]]) -> None:
    assert check in [broken for broken, _, _ in BROKEN]


def test_without_a_peer_no_state_needs_a_way_out_for_it() -> None:
    assert checks.deaf(replace(SOUND, departures=frozenset())) == []


def test_a_state_that_waits_for_no_descriptor_needs_nothing_that_looks_but_words() -> None:
    told = replace(WORKING, when_ready="", waits_for=Interest.NOTHING, awaits="an answer")
    assert checks.misspecified(with_specs(WAITING, told, DONE)) == []
    assert checks.misspecified(with_specs(WAITING, replace(told, awaits=""), DONE)) == [
        "WORKING names no method for its descriptor"
    ]
    assert (WORKING.phrase(), told.phrase()) == ("nothing but a disconnect", "an answer")


def test_a_row_into_the_end_needs_no_cause_when_every_way_to_it_has_told_one() -> None:
    table = with_rows(DECLINED, LEFT, replace(FINISHED, dest=S.DONE))
    assert checks.unexplained(table) == []


def test_the_guards_that_the_farewell_relies_upon_are_named() -> None:
    table = with_rows(
        replace(DECLINED, dest=S.WORKING),
        LEFT,
        replace(FINISHED, guard="is_worth_it"),
        replace(LOST, trigger=T.FINISHED),
    )
    assert checks.undead(table) == []
    assert checks.relied_upon(table) == ["WORKING FINISHED [is_worth_it] -> WAITING"]


def test_the_farewell_of_a_connection_relies_on_four_guards_and_no_others() -> None:
    assert checks.relied_upon(connection.TABLE) == [
        "SENDING_RESPONSE OUTPUT_FLUSHED [has_more_output] -> PRODUCING",
        "SENDING_RESPONSE OUTPUT_FLUSHED [may_keep_alive] -> AWAITING_REQUEST",
        "SENDING_RESPONSE OUTPUT_FLUSHED [has_switched] -> TUNNELLING",
        "SENDING_RESPONSE OUTPUT_FLUSHED [awaits_body] -> READING_BODY",
        "SENDING_RESPONSE BODY_REQUESTED [body_is_taken] -> EXCHANGING",
    ]
    assert [checks.relied_upon(module.TABLE) for module in (listener, process, wakeup)] == [[], [], []]


def test_a_table_and_its_model_name_the_same_methods() -> None:
    assert checks.methods(SOUND) == {"look", "is_worth_it", "work"}
    assert checks.unlike_model(SOUND, Model) == []


def test_a_method_that_only_one_of_table_and_model_has_is_named() -> None:
    table = with_rows(replace(CALLED, action="toil"), *SOUND.rows[1:])
    assert checks.unlike_model(table, Model) == ["work is not in the table", "toil is not in the model"]


def test_the_product_has_every_pair_once_and_rows_in_the_order_they_are_tried() -> None:
    cells = list(checks.product(SOUND))
    assert [(cell.state, cell.trigger) for cell in cells] == [(state, trigger) for state in S for trigger in T]
    assert cells[0].rows == (CALLED, DECLINED)
    assert cells[1].rows == ()
    assert tuple(row for cell in cells for row in cell.rows) == SOUND.rows


def test_the_report_of_sound_tables_says_so() -> None:
    text, sound = checks.report(TABLES.values())
    assert sound
    assert text.endswith("every check holds\n")
    assert "  BROKEN  " not in text
    assert all(f"{table.name}: {len(table.states)} states" in text for table in TABLES.values())
    assert text.count("  ok  ") == len(TABLES) * len(checks.CHECKS)


def test_the_report_has_a_line_for_each_state_and_one_for_each_trigger() -> None:
    text, _ = checks.report([SOUND])
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "2 WORKING nothing but a disconnect work: 5 s 1 3" in lines
    assert "3 DONE nothing none: it is final -" in lines
    assert "CALLED 2,3 . ." in lines
    assert "PEER_GONE 3 3 ." in lines
    assert all(len(line) <= 120 and line == line.rstrip() for line in text.splitlines())


def test_the_report_of_a_paced_state_names_its_rate() -> None:
    paced = replace(PATIENCE, min_rate=240, grace=5.0)
    text, _ = checks.report([with_specs(WAITING, replace(WORKING, deadline=paced), DONE)])
    assert "work: 5 s idle, or less than 240 bytes/s" in text


def test_the_report_says_where_there_is_no_peer_and_what_is_relied_upon() -> None:
    text, _ = checks.report([listener.TABLE])
    assert "every wait ends when the peer goes (no peer)\n" in text
    text, _ = checks.report([connection.TABLE])
    assert "which relies on the guard to say no: SENDING_RESPONSE OUTPUT_FLUSHED [may_keep_alive]" in text


@pytest.mark.parametrize(("check", "table", "offenders"), BROKEN, ids=[check.__name__ for check, _, _ in BROKEN])
def test_the_report_of_a_broken_table_shows_the_law_and_the_offenders(
    check: checks.Check, table: Table, offenders: list[str]
) -> None:
    text, sound = checks.report([wakeup.TABLE, table])
    law = next(law for law, known in checks.CHECKS.items() if known is check)
    assert not sound
    assert text.endswith("BROKEN: see above\n")
    assert f"  BROKEN  {law}" in text
    assert all(f"          {offender}\n" in text for offender in offenders)
