"""What was set, where, and what holds: the command line before the environment, that before the configuration file, and
that before the defaults.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from clerestory.server.cli.options.option import Option
from clerestory.server.cli.options.table import BY_NAME, TABLE


class UsageError(Exception):
    """What was asked for cannot be done; the message is one line."""


class Rank(IntEnum):
    """Sources, the strongest last."""

    DEFAULT = 0
    FILE = 1
    ENVIRONMENT = 2
    COMMAND_LINE = 3


@dataclass(frozen=True, slots=True)
class Given:
    """A value and who gave it: `name` is what to show, such as `--port` or `clerestory.toml`."""

    option: Option
    value: Any
    rank: Rank
    name: str


class Settings(Mapping[str, Any]):
    """The value of each option by its name, wherever it was given. `sites` are those of the configuration file."""

    def __init__(self, given: Iterable[Given] = (), sites: tuple[Mapping[str, Any], ...] = (), path: str = "") -> None:
        self._given: dict[str, Given] = {}
        self.sites = sites
        self.path = path
        """The configuration file that was read; empty without one."""
        for one in given:
            before = self._given.get(one.option.name)
            if before is None or one.rank > before.rank or not one.option.repeated:
                if before is None or one.rank >= before.rank:
                    self._given[one.option.name] = one
            elif one.rank == before.rank:
                values = tuple(dict.fromkeys((*before.value, *one.value)))
                self._given[one.option.name] = Given(one.option, values, one.rank, one.name)

    def __getitem__(self, name: str) -> Any:
        given = self._given.get(name)
        return given.value if given is not None else BY_NAME[name].default

    def __iter__(self) -> Iterator[str]:
        return iter(BY_NAME)

    def __len__(self) -> int:
        return len(BY_NAME)

    def rank(self, name: str) -> Rank:
        """Who decided the value."""
        given = self._given.get(name)
        return given.rank if given is not None else Rank.DEFAULT

    def source(self, name: str) -> str:
        """The same, as it is shown: `--port`, `CLERESTORY_PORT`, `clerestory.toml`, `default`."""
        given = self._given.get(name)
        return given.name if given is not None else "default"

    def given(self) -> list[Given]:
        """What was given, in the table's order."""
        return [self._given[name] for name in BY_NAME if name in self._given]


_PASSWORD = re.compile(r"(://[^/@:]*:)[^@]*@")


def configuration_page(settings: Settings) -> str:
    """Every option with its value and where it comes from: a configuration file that would set the same. What is
    secret is not shown."""
    lines = []
    for option in TABLE:
        if option.typed:
            continue
        shown, source = _as_toml(option, settings[option.name]), settings.source(option.name)
        line = f"{option.key} = {shown}" if shown is not None else f"# {option.key} is not set"
        lines.append(f"{line:<50}  # {source}")
    return "\n".join(lines) + "\n"


def _as_toml(option: Option, value: Any) -> str | None:
    """A value as TOML has it; None where there is none."""
    if value is None:
        return None
    if option.repeated:
        return "[" + ", ".join(_string(option.kind.show(one)) for one in value) + "]"
    if option.is_switch:
        return option.show(value)
    if option.off == value and option.name == "xray":
        return "false"
    if option.secret and value:
        return _string("***")
    shown = option.show(value)
    return shown if option.kind.number and re.fullmatch(r"[0-9]+(\.[0-9]+)?", shown) else _string(shown)


def _string(text: str) -> str:
    """A basic string of TOML, without the password of a URL."""
    text = _PASSWORD.sub(r"\1***@", text)
    escaped = "".join(
        f"\\{one}" if one in '"\\' else one if one.isprintable() else f"\\U{ord(one):08X}" for one in text
    )
    return f'"{escaped}"'
