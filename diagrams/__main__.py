"""`clerestory diagrams`: draw every machine, or check that what is drawn is still true."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from clerestory.diagrams.dot import to_dot
from clerestory.diagrams.mermaid import to_mermaid
from clerestory.diagrams.picture import Picture, picture_of
from clerestory.diagrams.plantuml import to_plantuml
from clerestory.diagrams.render import MissingExtra, png_drift, svg_drift, to_png, to_svg
from clerestory.diagrams.scxml import to_scxml
from clerestory.diagrams.xstate import to_xstate
from clerestory.statemachines.contract import Table
from clerestory.statemachines.tables import TABLES

FOLDER = Path("diagrams")
"""Where the pictures are, unless told otherwise: in the working directory, as in a checkout."""

DESCRIPTION = """\
Draw the state machines of the server from the tables that it runs.

Each state shows what it waits for and until when. The usual path is bold, other normal paths are grey, faults
are red; a dashed line is a deadline that passed. What leads aside is listed at the foot of its state.

SCXML and XState are definitions that other programs run: guards and actions by name, deadlines as delays.
"""

EXAMPLES = """\
examples:
  clerestory diagrams                                          every machine as Mermaid, DOT and SVG
  clerestory diagrams --machine connection --format mermaid    one text, no extra needed
  clerestory diagrams --machine connection --format png        for documents that take no SVG
  clerestory diagrams --format scxml --output machines/        every machine for an interpreter of SCXML
  clerestory diagrams --check                                  fail when a picture is stale

Files are written below the working directory. Only SVG and PNG need Graphviz, which comes with
pip install pygraphviz; without it the texts are written.
Exit status: 0 on success, 1 when --check found a stale or missing file, 2 on a usage error.
"""


def _drawn(make: Callable[[Picture], str]) -> Callable[[Table], bytes]:
    return lambda table: make(picture_of(table)).encode()


def _defined(make: Callable[[Table], str]) -> Callable[[Table], bytes]:
    return lambda table: make(table).encode()


def _svg(table: Table) -> bytes:
    return to_svg(to_dot(picture_of(table)), table.name).encode()


def _png(table: Table) -> bytes:
    return to_png(to_dot(picture_of(table)))


def _text_drift(kept: bytes, fresh: bytes) -> str:
    return "" if kept == fresh else "its text differs"


def _svg_drift(kept: bytes, fresh: bytes) -> str:
    return svg_drift(kept.decode(errors="replace"), fresh.decode())


FORMATS: dict[str, tuple[str, Callable[[Table], bytes], Callable[[bytes, bytes], str]]] = {
    "mermaid": (".mmd", _drawn(to_mermaid), _text_drift),
    "dot": (".dot", _drawn(to_dot), _text_drift),
    "plantuml": (".puml", _drawn(to_plantuml), _text_drift),
    "scxml": (".scxml", _defined(to_scxml), _text_drift),
    "xstate": (".xstate.json", _defined(to_xstate), _text_drift),
    "svg": (".svg", _svg, _svg_drift),
    "png": (".png", _png, png_drift),
}
"""The ending of a format's files, what makes one, and what says how an older one differs. Texts come first."""

PICTURES = ("svg", "png")

USUAL = ("mermaid", "dot", "svg")
"""What is made where no format is named: what a code host shows."""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="clerestory diagrams",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--machine", choices=TABLES, metavar="NAME", help=f"one of {', '.join(TABLES)}; without it, all")
    made.add_argument(
        "--format",
        choices=[*FORMATS, "all"],
        metavar="FORMAT",
        help=f"{', '.join(FORMATS)} or all (default: {', '.join(USUAL)})",
    )
    made.add_argument(
        "--output", type=Path, default=FOLDER, metavar="DIR", help="where the files are (default: diagrams/)"
    )
    made.add_argument(
        "--check", action="store_true", help="write nothing; fail when a file is not what would be written"
    )
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw or check; the exit status."""
    asked = parser().parse_args(arguments)
    machines = [asked.machine] if asked.machine else list(TABLES)
    formats = list(FORMATS) if asked.format == "all" else [asked.format] if asked.format else list(USUAL)
    try:
        if asked.check:
            return _check(asked.output, machines, formats)
        asked.output.mkdir(parents=True, exist_ok=True)
        for kind in formats:  # every text before the first picture, which may need what is not there
            _write(asked.output, machines, kind)
    except MissingExtra as error:
        texts = "; the texts have been written" if formats[0] not in PICTURES else ""
        print(f"clerestory diagrams: {error}{texts}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"clerestory diagrams: {error}", file=sys.stderr)
        return 2
    return 0


def _write(folder: Path, machines: list[str], kind: str) -> None:
    ending, make, _ = FORMATS[kind]
    for machine in machines:
        path = folder / (machine + ending)
        path.write_bytes(make(TABLES[machine]))
        print(path)


def _check(folder: Path, machines: list[str], formats: list[str]) -> int:
    stale = [f"{path}: {why}" for machine in machines for path, why in _drifts(folder, machine, formats)]
    if len(machines) == len(TABLES):
        stale += [f"{path}: there is no such machine" for path in _strays(folder, formats)]
    for line in stale:
        print(line, file=sys.stderr)
    if stale:
        print("clerestory diagrams: the pictures are stale: draw them with clerestory diagrams", file=sys.stderr)
        return 1
    print(f"{len(machines) * len(formats)} files in {folder} are true to the tables")
    return 0


def _drifts(folder: Path, machine: str, formats: list[str]) -> list[tuple[Path, str]]:
    """The files of a machine that are not what would be written, and why."""
    found = []
    for kind in formats:
        ending, make, drift = FORMATS[kind]
        path = folder / (machine + ending)
        why = drift(path.read_bytes(), make(TABLES[machine])) if path.exists() else "there is no such file"
        found += [(path, why)] if why else []
    return found


def _strays(folder: Path, formats: list[str]) -> list[Path]:
    """Pictures of machines that are no more."""
    endings = [FORMATS[kind][0] for kind in formats]
    paths = [(path, ending) for ending in endings for path in sorted(folder.glob("*" + ending))]
    return [path for path, ending in paths if path.name.removesuffix(ending) not in TABLES]


if __name__ == "__main__":
    sys.exit(main())
