"""The pages of the help: the first, which fits a screen; one for each group; and all of them."""

import difflib
import shutil
import textwrap

from clerestory.server.cli.options.option import UNSET, Group, Option
from clerestory.server.cli.options.table import GROUPS, TABLE, in_group
from clerestory.server.cli.settings import UsageError

WIDEST = 110
"""Columns beyond which a line is harder to read than a second one."""

USAGE = """\
usage: {prog} [TARGET] [options]
       {prog} check | diagrams | replay FILE...
       {prog} ps | waits | top | show ID | watch ID | close ID | page

Clerestory serves HTTP; every connection is an explicit state machine.
"""

TARGETS = """
TARGET is what is served:
  site/                   the files of a directory
  shop:app                an ASGI or WSGI application, or a router
  http://127.0.0.1:9000   what is served there: a reverse proxy
  (nothing)               the built-in example, a mail site
"""

LAST = "running"

BLOCKS = {
    "serving": ("serving", "static", "application", "proxy", "websocket"),
    "listening": ("listening", "tls"),
    LAST: (),
}
"""The headings of the first page, and the groups whose options stand there; the last has those of all others."""

EXAMPLES = """\
examples:
  {prog}                                   the built-in mail site, on http://127.0.0.1:8000
  {prog} --database sqlite:///mail.db      the same, kept in a file
  {prog} . --listing --port 0              this directory, on a free port
  {prog} shop:app --host 0.0.0.0           an application, for the whole network
  {prog} shop:app --listen unix:/run/a     the same, behind a proxy on this machine
  {prog} http://127.0.0.1:9000             a reverse proxy of what is served there
  {prog} ./check                           a directory that is named as a command
  {prog} --max-body 16M --body-timeout 60  room for uploads over slow lines
"""


def page(about: str, prog: str) -> str:
    """The help about `about`: empty for the first page, `all`, or a group's name. Raises UsageError."""
    width = min(shutil.get_terminal_size().columns - 2, WIDEST)
    if not about:
        return first_page(prog, width)
    if about == "all":
        groups = [group_page(group, width) for group in GROUPS.values()]
        return "\n".join([USAGE.format(prog=prog), *groups, EXAMPLES.format(prog=prog)])
    if about not in GROUPS:
        near = difflib.get_close_matches(about, GROUPS, 1)
        hint = f"did you mean {near[0]}? There" if near else "there"
        raise UsageError(f"--help {about}: there is no such group; {hint} are all, {', '.join(GROUPS)}")
    return group_page(GROUPS[about], width)


def first_page(prog: str, width: int = 78) -> str:
    """What people need most, on one screen."""
    brief = [option for option in TABLE if option.brief]
    room = max(len(_form(option)) for option in brief) + 4
    blocks = []
    for heading in BLOCKS:
        entries = [(_form(one), _brief(one)) for one in brief if _block(one.group) == heading]
        if entries:
            blocks.append(f"{heading}:\n" + "".join(_entry(form, text, room, width) for form, text in entries))
    groups = textwrap.fill(
        f"{prog} --help all lists every option, {prog} --help GROUP those of a group: {', '.join(GROUPS)}.",
        width,
        break_on_hyphens=False,
    )
    return "\n".join([USAGE.format(prog=prog) + TARGETS, *blocks, groups]) + "\n"


def _block(group: Group) -> str:
    """Under which heading of the first page the options of a group stand."""
    return next((heading for heading, members in BLOCKS.items() if group.name in members), LAST)


def _brief(option: Option) -> str:
    shown = "" if option.default_help or option.is_switch else option.show(option.default)
    return f"{option.brief} (default: {shown})" if shown else option.brief


def group_page(group: Group, width: int = 78) -> str:
    """Every option of a group: what it does, and its default."""
    options = in_group(group)
    entries = [(_form(option), _with_default(option, option.help)) for option in options]
    title = f"{group.title} (--help {group.name})\n"
    about = f"{group.about}\n" if group.about else ""
    return title + about + "".join(_entry(form, text, 30, width) for form, text in entries)


def _form(option: Option) -> str:
    """How it is written: `--max-body BYTES`, `--[no-]access-log`, `TARGET`."""
    if option.name == "target":
        return "TARGET"
    if option.secret:
        return f"${option.variable}"
    letter = f"-{option.letter}, " if option.letter else ""
    flag = f"--[no-]{option.key}" if option.is_switch and option.default is True else option.flag
    value = option.placeholder
    return f"{letter}{flag}" + (f" {value}" if value else "")


def _with_default(option: Option, text: str) -> str:
    """What it does, and what holds without it."""
    more = [f"--no-{option.key}: none"] if option.off is not UNSET else []
    if option.repeated:
        more.append("may be repeated")
    shown = option.default_help or option.show(option.default)
    if option.is_switch:
        shown = "on" if option.default is True else ""
    if shown:
        more.append(f"default: {shown}")
    return f"{text} ({'; '.join(more)})." if more else f"{text}."


def _entry(form: str, text: str, room: int, width: int) -> str:
    """An option and what it does, in two columns; below each other where the first does not fit."""
    lines = textwrap.wrap(text, max(width - room, 24), break_on_hyphens=False)
    head = f"  {form}"
    if len(head) > room - 2:
        return "\n".join([head, *(" " * room + line for line in lines)]) + "\n"
    return "\n".join([f"{head:<{room}}{lines[0]}", *(" " * room + line for line in lines[1:])]) + "\n"
