"""A line for each machine."""

from hypothesis import given
from hypothesis import strategies as st

from clerestory.server.xray.terminal.table import line_of, table
from clerestory.server.xray.terminal.text import Style
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


def test_only_a_connections_peer_is_a_client() -> None:
    upstream = idle(kind="upstream", id="upstream:1", request="", deadline=None)
    assert table([upstream], Style())[1] == "upstream:1  127.0.0.1:6001  AWAITING_REQUEST 1.2 s <- readable"


def test_eighty_columns_cut_the_middle_of_the_target_before_anything_else() -> None:
    line = table([row(request="GET /emails/of/the/whole/month/7")], Style(88))[1]
    assert line == "17  127.0.0.1:5000  GET /ema…month/7 QUERYING_BACKEND 1.2 s of 30 s <- work#1 R…nd 1.2 s"
    assert len(line) == 88


def test_eighty_columns_say_who_asked_for_what_and_what_it_waits_for() -> None:
    """The deadline is what a person misses least; the time in the state tells how long it has lasted."""
    sending = row(
        state="SENDING_RESPONSE",
        why="GET /report SENDING_RESPONSE 2.4 s, send idle deadline in 27.6 s <- 127.0.0.1:50686 writable",
        request="GET /report",
        peer="127.0.0.1:50686",
        seconds=2.4,
        chain=["127.0.0.1:50686 writable"],
        deadline=deadline(name="send", by="idle", remaining=27.6),
    )
    _, line, other = table([sending, LONG], Style(80))
    assert line == "17  127.0.0.1:50686  GET /report SENDING_RESPONSE 2.4 s <- client writable"
    assert other == "17  127.0.0.1:5000   GET /a/p…/indeed QUERYING_BACKEND 1.2 s <- upstream….1:8080"


def test_a_deadline_is_told_as_what_is_left_of_it_where_there_is_no_room_for_more() -> None:
    line = line_of(row(), with_peer=True)
    assert line.why(75) == "GET /emails/7 QUERYING_BACKEND 1.2 s of 30 s <- work#1 RUNNING find 1.2 s"
    assert line.why(60) == "GET /emails/7 QUERYING_BACKEND 1.2 s of 30 s <- work#1…1.2 s"
    assert line.why(52) == "GET /emails/7 QUERYING_BACKEND 1.2 s <- work#1…1.2 s"
    assert line.why(36) == "GET /emails/7 QUERYING_BACKEND 1.2 s"


def test_the_peer_s_column_goes_when_request_and_state_would_not_fit() -> None:
    heading, line = table([LONG], Style(58))
    assert heading == "ID  WHY"
    assert line.startswith("17  GET /a/p")
    assert "QUERYING_BACKEND 1.2 s" in line
    assert len(line) <= 58


def test_without_the_peer_s_column_the_why_line_says_the_peer() -> None:
    _, line, _ = table([idle(), LONG], Style(58))
    assert line == "1   AWAITING_REQUEST 1.2 s <- 127.0.0.1:6001 readable"


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
