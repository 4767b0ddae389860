"""The command line, word by word."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clerestory.server.cli.arguments import FORMS, parse, unknown
from clerestory.server.cli.options.option import Option
from clerestory.server.cli.options.table import BY_NAME, TABLE
from clerestory.server.cli.settings import Settings, UsageError
from clerestory.server.logging.logs import LEVELS


def settings(*words: str) -> Settings:
    return Settings(parse(words).given)


def refusal(*words: str) -> str:
    with pytest.raises(UsageError) as caught:
        parse(words)
    said = str(caught.value)
    assert "\n" not in said
    return said


SAMPLES = {
    "mount": "/a=b",
    "cache_control": "*.js=no-store",
    "compress_type": "text/x-log",
    "cors": "https://app.example",
    "error_page": "404=missing.html",
    "rate_limit": "7/s",
    "redirect": "/old=/new",
    "header": "X-A: 1",
    "host": "::1",
    "port": "7",
    "listen": "unix:/run/a",
    "proxy_protocol": "10.0.0.0/8",
    "trust": "10.0.0.0/8",
    "xray": "127.0.0.1:7",
}


def sample(option: Option) -> str:
    """A value of an option that is not its default."""
    if option.name in SAMPLES:
        return SAMPLES[option.name]
    words = "7 h11 poll 2.3 asyncio asgi off json warning transitions open all x"
    for text in words.split():
        try:
            value = option.kind.read(text)
        except ValueError:
            continue
        if value != option.default:
            return text
    raise AssertionError(option.name)


VALUED = [option for option in TABLE if not option.is_switch and not option.secret and option.name != "target"]


@pytest.mark.parametrize("option", VALUED, ids=lambda option: str(option.name))
def test_every_option_is_set_by_its_value_and_sets_nothing_else(option: Option) -> None:
    text = sample(option)
    for words in ([option.flag, text], [f"{option.flag}={text}"]):
        found = settings(*words)
        assert [name for name in found if found[name] != BY_NAME[name].default] == [option.name]
        assert found.source(option.name) == option.flag


@pytest.mark.parametrize(
    "option",
    [one for one in TABLE if one.is_switch and one.name not in ("help", "version")],
    ids=lambda one: str(one.name),
)
def test_every_switch_is_switched(option: Option) -> None:
    word = f"--no-{option.key}" if option.default else option.flag
    found = settings(word)
    assert [name for name in found if found[name] != BY_NAME[name].default] == [option.name]
    assert refusal(f"{option.flag}=1") == f"{option.flag} takes no value (--help lists the options)"


def test_no_two_options_are_written_alike() -> None:
    forms = [form for option in TABLE for form in (option.key, *option.spellings) if not option.secret]
    assert len(forms) == len(set(forms))
    assert {f"--{form}" for form in forms if form != "target"} <= set(FORMS)


def test_the_last_of_two_holds_and_what_may_be_repeated_is_gathered_once() -> None:
    assert settings("--port", "1", "--port", "2")["port"] == 2
    assert settings("--no-access-log", "--access-log")["access_log"] is True
    assert settings("--xray", "127.0.0.1:0", "--no-xray")["xray"] == ""
    assert settings("--listen", "1", "--listen", "2", "--listen", "1")["listen"] == ("1", "2")
    assert settings("--trust", "::1,10.0.0.0/8", "--forwarded-allow-ips", "*")["trust"] == (
        *("::1", "10.0.0.0/8"),
        *("0.0.0.0/0", "::/0"),
    )


def test_a_target_stands_anywhere_and_behind_two_dashes() -> None:
    assert settings("--port", "1", "shop:app", "--listing")["target"] == "shop:app"
    assert settings("--", "--port")["target"] == "--port"
    assert settings("-")["target"] == "-"
    assert settings("")["target"] == ""


@pytest.mark.parametrize("level", LEVELS)
def test_every_level_can_be_asked_for(level: str) -> None:
    assert settings("--log-level", level)["log_level"] == level


@pytest.mark.parametrize(
    ("words", "about"),
    [
        (("--help",), ""),
        (("-h",), ""),
        (("shop:app", "--help"), ""),
        (("--help", "all"), "all"),
        (("--help=postgres",), "postgres"),
        (("--help", "--port", "1"), ""),
    ],
)
def test_help_may_name_a_group(words: tuple[str, ...], about: str) -> None:
    assert parse(words).help == about


@pytest.mark.parametrize("word", ["--version", "-V"])
def test_the_version_is_asked_for(word: str) -> None:
    assert parse([word]).version


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--prot", "80"], "there is no option --prot; did you mean --port PORT?"),
        (["--por=80"], "there is no option --por; did you mean --port PORT?"),
        (["--zzz"], "there is no option --zzz (--help lists the options)"),
        (["--bind", "x"], "there is no option --bind; did you mean --listen ADDRESS?"),
        (["-b"], "there is no option -b; did you mean --listen ADDRESS?"),
        (["--uds"], "there is no option --uds; did you mean --listen ADDRESS?"),
        (["-p"], "there is no option -p; did you mean --port PORT?"),
        (["-H"], "there is no option -H; did you mean --host HOST?"),
        (["-v"], "there is no option -v; did you mean --version?"),
        (["-c"], "there is no option -c; did you mean --config FILE?"),
        (["--root"], "there is no option --root: TARGET stands alone"),
        (["--autoindex"], "there is no option --autoindex; did you mean --listing?"),
        (["--no-acces-log"], "there is no option --no-acces-log; did you mean --no-access-log?"),
        (["--client-max-body-size"], "there is no option --client-max-body-size; did you mean --max-body BYTES?"),
        (["--xray-token"], "there is no option --xray-token; did you mean $CLERESTORY_XRAY_TOKEN?"),
        (["--port"], "--port needs a value: --port PORT"),
        (["--port", "--host", "x"], "--port needs a value"),
        (["--port", "x"], "--port: 'x' is not a port"),
        (["--port", "-1"], "--port: '-1' is not a port"),
        (["--poller", "kqueue"], "--poller: 'kqueue' is not one of auto, epoll, poll, select"),
        (["--log-level", "x"], "--log-level: 'x' is not one of debug, info"),
        (["--listen", "x"], "--listen: 'x' is not an address"),
        (["--trust", "x"], "--trust: 'x' is not a network"),
        (["a", "b"], "there is one TARGET, and these are 2: a b"),
        (["pss", "7"], "there is no command pss; did you mean ps?"),
        (["--http3"], "there is no option --http3: HTTP/3 is not served: HTTP/1.1 and HTTP/2 are"),
        (["--daemon"], "there is no option --daemon: systemd or a container runs it in the background"),
        (["--limit", "5"], "there is no option --limit: --help limits and --help timeouts list them all"),
        (["dev", "shop:app"], "there is no command dev: write the TARGET alone, shop:app"),
        (["serve", "."], "there is no command serve: write the TARGET alone, ."),
    ],
)
def test_a_wrong_word_says_what_is_wrong_and_what_is_near(words: list[str], said: str) -> None:
    assert refusal(*words).startswith(said)


@pytest.mark.parametrize("word", ["--zzzz", "-z", "--tl", "--xy"])
def test_nothing_far_off_is_guessed(word: str) -> None:
    assert "did you mean" not in unknown(word)


@given(st.lists(st.text() | st.sampled_from(sorted(FORMS)), max_size=4))
def test_whatever_is_typed_is_taken_or_refused_in_one_line(words: list[str]) -> None:
    found: Any = None
    try:
        found = parse(words)
    except UsageError as error:
        found = str(error)
    assert found is not None
