"""Frames of `top`."""

from hypothesis import given
from hypothesis import strategies as st

from clerestory.server.xray.terminal.client import JSON
from clerestory.server.xray.terminal.frame import Sight, frame
from clerestory.server.xray.terminal.text import Style
from clerestory.server.xray.terminal.view import Mode, Order, View
from tests.server.xray.terminal.samples import STATES, TABLES, idle, one, row, snapshot

BANNER = {
    "kind": "blocked",
    "level": "critical",
    "text": "The loop has been blocked for 3.2 s by connection 3 (GET /block), in block at app.py:12: time.sleep(10). "
    "Nothing else is served meanwhile.",
}


def sight(*rows: JSON, **changes: object) -> Sight:
    shown = list(rows) or [row(), idle()]
    return Sight("127.0.0.1:8001", {"connection": TABLES["machines"][0]}, None, snapshot(**changes), shown, 2, 2, one())


def test_eighty_by_twenty_four() -> None:
    lines = frame(sight(), View(), Style(80), 24)
    assert lines[:2] == [
        "clerestory 4711  the built-in mail site  up 61.0 s                127.0.0.1:8001",
        "2 of 992 slots, 0.0 requests/s, in 0 B/s out 0 B/s, lag 0.2 ms",
    ]
    assert lines[3:6] == [
        "STATE                 NOW        OLDEST       IN/S        P50        P99",
        "AWAITING_REQUEST        1        12.0 s        0.0          -          -",
        "READING_HEAD            0             -        0.0          -          -",
    ]
    assert "QUERYING_BACKEND        1             -        0.0     1.0 ms      2.0 s" in lines
    assert "also: listener ACCEPTING 1" in lines
    assert lines[11:14] == [
        "ID  PEER            WHY                                               2, by wait",
        "17  127.0.0.1:5000  GET /emails/7 QUERYING_BACKEND 1.2 s of 30 s <- work#1…1.2 s",
        "1   127.0.0.1:6001  AWAITING_REQUEST 1.2 s of 15 s <- client readable",
    ]
    assert lines[-1].startswith("enter shows  c/C close")
    assert len(lines) == 24


def test_rates_are_between_two_looks() -> None:
    totals = {"accepted": 2, "requests": 90, "bytes_in": 500, "bytes_out": 1000}
    shown = sight()
    shown.before = snapshot(now=98.0, totals=totals, edges={"connection": [80, 60, 0]})
    lines = frame(shown, View(), Style(120), 24)
    assert "5.0 requests/s, in 250 B/s out 2.0 kB/s" in lines[1]
    assert any(line.startswith("QUERYING_BACKEND") and "       10.0" in line for line in lines)
    assert any(line.startswith("AWAITING_REQUEST") and "       20.0" in line for line in lines)


def test_where_there_is_room_the_states_are_told_in_plain_words() -> None:
    def words(width: int) -> list[str]:
        return [line for line in frame(sight(), View(), Style(width), 24) if line.endswith("waiting for a request")]

    assert [line.split()[0] for line in words(96)] == ["AWAITING_REQUEST"]
    assert words(95) == []


def test_banners_come_first_and_in_full() -> None:
    lines = frame(sight(banners=[BANNER]), View(), Style(80), 24)
    assert " ".join(line.strip() for line in lines[2:5]).strip() == f"CRITICAL: {BANNER['text']}"


def test_what_is_filtered_and_sorted_is_said() -> None:
    shown = sight()
    shown.matched, shown.total = 2, 5000
    view = View({"state": "READING_HEAD"}, "-bytes_in")
    assert any(
        line.endswith("2 of 5,000 with state=READING_HEAD, by bytes in, reversed")
        for line in frame(shown, view, Style(100), 24)
    )


def test_the_chosen_row_is_always_in_sight() -> None:
    rows = [idle(number) for number in range(100)]
    for chosen in range(0, 100, 7):
        lines = frame(sight(*rows), View(chosen=str(chosen)), Style(80, True), 24)
        assert [line for line in lines if line.startswith(f"\x1b[7m{chosen} ")]


def test_the_modes_have_their_own_bottom_line() -> None:
    def last(view: View) -> str:
        return frame(sight(), view, Style(100), 24)[-1]

    asked = View()
    asked.ask("close 17?", Order.CLOSE_ONE)
    assert last(asked) == "close 17? [y/N]"
    assert last(View(mode=Mode.TYPING, typed="peer=10.")) == "filter: peer=10._"
    assert last(View(message="1 connection closed")) == "1 connection closed"
    assert last(View(mode=Mode.DETAILS)) == "up and down scroll  c close  escape back  q quit"
    assert frame(sight(), View(mode=Mode.HELP), Style(50), 24)[-1] == "any key goes back  q quit"
    assert "paused" in frame(sight(), View(paused=True), Style(100), 24)[0]


def test_one_connection_and_the_help_take_the_screen() -> None:
    assert frame(sight(), View(mode=Mode.DETAILS), Style(80), 24)[0].startswith("17  GET /emails/7 QUERYING_BACKEND")
    assert frame(sight(), View(mode=Mode.DETAILS, top=2), Style(80), 5)[0].startswith("  peer")
    assert frame(sight(), View(mode=Mode.HELP), Style(80), 24)[0].startswith("up, down, j, k")


def test_before_the_first_look() -> None:
    assert frame(Sight("a:1"), View(), Style(80), 24)[0] == "clerestory: looking at a:1 ..."


@given(st.integers(20, 200), st.integers(2, 60), st.sampled_from(Mode), st.integers(0, 60), st.booleans())
def test_every_frame_fits_its_terminal(width: int, height: int, mode: Mode, rows: int, banner: bool) -> None:
    shown = sight(*[idle(number) for number in range(rows)], row(request="GET /" + "x" * 300))
    if banner:
        shown.snapshot = snapshot(banners=[BANNER, BANNER])
    view = View(mode=mode, question="close " + "x" * 300, typed="y" * 190, message="z " * 100)
    lines = frame(shown, view, Style(width), height)
    assert len(lines) <= height
    if width >= 36:
        assert [line for line in lines if len(line) > width] == []


def test_no_control_character_reaches_the_screen() -> None:
    nasty = "\x1b]0;owned\x07\x9b"
    shown = sight(
        row(request=f"GET /{nasty}", peer=nasty), serving=nasty, banners=[{"level": "warning", "text": nasty}]
    )
    text = "".join(frame(shown, View({"path": nasty}, message=nasty), Style(120), 30))
    assert text.isprintable()
    assert STATES[0] in text
