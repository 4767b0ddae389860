"""What keys do to the view."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clerestory.server.xray.terminal.arguments import SORTS
from clerestory.server.xray.terminal.view import STATES, Mode, Order, View, read_filter
from clerestory.statemachines.connection import TABLE
from tests.server.xray.terminal.samples import idle, row

ROWS = [row(id="17"), idle(1), idle(2)]
KEYS = ["up", "down", "page up", "home", "end", "enter", "escape", "backspace", *"qQcCsrf/h? jkyn1=a", "é"]


def press(view: View, *keys: str) -> Order | None:
    order = None
    for key in keys:
        order = view.press(key, ROWS)
    return order


def test_the_arrows_choose_and_stay_within() -> None:
    view = View()
    chosen = []
    for key in ("down", "down", "up", "up", "end", "down", "home", "page down"):
        press(view, key)
        chosen.append(view.chosen)
    assert chosen == ["17", "1", "17", "17", "2", "2", "17", "2"]


def test_what_is_chosen_is_a_connection_and_not_a_place() -> None:
    view = View(chosen="2")
    assert view.place(ROWS) == 2
    assert view.place(ROWS[2:]) == 0
    assert view.place(ROWS[:2]) is None


def test_every_order_can_be_reached_and_turned_round() -> None:
    view = View()
    seen = []
    for _ in SORTS:
        seen.append(view.sort)
        assert press(view, "s") is Order.LOOK
    assert (tuple(seen), view.sort) == (SORTS, "wait")
    press(view, "r")
    assert view.sort == "-wait"
    press(view, "r")
    assert view.sort == "wait"


def test_f_goes_through_the_states_of_the_table() -> None:
    assert STATES[1:] == tuple(str(spec.state) for spec in TABLE.specs if not spec.final)
    view = View()
    seen = []
    for _ in STATES:
        press(view, "f")
        seen.append(view.filters.get("state", ""))
    assert tuple(seen) == (*STATES[1:], "")


def test_a_filter_is_typed_taken_and_dropped() -> None:
    view = View()
    press(view, "/", *"reading-heax", "backspace", "d", " ", *"5s", " ", *"/a")
    assert view.mode is Mode.TYPING
    assert view.press("enter", ROWS) is Order.LOOK
    assert view.filters == {"state": "READING_HEAD", "older": "5s", "path": "/a"}
    press(view, "/")
    assert view.typed == "state=READING_HEAD older=5s path=/a"
    assert press(view, "escape") is None
    assert press(view, "escape") is Order.LOOK
    assert view.filters == {}


def test_a_filter_that_is_none_is_said_and_changes_nothing() -> None:
    view = View({"peer": "10."})
    press(view, "escape", "/", *"colour=red", "enter")
    assert (view.mode, view.message) == (
        Mode.TABLE,
        "colour= is not a filter: there are state, older, peer, path and kind",
    )
    press(view, "/", *"older=soon", "enter")
    assert "write seconds" in view.message


@pytest.mark.parametrize(
    ("text", "filters"),
    [
        ("", {}),
        ("10.0.0.7", {"peer": "10.0.0.7"}),
        ("127.0.0.1:5000", {"peer": "127.0.0.1:5000"}),
        ("/emails", {"path": "/emails"}),
        ("lingering", {"state": "LINGERING"}),
        ("2h kind=*", {"older": "2h", "kind": "*"}),
        ("state=a,b-c", {"state": "A,B_C"}),
    ],
)
def test_words_that_speak_for_themselves(text: str, filters: dict[str, object]) -> None:
    assert read_filter(text, {}) == filters


def test_closing_one_asks_and_only_y_does_it() -> None:
    view = View()
    press(view, "c")
    assert view.message == "choose a connection first, with the arrow keys"
    assert press(view, "down", "c") is None
    assert (view.mode, view.question) == (Mode.ASKING, "close 17, GET /emails/7 of 127.0.0.1:5000?")
    assert press(view, "enter") is None
    assert (view.mode, view.message) == (Mode.TABLE, "nothing was closed")
    assert press(view, "c", "y") is Order.CLOSE_ONE


def test_closing_all_takes_a_filter() -> None:
    view = View()
    assert press(view, "C") is None
    assert "choose with / or f first" in view.message
    assert press(view, "f", "C") is Order.ASK_MANY
    view.ask("close 5?", Order.CLOSE_MANY)
    assert press(view, "y") is Order.CLOSE_MANY


def test_one_connection_is_opened_scrolled_closed_and_left() -> None:
    view = View()
    press(view, "enter")
    assert view.mode is Mode.TABLE
    assert press(view, "down", "enter") is Order.LOOK
    press(view, "down", "down", "up", "up", "up", "down")
    assert (view.mode, view.top) == (Mode.DETAILS, 1)
    press(view, "c")
    assert view.question == "close 17?"
    press(view, "n", "enter")
    assert press(view, "escape") is Order.LOOK
    assert view.mode is Mode.TABLE


def test_help_pause_and_quit() -> None:
    view = View()
    press(view, "h")
    assert view.mode is Mode.HELP
    press(view, "x", " ")
    assert (view.mode, view.paused) == (Mode.TABLE, True)
    for mode in (Mode.TABLE, Mode.DETAILS, Mode.HELP):
        assert View(mode=mode).press("q", ROWS) is Order.QUIT
    assert View(mode=Mode.TYPING).press("q", ROWS) is None


@given(st.lists(st.sampled_from(KEYS), max_size=60), st.booleans())
def test_no_keys_break_it_and_nothing_is_closed_without_a_y(keys: list[str], empty: bool) -> None:
    view = View()
    for key in keys:
        order = view.press(key, [] if empty else ROWS)
        if order in (Order.CLOSE_ONE, Order.CLOSE_MANY):
            assert key == "y"
