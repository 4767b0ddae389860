"""What a suite hands back: tables and plots, written as text for the terminal and as Markdown with SVG beside it.

A report is written when its suite has finished, in one go, so that a run that was interrupted leaves the last one
whole.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(slots=True)
class Table:
    """One table: the first column is text, the others are right-aligned unless `left` names them."""

    title: str
    columns: Sequence[str]
    rows: list[Sequence[str]] = field(default_factory=list)
    note: str = ""
    left: frozenset[str] = frozenset()

    def text(self) -> str:
        """For the terminal: columns aligned by spaces."""
        widths = [max(len(row[at]) for row in (self.columns, *self.rows)) for at in range(len(self.columns))]
        lines = [self.title, ""] if self.title else []
        for row in (self.columns, ["-" * width for width in widths], *self.rows):
            cells = [
                cell.ljust(width) if self._is_left(at) else cell.rjust(width)
                for at, (cell, width) in enumerate(zip(row, widths, strict=True))
            ]
            lines.append("  " + "  ".join(cells).rstrip())
        if self.note:
            lines += ["", "  " + self.note]
        return "\n".join(lines) + "\n"

    def markdown(self) -> str:
        """For a page. A row whose first cell starts with `**` stays bold there only."""
        rule = ["---" if self._is_left(at) else "---:" for at in range(len(self.columns))]
        lines = [f"## {self.title}", ""] if self.title else []
        lines += ["| " + " | ".join(_cell(cell) for cell in row) + " |" for row in (self.columns, rule, *self.rows)]
        if self.note:
            lines += ["", self.note]
        return "\n".join(lines) + "\n"

    def _is_left(self, at: int) -> bool:
        return at == 0 or self.columns[at] in self.left


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


@dataclass(slots=True)
class Report:
    """What one suite found. `plots` maps a file's name, without its ending, to its SVG; `ratios`, to be held against
    by a later run (published.py), has CPU a request of ours over another's by both names."""

    name: str
    title: str
    lead: str
    tables: list[Table] = field(default_factory=list)
    plots: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    ratios: dict[str, float] = field(default_factory=dict)

    def text(self) -> str:
        """For the terminal."""
        return "\n".join(["", self.title, "", *(table.text() for table in self.tables), *_listed(self.notes)])

    def markdown(self, particulars: Mapping[str, str]) -> str:
        """The page: what was measured, the plots, the tables, and on what."""
        parts = [f"# {self.title}\n", self.lead + "\n"]
        parts += [f"![{self.title}]({name}.svg)\n" for name in self.plots]
        parts += [table.markdown() for table in self.tables]
        if self.notes:
            parts.append("\n".join(_listed(self.notes)) + "\n")
        machine = [f"- {name}: {value}" for name, value in particulars.items()]
        parts.append("\n".join(["## Measured on", "", *machine]) + "\n")
        return "\n".join(parts)

    def write(self, directory: Path, particulars: Mapping[str, str]) -> list[Path]:
        """Write the page and its plots; the paths written."""
        directory.mkdir(parents=True, exist_ok=True)
        contents = {f"{name}.svg": svg for name, svg in self.plots.items()}
        contents[f"{self.name}.md"] = self.markdown(particulars)
        for name, content in contents.items():
            (directory / name).write_text(content, encoding="utf-8")
        return [directory / name for name in contents]


def _listed(notes: Sequence[str]) -> list[str]:
    return [f"- {note}" for note in notes]
