"""The page of all options, from their table.

`python -m clerestory.server.cli.reference docs/configuration.md` writes it anew, below its heading.
"""

import sys
from pathlib import Path

from clerestory.server.cli.options.option import UNSET, Option
from clerestory.server.cli.options.table import GROUPS, in_group

HEADING = "## All options\n"


def reference() -> str:
    """The options of each group, as tables in Markdown."""
    parts = []
    for group in GROUPS.values():
        lines = [f"### {group.title}", ""]
        if group.about:
            lines += [" ".join(group.about.split()), ""]
        lines += ["| option | default | what it does |", "|---|---|---|", *map(_row, in_group(group)), ""]
        parts.append("\n".join(lines))
    return "\n".join(parts)


def renewed(page: str) -> str:
    """The page with the tables of today. Raises ValueError without their heading."""
    before, heading, _ = page.partition(HEADING)
    if not heading:
        raise ValueError(f"there is no {HEADING.strip()!r} in the page")
    return f"{before}{HEADING}\n{reference()}"


def _row(option: Option) -> str:
    name = "TARGET" if option.name == "target" else f"${option.variable}" if option.secret else option.flag
    value = f" {option.placeholder}" if option.placeholder and not option.secret and option.name != "target" else ""
    shown = option.default_help or option.show(option.default)
    if option.is_switch:
        shown = "on" if option.default is True else "off"
    more = " May be repeated." if option.repeated else ""
    off = f" `--no-{option.key}`: none." if option.off is not UNSET else ""
    if option.is_switch and option.default is True:
        off = f" `--no-{option.key}` switches it off."
    return f"| `{_cell(name + value)}` | {_cell(shown)} | {_cell(option.help)}.{more}{off} |"


def _cell(text: str) -> str:
    """Text that breaks no table."""
    return text.replace("|", "\\|").replace("*", "\\*") if not text.startswith("--") else text.replace("|", "\\|")


if __name__ == "__main__":
    for name in sys.argv[1:]:
        path = Path(name)
        path.write_text(renewed(path.read_text()))
