"""ps, show, watch and close: what they print, and how they end."""

import io
import json
from argparse import Namespace
from typing import Any

import pytest

from clerestory.server.xray.terminal import commands
from clerestory.server.xray.terminal.arguments import UsageError, make_parser
from clerestory.server.xray.terminal.client import GoneError
from clerestory.server.xray.terminal.streams import Streams
from tests.server.xray.terminal.samples import FakeClient, ended, idle, listed, one, passage, row, snapshot


class Terminal(io.StringIO):
    """Somebody who types, at a terminal."""

    def isatty(self) -> bool:
        return True


def run(command: str, words: list[str], answers: dict[str, Any], keys: io.StringIO | None = None) -> Any:
    """Exit status, standard output and error, and the client."""
    client, out, err = FakeClient(answers), io.StringIO(), io.StringIO()
    streams = Streams(out, err, keys or io.StringIO())
    arguments = make_parser(command, "clerestory").parse_args(words)
    more = {"pause": lambda seconds: None} if command == "watch" else {}
    status = getattr(commands, command)(client, arguments, streams, **more)
    return status, out.getvalue(), err.getvalue(), client


# --- ps


def test_ps_prints_a_line_for_each_and_the_banners_besides() -> None:
    banner = {"level": "warning", "text": "93 of 100 slots are idle keep-alive.", "kind": "capacity"}
    answers = {"/connections.json": listed(row(), idle()), "/snapshot.json": snapshot(banners=[banner])}
    status, out, err, client = run("ps", ["--state", "querying_backend", "--older", "1"], answers)
    assert status == 0
    assert [line[:3].strip() for line in out.splitlines()] == ["ID", "17", "1"]
    assert err == "WARNING: 93 of 100 slots are idle keep-alive.\n"
    assert client.asked[0] == (
        "GET",
        "/connections.json",
        {"limit": 20_000, "state": "querying_backend", "older": "1", "group": ""},
    )


def test_ps_of_nothing() -> None:
    status, out, err, _ = run("ps", [], {"/connections.json": listed()})
    assert (status, out, err) == (0, "", "There are no connections.\n")
    status, out, err, _ = run("ps", ["--older", "5m"], {"/connections.json": listed(total=3)})
    assert (status, out, err) == (1, "", "None of 3 connections matches.\n")
    status, _, _, _ = run("ps", ["--older", "5m", "--json"], {"/connections.json": listed(total=3)})
    assert status == 1


def test_ps_json_is_the_x_ray_s_answer_with_a_line_for_each_row() -> None:
    for rows in ([], [row()], [row(), idle()]):
        document = listed(*rows)
        _, out, err, _ = run("ps", ["--json"], {"/connections.json": document})
        assert json.loads(out) == document
        assert out.count("\n") == (len(rows) + 2 if rows else 1)
        assert err == ""


def test_ps_asks_for_secrets_where_they_are_wanted() -> None:
    _, _, _, client = run("ps", ["--secrets"], {"/connections.json": listed()})
    assert client.asked[0] == ("GET", "/connections.json", {"limit": 20_000, "group": "", "secrets": "1"})


def test_ps_counts_groups() -> None:
    found = [{"key": "10.0.0.7", "count": 9300, "oldest": 200.0}, {"key": "10.0.0.\x1b", "count": 1, "oldest": 0.5}]
    status, out, _, client = run("ps", ["--group", "peer"], {"/connections.json": listed() | {"groups": found}})
    assert status == 0
    assert out.splitlines() == [
        "  COUNT       OLDEST  PEER",
        "  9,300   3 min 20 s  10.0.0.7",
        "      1        0.5 s  10.0.0.\\x1b",
    ]
    assert client.asked[0][2] == {"limit": 0, "group": "peer"}


# --- show


def test_show() -> None:
    status, out, _, _ = run("show", ["17"], {"/connections/17": one()})
    assert status == 0
    assert out.startswith("17  GET /emails/7 QUERYING_BACKEND 1.2 s of 30 s <- work#1 RUNNING find 1.2 s\n")
    _, out, _, _ = run("show", ["17", "--json"], {"/connections/17": one()})
    assert json.loads(out) == one()
    _, _, _, client = run("show", ["17", "--secrets"], {"/connections/17": one()})
    assert client.asked == [("GET", "/connections/17", {"secrets": "1"})]


def test_show_hands_on_what_is_for_others_to_read() -> None:
    text = 'connection 17: open\n{"a": "\\u001b"}\x1b[2J\n'
    status, out, err, client = run("show", ["17", "--format", "text", "--secrets"], {"/connections/17": text})
    assert (status, out, err) == (0, 'connection 17: open\n{"a": "\\u001b"}\\x1b[2J\n', "")
    assert client.asked == [("GET", "/connections/17", {"format": "text", "secrets": "1"})]


# --- watch


def test_watch_prints_each_passage_once_until_the_end() -> None:
    first, second, third = passage(5062.0), passage(5063.0, row=1), passage(5064.0, row=2, way="FAULT", dest="CLOSED")
    answers = [one(path=[first]), one(path=[first]), one(path=[first, second]), ended(path=[first, second, third])]
    status, out, err, _ = run("watch", ["17"], {"/connections/17": answers})
    assert (status, err) == (0, "")
    assert out.splitlines() == [
        "17  GET /emails/7 QUERYING_BACKEND 1.2 s of 30 s <- work#1 RUNNING find 1.2 s",
        "         AT       STAYED  TRANSITION",
        "      0.6 s        0.8 s  AWAITING_REQUEST: HEAD_RECEIVED -> QUERYING_BACKEND",
        "      1.6 s        0.8 s  AWAITING_REQUEST: HEAD_RECEIVED -> QUERYING_BACKEND",
        "     0.0 ms        0.8 s  ! AWAITING_REQUEST: HEAD_RECEIVED -> CLOSED",
        "connection 16 from 127.0.0.1:4999: ended by deadline in READING_HEAD after 12.0 s",
    ]


def test_watch_says_when_it_was_too_slow() -> None:
    answers = [one(path=[passage(5062.0)]), one(path=[passage(5100.0 + n) for n in range(3)]), GoneError("gone")]
    status, out, err, _ = run("watch", ["17"], {"/connections/17": answers})
    assert status == 0
    assert out.splitlines()[3] == "some transitions were too fast to be seen"
    assert len(out.splitlines()) == 7
    assert err == "It has ended, and is no longer remembered.\n"


def test_watch_of_nobody() -> None:
    with pytest.raises(GoneError):
        run("watch", ["17"], {})


# --- close

WOULD = {"dry_run": True, "would_close": 2, "rows": [row(), idle()]}
DONE = {"dry_run": False, "closed": ["17", "1"], "failed": []}


def test_close_by_filter_says_which_asks_and_does_it() -> None:
    answers = {"/close": [WOULD, DONE]}
    status, out, err, client = run("close", ["--older", "5"], answers, Terminal("y\n"))
    assert status == 0
    assert "17  127.0.0.1:5000" in out
    assert out.endswith("2 connections closed.\n")
    assert err == "Close these 2 connections? [y/N] "
    assert client.asked == [("POST", "/close", {"older": "5"}), ("POST", "/close", {"older": "5", "confirm": 1})]


def test_close_does_nothing_without_a_yes() -> None:
    status, _, err, client = run("close", ["--older", "5"], {"/close": [WOULD, DONE]}, Terminal("\n"))
    assert (status, len(client.asked)) == (1, 1)
    assert err.endswith("Nothing was closed.\n")


def test_close_with_nobody_to_ask_wants_yes_on_the_command_line() -> None:
    with pytest.raises(
        UsageError, match="nothing was closed: standard input is not a terminal; add --yes to close these 2"
    ):
        run("close", ["--older", "5"], {"/close": [WOULD, DONE]})
    status, _, err, _ = run("close", ["--older", "5", "--yes"], {"/close": [WOULD, DONE]})
    assert (status, err) == (0, "")


def test_close_dry_run() -> None:
    many = WOULD | {"would_close": 1000}
    status, out, err, client = run("close", ["--older", "5", "--dry-run"], {"/close": [many, DONE]})
    assert (status, len(client.asked)) == (0, 1)
    assert out.endswith("and 998 more\n")
    assert err == "1,000 connections would be closed.\n"


def test_close_by_number() -> None:
    answers = {
        "/connections/17": one(),
        "/connections/16": ended(),
        "/connections/17/close": {"closed": ["17"], "failed": []},
    }
    status, out, err, client = run("close", ["17", "17", "16", "15", "--yes"], answers)
    assert status == 0
    assert out.endswith("1 connection closed.\n")
    assert "It is closed already: connection 16" in err
    assert [asked for asked in client.asked if asked[0] == "POST"] == [("POST", "/connections/17/close", {})]


def test_close_of_a_stream() -> None:
    answers = {
        "/connections/41/7": one() | {"id": "41/7"},
        "/connections/41%2F7/close": {"closed": ["41/7"], "failed": []},
    }
    status, out, err, _ = run("close", ["41/7"], answers, Terminal("y\n"))
    assert (status, err) == (0, "Close this stream? [y/N] ")
    assert out.endswith("1 stream closed.\n")


def test_close_of_what_went_meanwhile_is_no_success() -> None:
    status, out, err, _ = run("close", ["17", "--yes"], {"/connections/17": one()})
    assert (status, out.splitlines()[-1]) == (1, "0 connections closed.")
    assert "1 connection not closed (17): they had already ended, or the loop is blocked" in err


def test_close_of_none() -> None:
    status, out, err, _ = run("close", ["--older", "5"], {"/close": WOULD | {"would_close": 0, "rows": []}})
    assert (status, out, err) == (1, "", "There is nothing to close.\n")


@pytest.mark.parametrize("words", [[], ["17", "--older", "5"]])
def test_close_wants_numbers_or_filters(words: list[str]) -> None:
    with pytest.raises(UsageError, match="say which to close"):
        run("close", words, {})


# --- page


def test_page_prints_a_link_and_nothing_else() -> None:
    status, out, err, client = run("page", [], {"/key": {"key": "a-key"}})
    assert (status, out, err) == (0, f"http://{client.address}/#key:a-key\n", "")
    assert client.asked == [("POST", "/key", {})]


def test_page_of_a_unix_socket_says_how_a_browser_reaches_it() -> None:
    client: Any = FakeClient({"/key": {"key": "a-key"}})
    out, err = io.StringIO(), io.StringIO()
    client.address = "unix:/run/x.sock"
    assert commands.page(client, Namespace(), Streams(out, err, io.StringIO())) == 0
    assert out.getvalue() == "http://127.0.0.1:8001/#key:a-key\n"
    assert "ssh -N -L 8001:/run/x.sock HOST" in err.getvalue()
