"""The command line, word by word: options, their values, and TARGET. What is wrong is a UsageError: one line."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from clerestory.server.cli.nearest import ALONE, absent, nearest_command, nearest_option
from clerestory.server.cli.options.option import UNSET, Option
from clerestory.server.cli.options.table import BY_NAME, TABLE
from clerestory.server.cli.settings import Given, Rank, UsageError

_HINT = "(--help lists the options)"


@dataclass(slots=True)
class Typed:
    """What was typed: values, and what is asked for instead of serving."""

    given: list[Given] = field(default_factory=list)
    help: str | None = None
    """`all`, a group's name, or empty for the first page; None where no help is asked for."""
    version: bool = False


def _forms() -> Iterator[tuple[str, Option, Any]]:
    """Each way to write an option, the option, and its value where the word alone says it."""
    for option in TABLE:
        if option.secret or option.name == "target":
            continue
        alone = True if option.is_switch else UNSET
        for name in (option.key, *option.spellings):
            yield f"--{name}", option, alone
        if option.letter:
            yield f"-{option.letter}", option, alone
        if option.switched_off is not UNSET:
            yield f"--no-{option.key}", option, option.switched_off


FORMS = {word: (option, value) for word, option, value in _forms()}


def parse(words: Sequence[str]) -> Typed:
    """Read the words after the program's name. Raises UsageError."""
    typed = Typed()
    rest = list(words)
    targets: list[str] = []
    while rest:
        word = rest.pop(0)
        if word == "--":
            targets += rest
            break
        if not word.startswith("-") or word == "-":
            targets.append(word)
            continue
        flag, equals, attached = word.partition("=")
        if flag not in FORMS:
            raise UsageError(unknown(word))
        option, alone = FORMS[flag]
        if option.name == "help":
            typed.help = attached or (rest.pop(0) if rest and not rest[0].startswith("-") else "")
        elif option.name == "version":
            typed.version = True
        elif alone is not UNSET:
            if equals:
                raise UsageError(f"{flag} takes no value {_HINT}")
            typed.given.append(Given(option, alone, Rank.COMMAND_LINE, flag))
        else:
            if not equals:
                if not rest or (rest[0].startswith("--") and len(rest[0]) > 2):
                    raise UsageError(f"{flag} needs a value: {flag} {option.placeholder} {_HINT}")
                attached = rest.pop(0)
            typed.given.append(Given(option, read(option, attached, flag), Rank.COMMAND_LINE, flag))
    if len(targets) > 1:
        raise UsageError(_too_many(targets))
    if targets:
        typed.given.append(Given(BY_NAME["target"], targets[0], Rank.COMMAND_LINE, "command line"))
    return typed


def read(option: Option, text: str, place: str) -> Any:
    """The value that `text` is; of a repeated option a tuple. Raises UsageError, which names the `place`."""
    try:
        value = option.kind.read(text)
    except ValueError as error:
        raise UsageError(f"{place}: {error}") from error
    if option.repeated:
        return value if isinstance(value, tuple) else (value,)
    return value


def unknown(word: str) -> str:
    """What is said of an option that there is not."""
    flag = word.partition("=")[0]
    if absent(flag.lstrip("-")):
        return f"there is no option {flag}: {absent(flag.lstrip('-'))}"
    option = nearest_option(flag.lstrip("-"), TABLE)
    if option is None:
        return f"there is no option {flag} {_HINT}"
    if option.name == "target":
        return f"there is no option {flag}: TARGET stands alone, without an option before it {_HINT}"
    if option.secret:
        return f"there is no option {flag}; did you mean ${option.variable}? {_HINT}"
    off = flag.startswith("--no-") and option.switched_off is not UNSET
    meant = f"--no-{option.key}" if off else option.flag
    shown = "" if off or not option.placeholder else f" {option.placeholder}"
    return f"there is no option {flag}; did you mean {meant}{shown}? {_HINT}"


def _too_many(targets: list[str]) -> str:
    command = nearest_command(targets[0])
    if command:
        return f"there is no command {targets[0]}; did you mean {command}?"
    if targets[0] in ALONE:
        return f"there is no command {targets[0]}: write the TARGET alone, {targets[1]}"
    return f"there is one TARGET, and these are {len(targets)}: {' '.join(targets)} {_HINT}"
