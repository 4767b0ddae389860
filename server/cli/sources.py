"""The other sources of options: variables of the environment, and a configuration file in TOML.

    CLERESTORY_MAX_BODY=16M                  --max-body 16M
    CLERESTORY_LISTEN='8000 unix:/run/a'     --listen 8000 --listen unix:/run/a
    CLERESTORY_ACCESS_LOG=off                --no-access-log

    max-body = "16M"                         a number, a string, true or false; a list for what may be repeated
    listen = [8000, "unix:/run/a"]

An unknown key of the file is an error. So is an unknown variable that is near an option's; others are left alone, since
a process manager may have put them there: Kubernetes makes CLERESTORY_PORT=tcp://... for a service of that name.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from typing import Any

from clerestory.server.cli.arguments import read
from clerestory.server.cli.nearest import nearest_option
from clerestory.server.cli.options.option import PREFIX, UNSET, Option
from clerestory.server.cli.options.table import BY_NAME, TABLE
from clerestory.server.cli.settings import Given, Rank, UsageError

USUAL_FILE = "clerestory.toml"

OTHERS = frozenset({"CLERESTORY_TOKEN", "CLERESTORY_COMPILE", "CLERESTORY_CHAOS", "CLERESTORY_ANSWERS"})
"""Variables that are no options: the token of `clerestory ps`, the build's switch, and the tests'."""

_LINKS = re.compile(r"CLERESTORY_.*(_SERVICE_(HOST|PORT.*)|_PORT_[0-9]+_(TCP|UDP|SCTP).*)|CLERESTORY_SERVICE_.*")
_LINK = re.compile(r"(tcp|udp|sctp)://")

SITES = "site"
"""The key of the file's tables that are sites."""


# --- the environment


def from_environment(variables: Mapping[str, str]) -> list[Given]:
    """The options that the environment sets. Raises UsageError."""
    by_variable = {option.variable: option for option in TABLE if not option.typed}
    given = []
    for name, text in sorted(variables.items()):
        if not name.startswith(PREFIX) or name in OTHERS or _LINKS.fullmatch(name):
            continue
        option = by_variable.get(name)
        if option is None:
            near = nearest_option(name.removeprefix(PREFIX).lower(), TABLE)
            if near is not None and not near.typed:
                raise UsageError(f"{name}: there is no such option; did you mean {near.variable}?")
        elif text and not (name.endswith("_PORT") and _LINK.match(text)):
            given.append(Given(option, _from_variable(option, text), Rank.ENVIRONMENT, name))
    return given


def _from_variable(option: Option, text: str) -> Any:
    if option.repeated:
        words = filter(None, map(str.strip, text.splitlines())) if option.kind.spaced else text.split()
        return tuple(value for word in words for value in read(option, word, option.variable))
    if not option.is_switch and option.off is not UNSET and text.strip().lower() in ("off", "no", "false"):
        return option.off
    return read(option, text.strip() if option.secret else text, option.variable)


# --- the file


def find_file(asked: str | None) -> str:
    """The configuration file: the one that was asked for, or the usual one if it is there; empty for none."""
    if asked is not None:
        return asked
    return USUAL_FILE if os.path.isfile(USUAL_FILE) else ""


def load_file(path: str) -> dict[str, Any]:
    """What the file has. Raises UsageError."""
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise UsageError(f"--config {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: {error}") from error


def from_file(content: Mapping[str, Any], path: str) -> list[Given]:
    """The options that a file sets. Raises UsageError."""
    return [from_entry(key, value, path) for key, value in content.items() if key != SITES]


def from_entry(key: str, value: Any, path: str, known: Mapping[str, Option] = BY_NAME) -> Given:
    """One entry of a file. Raises UsageError."""
    option = known.get(key.replace("-", "_"))
    if option is None or option.typed or option.name == "config":
        near = nearest_option(key, known.values())
        hint = f"; did you mean {near.key}?" if near is not None and not near.typed else ""
        raise UsageError(f"{path}: there is no option {key}{hint}")
    return Given(option, _from_toml(option, value, f"{path}: {option.key}"), Rank.FILE, path)


def _from_toml(option: Option, value: Any, place: str) -> Any:
    if option.repeated:
        values = value if isinstance(value, list) else [value]
        return tuple(one for part in values for one in read(option, _text(option, part, place), place))
    if value is False and option.off is not UNSET:
        return option.off
    if option.is_switch:
        if not isinstance(value, bool):
            raise UsageError(f"{place} is true or false, not {value!r}")
        return value
    return read(option, _text(option, value, place), place)


def _text(option: Option, value: Any, place: str) -> str:
    """A value as it would be typed."""
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    what = {bool: "true or false", list: "a list", dict: "a table"}.get(type(value), type(value).__name__)
    raise UsageError(f"{place} takes one {option.placeholder}, not {what}")
