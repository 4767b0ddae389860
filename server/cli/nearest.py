"""What somebody may have meant by a word that we do not know: an option by its name or its meaning, or a command.

A guess is made only where it is near: a wrong guess is worse than none.
"""

import difflib
from collections.abc import Iterable

from clerestory.server.cli.options.option import Option

COMMANDS = ("check", "diagrams", "replay", "ps", "waits", "top", "show", "watch", "close", "page")

NEAR = 0.75
"""How alike two words are at least (difflib) that may be the same, misspelt. `tls` and `trust` are not."""

NEARER = 0.87
"""The same for a meaning: these are short."""


def nearest_option(word: str, table: Iterable[Option]) -> Option | None:
    """The option that `word` may have meant: without its dashes, with `-` or `_` in it."""
    wanted = word.replace("_", "-")
    names: dict[str, Option] = {}
    meanings: dict[str, Option] = {}
    for option in table:
        names |= dict.fromkeys((option.key, *option.spellings), option)
        meanings |= dict.fromkeys((*option.letter, *option.meanings), option)
    for name in (wanted, wanted.lower(), wanted.removeprefix("no-")):
        found = names.get(name) or meanings.get(name)
        if found is not None:
            return found
    if len(wanted) < 3:
        return None
    for known, least in ((names, NEAR), (meanings, NEARER)):
        near = difflib.get_close_matches(wanted.lower(), known, 1, least)
        if near:
            return known[near[0]]
    return None


def nearest_command(word: str) -> str:
    """The command that `word` may have meant; empty where none is near."""
    near = difflib.get_close_matches(word.lower(), COMMANDS, 1, 0.7)
    return near[0] if near else ""
