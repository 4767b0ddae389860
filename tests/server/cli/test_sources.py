"""The environment and the configuration file."""

from pathlib import Path
from typing import Any

import pytest

from clerestory.server.cli.options.option import Option
from clerestory.server.cli.options.table import TABLE
from clerestory.server.cli.settings import Rank, Settings, UsageError
from clerestory.server.cli.sources import find_file, from_environment, from_file, load_file
from tests.server.cli.test_arguments import VALUED, sample


def of_variables(**variables: str) -> Settings:
    return Settings(from_environment(variables))


def of_file(**entries: Any) -> Settings:
    return Settings(from_file(entries, "x.toml"))


# --- the environment


@pytest.mark.parametrize("option", [option for option in VALUED if not option.typed], ids=lambda one: str(one.name))
def test_every_option_is_a_variable(option: Option) -> None:
    text = sample(option)
    value = option.kind.read(text)
    found = of_variables(**{option.variable: text})
    assert found[option.name] == ((value if isinstance(value, tuple) else (value,)) if option.repeated else value)
    assert (found.source(option.name), found.rank(option.name)) == (option.variable, Rank.ENVIRONMENT)


def test_a_list_is_words() -> None:
    assert of_variables(CLERESTORY_LISTEN="8000 unix:/a")["listen"] == ("8000", "unix:/a")
    assert of_variables(CLERESTORY_TRUST="::1,10.0.0.0/8 192.0.2.1")["trust"] == ("::1", "10.0.0.0/8", "192.0.2.1")


def test_a_list_of_what_may_have_spaces_is_lines() -> None:
    assert of_variables(CLERESTORY_HEADER="X-A: 1\n X-B: 2 3\n")["header"] == ("X-A: 1", "X-B: 2 3")


@pytest.mark.parametrize(("text", "value"), [("1", True), ("off", False), ("No", False), ("TRUE", True)])
def test_a_switch_is_on_or_off(text: str, value: bool) -> None:
    assert of_variables(CLERESTORY_ACCESS_LOG=text)["access_log"] is value


def test_what_can_be_switched_off_is() -> None:
    assert of_variables(CLERESTORY_XRAY="off")["xray"] == ""
    assert of_variables(CLERESTORY_XRAY_TOKEN=" secret ")["xray_token"] == "secret"


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("CLERESTORY_PROT", "1", "CLERESTORY_PROT: there is no such option; did you mean CLERESTORY_PORT?"),
        ("CLERESTORY_BIND", "1", "CLERESTORY_BIND: there is no such option; did you mean CLERESTORY_LISTEN?"),
        ("CLERESTORY_PORT", "x", "CLERESTORY_PORT: 'x' is not a port"),
        ("CLERESTORY_LISTING", "maybe", "CLERESTORY_LISTING: 'maybe' is not a switch"),
    ],
)
def test_a_wrong_variable_is_named(name: str, text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        of_variables(**{name: text})
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("CLERESTORY_PORT", "tcp://10.0.0.1:80"),  # Kubernetes, for a service that is called clerestory
        ("CLERESTORY_SERVICE_HOST", "10.0.0.1"),
        ("CLERESTORY_SERVICE_PORT_HTTP", "80"),
        ("CLERESTORY_PORT_80_TCP_ADDR", "10.0.0.1"),
        ("CLERESTORY_BLUE_PORT", "tcp://10.0.0.1:80"),
        ("CLERESTORY_TOKEN", "x"),
        ("CLERESTORY_COMPILE", "1"),
        ("CLERESTORY_SOMEBODY_ELSES", "1"),
        ("CLERESTORY_PORT", ""),
        ("PORT", "1"),
    ],
)
def test_what_others_have_put_there_is_left_alone(name: str, text: str) -> None:
    assert of_variables(**{name: text}).given() == []


# --- the file


@pytest.mark.parametrize(
    "option", [option for option in VALUED if option.name != "config"], ids=lambda one: str(one.name)
)
def test_every_option_is_a_key_with_dashes_or_underscores(option: Option) -> None:
    if option.typed:
        pytest.skip("it is for the command line")
    text = sample(option)
    by_variable = of_variables(**{option.variable: text})[option.name]
    assert of_file(**{option.key: text})[option.name] == by_variable
    assert of_file(**{option.name: text})[option.name] == by_variable


def test_values_have_the_types_of_toml() -> None:
    found = of_file(port=9, keep_alive_timeout=2.5, max_body="16M", access_log=False, xray=False, listen=[8000, "9"])
    assert (found["port"], found["keep_alive_timeout"], found["max_body"]) == (9, 2.5, 16 << 20)
    assert (found["access_log"], found["xray"], found["listen"]) == (False, "", ("8000", "9"))
    assert of_file(listen="8000")["listen"] == ("8000",)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("max-boddy", 1, "x.toml: there is no option max-boddy; did you mean max-body?"),
        ("bind", "x", "x.toml: there is no option bind; did you mean listen?"),
        ("zzz", 1, "x.toml: there is no option zzz"),
        ("config", "y", "x.toml: there is no option config"),
        ("check-config", True, "x.toml: there is no option check-config"),
        ("port", "x", "x.toml: port: 'x' is not a port"),
        ("port", True, "x.toml: port takes one PORT, not true or false"),
        ("port", [1], "x.toml: port takes one PORT, not a list"),
        ("limits", {"port": 1}, "x.toml: there is no option limits"),
        ("access-log", "off", "x.toml: access-log is true or false, not 'off'"),
    ],
)
def test_a_wrong_entry_is_named(key: str, value: Any, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        of_file(**{key: value})
    assert str(caught.value).startswith(said)


def test_the_usual_file_is_found_and_can_be_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_file(None) == ""
    (tmp_path / "clerestory.toml").write_text("port = 9\n")
    assert find_file(None) == "clerestory.toml"
    assert find_file("") == ""
    assert find_file("other.toml") == "other.toml"
    assert load_file("clerestory.toml") == {"port": 9}


def test_a_file_that_is_no_toml_or_not_there_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("port = \n")
    (tmp_path / "y").write_bytes(b'host = "\xff"\n')
    for name, said in (("x", "Invalid value"), ("y", "utf-8"), ("z", "--config .*No such file")):
        with pytest.raises(UsageError, match=said):
            load_file(str(tmp_path / name))


def test_no_variable_is_another_options() -> None:
    variables = [option.variable for option in TABLE]
    assert len(variables) == len(set(variables))
