"""From the settings to what serves."""

import os
from pathlib import Path

import pytest

from clerestory.server.cli.assembly import (
    addresses_of,
    check_goals,
    gather,
    goal_of,
    how_of,
    limits_of,
    options_of,
    target_of,
    trusted_of,
)
from clerestory.server.cli.interfaces import How
from clerestory.server.cli.options.option import Goal
from clerestory.server.cli.settings import Settings, UsageError
from clerestory.server.cli.targets import Origins
from clerestory.server.config import Limits
from clerestory.server.options import Options


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory without a configuration file."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def settings(*words: str, **variables: str) -> Settings:
    return gather(words, variables)[1]


def test_each_source_is_heard_in_its_order(elsewhere: Path) -> None:
    (elsewhere / "clerestory.toml").write_text('port = 1\nhost = "::1"\nmax-head = 1000\n')
    found = settings("--port", "3", CLERESTORY_PORT="2", CLERESTORY_HOST="::2")
    assert (found["port"], found["host"], found["max_head"]) == (3, "::2", 1000)
    assert [found.source(name) for name in ("port", "host", "max_head", "max_body")] == [
        *("--port", "CLERESTORY_HOST", "clerestory.toml"),
        "default",
    ]
    assert settings("--no-config")["max_head"] == Limits().max_head
    assert settings("--config", "clerestory.toml").path == "clerestory.toml"
    assert settings(CLERESTORY_CONFIG="clerestory.toml")["port"] == 1


def test_help_is_given_whatever_the_other_sources_say(elsewhere: Path) -> None:
    (elsewhere / "clerestory.toml").write_text("nonsense")
    typed, _ = gather(["--help"], {"CLERESTORY_PORT": "x"})
    assert typed.help == ""


def test_without_options_the_process_is_told_the_defaults() -> None:
    assert options_of(settings(), "") == Options(listen=("127.0.0.1:8000",), xray="auto")
    assert limits_of(settings()) == Limits()
    assert how_of(settings()) == How()


@pytest.mark.parametrize(
    ("words", "file", "addresses"),
    [
        ("", "", ["127.0.0.1:8000"]),
        ("--port 9", "", ["127.0.0.1:9"]),
        ("--host ::1", "", ["[::1]:8000"]),
        ("--listen 9", "", ["9"]),
        ("--listen 9 --port 1", "", ["127.0.0.1:1", "9"]),
        ("", "listen = [1, 2]", ["1", "2"]),
        ("--port 9", "listen = [1, 2]", ["127.0.0.1:9"]),
        ("--listen 9", "port = 1", ["9"]),
        ("--listen 9", 'host = "::1"\nlisten = "1"', ["9"]),
    ],
)
def test_the_strongest_source_says_where_to_listen(
    words: str, file: str, addresses: list[str], elsewhere: Path
) -> None:
    (elsewhere / "clerestory.toml").write_text(file)
    assert addresses_of(settings(*words.split())) == tuple(addresses)


def test_what_systemd_hands_over_is_served_and_the_default_is_not_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
    assert addresses_of(settings()) == ("systemd",)
    assert addresses_of(settings("--listen", "9")) == ("systemd", "9")
    assert addresses_of(settings("--port", "9")) == ("systemd", "127.0.0.1:9")
    monkeypatch.setenv("LISTEN_PID", "1")
    assert addresses_of(settings()) == ("127.0.0.1:8000",)


def test_a_url_takes_with_it_what_belongs_to_it() -> None:
    words = ("http://a", "--upstream", "http://b", "--upstream", "http://c", "--trust", "10.0.0.0/8", "--upstream-host")
    assert target_of(settings(*words, "--probe", "/up")) == Origins(
        ("http://a", "http://b", "http://c"), ("10.0.0.0/8",), own_host=True, probe="/up"
    )
    assert target_of(settings("http://a")) == Origins(("http://a",))
    assert target_of(settings("a:b")) == "a:b"
    assert target_of(settings()) is None


def test_proxy_headers_are_believed_from_this_machine() -> None:
    assert trusted_of(settings("--proxy-headers", "--trust", "10.0.0.0/8")) == ("127.0.0.0/8", "::1", "10.0.0.0/8")


def test_how_an_application_is_called_is_asked_for() -> None:
    words = ("a:b", "--interface", "asgi", "--factory", "--app-dir", "src", "--lifespan", "on", "--root-path", "/x")
    assert how_of(settings(*words, "--asgi-spec", "2.3", "--trust", "::1")) == How(
        "asgi", True, "src", "on", "/x", "2.3", ("::1",)
    )


@pytest.mark.parametrize(
    ("target", "goal"),
    [
        (None, Goal.MAIL_SITE),
        (".", Goal.DIRECTORY),
        ("shop:app", Goal.APPLICATION),
        ("https://a", Goal.PROXY),
        ("no-such", None),
        ("./a:b", None),
    ],
)
def test_the_word_tells_what_a_target_is(target: str | None, goal: Goal | None) -> None:
    assert goal_of(target) == goal


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--upstream", "http://b"), "--upstream is for a reverse proxy: give an http:// URL as TARGET"),
        ((".", "--probe", "/"), "--probe is for a reverse proxy"),
        (("a:b", "--upstream-host"), "--upstream-host is for a reverse proxy"),
        (
            ("--trust", "::1"),
            "--trust is for a directory or an ASGI or WSGI application or a reverse proxy: name one as TARGET",
        ),
        (("--listing",), "--listing is for a directory: name one as TARGET"),
        (("a:b", "--types", "x"), "--types is for a directory"),
        ((".", "--database", "x"), "--database is for the built-in mail site: leave TARGET out"),
        ((".", "--factory"), "--factory is for an ASGI or WSGI application"),
    ],
)
def test_an_option_for_another_target_is_refused(words: tuple[str, ...], said: str) -> None:
    found = settings(*words)
    with pytest.raises(UsageError) as caught:
        check_goals(found.given(), [found["target"]])
    assert str(caught.value).startswith(said)


def test_what_a_file_says_may_be_for_another_target(elsewhere: Path) -> None:
    (elsewhere / "clerestory.toml").write_text('listing = true\nprobe = "/up"\n')
    found = settings("a:b", "--trust", "::1")
    check_goals(found.given(), [found["target"]])
    found = settings("no-such", "--listing")
    check_goals(found.given(), [found["target"]])  # that there is no such target is said first
