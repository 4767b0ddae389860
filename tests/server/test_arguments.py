"""The grammar of the command line: what a value may be, and a help that says it."""

import argparse
import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.arguments import (
    ZERO_MEANS_NONE,
    UsageError,
    amount,
    host,
    in_words,
    limits_of,
    make_parser,
    port,
    seconds,
)
from server.config import OPTIONS, Limits
from server.logs import LEVELS
from server.targets import Origins

FIELDS = [field.name for field in OPTIONS]
UNITS = {field.name: field.metadata["unit"] for field in OPTIONS}


def option(name: str) -> str:
    return "--" + name.replace("_", "-")


def parse(*words: str) -> argparse.Namespace:
    return make_parser("clerestory", "clerestory 1").parse_args(words)


def help_page() -> str:
    return make_parser("clerestory", "clerestory 1").format_help()


# --- values


@pytest.mark.parametrize(("text", "value"), [("0", 0), ("8000", 8000), ("65535", 65535), ("00080", 80)])
def test_a_port_is_a_number_up_to_65535(text: str, value: int) -> None:
    assert port(text) == value


@pytest.mark.parametrize("text", ["65536", "-1", "http", "", "8_0", "+80", "8 0", "\uff18\uff10"])
def test_what_is_no_port_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is not a port"):
        port(text)


@pytest.mark.parametrize(
    ("text", "value"), [("127.0.0.1", "127.0.0.1"), ("localhost", "localhost"), ("[::1]", "::1"), ("::", "::")]
)
def test_a_host_is_a_name_or_an_address(text: str, value: str) -> None:
    assert host(text) == value


@pytest.mark.parametrize("text", ["", "a b", "a\x00", "\udc80"])
def test_what_is_no_host_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is not a host"):
        host(text)


@pytest.mark.parametrize(("text", "value"), [("1", 1.0), ("0.5", 0.5), (".25", 0.25), ("86400", 86400.0)])
def test_seconds_may_have_a_fraction(text: str, value: float) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["0", "0.0", "-1", "nan", "inf", "1e400", "1_0", "", ".", "1.", "5s", "\uff11"])
def test_seconds_are_positive_finite_plain_numbers(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is not a number of seconds above 0"):
        seconds(text)


def test_seconds_may_be_zero_where_that_means_none() -> None:
    assert seconds("0", zero=True) == 0.0


@pytest.mark.parametrize(("text", "value"), [("1", 1), ("64K", 65536), ("1M", 1 << 20), ("2g", 2 << 30)])
def test_a_size_may_have_a_suffix(text: str, value: int) -> None:
    assert amount(text, suffixes=True) == value


@pytest.mark.parametrize("text", ["0", "0K", "-1", "K", "1.5M", "1KB", "1 K", "", "1T", "0x10", "\uff11"])
def test_a_size_is_a_positive_whole_number(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is not a number of bytes above 0, such as"):
        amount(text, suffixes=True)


def test_a_count_has_no_suffix() -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is not a whole number above 0"):
        amount("1K")


@given(st.text())
@pytest.mark.parametrize("reader", [port, host, seconds, amount])
def test_whatever_is_typed_is_taken_or_refused(reader: Callable[[str], object], text: str) -> None:
    said = ""
    try:
        reader(text)
    except argparse.ArgumentTypeError as error:
        said = str(error)
    assert said == "" or said.startswith(repr(text))


# --- options


def test_without_options_there_are_the_defaults() -> None:
    arguments = parse()
    assert limits_of(arguments) == Limits()
    assert (arguments.target, arguments.host, arguments.port) == (None, "127.0.0.1", 8000)
    assert (arguments.poller, arguments.parser, arguments.dispatch) == ("auto", "auto", "compiled")
    assert (arguments.log_format, arguments.log_level, arguments.access_log) == ("auto", "info", True)
    assert (arguments.database, arguments.listing) == (None, False)


@pytest.mark.parametrize("name", FIELDS)
def test_every_limit_is_an_option_and_sets_that_limit_alone(name: str) -> None:
    limits = limits_of(parse(option(name), "7"))
    changed = [field for field in FIELDS if getattr(limits, field) != getattr(Limits(), field)]
    assert changed == [name]
    assert getattr(limits, name) == 7


@pytest.mark.parametrize("name", FIELDS)
def test_a_limit_is_zero_only_where_that_means_something(name: str) -> None:
    if name in ZERO_MEANS_NONE:
        assert getattr(limits_of(parse(option(name), "0")), name) == 0
    else:
        with pytest.raises(UsageError, match=f"^{option(name)}: '0' is not "):
            parse(option(name), "0")


@pytest.mark.parametrize("name", FIELDS)
def test_only_bytes_take_a_suffix_and_only_seconds_a_fraction(name: str) -> None:
    for text, units in (("2K", ("bytes", "bytes/s")), ("2.5", ("seconds",))):
        if UNITS[name] in units:
            assert getattr(limits_of(parse(option(name), text)), name) in (2048, 2.5)
        else:
            with pytest.raises(UsageError):
                parse(option(name), text)


def test_the_names_that_may_be_zero_are_limits() -> None:
    assert set(FIELDS) >= ZERO_MEANS_NONE


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--prot", "80"], "unrecognized arguments: --prot; did you mean --port?"),
        (["--zzz"], "unrecognized arguments: --zzz (--help"),
        (["--por=80"], "unrecognized arguments: --por=80; did you mean --port?"),
        (["a", "b"], "unrecognized arguments: b"),
        (["--port"], "--port: expected one argument"),
        (["--port", "x"], "--port: 'x' is not a port"),
        (["--poller", "kqueue"], "--poller: invalid choice: 'kqueue'"),
        (["--dispatch", "x"], "--dispatch: invalid choice: 'x'"),
        (["--parser", "x"], "--parser: invalid choice: 'x'"),
        (["--log-level", "x"], "--log-level: invalid choice: 'x'"),
        (["--log-format", "x"], "--log-format: invalid choice: 'x'"),
    ],
)
def test_a_bad_option_says_what_is_wrong_in_one_line(words: list[str], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(*words)
    assert str(caught.value).startswith(said)
    assert str(caught.value).endswith("(--help lists the options)")
    assert "\n" not in str(caught.value)


def test_the_access_log_can_be_switched_off_and_on() -> None:
    assert not parse("--no-access-log").access_log
    assert parse("--no-access-log", "--access-log").access_log


@pytest.mark.parametrize("level", LEVELS)
def test_every_level_can_be_asked_for(level: str) -> None:
    assert parse("--log-level", level).log_level == level


# --- the help


@pytest.mark.parametrize("field", OPTIONS, ids=FIELDS)
def test_the_help_has_every_limit_with_its_default_and_its_reason(field: object) -> None:
    page = " ".join(help_page().split())
    name, default, metadata = (getattr(field, part) for part in ("name", "default", "metadata"))
    shown = f"{in_words(default, metadata['unit'])} {metadata['help']}"
    assert re.search(re.escape(option(name)) + r" \S+ " + re.escape(shown), page)


def test_the_help_is_grouped_and_ends_with_commands_that_parse() -> None:
    page = help_page()
    headings = [line for line in page.splitlines() if re.fullmatch(r"[a-z, ]+:", line)]
    assert headings == [
        "what is served:",
        "a reverse proxy:",
        "where and how:",
        "logs, on standard error:",
        "deadlines:",
        "limits:",
        "what a reverse proxy asks:",
        "about:",
        "examples:",
    ]
    commands = [line.split("  ")[1].split() for line in page.split("examples:\n")[1].splitlines()]
    assert len(commands) >= 5
    for words in commands:
        assert words[0] == "clerestory"
        parse(*words[1:])


def test_the_help_fits_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    body = help_page().split("examples:")[0]
    assert max(map(len, body.splitlines())) <= 80


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [
        (15.0, "seconds", "15 seconds"),
        (1.0, "seconds", "1 second"),
        (0.5, "seconds", "0.5 seconds"),
        (65536, "bytes", "64K bytes"),
        (1 << 20, "bytes", "1M bytes"),
        (8190, "bytes", "8190 bytes"),
        (240, "bytes/s", "240 bytes/s"),
        (1024, "requests", "1024 requests"),
    ],
)
def test_defaults_are_said_as_they_would_be_typed(value: float, unit: str, words: str) -> None:
    assert in_words(value, unit) == words


# --- a reverse proxy


def test_a_url_takes_with_it_what_belongs_to_it() -> None:
    words = ("http://a", "--upstream", "http://b", "--upstream", "http://c", "--trust", "10.0.0.0/8", "--upstream-host")
    found = parse(*words, "--probe", "/up").target
    assert found == Origins(("http://a", "http://b", "http://c"), ("10.0.0.0/8",), own_host=True, probe="/up")
    assert parse("http://a").target == Origins(("http://a",))


@pytest.mark.parametrize(
    "words", [("--upstream", "http://b"), (".", "--trust", "::1"), (".", "--probe", "/"), ("a:b", "--upstream-host")]
)
def test_what_belongs_to_a_reverse_proxy_is_for_one(words: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="are for a reverse proxy"):
        parse(*words)
