"""What may be written on the command line."""

import pytest

from clerestory.server.xray.serve.filters import ORDERS
from clerestory.server.xray.terminal import COMMANDS
from clerestory.server.xray.terminal.arguments import SORTS, UsageError, filters_of, make_parser

WORDS = {"show": ["17"], "watch": ["17"]}


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_says_what_it_does_how_it_ends_and_fits_80_columns(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit):
        make_parser(command, "clerestory").parse_args(["--help"])
    page = capsys.readouterr().out
    assert f"usage: clerestory {command}" in page
    assert "exit status: 0" in page
    assert "--xray ADDRESS" in page
    assert [line for line in page.splitlines() if len(line) > 100] == []


def test_every_order_of_the_x_ray_is_offered() -> None:
    assert sorted(SORTS) == sorted(ORDERS)


def test_filters_become_the_endpoints_parameters() -> None:
    words = ["--state", "reading_head", "--state", "lingering", "--older", "5m", "--peer", "10.", "--path", "/a"]
    parsed = make_parser("ps", "p").parse_args([*words, "--sort=-bytes-in", "--limit", "3"])
    assert filters_of(parsed) == {
        "state": "reading_head,lingering",
        "older": "5m",
        "peer": "10.",
        "path": "/a",
        "sort": "-bytes_in",
        "limit": 3,
    }
    assert filters_of(make_parser("close", "p").parse_args(["1"])) == {}


@pytest.mark.parametrize(
    ("command", "words", "offence"),
    [
        ("ps", ["--bogus"], "unrecognized arguments: --bogus"),
        ("ps", ["--older", "soon"], "--older: 'soon': write seconds, such as 30, or 5m, or 2h"),
        ("ps", ["--sort", "colour"], "--sort: 'colour': there are wait, seconds, age"),
        ("ps", ["--limit", "0"], "--limit: '0': write a number of lines"),
        ("ps", ["--limit", "20001"], "--limit: '20001'"),
        ("ps", ["--pid", "1", "--xray", "a:1"], "not allowed with argument --pid"),
        ("top", ["--interval", "0.05"], "write seconds from 0.1 to 25"),
        ("top", ["--interval", "26"], "write seconds from 0.1 to 25"),
        ("show", [], "the following arguments are required: ID"),
        ("close", ["--kind", "listener"], "unrecognized arguments"),
    ],
)
def test_an_error_is_one_line_that_points_at_the_help(command: str, words: list[str], offence: str) -> None:
    with pytest.raises(UsageError) as raised:
        make_parser(command, "clerestory").parse_args(words)
    assert offence in str(raised.value)
    assert f"(clerestory {command} --help says what there is)" in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("ps", ["--limit", "20000", "--older", "0.5", "--json"]),
        ("top", ["--interval", "0.1", "--sort", "age"]),
        ("top", ["--interval", "25"]),
        ("close", ["1", "2", "--yes", "--dry-run"]),
        ("watch", ["17", "--interval", "1"]),
    ],
)
def test_what_is_right_is_taken(command: str, words: list[str]) -> None:
    make_parser(command, "clerestory").parse_args(words)
