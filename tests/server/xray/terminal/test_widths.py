"""Every command at every width: from one column to two hundred nothing fails, and every line fits the terminal."""

import io
import os
import re
from argparse import Namespace
from typing import Any

import pytest

from clerestory.server.xray.terminal import commands, streams
from clerestory.server.xray.terminal.arguments import make_parser
from clerestory.server.xray.terminal.frame import Sight, frame
from clerestory.server.xray.terminal.streams import Streams
from clerestory.server.xray.terminal.text import Style
from clerestory.server.xray.terminal.view import Mode, Order, View
from tests.server.xray.terminal.samples import TABLES, FakeClient, ended, idle, listed, one, passage, row, snapshot

WIDTHS = (*range(1, 41), *range(41, 201, 7), 80, 200)
COLOUR = re.compile(r"\x1b\[[0-9;]*m")

LONG = row(
    request="POST /a/path/that/goes/on/for/a/very/long/while/indeed",
    chain=["upstream#3 AWAITING_HEAD", "fd 19 readable: 10.0.0.1:8080"],
    peer="[2001:db8:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
)
BANNER = {"level": "critical", "text": "The loop has been blocked for 3.2 s by connection 17", "kind": "blocked"}


def too_long(lines: list[str], width: int) -> list[str]:
    return [line for line in lines if len(COLOUR.sub("", line)) > width]


def views() -> list[View]:
    asking = View()
    asking.ask("close 17, GET /emails/7 of 127.0.0.1:5000?", Order.CLOSE_ONE)
    return [
        View(),
        View(chosen="17", filters={"state": "READING_HEAD"}, sort="-bytes_out", paused=True),
        View(mode=Mode.DETAILS),
        View(mode=Mode.HELP),
        View(mode=Mode.TYPING, typed="state=reading_head older=5s path=/emails"),
        View(message="127.0.0.1:8001: Connection refused: is the server running?"),
        asking,
    ]


@pytest.mark.parametrize("colours", [False, True])
def test_every_frame_of_top(colours: bool) -> None:
    for height in (1, 2, 5, 24):
        for width in WIDTHS:
            for view in views():
                seen = Sight("127.0.0.1:8001", {t["name"]: t for t in TABLES["machines"]}, snapshot(), snapshot())
                seen.snapshot = snapshot(banners=[BANNER])
                seen.rows, seen.matched, seen.total, seen.one = [row(), idle(), LONG], 3, 4, one(path=[passage()])
                lines = frame(seen, view, Style(width, colours), height)
                assert len(lines) <= height
                assert too_long(lines, width) == []


COMMANDS: list[tuple[str, list[str], dict[str, Any]]] = [
    ("ps", [], {"/connections.json": listed(row(), idle(), LONG), "/snapshot.json": snapshot(banners=[BANNER])}),
    (
        "ps",
        ["--group", "peer"],
        {"/connections.json": listed(groups=[{"key": "10.0.0.255", "count": 12_345, "oldest": 77.0}])},
    ),
    ("show", ["17"], {"/connections/17": one(path=[passage(), passage()])}),
    ("show", ["17"], {"/connections/17": ended(path=[passage()])}),
    ("watch", ["17"], {"/connections/17": [one(path=[passage()]), ended(path=[passage(), passage()])]}),
    ("close", ["17", "--dry-run"], {"/connections/17": one()}),
]


@pytest.mark.parametrize(("command", "words", "answers"), COMMANDS)
def test_every_line_of_the_other_commands(
    command: str, words: list[str], answers: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments: Namespace = make_parser(command, "clerestory").parse_args(words)
    more = {"pause": lambda _: None} if command == "watch" else {}
    for width in WIDTHS:
        monkeypatch.setattr(streams, "style_of", lambda _, width=width: Style(width, True))
        out, err = io.StringIO(), io.StringIO()
        kept = {path: list(answer) if isinstance(answer, list) else answer for path, answer in answers.items()}
        getattr(commands, command)(FakeClient(kept), arguments, Streams(out, err, io.StringIO()), **more)
        assert too_long((out.getvalue() + err.getvalue()).splitlines(), width) == []


@pytest.mark.parametrize("command", ["ps", "top", "show", "watch", "close", "page"])
def test_every_help(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for columns in WIDTHS:
        monkeypatch.setattr("shutil.get_terminal_size", lambda columns=columns: os.terminal_size((columns, 24)))
        assert make_parser(command, "clerestory").format_help().startswith("usage:")
