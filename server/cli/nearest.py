"""What somebody may have meant by a word that we do not know: an option by its name or its meaning, or a command.

A guess is made only where it is near: a wrong guess is worse than none.
"""

import difflib
from collections.abc import Iterable

from clerestory.server.cli.options.option import Option

COMMANDS = ("check", "diagrams", "replay", "ps", "waits", "top", "show", "watch", "close", "page")

ALONE = ("serve", "run", "start", "dev", "runserver", "server")
"""What serves elsewhere, before what is served: here that stands alone."""

INSTEAD = {
    "help": "write --help",
    "version": "write --version",
    "status": "did you mean the command ps?",
    "list": "did you mean the command ps?",
    "connections": "did you mean the command ps?",
    "stats": "did you mean the command top?",
    "monitor": "did you mean the command top?",
    "kill": "did you mean the command close?",
    "config": "did you mean --check-config?",
    "configtest": "did you mean --check-config?",
    "stop": "a server is stopped by Ctrl-C, or by kill with its process id",
    "quit": "a server is stopped by Ctrl-C, or by kill with its process id",
    "reload": "kill -HUP with its process id reloads a server that runs with --workers",
    "restart": "kill -HUP with its process id reloads a server that runs with --workers",
    **dict.fromkeys(ALONE, "write the TARGET alone, such as shop:app; without one the built-in site is served"),
}
"""What is written or done instead, by a word that may be meant as a command."""

ABSENT = {
    "http3": "HTTP/3 is not served: HTTP/1.1 and HTTP/2 are",
    "h3": "HTTP/3 is not served: HTTP/1.1 and HTTP/2 are",
    "quic": "HTTP/3 is not served: HTTP/1.1 and HTTP/2 are",
    "daemon": "systemd or a container runs it in the background (deploy/), or nohup does",
    "daemonize": "systemd or a container runs it in the background (deploy/), or nohup does",
    "background": "systemd or a container runs it in the background (deploy/), or nohup does",
    "env": "variables are set before the command, such as NAME=value clerestory",
    "limit": "--help limits and --help timeouts list them all",
    "limits": "--help limits and --help timeouts list them all",
    "fastcgi": "FastCGI and uwsgi are not spoken: an application is loaded, or asked by HTTP",
    "uwsgi": "FastCGI and uwsgi are not spoken: an application is loaded, or asked by HTTP",
}
"""Options of other servers that have no like here, with what is instead."""

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


def absent(word: str) -> str:
    """What is instead of an option of other servers; empty for all else."""
    return ABSENT.get(word.replace("_", "-").lower().removeprefix("no-"), "")


def instead(word: str) -> str:
    """What `word` may have meant, which is no command: what to write; empty where that is not known."""
    known = INSTEAD.get(word.lower())
    near = nearest_command(word)
    return known or (f"did you mean the command {near}?" if near else "")


def nearest_command(word: str) -> str:
    """The command that `word` may have meant; empty where none is near."""
    near = difflib.get_close_matches(word.lower(), COMMANDS, 1, 0.7)
    return near[0] if near else ""
