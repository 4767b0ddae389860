"""A line for each machine."""

from hypothesis import given
from hypothesis import strategies as st

from server.xray.terminal.table import line_of, table
from server.xray.terminal.text import Style
from tests.server.xray.terminal.samples import deadline, idle, row

LONG = row(
    request="GET /a/path/that/goes/on/for/a/very/long/while/indeed",
    chain=["upstream#3 AWAITING_HEAD", "fd 19 readable: 10.0.0.1:8080"],
)


def test_a_pipe_gets_whole_lines() -> None:
    assert table([row(), idle()], Style()) == [
        "ID  PEER            WHY",
        "17  127.0.0.1:5000  GET /emails/7 QUERYING_BACKEND 1.2 s of 30 s <- work#1 RUNNING find 1.2 s",
        "1   127.0.0.1:6001  AWAITING_REQUEST 1.2 s of 15 s <- client readable",
    ]


def test_eighty_columns_cut_the_middle_of_the_target_before_anything_else() -> None:
    line = table([row(request="GET /emails/of/the/whole/month/7")], Style(88))[1]
    assert line == "17  127.0.0.1:5000  GET /ema…month/7 QUERYING_BACKEND 1.2 s of 30 s <- work#1 R…nd 1.2 s"
    assert len(line) == 88


def test_the_peer_s_column_goes_when_state_and_times_would_not_fit() -> None:
    heading, line = table([LONG], Style(64))
    assert heading == "ID  WHY"
    assert "QUERYING_BACKEND 1.2 s of 30 s <- " in line
    assert len(line) <= 64


def test_without_the_peer_s_column_the_why_line_says_the_peer() -> None:
    _, line, _ = table([idle(), LONG], Style(64))
    assert line == "1   AWAITING_REQUEST 1.2 s of 15 s <- 127.0.0.1:6001 readable"


@given(st.integers(1, 200), st.booleans())
def test_every_line_fits_whatever_the_width(width: int, colours: bool) -> None:
    for line in table([row(), idle(), LONG], Style(width)):
        assert len(line) <= width


def test_a_target_with_control_characters_is_never_printed_raw() -> None:
    (_, line) = table([row(request="GET /\x1b]0;owned\x07", peer="\x1b[1m")], Style(None, True))
    assert "\x1b]" not in line
    assert "\\x1b]0;owned\\x07 QUERYING_BACKEND" in line


def test_a_line_is_coloured_by_how_soon_its_deadline_comes() -> None:
    rows = [
        row(),
        row(deadline=deadline(remaining=5.0)),
        row(deadline=deadline(remaining=-0.1)),
        row(deadline=None),
        idle(),
    ]
    assert [line_of(one, with_peer=True).mark for one in rows] == ["", "warning", "critical", "", "dim"]


def test_the_chosen_line_stands_out_over_the_whole_width() -> None:
    lines = table([row(), idle()], Style(100, True), 1)
    assert lines[2].startswith("\x1b[7m1 ")
    assert len(lines[2]) == 100 + len("\x1b[7m\x1b[0m")
