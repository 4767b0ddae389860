"""What an option is. Everything that is said or read of one is made from this: the command line, the environment, the
configuration file, the help, `--check-config`, and the guess at what somebody meant.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from clerestory.server.cli.values import SWITCH, Kind

PREFIX = "CLERESTORY_"


class Goal(StrEnum):
    """What a target is, where an option is not for all of them."""

    MAIL_SITE = "the built-in mail site: leave TARGET out"
    DIRECTORY = "a directory: name one as TARGET"
    APPLICATION = "an ASGI or WSGI application: name one as TARGET, such as shop:app"
    PROXY = "a reverse proxy: give an http:// URL as TARGET"

    @property
    def what(self) -> str:
        """Without what is to be done."""
        return self.value.partition(":")[0]


class Group(NamedTuple):
    """Options that stand together: `clerestory --help NAME` lists them."""

    name: str
    title: str
    about: str = ""


class Unset:
    """The value of an option that cannot be switched off."""


UNSET = Unset()


@dataclass(frozen=True, slots=True)
class Option:
    """One option.

    `name` has underscores: `max_body` is --max-body, CLERESTORY_MAX_BODY, and `max-body` in a configuration file.
    `help` says what it does, as a sentence without its full stop; `default_help` says what happens without it, where
    the default itself does not. `brief` is its line on the first page of the help, if it has one. `metavar` is what the
    help calls its value, if not what its kind is called. `letter` is its short form. `off` is its value after
    `--no-NAME`. A `repeated` one may be given more than once; its value is a tuple. `spellings` are other servers'
    names that do the same here. `meanings` are words by which somebody may look for it: they are only suggested.
    `goals` are the targets that it is for; empty is all. `typed` ones are for the command line alone; a `secret` one is
    not for the command line, which everybody on the machine can read.
    """

    name: str
    group: Group
    kind: Kind
    default: Any
    help: str
    brief: str = ""
    default_help: str = ""
    metavar: str = ""
    letter: str = ""
    off: Any = UNSET
    repeated: bool = False
    spellings: tuple[str, ...] = ()
    meanings: tuple[str, ...] = ()
    goals: frozenset[Goal] = frozenset()
    typed: bool = False
    secret: bool = False

    @property
    def is_switch(self) -> bool:
        """Whether it takes no value on the command line."""
        return self.kind is SWITCH

    @property
    def flag(self) -> str:
        """`--max-body`."""
        return f"--{self.key}"

    @property
    def key(self) -> str:
        """`max-body`: its name in a configuration file."""
        return self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        """`CLERESTORY_MAX_BODY`."""
        return PREFIX + self.name.upper()

    @property
    def switched_off(self) -> Any:
        """Its value after `--no-NAME`; UNSET where there is no such form."""
        return False if self.is_switch and self.default is True else self.off

    @property
    def placeholder(self) -> str:
        """What the help calls its value; empty for a switch."""
        return self.metavar or self.kind.metavar

    def show(self, value: Any) -> str:
        """A value as it would be written."""
        if self.repeated:
            return ", ".join(self.kind.show(one) for one in value)
        return self.kind.show(value) if value is not None else ""
