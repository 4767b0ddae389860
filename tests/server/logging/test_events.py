"""Lines: whatever an event holds, a line is one line, and what it says can be got back from it."""

import json
import re
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clerestory.server.logging.events import (
    STATES,
    ConsoleRequests,
    JSONRequests,
    Stamp,
    bare,
    console_line,
    json_line,
    plain,
    shown,
    word,
)

ANY = st.text(st.characters())
"""Every code point there is, lone surrogates too."""

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY | st.integers(), inner, max_size=3),
    max_leaves=6,
)


def spent(**milliseconds: float) -> list[float]:
    return [milliseconds.get(state, 0.0) / 1000 for state in STATES]


SPENT = spent(awaiting_request=12.0, querying_backend=0.1234, sending_response=0.5)
NOTHING = spent()
NOON = 1_795_435_200.0625
"""2026-11-23 12:00:00.062 UTC."""


class Unspeakable:
    def __str__(self) -> str:
        raise ValueError("no")

    __repr__ = __str__


def is_clean(line: str) -> bool:
    """Whether `line` is one line without anything that a terminal acts on."""
    return line.endswith("\n") and not any(unicodedata.category(c) in ("Cc", "Zl", "Zp", "Cs", "Cf") for c in line[:-1])


def utf16(text: str) -> bytes:
    """Two lone surrogates that meet are one character to JSON; their code units are the same."""
    return text.encode("utf-16-le", "surrogatepass")


def stamp() -> Stamp:
    return Stamp(lambda: NOON, local=False)


def json_request(*values: Any) -> str:
    lines: list[str] = []
    JSONRequests(lines.append, stamp())(*values)
    (line,) = lines
    return line


def console_request(*values: Any, colours: bool = False) -> str:
    lines: list[str] = []
    ConsoleRequests(lines.append, stamp(), colours=colours)(*values)
    (line,) = lines
    return line


# --- time


def test_the_time_is_rfc_3339_in_utc_with_milliseconds() -> None:
    assert stamp()() == "2026-11-23T12:00:00.062Z"


def test_the_local_time_is_the_time_of_day() -> None:
    assert re.fullmatch(r"\d\d:\d\d:00\.062", Stamp(lambda: NOON, local=True)())


def test_the_time_moves_with_the_clock_also_backwards() -> None:
    times = iter([NOON, NOON + 0.001, NOON + 3600, NOON])
    moving = Stamp(lambda: next(times), local=False)
    assert [moving()[11:] for _ in range(4)] == ["12:00:00.062Z", "12:00:00.063Z", "13:00:00.062Z", "12:00:00.062Z"]


# --- the request event as JSON


def test_a_request_is_one_object_with_the_canonical_members_in_order() -> None:
    line = json_request("7-3", "127.0.0.1:5000", "GET", "/emails/7", 200, 0, 345, SPENT, None)
    assert list(json.loads(line).items()) == [
        ("event", "request"),
        ("level", "info"),
        ("time", "2026-11-23T12:00:00.062Z"),
        ("id", "7-3"),
        ("peer", "127.0.0.1:5000"),
        ("method", "GET"),
        ("target", "/emails/7"),
        ("status", 200),
        ("bytes_in", 0),
        ("bytes_out", 345),
        ("times", {"awaiting_request": 12.0, "querying_backend": 0.123, "sending_response": 0.5}),
        ("end", None),
    ]


def test_a_request_that_was_not_answered_has_no_status_and_says_who_ended_it() -> None:
    found = json.loads(json_request("7", "p", "-", "-", None, 12, 0, NOTHING, "deadline"))
    assert (found["id"], found["status"], found["times"], found["end"]) == ("7", None, {}, "deadline")


def test_states_that_differ_are_told_apart_by_the_same_formatter() -> None:
    lines: list[str] = []
    requests = JSONRequests(lines.append, stamp())
    asked = [{state: 1.5} for state in STATES] + [dict.fromkeys(STATES, 2.0), {}, {STATES[0]: 3.0, STATES[-1]: 0.25}]
    for times in asked * 2:
        requests("1-1", "p", "GET", "/", 200, 0, 0, spent(**times), None)
    assert [json.loads(line)["times"] for line in lines] == asked * 2


@given(
    st.lists(st.floats(0, 1e9), min_size=len(STATES), max_size=len(STATES)), st.none() | st.just(204), st.none() | ANY
)
def test_every_shape_of_a_request_is_json_with_its_times_to_the_microsecond(
    seconds: list[float], status: int | None, end: str | None
) -> None:
    found = json.loads(json_request("1-1", "p", "GET", "/", status, 3, 4, seconds, end))
    assert (found["status"], found["bytes_in"], found["bytes_out"]) == (status, 3, 4)
    assert (found["end"] is None) == (end is None)
    assert set(found["times"]) == {state for state, each in zip(STATES, seconds, strict=True) if each}
    for state, each in zip(STATES, seconds, strict=True):
        assert found["times"].get(state, 0.0) == pytest.approx(each * 1000, rel=1e-9, abs=0.00051)


@given(ANY, ANY, ANY, ANY, ANY)
def test_a_json_request_is_clean_and_says_what_it_was_given(
    peer: str, method: str, target: str, a: str, end: str
) -> None:
    line = json_request(a, peer, method, target, 200, 1, 2, SPENT, end)
    found = json.loads(line)
    assert is_clean(line)
    assert line.isascii()
    assert [utf16(found[key]) for key in ("id", "peer", "method", "target", "end")] == [
        utf16(text) for text in (a, peer, method, target, end)
    ]


# --- the request event for people


def test_a_request_is_columns() -> None:
    first = console_request("7-3", "127.0.0.1:5000", "GET", "/", 200, 0, 345, SPENT, None)
    second = console_request("7-4", "127.0.0.1:5000", "DELETE", "/emails", 404, 0, 12345, NOTHING, "client")
    assert first.index("/") == second.index("/emails")
    assert first.split()[1:] == [
        "200",
        "GET",
        "0.62",
        "ms",
        "345",
        "B",
        "/",
        "peer=127.0.0.1:5000",
        "id=7-3",
        "in=0",
    ]
    assert second.endswith(" end=client\n")


def test_a_quick_request_fits_120_columns_and_a_slow_one_says_in_which_state_it_was() -> None:
    quick = console_request("2f957c0c-1234-12", "203.0.113.255:55816", "GET", "/orders/1", 200, 450, 34567, SPENT, None)
    assert len("09:38:57.592  " + quick.partition("  ")[2].rstrip()) <= 120  # a terminal is told the local time
    slow = spent(awaiting_request=12.0, querying_backend=1500.0, sending_response=0.5)
    words = console_request("7-3", "127.0.0.1:5000", "GET", "/", 200, 0, 345, slow, None).split()
    assert words[-2:] == ["in=0", "querying_backend=1500.000"]


def test_a_request_without_an_answer_has_a_dash_for_its_status() -> None:
    assert console_request("7", "p", "", "", None, 0, 0, NOTHING, "client").split()[1:3] == ["-", "-"]


@pytest.mark.parametrize(("status", "colour"), [(200, "32"), (304, "36"), (404, "33"), (500, "31"), (None, "")])
def test_the_colour_of_a_status_says_its_class(status: int | None, colour: str) -> None:
    line = console_request("7", "p", "GET", "/", status, 0, 0, NOTHING, None, colours=True)
    assert (f"\x1b[{colour}m{status}" in line) == bool(colour)


@given(ANY, ANY, ANY, ANY, ANY)
def test_a_console_request_is_clean_and_keeps_its_columns(
    peer: str, method: str, target: str, a: str, end: str
) -> None:
    line = console_request(a, peer, method, target, 200, 1, 2, SPENT, end)
    assert is_clean(line)
    assert line.split(" ")[2] == "200"
    assert line.split()[7] == word(target)


# --- other events


def test_a_json_line_begins_with_event_level_and_time() -> None:
    line = json_line({"url": "http://[::1]:80/", "level": "info", "event": "listening"}, "now")
    assert line == '{"event":"listening","level":"info","time":"now","url":"http://[::1]:80/"}\n'


def test_a_field_cannot_take_the_place_of_the_time() -> None:
    assert json.loads(json_line({"event": "e", "level": "info", "time": "never"}, "now"))["time"] == "now"


@pytest.mark.parametrize("value", [float("nan"), {(1, 2): 3}, {1, 2}, Unspeakable(), [Unspeakable()], b"\xff\x00"])
def test_what_json_does_not_know_becomes_text(value: object) -> None:
    assert "field" in json.loads(json_line({"event": "e", "level": "info", "field": value}, "now"))


def test_a_list_that_holds_itself_becomes_text() -> None:
    endless: list[Any] = []
    endless.append(endless)
    assert json.loads(json_line({"event": "e", "level": "info", "field": endless}, "now"))["field"] == "[[...]]"


@given(ANY, st.dictionaries(ANY, VALUES, max_size=4))
def test_a_json_line_is_clean_whatever_the_fields_hold(name: str, fields: dict[str, Any]) -> None:
    line = json_line(fields | {"event": name, "level": "info"}, "now")
    assert is_clean(line)
    assert utf16(json.loads(line)["event"]) == utf16(name)


@given(ANY, st.dictionaries(ANY, VALUES, max_size=4))
def test_a_console_line_is_clean_whatever_the_fields_hold(name: str, fields: dict[str, Any]) -> None:
    event = {key: value for key, value in fields.items() if key != "exception"} | {"event": name, "level": "info"}
    assert is_clean(console_line(event, "now", colours=False))


@given(ANY)
def test_each_line_of_a_traceback_is_clean_and_marked(text: str) -> None:
    event = {"event": "failed", "level": "error", "exception": "Traceback:\n" + text}
    first, *rest = console_line(event, "now", colours=False).removesuffix("\n").split("\n")
    assert first == "now  error    failed"
    assert rest[0] == "    | Traceback:"
    assert all(line.startswith("    | ") and is_clean(line + "\n") for line in rest)


def test_colours_are_around_the_text_not_in_the_fields() -> None:
    line = console_line({"event": "e", "level": "error", "key": "a\x1b[2Jb"}, "now", colours=True)
    assert re.sub(r"\x1b\[[0-9;]*m", "", line) == "now  error    e  key='a\\x1b[2Jb'\n"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("word", "word"),
        ("two words", "'two words'"),
        ("a=b", "'a=b'"),
        ("", "''"),
        ("\n", r"'\n'"),
        ("back\\slash", r"'back\\slash'"),
        (b"\xff", r"'\\xff'"),
        (1.23456, "1.235"),
        (30.0, "30"),
        (0.0, "0"),
        (None, "None"),
    ],
)
def test_a_value_is_quoted_where_it_could_be_mistaken(value: object, text: str) -> None:
    assert shown(value) == text


def test_the_marks_that_turn_the_direction_of_writing_are_escaped() -> None:
    assert bare("\u202egpj.exe") == r"\u202egpj.exe"


def test_a_value_that_cannot_be_put_into_words_is_named_by_its_type() -> None:
    assert plain(Unspeakable()) == "<Unspeakable that raises ValueError>"


def test_a_stack_is_set_as_a_traceback_is_and_stays_a_list_for_machines() -> None:
    """Twelve lines in one, escaped, are read by nobody."""
    event = {"event": "loop_blocked", "level": "warning", "stack": ["app.py:12 slow: time.sleep(10)", "a\x1b[1m"]}
    line = console_line(event, "12:00:00", colours=False)
    assert line.split("\n")[1:] == ["    | app.py:12 slow: time.sleep(10)", "    | a\\x1b[1m", ""]
    assert "stack=" not in line
    assert json.loads(json_line(event, "now"))["stack"] == event["stack"]


def test_a_request_that_an_upstream_was_asked_for_names_it() -> None:
    values = ("1-1", "p", "GET", "/", 200, 0, 0, NOTHING)
    assert json.loads(json_request(*values, None, "127.0.0.1:9000"))["upstream"] == "127.0.0.1:9000"
    assert "upstream" not in json.loads(json_request(*values, None))
    assert console_request(*values, "client", "127.0.0.1:9000").rstrip().endswith(" upstream=127.0.0.1:9000 end=client")
