"""Where a command prints, and whom it asks."""

import io

import pytest

from clerestory.server.xray.terminal.streams import Streams


def streams(keys: str = "") -> tuple[Streams, io.StringIO, io.StringIO]:
    out, err = io.StringIO(), io.StringIO()
    return Streams(out, err, io.StringIO(keys)), out, err


def test_rows_go_out_and_words_besides_go_to_standard_error() -> None:
    this, out, err = streams()
    this.put("one", "two")
    this.say("besides \x1b[2J", "warning")
    assert (out.getvalue(), err.getvalue()) == ("one\ntwo\n", "besides \\x1b[2J\n")


@pytest.mark.parametrize(("typed", "yes"), [("y\n", True), ("YES\n", True), ("n\n", False), ("\n", False), ("", False)])
def test_only_a_yes_is_a_yes(typed: str, yes: bool) -> None:
    this, _, err = streams(typed)
    assert this.ask("Close it?") is yes
    assert err.getvalue() == "Close it? [y/N] "


def test_a_complaint_may_have_lines_but_no_control_characters() -> None:
    this, _, err = streams()
    this.complain("2 servers:\n  one\x07")
    assert err.getvalue() == "clerestory: 2 servers:\n  one\\x07\n"
